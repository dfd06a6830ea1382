package exchange

import (
	"context"
	"hash/maphash"

	"github.com/hexbid/hexbid/store"
)

// tally computes what the rows of a dry run, one after another, would do to the store's counters. It starts from the
// store's own values and reads each when a row first adds to it.
type tally struct {
	store store.Store
	limit int64 // the most entries of an advertiser
	seed  maphash.Seed

	burdens  map[uint64]burden // by hash of the name of each record that the dry run has accepted
	entries  map[uint64]int64  // by hash of the advertiser's name
	programs map[uint64]programCounts
}

// programCounts holds the counters of a program that a limit bounds or that multiply.
type programCounts struct{ places, approved, around int64 }

// burden is what one record adds to the counters. It is small, because a dry run keeps one for each of its names.
type burden struct {
	advertiser, program uint64 // hashes of names
	own                 int64  // entries of a campaign apart from those around places
	place, approved     int8   // place is 1 for a place, approved is 1 for an approved one
	around              int8   // 1 for a campaign around places
}

func (e *Exchange) newTally(ctx context.Context) *tally {
	return &tally{store: e.catalogue(ctx), limit: e.config.AdvertiserEntries, seed: maphash.MakeSeed(),
		burdens: map[uint64]burden{}, entries: map[uint64]int64{}, programs: map[uint64]programCounts{}}
}

// approvedIn returns the number of approved places of a program by the tally.
func (t *tally) approvedIn(ctx context.Context, program string) (int64, error) {
	if p, read := t.programs[maphash.String(t.seed, program)]; read {
		return p.approved, nil
	}
	return t.store.Counted(ctx, program, store.Approved)
}

// burdenOf returns the burden of a record. It is zero for the zero Record, an advertiser and a program.
func (t *tally) burdenOf(r *store.Record) (b burden) {
	if len(r.Counts) == 0 {
		return b
	}
	for i := range r.Counts {
		switch c := &r.Counts[i]; {
		case c.Counter == store.Places:
			b.place = 1
		case c.Counter == store.Approved:
			b.approved = 1
		case c.Counter == store.Around:
			b.around = 1
		case c.Counter == store.Entries && c.Times == 0:
			b.own = c.By
		}
	}
	advertiser, program := countedUnder(r.Resource)
	b.advertiser, b.program = maphash.String(t.seed, advertiser), maphash.String(t.seed, program)
	return b
}

// readFor reads the counters that a record adds to, unless they have been read.
func (t *tally) readFor(ctx context.Context, r *store.Record) error {
	if len(r.Counts) == 0 {
		return nil
	}
	advertiser, program := countedUnder(r.Resource)
	if key := maphash.String(t.seed, advertiser); !has(t.entries, key) {
		n, err := t.store.Counted(ctx, advertiser, store.Entries)
		if err != nil {
			return err
		}
		t.entries[key] = n
	}
	key := maphash.String(t.seed, program)
	if has(t.programs, key) {
		return nil
	}
	var p programCounts
	for counter, to := range map[store.Counter]*int64{store.Places: &p.places, store.Approved: &p.approved,
		store.Around: &p.around} {
		var err error
		if *to, err = t.store.Counted(ctx, program, counter); err != nil {
			return err
		}
	}
	t.programs[key] = p
	return nil
}

func has[V any](m map[uint64]V, key uint64) bool {
	_, there := m[key]
	return there
}

// replace counts a record in place of another; either may be the zero Record. It refuses what would exceed a limit, in
// the words of a real run, and then counts nothing. A counter that is above its limit already may stay or shrink.
func (t *tally) replace(ctx context.Context, before, after *store.Record) error {
	for _, r := range [...]*store.Record{before, after} {
		if err := t.readFor(ctx, r); err != nil {
			return err
		}
	}
	name := maphash.String(t.seed, after.Meta().Name)
	was, again := t.burdens[name]
	if !again {
		was = t.burdenOf(before)
	}
	now := t.burdenOf(after)
	entries, places := t.entries[now.advertiser], t.programs[now.program].places
	t.add(was, -1)
	t.add(now, 1)
	if err := t.check(now, entries, places, after); err != nil {
		t.add(now, -1)
		t.add(was, 1)
		return err
	}
	t.burdens[name] = now
	return nil
}

// add adds a burden to the counters, or with by -1 subtracts it. An advertiser's entries are those of its campaigns
// themselves plus, for each program, approved places times campaigns around them. The sum does not depend on the order
// in which records are added and removed.
func (t *tally) add(b burden, by int64) {
	if b == (burden{}) {
		return
	}
	p, entries := t.programs[b.program], t.entries[b.advertiser]
	entries -= store.EntriesAPlace * p.approved * p.around
	p.places, p.approved, p.around = p.places+by*int64(b.place), p.approved+by*int64(b.approved),
		p.around+by*int64(b.around)
	entries += store.EntriesAPlace*p.approved*p.around + by*b.own
	t.programs[b.program], t.entries[b.advertiser] = p, entries
}

// check compares the counts after a record with the limits and with the counts before.
func (t *tally) check(now burden, entries, places int64, r *store.Record) error {
	p := t.programs[now.program]
	for _, limit := range limitsOf(r, t.limit) {
		refused := store.LimitError{Limit: limit, Before: entries, After: t.entries[now.advertiser]}
		if limit.Counter == store.Places {
			refused.Before, refused.After = places, p.places
		}
		if refused.After <= limit.AtMost || refused.After <= refused.Before {
			continue
		}
		others := p.approved
		if now.place > 0 {
			others = p.around
		}
		return limitError(r.Resource, &refused, others)
	}
	return nil
}
