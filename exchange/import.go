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
	record    *store.Record
	checkOnly bool
	before    store.Record // what is stored under its name, the zero Record for nothing
	outcome   Outcome
}

// Import creates or replaces resources in one durable batch. A row may need
// what an earlier one adds; a row in error does not hold up the others. The
// outcomes stand in the order of the rows. When the batch cannot be stored no
// row is, and every outcome says so. Two rows of one name are judged one after
// the other; both outcomes show the resource as the batch leaves it.
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
	trial    *trial // of one that only validates
}

// tally counts what a batch adds: to what is stored, or to what an upload that only
// validates has accepted.
func (u *Upload) tally() *tally {
	if u.trial != nil {
		return u.trial.counts
	}
	return u.exchange.usage.tally()
}

// NewUpload begins an upload; with validateOnly it changes nothing. Close it.
func (e *Exchange) NewUpload(ctx context.Context, validateOnly bool) (*Upload, error) {
	if err := admit(ctx); err != nil {
		return nil, err
	}
	u := &Upload{exchange: e}
	if validateOnly {
		u.trial = e.trials.begin(e.usage.tally())
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
	incoming []Incoming
	rows     []row
	puts     map[string]hexbid.Resource // that the batch stores, by name
	there    map[string]bool            // names that are known to exist
	change   store.Change
	err      error // of the commit
}

// Prepare begins a batch: it checks what the rows alone tell, and covers. A row
// in error is rejected in the outcomes. Prepare itself fails when the context ends,
// or with an error of kind Internal when a row makes its check panic.
func (u *Upload) Prepare(ctx context.Context, incoming []Incoming) (*Batch, error) {
	rows, err := u.exchange.prepareAll(ctx, incoming)
	if err != nil {
		return nil, err
	}
	return &Batch{upload: u, incoming: incoming, rows: rows, puts: map[string]hexbid.Resource{}, there: map[string]bool{}}, nil
}

// Commit stores the batch. Batches that need each other are committed in turn.
func (b *Batch) Commit(ctx context.Context) {
	b.change, b.err = b.commitRows(ctx)
	if b.upload.trial != nil {
		for i := range b.rows { // as they would be stored: of a name that stands twice, the last
			if o := &b.rows[i].outcome; o.Action != Rejected && b.puts[o.Resource.Metadata().Name] != nil {
				o.Resource = b.puts[o.Resource.Metadata().Name]
			}
		}
		b.tellServing(ctx)
	}
}

// Outcomes waits until what was stored is searchable, and tells what became of
// the rows, as Import says. When the context ends before, the rows are stored all
// the same: their outcomes say so in a notice.
func (b *Batch) Outcomes(ctx context.Context) []Outcome {
	var searchable error
	if b.change.Version > 0 {
		searchable = b.upload.exchange.indexer.WaitFor(ctx, b.change.Version)
	}
	stored := map[string]hexbid.Resource{}
	for i := range b.change.Puts {
		stored[b.change.Puts[i].Meta().Name] = b.change.Puts[i].Resource
	}
	outcomes := make([]Outcome, len(b.rows))
	for i := range b.rows {
		b.settleOutcome(i, stored, searchable)
	}
	if b.upload.trial == nil {
		b.tellServing(ctx)
	}
	for i := range b.rows {
		outcomes[i] = b.rows[i].outcome
	}
	return outcomes
}

// settleOutcome makes a row's outcome tell what the commit has made of it, and
// whether that is searchable.
func (b *Batch) settleOutcome(i int, stored map[string]hexbid.Resource, searchable error) {
	o := &b.rows[i].outcome
	if o.Action == Rejected {
		return
	}
	if b.err != nil {
		*o = Outcome{Action: Rejected, Err: b.err, Resource: b.incoming[i].Resource}
		return
	}
	if r := stored[o.Resource.Metadata().Name]; r != nil {
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
					record, err := e.prepare(ctx, in.Resource, in.Err)
					rows[i] = row{record: record, checkOnly: in.CheckOnly, outcome: Outcome{Resource: in.Resource, Err: err}}
				}
				return ctx.Err()
			})
		})
	}
	group.Wait()
	return rows, cmp.Or(failures...)
}

