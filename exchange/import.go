package exchange

import (
	"cmp"
	"context"
	"reflect"
	"runtime"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// Action is what Import did with a row.
type Action uint8

// The actions; their numbers are those of the wire contract.
const (
	Created Action = iota + 1
	Updated
	Unchanged
	Rejected
)

// Outcome is what became of one row.
type Outcome struct {
	Action   Action
	Err      error // of a rejected row, an *hexbid.Error or *hexbid.Errors
	Resource hexbid.Resource
	// Serving says of an accepted campaign whether it takes part in auctions
	// now, and NotServingReason why not.
	Serving          bool
	NotServingReason string
	// Notices are what to know about an accepted row.
	Notices []string
}

// NotYetSearchable is the notice of a change that is durable when the call ends
// before searches see it.
const NotYetSearchable = "the change is stored and lasts; the call ended before searches saw it, which they soon do"

// Incoming is a resource on its way in.
type Incoming struct {
	Resource hexbid.Resource
	// Err is what is known to be wrong with it already. It is judged all the
	// same, so that its outcome tells everything that is wrong.
	Err error
	// CheckOnly says to judge it and to change nothing.
	CheckOnly bool
}

// row is one resource on its way in.
type row struct {
	resource  hexbid.Resource
	draft     *draft // of the resource; nil when something is wrong with it
	checkOnly bool
	outcome   Outcome
	// decided says that the outcome stands: the row is stored, changes nothing, or is
	// rejected.
	decided bool
}

func (r *row) name() string { return r.resource.Metadata().Name }

// refers are the references of the row's resource, whatever else is wrong with it.
func (r *row) refers() []store.Reference {
	if r.draft != nil {
		return r.draft.declared.Refers
	}
	return store.Declare(r.resource, 0).Refers
}

func (r *row) reject(err error) {
	r.outcome, r.decided = Outcome{Action: Rejected, Err: err, Resource: r.resource}, true
}

// Import creates or replaces resources in one durable batch. A row may need
// what an earlier one adds; a row in error does not hold up the others. The
// outcomes stand in the order of the rows. A row that cannot be stored says so in
// its outcome. Two rows of one name are judged one after the other; both outcomes
// show the resource as the batch leaves it.
func (e *Exchange) Import(ctx context.Context, resources []hexbid.Resource, validateOnly bool) []Outcome {
	u, err := e.NewUpload(ctx, validateOnly)
	if err != nil {
		return rejectAll(resources, err)
	}
	defer u.Close()
	b, err := u.Prepare(ctx, incomingOf(resources))
	if err != nil {
		return rejectAll(resources, err)
	}
	b.Commit(ctx)
	return b.Outcomes(ctx)
}

func incomingOf(resources []hexbid.Resource) []Incoming {
	incoming := make([]Incoming, len(resources))
	for i, r := range resources {
		incoming[i].Resource = r
	}
	return incoming
}

func rejectAll(resources []hexbid.Resource, err error) []Outcome {
	outcomes := make([]Outcome, len(resources))
	for i, r := range resources {
		outcomes[i] = Outcome{Action: Rejected, Err: err, Resource: r}
	}
	return outcomes
}

// Upload is a run of batches from one caller. One that only validates judges
// each row as if the rows before it had been stored.
type Upload struct {
	exchange *Exchange
	caller   hexbid.Principal // for whom it was begun
	trial    *trial           // of one that only validates
}

// NewUpload begins an upload; with validateOnly it changes nothing. Close it.
func (e *Exchange) NewUpload(ctx context.Context, validateOnly bool) (*Upload, error) {
	if err := admit(ctx); err != nil {
		return nil, err
	}
	u := &Upload{exchange: e, caller: hexbid.PrincipalOf(ctx)}
	if validateOnly {
		u.trial = e.trials.begin(e.newTally())
	}
	return u, nil
}

// Close ends an upload; a batch that is still on its way may be rejected.
func (u *Upload) Close() {
	if u.trial != nil {
		u.trial.end()
	}
}

// Batch is a part of an upload on its way, in three steps that may overlap with
// those of the batches before and after it.
type Batch struct {
	upload   *Upload
	rows     []row
	there    map[string]bool            // names that the store is known to have
	accepted map[string]hexbid.Resource // what the batch has stored, or a dry run would store, by name
	version  uint64                     // of the last change of the batch; 0 when there is none
}

// Prepare begins a batch: it checks what the rows alone tell, and covers. A row
// in error is rejected in the outcomes. Prepare itself fails when the context ends,
// or with an error of kind Internal when a row makes its check panic.
func (u *Upload) Prepare(ctx context.Context, incoming []Incoming) (*Batch, error) {
	rows, err := u.exchange.prepareAll(ctx, incoming)
	if err != nil {
		return nil, err
	}
	return &Batch{upload: u, rows: rows, there: map[string]bool{}, accepted: map[string]hexbid.Resource{}}, nil
}

// Commit stores the batch. Batches that need each other are committed in turn.
func (b *Batch) Commit(ctx context.Context) {
	ctx = hexbid.WithPrincipal(ctx, b.upload.caller)
	if b.upload.trial != nil {
		b.tryRows(ctx)
		b.tellServing(ctx)
		return
	}
	b.storeRows(ctx)
}

// Outcomes waits until what was stored is searchable, and tells what became of
// the rows, as Import says. When the context ends before, the rows are stored all
// the same: their outcomes say so in a notice.
func (b *Batch) Outcomes(ctx context.Context) []Outcome {
	var searchable error
	if b.version > 0 {
		searchable = b.upload.exchange.indexer.WaitFor(ctx, b.version)
	}
	outcomes := make([]Outcome, len(b.rows))
	for i := range b.rows {
		b.show(&b.rows[i].outcome, searchable)
	}
	if b.upload.trial == nil {
		b.tellServing(ctx)
	}
	for i := range b.rows {
		outcomes[i] = b.rows[i].outcome
	}
	return outcomes
}

// show makes the outcome of an accepted row show the resource as the batch has stored
// it, with its notices.
func (b *Batch) show(o *Outcome, searchable error) {
	if o.Action == Rejected {
		return
	}
	if r := b.accepted[o.Resource.Metadata().Name]; r != nil {
		o.Resource = r
		if searchable != nil {
			o.Notices = append(o.Notices, NotYetSearchable)
		}
	}
	if notice := reviewNotice(o.Resource); notice != "" {
		o.Notices = append(o.Notices, notice)
	}
}

// tellServing says of each accepted campaign whether it serves.
func (b *Batch) tellServing(ctx context.Context) {
	serving := b.upload.exchange.servingWith(ctx, b.upload.trial)
	for i := range b.rows {
		o := &b.rows[i].outcome
		if c, ok := o.Resource.(*hexbid.Campaign); ok && o.Action != Rejected {
			o.Serving, o.NotServingReason = serving(c)
		}
	}
}

// prepareAll prepares rows on every core: coverings are what costs. The workers
// stop when the context ends.
func (e *Exchange) prepareAll(ctx context.Context, incoming []Incoming) ([]row, error) {
	rows := make([]row, len(incoming))
	workers := runtime.GOMAXPROCS(0)
	failures := make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			failures[worker] = hexbid.Contain(func() error {
				for i := worker; i < len(rows) && ctx.Err() == nil; i += workers {
					in := &incoming[i]
					d, err := e.prepare(in.Resource, in.Err)
					rows[i] = row{resource: in.Resource, draft: d, checkOnly: in.CheckOnly,
						outcome: Outcome{Resource: in.Resource, Err: err}}
				}
				return ctx.Err()
			})
		})
	}
	group.Wait()
	return rows, cmp.Or(failures...)
}

// sameContent says whether two resources of one name say the same, as far as their
// owner decides.
func sameContent(a, b hexbid.Resource) bool {
	return reflect.DeepEqual(ownersPart(a), ownersPart(b))
}

// ownersPart copies of a resource what its owner decides: neither the metadata nor
// how a place was reviewed.
func ownersPart(r hexbid.Resource) hexbid.Resource {
	c := store.WithMeta(store.Record{Resource: r}, 0, 0).Resource
	*c.Metadata() = hexbid.Meta{}
	if place, ok := c.(*hexbid.Place); ok {
		place.Review = hexbid.ReviewUnspecified
	}
	return c
}
