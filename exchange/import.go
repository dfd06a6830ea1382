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
	Err      error // of a rejected row, an *hexbid.Error
	Resource hexbid.Resource
}

// row is one resource on its way in.
type row struct {
	record  *store.Record
	outcome Outcome
}

// Import creates or replaces resources in one durable batch. A row may need
// what an earlier one adds; a row in error does not hold up the others. The
// outcomes stand in the order of the rows. When the batch cannot be stored no
// row is, and every outcome says so.
func (e *Exchange) Import(ctx context.Context, resources []hexbid.Resource, validateOnly bool) []Outcome {
	b, err := e.Prepare(ctx, resources)
	if err != nil {
		return rejectAll(resources, err)
	}
	b.Commit(ctx, validateOnly)
	return b.Outcomes(ctx)
}

func rejectAll(resources []hexbid.Resource, err error) []Outcome {
	outcomes := make([]Outcome, len(resources))
	for i, r := range resources {
		outcomes[i] = Outcome{Action: Rejected, Err: err, Resource: r}
	}
	return outcomes
}

// Batch is an import on its way, in three steps that may overlap with those of
// the batches before and after it.
type Batch struct {
	exchange  *Exchange
	resources []hexbid.Resource
	rows      []row
	change    store.Change
	err       error // of the commit
}

// Prepare begins an import: it checks what the rows alone tell, and covers. A row
// in error is rejected in the outcomes. Prepare itself fails when the context ends,
// or with an error of kind Internal when a row makes its check panic.
func (e *Exchange) Prepare(ctx context.Context, resources []hexbid.Resource) (*Batch, error) {
	rows, err := e.prepareAll(ctx, resources)
	if err != nil {
		return nil, err
	}
	return &Batch{exchange: e, resources: resources, rows: rows}, nil
}

// Commit stores the batch. Batches that need each other are committed in turn.
func (b *Batch) Commit(ctx context.Context, validateOnly bool) {
	b.change, b.err = b.exchange.commitRows(ctx, b.rows, validateOnly)
}

// Outcomes waits until what was stored is searchable, and tells what became of
// the rows, as Import says.
func (b *Batch) Outcomes(ctx context.Context) []Outcome {
	err := b.err
	if err == nil && b.change.Version > 0 {
		err = b.exchange.indexer.WaitFor(ctx, b.change.Version)
	}
	stored := map[string]hexbid.Resource{}
	for i := range b.change.Puts {
		stored[b.change.Puts[i].Meta().Name] = b.change.Puts[i].Resource
	}
	outcomes := make([]Outcome, len(b.rows))
	for i := range b.rows {
		outcomes[i] = b.rows[i].outcome
		if err != nil && outcomes[i].Action != Rejected {
			outcomes[i] = Outcome{Action: Rejected, Err: err, Resource: b.resources[i]}
		}
		if r := stored[b.resources[i].Metadata().Name]; r != nil && outcomes[i].Action != Rejected {
			outcomes[i].Resource = r
		}
	}
	return outcomes
}

// prepareAll prepares rows on every core: coverings are what costs. The workers
// stop when the context ends.
func (e *Exchange) prepareAll(ctx context.Context, resources []hexbid.Resource) ([]row, error) {
	rows := make([]row, len(resources))
	workers := runtime.GOMAXPROCS(0)
	failures := make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			failures[worker] = hexbid.Contain(func() error {
				for i := worker; i < len(rows) && ctx.Err() == nil; i += workers {
					record, err := e.prepare(ctx, resources[i])
					rows[i] = row{record, Outcome{Resource: resources[i], Err: err}}
				}
				return ctx.Err()
			})
		})
	}
	group.Wait()
	return rows, cmp.Or(failures...)
}

// commitRows judges the rows in order and commits those that are good.
func (e *Exchange) commitRows(ctx context.Context, rows []row, validateOnly bool) (store.Change, error) {
	e.catalogue.Lock()
	defer e.catalogue.Unlock()
	var ops []store.Op
	names := batchNames{map[string]bool{}, map[string]bool{}}
	for i := range rows {
		op, err := e.judgeRow(ctx, &rows[i], names)
		if err != nil {
			rows[i].outcome.Action, rows[i].outcome.Err = Rejected, err
		} else if op != nil {
			ops = append(ops, *op)
		}
	}
	if validateOnly || len(ops) == 0 {
		return store.Change{}, nil
	}
	return e.store.Commit(ctx, ops)
}

// batchNames are what a batch knows of names: those that it puts itself, and
// those that are there, its own among them.
type batchNames struct{ put, there map[string]bool }

// judgeRow decides what a row does; no step when it changes nothing.
func (e *Exchange) judgeRow(ctx context.Context, r *row, names batchNames) (*store.Op, error) {
	if r.outcome.Err != nil {
		return nil, r.outcome.Err
	}
	resource := r.record.Resource
	if err := e.checkReferences(ctx, resource, names.there); err != nil {
		return nil, err
	}
	name := resource.Metadata().Name
	op := &store.Op{Put: r.record, IfVersion: store.AnyVersion}
	present, err := e.store.Get(ctx, name)
	switch {
	case err != nil && hexbid.KindOf(err) != hexbid.NotFound:
		return nil, err
	case err != nil || names.put[name]:
		r.outcome.Action = Created
	default:
		keepHistory(resource, present.Resource)
		r.outcome.Action = Updated
		if equalButMeta(resource, present.Resource) {
			r.outcome.Action, r.outcome.Resource = Unchanged, present.Resource
			return nil, nil
		}
	}
	names.put[name], names.there[name] = true, true
	return op, nil
}

// keepHistory carries over what an importer does not set: when the resource
// was created and the operator's verdict on a place.
func keepHistory(r, present hexbid.Resource) {
	r.Metadata().CreatedAt = present.Metadata().CreatedAt
	place, ok := r.(*hexbid.Place)
	if before, same := present.(*hexbid.Place); ok && same {
		place.Review = before.Review
	}
}

func equalButMeta(a, b hexbid.Resource) bool {
	ma, mb := *a.Metadata(), *b.Metadata()
	return reflect.DeepEqual(bare(a), bare(b)) && ma.Name == mb.Name
}

// bare copies a resource without its metadata.
func bare(r hexbid.Resource) hexbid.Resource {
	c := store.WithMeta(store.Record{Resource: r}, 0, 0).Resource
	*c.Metadata() = hexbid.Meta{}
	return c
}
