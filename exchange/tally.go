package exchange

import (
	"cmp"
	"context"
	"hash/maphash"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// tally computes what the rows of a dry run, one after another, would do to the store's counters. It starts from the
// store's own values and reads each when a row first adds to it.
type tally struct {
	store    store.Store
	defaults *hexbid.Holdings // the most of an advertiser
	seed     maphash.Seed

	burdens     map[uint64]burden // by hash of the name of each record that the dry run has accepted
	advertisers map[uint64]advertiserCounts
	programs    map[uint64]programCounts
}

// advertiserCounts holds what an advertiser has and its own quota.
type advertiserCounts struct{ has, quota hexbid.Holdings }

// programCounts holds the counters of a program that a limit bounds or that multiply.
type programCounts struct{ places, approved, around int64 }

// burden is what one record adds to the counters. It is small, because a dry run keeps one for each of its names.
type burden struct {
	advertiser, program       uint64 // hashes of names
	own                       int64  // entries of a campaign apart from those around places
	vertices, keywords, bytes int32
	place, approved           int8 // place is 1 for a place, approved is 1 for an approved one
	campaign, around          int8 // campaign is 1 for a campaign, around is 1 for one around places
}

func (e *Exchange) newTally(ctx context.Context) *tally {
	return &tally{store: e.catalogue(ctx), defaults: &e.config.AdvertiserQuota, seed: maphash.MakeSeed(),
		burdens: map[uint64]burden{}, advertisers: map[uint64]advertiserCounts{}, programs: map[uint64]programCounts{}}
}

// approvedIn returns the number of approved places of a program by the tally.
func (t *tally) approvedIn(ctx context.Context, program string) (int64, error) {
	if p, read := t.programs[maphash.String(t.seed, program)]; read {
		return p.approved, nil
	}
	return t.store.Counted(ctx, program, store.Approved)
}

// burdenOf returns the burden of a record. It is zero for the zero Record and an advertiser.
func (t *tally) burdenOf(r *store.Record) (b burden) {
	if !isCounted(r) {
		return b
	}
	of := store.HoldingsOf(r.Resource)
	b.place, b.campaign = int8(of.Places), int8(of.Campaigns)
	b.vertices, b.keywords, b.bytes = int32(of.Vertices), int32(of.Keywords), int32(of.Bytes)
	for i := range r.Counts {
		switch c := &r.Counts[i]; {
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

// isCounted reports whether a record adds to what an advertiser has.
func isCounted(r *store.Record) bool {
	_, isAdvertiser := r.Resource.(*hexbid.Advertiser)
	return len(r.Counts) > 0 && !isAdvertiser
}

// readFor reads the counters that a record adds to, unless they have been read.
func (t *tally) readFor(ctx context.Context, r *store.Record) error {
	if !isCounted(r) {
		return nil
	}
	advertiser, program := countedUnder(r.Resource)
	if err := t.readAdvertiser(ctx, advertiser); err != nil {
		return err
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

// readAdvertiser reads the counters of an advertiser, unless they have been read.
func (t *tally) readAdvertiser(ctx context.Context, advertiser string) (err error) {
	key := maphash.String(t.seed, advertiser)
	if has(t.advertisers, key) {
		return nil
	}
	var a advertiserCounts
	for _, q := range store.Quotas {
		if *q.In(&a.has), err = t.store.Counted(ctx, advertiser, q.Used); err != nil {
			return err
		}
		if *q.In(&a.quota), err = t.store.Counted(ctx, advertiser, q.Own); err != nil {
			return err
		}
	}
	t.advertisers[key] = a
	return nil
}

func has[V any](m map[uint64]V, key uint64) bool {
	_, there := m[key]
	return there
}

// replace counts a record in place of another; either may be the zero Record. It refuses what would exceed a limit, in
// the words of a real run, and then counts nothing. A counter that is above its limit already may stay or shrink.
func (t *tally) replace(ctx context.Context, before, after *store.Record) error {
	if a, is := after.Resource.(*hexbid.Advertiser); is {
		return t.setQuota(ctx, a)
	}
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
	earlier, places := t.advertisers[now.advertiser].has, t.programs[now.program].places
	t.add(was, -1)
	t.add(now, 1)
	if err := t.check(now, &earlier, places, after); err != nil {
		t.add(now, -1)
		t.add(was, 1)
		return err
	}
	t.burdens[name] = now
	return nil
}

// setQuota sets an advertiser's own quota for the rows that follow.
func (t *tally) setQuota(ctx context.Context, a *hexbid.Advertiser) error {
	if err := t.readAdvertiser(ctx, a.Name); err != nil {
		return err
	}
	key := maphash.String(t.seed, a.Name)
	counts := t.advertisers[key]
	counts.quota = a.Quota
	t.advertisers[key] = counts
	return nil
}

// add adds a burden to the counters, or with by -1 subtracts it. An advertiser's entries are those of its campaigns
// themselves plus, for each program, approved places times campaigns around them. The sum does not depend on the order
// in which records are added and removed.
func (t *tally) add(b burden, by int64) {
	if b == (burden{}) {
		return
	}
	p, a := t.programs[b.program], t.advertisers[b.advertiser]
	a.has.Entries -= store.EntriesAPlace * p.approved * p.around
	p.places, p.approved, p.around = p.places+by*int64(b.place), p.approved+by*int64(b.approved),
		p.around+by*int64(b.around)
	a.has.Entries += store.EntriesAPlace*p.approved*p.around + by*b.own
	a.has.Campaigns, a.has.Places = a.has.Campaigns+by*int64(b.campaign), a.has.Places+by*int64(b.place)
	a.has.Vertices, a.has.Keywords = a.has.Vertices+by*int64(b.vertices), a.has.Keywords+by*int64(b.keywords)
	a.has.Bytes += by * int64(b.bytes)
	t.programs[b.program], t.advertisers[b.advertiser] = p, a
}

// check compares the counts after a record with the limits and with the counts before.
func (t *tally) check(now burden, earlier *hexbid.Holdings, places int64, r *store.Record) error {
	p, a := t.programs[now.program], t.advertisers[now.advertiser]
	for _, limit := range limitsOf(r, t.defaults) {
		refused := store.LimitError{Limit: limit, Before: places, After: p.places}
		if limit.Own != 0 {
			q := quotaOf(limit.Counter)
			refused.Before, refused.After = *q.In(earlier), *q.In(&a.has)
			refused.Limit.AtMost = cmp.Or(*q.In(&a.quota), limit.AtMost)
		}
		if refused.After <= refused.Limit.AtMost || refused.After <= refused.Before {
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
