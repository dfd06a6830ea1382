// Package store is the durable contract of the catalogue: versioned records in
// atomic batches, and a feed of every change for whoever indexes them.
//
// Two engines keep it: Memory, here, and Pebble, in store/pebble; package
// store/storetest holds both, and any other, to the same conduct.
package store

import (
	"context"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
)

// Record is a resource as stored. It is immutable: neither the engine nor a
// caller changes a Resource that has been committed or read.
type Record struct {
	Resource hexbid.Resource
	// Covering is where a campaign is posted, but for the discs around its program's
	// places. When it is empty the index works it out.
	Covering []geoindex.Posting
}

// Meta is the resource's metadata.
func (r *Record) Meta() *hexbid.Meta { return r.Resource.Metadata() }

// uid is the record's; 0 of the zero Record.
func (r Record) uid() hexbid.UID {
	if r.Resource == nil {
		return 0
	}
	return r.Meta().UID
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

// Op is one step of a batch. It puts Put under its name, or deletes the record
// of the name Delete.
type Op struct {
	Put    *Record
	Delete string
	// IfVersion must be the version in force; 0 says that there must be no
	// such record, and AnyVersion that it does not matter.
	IfVersion uint64
	// Verdict, when it is not nil, becomes the verdict on the step's name, which
	// must be a place's. Without one the verdict stays, of a deleted place too.
	Verdict *Verdict
}

// AnyVersion waives the condition of an Op.
const AnyVersion = ^uint64(0)

// Name is the name that the step is about.
func (o *Op) Name() string {
	if o.Put != nil {
		return o.Put.Meta().Name
	}
	return o.Delete
}

// Verdict is what the operator has decided about a place. It belongs to the
// place's name and is kept apart from the place: nothing that the owner does
// changes it, and it is still there when the place is deleted and made again.
type Verdict struct {
	// State is the decision; hexbid.ReviewUnspecified of the zero Verdict, which
	// stands for none.
	State hexbid.ReviewState `cbor:"state"`
	At    time.Time          `cbor:"at"`
	// Of is the place as the operator saw it.
	Of hexbid.Place `cbor:"of"`
	// Version is that of the batch that the verdict came with; the engine sets it.
	Version uint64 `cbor:"version"`
}

// Change is a committed batch. Puts carry their uid and version.
type Change struct {
	Version uint64 // of the store after the batch; the next one's is larger
	Puts    []Record
	Deletes []Record // as they were
}

// Store is an engine. All methods may be called at any time from any
// goroutine; errors are *hexbid.Error.
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
	// Commit applies all steps, durably, or none. It gives a put without uid
	// the next one, which is never used twice, and every put the version of
	// the batch. Stale when a condition does not hold, AlreadyExists or
	// NotFound where that says it better; Unavailable when the disk refuses,
	// DataLoss when a file is damaged.
	Commit(ctx context.Context, ops []Op) (Change, error)
	// Watch starts a feed of the changes committed after the call.
	Watch() *Feed
	// Scan calls f for every record of one version, advertisers first, then
	// programs, places and campaigns, and returns that version. Watch first,
	// then Scan, and skip what is not newer, to miss nothing.
	Scan(ctx context.Context, f func(Record) error) (version uint64, err error)
	// Close releases the engine; later calls fail.
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
	At           time.Time `cbor:"at"`
	Acknowledged uint64    `cbor:"acknowledged"` // version that the catalogue had had; 0 when unknown
	Found        uint64    `cbor:"found"`        // version that it had when the loss was accepted
	What         string    `cbor:"what"`
}

// CheckCondition judges one step against the version in force (0 for none).
func CheckCondition(op *Op, current uint64) error {
	switch {
	case op.Put == nil && current == 0:
		return hexbid.Errorf(hexbid.NotFound, "name", "%q does not exist", op.Name())
	case op.IfVersion == AnyVersion || op.IfVersion == current:
		return nil
	case op.IfVersion == 0:
		return hexbid.Errorf(hexbid.AlreadyExists, "name", "%q exists already", op.Name())
	case current == 0:
		return hexbid.Errorf(hexbid.NotFound, "name", "%q does not exist", op.Name())
	}
	return hexbid.Errorf(hexbid.Stale, "etag", "%q has changed since it was read: read it again", op.Name())
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
