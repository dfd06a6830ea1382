package exchange

import (
	"context"
	"errors"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// storeRows commits each row as a group of its own, with one sync for all. The engine judges the groups in the order of
// the rows. storeRows tries a row again when another write has come between.
func (b *Batch) storeRows(ctx context.Context) {
	for try := 1; ctx.Err() == nil; try++ {
		p := plan{batch: b, stamp: b.upload.exchange.stampOf(ctx), last: try == tries, puts: map[string]*row{},
			found: map[string]store.Record{}}
		for i := range b.rows {
			if r := &b.rows[i]; !r.decided {
				p.add(ctx, r)
			}
		}
		if len(p.groups) == 0 {
			return
		}
		outcomes, err := b.upload.exchange.commitGroups(ctx, p.groups)
		if err != nil {
			b.rejectUndecided(ctx, err)
			return
		}
		p.decideRows(ctx, outcomes)
	}
	b.rejectUndecided(ctx, ctx.Err())
}

// rejectUndecided rejects the rows that an error has kept from being stored.
func (b *Batch) rejectUndecided(ctx context.Context, err error) {
	if err == nil {
		return
	}
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		err = &hexbid.Error{Kind: hexbid.Unavailable,
			Detail: "the call ended before the row was stored: nothing was changed", Err: err}
	}
	for i := range b.rows {
		if r := &b.rows[i]; !r.decided {
			r.reject(err)
		}
	}
}

// plan is one try to store the undecided rows of a batch. Each row is planned as if all
// those before it will hold. Where one of them does not:
//
//   - the engine refuses a row that refers to it;
//   - a later row of its name that says something else is put all the same, for an
//     import replaces whatever is there;
//   - a later row of its name that says the same is put in its stead. The group of such
//     a row asks for the version from before the batch, so it holds only if the earlier
//     row's group did not.
type plan struct {
	batch  *Batch
	stamp  stamp
	last   bool                    // this is the last try, on which any version will do
	puts   map[string]*row         // the last row planned of each name
	found  map[string]store.Record // what is stored under the rows' names
	groups []store.Group
	steps  []plannedRow // the row of each group
}

// plannedRow is the row of a group.
type plannedRow struct {
	*row
	// insteadOf is an earlier row that says the same, if there is one: the group holds
	// only when that row is refused.
	insteadOf *row
}

// add judges a row as far as the exchange can. For a good row that changes something it plans a group.
func (p *plan) add(ctx context.Context, r *row) {
	b := p.batch
	references := p.batch.upload.exchange.checkReferences(ctx, r.refers(), func(name string) (bool, error) {
		if p.puts[name] != nil {
			return true, nil
		}
		return b.exists(ctx, name)
	})
	if err := hexbid.JoinErrors(r.outcome.Err, hexbid.WithoutFields(references, r.outcome.Err)); err != nil {
		r.reject(err)
		return
	}
	stored, err := p.stored(ctx, r.name())
	if err != nil {
		r.reject(err)
		return
	}
	before, present := p.puts[r.name()], stored.Resource
	if before != nil {
		present = before.resource
	}
	if err := b.keepQuota(ctx, r, present); err != nil {
		r.reject(err)
		return
	}
	changes, conditions, err := b.compare(ctx, r, present, earlierOf(present, r.resource))
	switch {
	case err != nil:
		r.reject(err)
	case r.checkOnly:
		r.decided = true
	case !changes && before == nil:
		r.outcome.Resource, r.decided = present, true
	case !changes:
		p.put(plannedRow{r, before}, versionOf(stored), conditions)
	case before != nil || p.last:
		p.put(plannedRow{r, nil}, store.AnyVersion, conditions)
	default:
		p.put(plannedRow{r, nil}, versionOf(stored), conditions)
	}
}

// keepQuota is keepQuota for a row, if it is of an advertiser.
func (b *Batch) keepQuota(ctx context.Context, r *row, present hexbid.Resource) error {
	if a, is := r.resource.(*hexbid.Advertiser); is {
		return keepQuota(ctx, a, present)
	}
	return nil
}

// stored returns the stored record of a name. It reads each name once for a plan.
func (p *plan) stored(ctx context.Context, name string) (store.Record, error) {
	r, read := p.found[name]
	if read {
		return r, nil
	}
	r, err := p.batch.upload.exchange.present(ctx, name)
	if err == nil {
		p.found[name] = r
	}
	return r, err
}

func (p *plan) put(r plannedRow, ifVersion uint64, conditions []store.Condition) {
	g := p.batch.upload.exchange.putting(p.stamp, r.draft, ifVersion)
	g.Conditions = conditions
	p.groups, p.steps = append(p.groups, g), append(p.steps, r)
	if r.insteadOf == nil {
		p.puts[r.name()] = r.row
	}
}

