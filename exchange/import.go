package exchange

import (
	"cmp"
	"context"
	"reflect"
	"runtime"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/store"
)

// Action is what Import did with a row.
type Action uint8

// The actions. Their numbers are those of the wire contract.
const (
	Created Action = iota + 1
	Updated
	Unchanged
	Rejected
)

// Outcome is the result of one row.
type Outcome struct {
	Action   Action
	Err      error // of a rejected row, an *hexbid.Error or *hexbid.Errors
	Resource hexbid.Resource
	// Serving reports whether an accepted campaign takes part in auctions now; NotServingReason says why not.
	Serving          bool
	NotServingReason string
	// Notices tell the caller what to know about an accepted row.
	Notices []string
}

// NotYetSearchable is the notice of a durable change whose call ended before searches saw it.
const NotYetSearchable = "the change is stored and lasts; the call ended before searches saw it, which they soon do"

// Incoming is a resource as a caller sends it.
type Incoming struct {
	Resource hexbid.Resource
	// Err holds the errors already known. Import judges the row all the same, so that its outcome lists every error.
	Err error
	// CheckOnly asks for a judgement without any change.
	CheckOnly bool
}

// row is one resource of a batch.
type row struct {
	resource  hexbid.Resource
	draft     *draft // nil when the resource has errors
	checkOnly bool
	outcome   Outcome
	// decided reports that the outcome is final: the row is stored, changes nothing, or is rejected.
	decided bool
}

func (r *row) name() string { return r.resource.Metadata().Name }

// refers returns the references of the row's resource, even if the resource has errors.
func (r *row) refers() []store.Reference {
	if r.draft != nil {
		return r.draft.declared.Refers
	}
	return store.Declare(r.resource, 0).Refers
}

func (r *row) reject(err error) {
	r.outcome, r.decided = Outcome{Action: Rejected, Err: err, Resource: r.resource}, true
}

// Import creates or replaces resources in one durable batch. A row may refer to resources that earlier rows add. A row
// in error does not hold up the others. Outcomes come in the order of the rows, and the outcome of a row that cannot be
// stored holds its error. Two rows of one name are judged one after the other; both outcomes show the resource as the
// batch leaves it.
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

// Upload is a sequence of batches from one caller. An upload that only validates judges each row as if all earlier rows
// had been stored.
type Upload struct {
	exchange *Exchange
	caller   hexbid.Principal // who began it
	dryRun   *dryRun          // nil unless the upload only validates
}

// NewUpload begins an upload. With validateOnly the upload changes nothing. The caller must Close it.
func (e *Exchange) NewUpload(ctx context.Context, validateOnly bool) (*Upload, error) {
	if err := e.admit(ctx, access.Import, ""); err != nil {
		return nil, err
	}
	u := &Upload{exchange: e, caller: hexbid.PrincipalOf(ctx)}
	if validateOnly {
		u.dryRun = e.dryRuns.begin(hexbid.PrincipalOf(ctx).ID, e.newTally(ctx))
	}
	return u, nil
}

// Close ends an upload. A batch that is still under way may be rejected.
func (u *Upload) Close() {
	if u.dryRun != nil {
		u.dryRun.end()
	}
}

// Batch is a part of an upload. It takes three steps, which may overlap with those of neighbouring batches.
type Batch struct {
	upload   *Upload
	rows     []row
	there    map[string]bool            // names known to be stored
	accepted map[string]hexbid.Resource // by name, what the batch has stored, or a dry run would store
	version  uint64                     // of the batch's last change; 0 when there is none
}

// Prepare begins a batch: it checks what the rows alone show, and computes coverings. A row in error is rejected in the
// outcomes. Prepare itself fails when the context ends, or with kind Internal when a row makes its check panic.
func (u *Upload) Prepare(ctx context.Context, incoming []Incoming) (*Batch, error) {
	rows, err := u.exchange.prepareAll(u.exchange.sharingOwn(ctx), incoming)
	if err != nil {
		return nil, err
	}
	return &Batch{upload: u, rows: rows, there: map[string]bool{}, accepted: map[string]hexbid.Resource{}}, nil
}

// Commit stores the batch. The caller commits batches in order when one needs another.
func (b *Batch) Commit(ctx context.Context) {
	ctx = b.upload.exchange.sharingOwn(b.readmitted(ctx))
	if b.upload.dryRun != nil {
		b.tryRows(ctx)
		b.tellServing(ctx)
		return
	}
	b.storeRows(ctx)
}

