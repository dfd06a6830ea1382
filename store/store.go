// Package store is the durable contract of the catalogue, and of the users, clients, keys and the market beside it.
// Writers commit versioned records in groups of steps, each group all or none. A log of every change serves those who
// follow, review or undo changes.
//
// A caller describes a write as a Group: steps, and conditions and limits that must hold when the engine judges the
// group. No caller holds a lock between its reads and its writes. Records declare their references and their counts.
// From these the engine keeps reverse keys and counters, so that it can judge references and limits itself.
//
// Two engines implement the contract: Memory, here, and Pebble, in store/pebble. Both judge groups with Stage. Package
// store/storetest tests that these engines, and any other, behave the same.
package store

import (
	"context"
	"time"

	"github.com/hexbid/hexbid"
)

// Record is a stored resource and its declarations to the engine. It is immutable: neither the engine nor a caller
// changes a Record that was committed or read. Declare makes the Record of a resource.
type Record struct {
	Resource hexbid.Resource
	Refers   []Reference // records that must be there as long as this one is
	Counts   []Count     // what it adds to counters as long as it is there
}

// Reference names a record that another one requires: its parent, or the program that a campaign buys for.
type Reference struct {
	Name string
	// Field is the field that an error about the reference names, such as "campaign.program". It is not stored: a
	// Record that was read has none.
	Field string
}

// Meta returns the resource's metadata.
func (r *Record) Meta() *hexbid.Meta { return r.Resource.Metadata() }

// uid returns the record's uid, 0 for the zero Record.
func (r *Record) uid() hexbid.UID {
	if r.Resource == nil {
		return 0
	}
	return r.Meta().UID
}

// Store is an engine. Its methods may be called at any time from any goroutine. Its errors are *hexbid.Error, or the
// context's error once the context has ended.
//
// Get, ByUID, List, Verdict, Counted, Scan, Watch, Log and History show only synced state, so a crash never undoes
// what they have shown.
type Store interface {
	// Get returns the record of a name, NotFound if there is none.
	Get(ctx context.Context, name string) (Record, error)
	// ByUID returns the record of a uid, which never names another record. NotFound if the record is gone.
	ByUID(ctx context.Context, uid hexbid.UID) (Record, error)
	// List calls visit with records in order of name. It ends when visit returns false, at the end of the list, at the
	// query's bound, or with the context. Next is the After of the call that continues, empty at the end of the list.
	// The records are from about the same moment, not from one version.
	List(ctx context.Context, q ListQuery, visit func(Record) (more bool)) (next string, err error)
	// Verdict returns the operator's verdict on the place of a name, whether or not the place exists. It returns the
	// zero Verdict if there is none.
	Verdict(ctx context.Context, name string) (Verdict, error)
	// Counted returns a counter of an owner: the sum of what all records count for it.
	Counted(ctx context.Context, owner string, c Counter) (int64, error)

	// Commit judges groups in order, each against the catalogue that the groups before it leave, and writes those that
	// hold. Each group is written whole or not at all. One sync serves them all. Outcomes are in the order of the
	// groups, one for each. The error of Commit itself means that no group was committed: the store is closed
	// (Unavailable), the disk refuses (Unavailable, or Exhausted when it has no room), a file is damaged (DataLoss), or
	// the context ended before the commit began.
	Commit(ctx context.Context, groups []Group) ([]Outcome, error)
	// Judge returns the outcomes that Commit would return at this moment, and changes nothing. Its Changes have no
	// version and no hash, and a new record has no uid.
	Judge(ctx context.Context, groups []Group) ([]Outcome, error)
	// KeepDerived writes data derived from records, without waiting for the disk. It skips the data of a record that is
	// gone or has another version.
	KeepDerived(ctx context.Context, derived []Derived) error

	// Watch starts a feed of the changes after a version. Watch(Version()) follows the commits from now on. To miss
	// nothing, Scan first and then Watch the version that Scan returned.
	Watch(after uint64) *Feed
	// Scan calls f for every record of one version, with the data derived from it (nil if there is none). Advertisers
	// come first, then programs, places, campaigns, users, clients, keys and the market, each kind in order of name.
	// Scan returns that version.
	Scan(ctx context.Context, f func(Record, *Derived) error) (version uint64, err error)
	// Log calls visit with the changes after a version, in order, until visit returns false. Its error is a gap (see
	// IsGap) if the log does not go back so far, and DataLoss if a record of the log does not carry the hash of the one
	// before it.
	Log(ctx context.Context, after uint64, visit func(*Change) (more bool)) error
	// History calls visit with the changes that a query asks for, the newest first, until visit returns false. Next is
	// the Before of the call that continues, 0 at the end of the log. The cost of a call depends on the changes that it
	// looks at, and not on the length of the log. Its error is DataLoss if a change was altered or is missing.
	History(ctx context.Context, q HistoryQuery, visit func(*Past) (more bool)) (next uint64, err error)
	// Born returns the version of the change that made the advertiser, user or client of a uid, 0 if that is not in the
	// log. An undone delete makes nobody.
	Born(ctx context.Context, uid hexbid.UID) (version uint64, err error)
	// Version returns the version of the last synced change.
	Version() uint64
	// Close releases the engine. Later calls fail, and feeds end.
	Close() error
}

// Durable is a Store on a disk, which may fail while the process continues.
type Durable interface {
	Store
	// Failed is closed when the store begins to refuse writes. Reads continue as far as possible.
	Failed() <-chan struct{}
	// Failure returns why the store failed: Unavailable, or DataLoss if a file is damaged. It returns nil before.
	Failure() error
	// Losses returns the losses of acknowledged writes that operators have accepted since the catalogue was created.
	Losses() []Loss
}

// Loss is a loss of acknowledged writes that an operator accepted.
type Loss struct {
	At           time.Time
	Acknowledged uint64 // version that the catalogue had had; 0 when unknown
	Found        uint64 // version that it had when the loss was accepted
	What         string
}

// CheckUID turns a read by name into the answer of ByUID. An engine calls it after reading the record of a name that
// the uid once had: CheckUID returns NotFound unless that record still has the uid.
func CheckUID(r Record, uid hexbid.UID, err error) (Record, error) {
	if err == nil && r.uid() == uid {
		return r, nil
	}
	if err == nil || hexbid.KindOf(err) == hexbid.NotFound {
		err = hexbid.Errorf(hexbid.NotFound, "uid", "%d does not exist", uid)
	}
	return Record{}, err
}

// KindOf returns the kind of a resource.
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
	case *hexbid.User:
		return hexbid.KindUser
	case *hexbid.Client:
		return hexbid.KindClient
	case *hexbid.Key:
		return hexbid.KindKey
	case *hexbid.Market:
		return hexbid.KindMarket
	}
	return 0
}

// WithMeta returns a copy of a record with its own metadata.
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
	case *hexbid.User:
		c := *v
		r.Resource = &c
	case *hexbid.Client:
		c := *v
		r.Resource = &c
	case *hexbid.Key:
		c := *v
		r.Resource = &c
	case *hexbid.Market:
		c := *v
		r.Resource = &c
	}
	m := r.Meta()
	m.UID, m.Version = uid, version
	return r
}