// decideRows decides rows by the outcomes of their groups. A refused row stays undecided when
// another write came between, or when an earlier row is undecided, which may bring what the
// refused row needs. On the last try all are decided.
func (p *plan) decideRows(ctx context.Context, outcomes []store.Outcome) {
	b, waiting := p.batch, false
	for i := range outcomes {
		r, o := p.steps[i], &outcomes[i]
		switch lost := lostTo(o.Err, p.groups[i].Steps[0].IfVersion); {
		case o.Err == nil:
			b.accept(r.row, &o.Change)
		case lost && r.insteadOf.isStored():
			r.outcome.Action, r.decided = Unchanged, true
		case p.last || !lost && !waiting:
			_, err := b.upload.exchange.told(ctx, &p.groups[i], o)
			r.reject(err)
		default:
			waiting = true
		}
	}
	p.passOver()
}

// passOver decides the undecided rows that a later row of their name has replaced in this
// try, as if they had been stored just before that row.
func (p *plan) passOver() {
	replaced := map[string]bool{}
	for i := len(p.steps) - 1; i >= 0; i-- {
		r := p.steps[i].row
		switch {
		case r.isStored():
			replaced[r.name()] = true
		case !r.decided && replaced[r.name()]:
			r.decided = true
		}
	}
}

// isStored reports whether a row is stored.
func (r *row) isStored() bool { return r != nil && r.decided && r.outcome.Action != Rejected }

// lostTo reports whether a group was refused because another write came after the exchange had read.
func lostTo(refusal error, ifVersion uint64) bool {
	switch hexbid.KindOf(refusal) {
	case hexbid.Stale, hexbid.AlreadyExists:
		return refusal != nil
	case hexbid.NotFound: // the stored record has been deleted
		return ifVersion != 0 && ifVersion != store.AnyVersion
	}
	return false
}

// accept records that a row is stored.
func (b *Batch) accept(r *row, c *store.Change) {
	put := &c.Puts[0]
	r.outcome.Action, r.decided = Created, true
	if put.Before.Resource != nil {
		r.outcome.Action = Updated
	}
	b.accepted[r.name()], b.there[r.name()], b.version = put.Resource, true, c.Version
}

// exists reports whether the store has a record of a name.
func (b *Batch) exists(ctx context.Context, name string) (bool, error) {
	if b.there[name] {
		return true, nil
	}
	r, err := b.upload.exchange.present(ctx, name)
	b.there[name] = r.Resource != nil
	return b.there[name], err
}

// compare works out what a row does to the present resource of its name, nil for none. found describes that resource.
// compare reports whether there is anything to store, and returns the conditions of the commit.
func (b *Batch) compare(ctx context.Context, r *row, present hexbid.Resource,
	found earlier) (changes bool, conditions []store.Condition, err error) {
	if present != nil {
		r.resource.Metadata().CreatedAt = present.Metadata().CreatedAt
	}
	conditions, err = b.upload.exchange.applyVerdict(ctx, r.resource, present, found)
	if err != nil {
		return false, nil, err
	}
	changes, r.outcome.Action = true, Created
	if found.there {
		r.outcome.Action = Updated
	}
	if found.same && found.review == reviewOf(r.resource) {
		changes, r.outcome.Action = false, Unchanged
	}
	r.outcome.Notices = nil // of an earlier try
	if notice := CapNotice(present, r.resource); notice != "" {
		r.outcome.Notices = []string{notice}
	}
	return changes, conditions, nil
}

// tryRows judges the rows of a dry run in order, each as if the earlier ones had been stored.
func (b *Batch) tryRows(ctx context.Context) {
	b.rejectUndecided(ctx, ctx.Err())
	for i := range b.rows {
		if r := &b.rows[i]; !r.decided {
			if err := b.tryRow(ctx, r); err != nil {
				r.reject(err)
			}
		}
	}
	for i := range b.rows { // as they would be stored: for a name that appears twice, the last
		if o := &b.rows[i].outcome; o.Action != Rejected && b.accepted[b.rows[i].name()] != nil {
			o.Resource = b.accepted[b.rows[i].name()]
		}
	}
}

func (b *Batch) tryRow(ctx context.Context, r *row) error {
	run := b.upload.dryRun
	references := b.upload.exchange.checkReferences(ctx, r.refers(), func(name string) (bool, error) {
		if run.has(name) {
			return true, nil
		}
		return b.exists(ctx, name)
	})
	if err := hexbid.JoinErrors(r.outcome.Err, hexbid.WithoutFields(references, r.outcome.Err)); err != nil {
		return err
	}
	stored, err := b.upload.exchange.present(ctx, r.name())
	if err != nil {
		return err
	}
	if err := b.keepQuota(ctx, r, stored.Resource); err != nil {
		return err
	}
	keepUID(r.resource, stored)
	present, found := stored.Resource, run.earlier(r.resource)
	if b.accepted[r.name()] != nil {
		present = b.accepted[r.name()]
	}
	if !found.there {
		found = earlierOf(present, r.resource)
		if found.same {
			r.outcome.Resource = present
		}
	}
	changes, _, err := b.compare(ctx, r, present, found)
	if err != nil || !changes || r.checkOnly {
		return err
	}
	if err := run.accept(ctx, r.draft, &stored); err != nil {
		return err
	}
	b.accepted[r.name()] = r.resource
	return nil
}