// readmitted returns a context for the commit, with the caller's rights as they are now. If they have changed since the
// batch was prepared, rows that the caller may no longer store are rejected.
func (b *Batch) readmitted(ctx context.Context) context.Context {
	e, before := b.upload.exchange, b.upload.caller
	now := e.asNow(before)
	ctx = hexbid.WithPrincipal(ctx, now)
	if now.Role == before.Role && now.Grants == before.Grants {
		return ctx
	}
	for i := range b.rows {
		if r := &b.rows[i]; !r.decided && r.outcome.Err == nil {
			if err := e.admitRow(ctx, r.resource); err != nil {
				r.reject(err)
			}
		}
	}
	return ctx
}

// asNow returns a caller with the rights that the directory knows now, nobody if the caller is gone. A caller without a
// credential is not in the directory and stays as it is.
func (e *Exchange) asNow(caller hexbid.Principal) hexbid.Principal {
	if caller.Key == "" || caller.UID == 0 {
		return caller
	}
	now, there := e.directory.Principal(caller.ID)
	if !there || now.UID != caller.UID {
		return hexbid.Principal{Origin: caller.Origin}
	}
	now.Origin, now.Key = caller.Origin, caller.Key
	return now
}

// Outcomes waits until the stored rows are searchable and returns the outcomes, as Import documents. If the context
// ends earlier, the rows remain stored, and their outcomes say so in a notice. A row whose budget and status the ledger
// does not have by then is stored too, but its outcome is an error.
func (b *Batch) Outcomes(ctx context.Context) []Outcome {
	e := b.upload.exchange
	var searchable error
	if b.version > 0 {
		if searchable = e.terms.settle(ctx, b.version); searchable != nil {
			b.rejectUnsettled(searchable)
		} else {
			searchable = e.indexer.WaitFor(ctx, b.version)
		}
	}
	outcomes := make([]Outcome, len(b.rows))
	for i := range b.rows {
		b.show(&b.rows[i].outcome, searchable)
	}
	if b.upload.dryRun == nil {
		b.tellServing(ctx)
	}
	for i := range b.rows {
		outcomes[i] = b.rows[i].outcome
	}
	return outcomes
}

// rejectUnsettled rejects the stored rows that the ledger does not have.
func (b *Batch) rejectUnsettled(err error) {
	for i := range b.rows {
		r := &b.rows[i]
		if stored := b.accepted[r.name()]; r.isStored() && stored != nil &&
			!b.upload.exchange.terms.has(stored.Metadata().Version) {
			r.reject(err)
		}
	}
}

// show puts the resource, as the batch has stored it, into the outcome of an accepted row, and adds its notices.
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

// tellServing sets for each accepted campaign whether it serves.
func (b *Batch) tellServing(ctx context.Context) {
	serving := b.upload.exchange.servingWith(ctx, b.upload.dryRun)
	for i := range b.rows {
		o := &b.rows[i].outcome
		if c, ok := o.Resource.(*hexbid.Campaign); ok && o.Action != Rejected {
			o.Serving, o.NotServingReason = serving(c)
		}
	}
}

// prepareAll prepares rows on every core, because coverings are costly. The workers stop when the context ends.
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
					d, err := e.prepareRow(ctx, in)
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

// prepareRow is prepare for a row of an upload, which holds the catalogue alone.
func (e *Exchange) prepareRow(ctx context.Context, in *Incoming) (*draft, error) {
	if kind := store.KindOf(in.Resource); kind.IsIdentity() {
		return nil, hexbid.Invalidf("name", "a %s is not imported: AccessService creates it", kind)
	} else if kind == hexbid.KindMarket {
		return nil, hexbid.Invalidf("name", "the market is not imported: MarketService updates it")
	}
	if err := e.admitRow(ctx, in.Resource); err != nil {
		return nil, err
	}
	return e.prepare(in.Resource, in.Err)
}

// sameContent reports whether two resources of one name agree in everything that their owner decides.
func sameContent(a, b hexbid.Resource) bool {
	return reflect.DeepEqual(ownersPart(a), ownersPart(b))
}

// ownersPart returns a copy of a resource with only what its owner decides: without the metadata and a place's review.
func ownersPart(r hexbid.Resource) hexbid.Resource {
	c := store.WithMeta(store.Record{Resource: r}, 0, 0).Resource
	*c.Metadata() = hexbid.Meta{}
	if place, ok := c.(*hexbid.Place); ok {
		place.Review = hexbid.ReviewUnspecified
	}
	return c
}
