// Package store is the durable contract of the catalogue: versioned records that
// are written in groups of steps, all or none, and a log of every change for
// whoever follows, reviews or undoes them.
//
// A caller describes a write as a Group: steps, and conditions and limits that must
// hold when it is judged. No caller holds a lock around what it has read and what it
// writes. Records declare what they refer to and what they count; the engine keeps
// reverse keys and counters of them, so that it can judge references and limits
// itself.
//
// Two engines keep the contract: Memory, here, and Pebble, in store/pebble. Both
// judge groups with Stage. Package store/storetest holds them, and any other, to the
// same conduct.
package store

import (
	"context"
	"time"

	"github.com/hexbid/hexbid"
)

// Record is a resource as stored, with what it declares to the engine. It is
// immutable: neither the engine nor a caller changes a Record that has been
// committed or read. Declare makes the Record of a resource.
type Record struct {
	Resource hexbid.Resource
	Refers   []Reference // records that must be there as long as this one is
	Counts   []Count     // what it adds to counters as long as it is there
}

// Reference is a record that another cannot be without: its parent, or the program
// that a campaign buys for.
type Reference struct {
	Name string
	// Field is what an error about the reference names, as in "campaign.program". It
	// is not stored: a Record that was read has none.
	Field string
}

// Meta is the resource's metadata.
func (r *Record) Meta() *hexbid.Meta { return r.Resource.Metadata() }

// uid is the record's; 0 of the zero Record.
func (r *Record) uid() hexbid.UID {
	if r.Resource == nil {
		return 0
	}
	return r.Meta().UID
}

// Store is an engine. All methods may be called at any time from any goroutine.
// Errors are *hexbid.Error, or the context's when that has ended.
//
// Get, ByUID, List, Verdict, Counted, Scan, Watch and Log show only what is synced:
// nothing that they have shown is gone after a crash.
type Store interface {
	// Get reads a record; NotFound when there is none.
	Get(ctx context.Context, name string) (Record, error)
	// ByUID reads a record by what never names another; NotFound when it is gone.
	ByUID(ctx context.Context, uid hexbid.UID) (Record, error)
	// List shows records to visit in order of name, one at a time, until visit says
	// that there need be no more, the list ends, or the query's bound or the
	// context ends. Next is where another call goes on, as After; empty at the end.
	// The records come from about the same moment, not from one version.
	List(ctx context.Context, q ListQuery, visit func(Record) (more bool)) (next string, err error)
	// Verdict reads the operator's verdict on the place of a name, whether or not
	// there is such a place; the zero Verdict when there is none.
	Verdict(ctx context.Context, name string) (Verdict, error)
	// Counted reads a counter of an owner: the sum of what all records count for it.
	Counted(ctx context.Context, owner string, c Counter) (int64, error)

	// Commit judges groups in order, each as those before it leave the catalogue, and
	// writes those that hold. Each group is written whole or not at all and has an
	// outcome of its own, in the order of the groups; one sync serves them all. Its
	// own error says that no group was committed: the store is closed (Unavailable),
	// the disk refuses (Unavailable, or Exhausted when it has no room), a file is
	// damaged (DataLoss), or the context ended before the commit began.
	Commit(ctx context.Context, groups []Group) ([]Outcome, error)
	// Judge gives the outcomes that Commit would give at this moment and changes
	// nothing. Its Changes have no version and no hash; a record that would be new has
	// no uid.
	Judge(ctx context.Context, groups []Group) ([]Outcome, error)
	// KeepDerived writes what was worked out of records, without waiting for the
	// disk. It passes over what is of a record that is gone or has another version.
	KeepDerived(ctx context.Context, derived []Derived) error

	// Watch starts a feed of the changes after a version. Watch(Version()) follows
	// what is committed from now on; to miss nothing, Scan and then Watch the version
	// that Scan returns.
	Watch(after uint64) *Feed
	// Scan calls f for every record of one version with what was derived from it (nil
	// when nothing is kept), advertisers first, then programs, places and campaigns,
	// each kind in order of name. It returns that version.
	Scan(ctx context.Context, f func(Record, *Derived) error) (version uint64, err error)
	// Log shows the changes after a version to visit, in order, until visit says that
	// there need be no more. Its error is a gap (see IsGap) when the log does not go
	// back so far, and DataLoss when a record of the log does not carry the hash of
	// the one before it.
	Log(ctx context.Context, after uint64, visit func(*Change) (more bool)) error
	// Version is that of the last change that is synced.
	Version() uint64
	// Close releases the engine; later calls fail, and feeds end.
	Close() error
}

// Durable is a Store on a disk, which may fail while the process goes on.
type Durable interface {
	Store
	// Failed is closed when the store refuses writes from now on. Reads go on as
	// far as they can.
	Failed() <-chan struct{}
	// Failure is why: an Unavailable, or a DataLoss when a file is damaged; nil
	// before.
	Failure() error
	// Losses are the losses of acknowledged writes that an operator accepted in
	// the catalogue's life.
	Losses() []Loss
}

// Loss is a loss of acknowledged writes that an operator accepted.
type Loss struct {
	At           time.Time
	Acknowledged uint64 // version that the catalogue had had; 0 when unknown
	Found        uint64 // version that it had when the loss was accepted
	What         string
}

// CheckUID is what engines answer to ByUID when they have found a record by a
// name that the uid once had.
func CheckUID(r Record, uid hexbid.UID, err error) (Record, error) {
	if err == nil && r.uid() == uid {
		return r, nil
	}
	if err == nil || hexbid.KindOf(err) == hexbid.NotFound {
		err = hexbid.Errorf(hexbid.NotFound, "uid", "%d does not exist", uid)
	}
	return Record{}, err
}

// KindOf is the kind of a resource.
func KindOf(r hexbid.Resource) hexbid.ResourceKind {
	switch r.(type) {
	case *hexbid.Advertiser:
		return hexbid.KindAdvertiser
	case *hexbid.Program:
		return hexbid.KindProgram
	case *hexbid.Place:
		return hexbid.KindPlace
	case *hexbid.Campaign:
		return hexbid.KindCampaign
	}
	return 0
}

// WithMeta copies a record, giving the copy its own metadata.
func WithMeta(r Record, uid hexbid.UID, version uint64) Record {
	switch v := r.Resource.(type) {
	case *hexbid.Advertiser:
		c := *v
		r.Resource = &c
	case *hexbid.Program:
		c := *v
		r.Resource = &c
	case *hexbid.Place:
		c := *v
		r.Resource = &c
	case *hexbid.Campaign:
		c := *v
		r.Resource = &c
	}
	m := r.Meta()
	m.UID, m.Version = uid, version
	return r
}
