package exchange

import (
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
	rows := e.prepareAll(ctx, resources)
	change, err := e.commitRows(ctx, rows, validateOnly)
	if err == nil && change.Version > 0 {
		err = e.indexer.WaitFor(ctx, change.Version)
	}
	stored := map[string]hexbid.Resource{}
	for i := range change.Puts {
		stored[change.Puts[i].Meta().Name] = change.Puts[i].Resource
	}
	outcomes := make([]Outcome, len(rows))
	for i := range rows {
		outcomes[i] = rows[i].outcome
		if err != nil && outcomes[i].Action != Rejected {
			outcomes[i] = Outcome{Action: Rejected, Err: err, Resource: resources[i]}
		}
		if r := stored[resources[i].Metadata().Name]; r != nil && outcomes[i].Action != Rejected {
			outcomes[i].Resource = r
		}
	}
	return outcomes
}

// prepareAll prepares rows on every core: coverings are what costs.
func (e *Exchange) prepareAll(ctx context.Context, resources []hexbid.Resource) []row {
	rows := make([]row, len(resources))
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < len(rows); i += workers {
				record, err := e.prepare(ctx, resources[i])
				rows[i] = row{record, Outcome{Resource: resources[i], Err: err}}
			}
		})
	}
	group.Wait()
	return rows
}

// commitRows judges the rows in order and commits those that are good.
func (e *Exchange) commitRows(ctx context.Context, rows []row, validateOnly bool) (store.Change, error) {
	e.catalogue.Lock()
	defer e.catalogue.Unlock()
	var ops []store.Op
	added := map[string]bool{}
	for i := range rows {
		op, err := e.judgeRow(ctx, &rows[i], added)
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

// judgeRow decides what a row does; no step when it changes nothing.
func (e *Exchange) judgeRow(ctx context.Context, r *row, added map[string]bool) (*store.Op, error) {
	if r.outcome.Err != nil {
		return nil, r.outcome.Err
	}
	resource := r.record.Resource
	if err := e.checkReferences(ctx, resource, added); err != nil {
		return nil, err
	}
	name := resource.Metadata().Name
	op := &store.Op{Put: r.record, IfVersion: store.AnyVersion}
	present, err := e.store.Get(ctx, name)
	switch {
	case err != nil && hexbid.KindOf(err) != hexbid.NotFound:
		return nil, err
	case err != nil || added[name]:
		r.outcome.Action = Created
	default:
		keepHistory(resource, present.Resource)
		r.outcome.Action = Updated
		if equalButMeta(resource, present.Resource) {
			r.outcome.Action, r.outcome.Resource = Unchanged, present.Resource
			return nil, nil
		}
	}
	added[name] = true
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