// commitRows judges the rows in order and commits those that are good. A context
// that has ended by then changes nothing. A dry run does not hold the catalogue: it
// commits nothing, and no writer should wait for it.
func (b *Batch) commitRows(ctx context.Context) (store.Change, error) {
	e := b.upload.exchange
	if b.upload.trial == nil {
		e.catalogue.Lock()
		defer e.catalogue.Unlock()
	}
	if err := ctx.Err(); err != nil {
		return store.Change{}, &hexbid.Error{Kind: hexbid.Unavailable, Detail: "the call ended before the row was stored: nothing was changed", Err: err}
	}
	counts := b.upload.tally()
	var ops []store.Op
	for i := range b.rows {
		op, err := b.judge(ctx, &b.rows[i], counts)
		if err != nil {
			b.rows[i].outcome.Action, b.rows[i].outcome.Err = Rejected, err
		} else if op != nil {
			ops = append(ops, *op)
		}
	}
	if b.upload.trial != nil || len(ops) == 0 {
		return store.Change{}, nil
	}
	change, err := e.store.Commit(ctx, ops)
	if err == nil {
		counts.commit()
	}
	return change, err
}

// judge decides what a row does; no step when it changes nothing.
func (b *Batch) judge(ctx context.Context, r *row, counts *tally) (*store.Op, error) {
	resource := r.outcome.Resource
	references := b.checkReferences(ctx, resource)
	if err := hexbid.JoinErrors(r.outcome.Err, hexbid.WithoutFields(references, r.outcome.Err)); err != nil {
		return nil, err
	}
	changes, err := b.compare(ctx, r)
	if err != nil || !changes || r.checkOnly {
		return nil, err
	}
	if err := b.count(r, counts); err != nil {
		return nil, err
	}
	name := resource.Metadata().Name
	b.puts[name], b.there[name] = resource, true
	return &store.Op{Put: r.record, IfVersion: store.AnyVersion}, nil
}

// count counts what a row adds, to a dry run's trial too, or says why there is no room.
func (b *Batch) count(r *row, counts *tally) error {
	name, trial := r.outcome.Resource.Metadata().Name, b.upload.trial
	if trial == nil {
		return counts.replace(name, r.before, *r.record)
	}
	if err := trial.makeRoom(name); err != nil {
		return err
	}
	if err := counts.replace(name, r.before, *r.record); err != nil {
		trial.giveBack(name)
		return err
	}
	trial.put(r.outcome.Resource)
	return nil
}

// compare finds what a row does to what is there: in the batch, in the trial or
// in the store. It says whether there is anything to store.
func (b *Batch) compare(ctx context.Context, r *row) (changes bool, err error) {
	resource := r.outcome.Resource
	name := resource.Metadata().Name
	present, inBatch := b.puts[name]
	if !inBatch {
		var err error
		if r.before, err = b.upload.exchange.present(ctx, name); err != nil {
			return false, err
		}
		present = r.before.Resource
	}
	if present != nil {
		resource.Metadata().CreatedAt = present.Metadata().CreatedAt
	}
	found := b.upload.trial.earlier(resource)
	tried := found.there // in an earlier batch, so that what is stored is not what the row finds
	if !tried {
		found = earlierOf(present, resource)
	}
	if err := b.upload.exchange.settleReview(ctx, resource, present, found); err != nil {
		return false, err
	}
	switch {
	case found.same && found.review == reviewOf(resource):
		r.outcome.Action = Unchanged
		if present != nil && !tried {
			r.outcome.Resource = present
		}
		return false, nil
	case found.there:
		r.outcome.Action = Updated
	default:
		r.outcome.Action = Created
	}
	return true, nil
}

// checkReferences finds what a resource refers to in the store, in the batch or
// in the trial.
func (b *Batch) checkReferences(ctx context.Context, r hexbid.Resource) error {
	return b.upload.exchange.checkReferences(ctx, r, func(name string) (bool, error) {
		if b.there[name] || b.upload.trial.has(name) {
			return true, nil
		}
		there, err := b.upload.exchange.exists(ctx, name)
		if err == nil && there {
			b.there[name] = true
		}
		return there, err
	})
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
