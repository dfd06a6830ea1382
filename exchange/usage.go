package exchange

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// What an advertiser keeps in the index is counted in entries. One entry is one cell
// of a covering, or one circle, cell, region or vertex that an area names: some 30 to
// 130 bytes, the most where campaigns go around the same places at radii of their own.
// A keyword takes one, and one more for every keywordBytesAnEntry of its text. A
// campaign around places has entriesAPlace more for every approved place of
// its program, so that places times campaigns count.
const (
	// entriesAPlace is the number of cells that a disc is covered by, on average over
	// radii; at most 20.
	entriesAPlace = 8
	// keywordBytesAnEntry is the text of a keyword that takes an entry's memory where
	// its words are as short as they can be.
	keywordBytesAnEntry = 8
	// MaxPlaces is the most places that a program may have.
	MaxPlaces = 20_000
)

// usage counts what advertisers keep in the index. Writers hold the catalogue while
// they judge and count, so that two of them cannot both take the last entry.
type usage struct {
	limit int64 // entries an advertiser
	seed  maphash.Seed

	mu       sync.RWMutex     // guards the maps
	entries  map[uint64]int64 // by hash of an advertiser's name
	programs map[uint64]programUsage
}

// programUsage counts what multiplies, places and the campaigns around them, and all
// campaigns, which the program cannot be deleted before.
type programUsage struct{ places, approved, campaigns, buyers int64 }

func newUsage(limit int64) *usage {
	return &usage{limit: limit, seed: maphash.MakeSeed(), entries: map[uint64]int64{}, programs: map[uint64]programUsage{}}
}

// approvedIn is the number of approved places that a program has.
func (u *usage) approvedIn(program string) int64 {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.programs[maphash.String(u.seed, program)].approved
}

// buyersOf is the number of campaigns that buy for a program.
func (u *usage) buyersOf(program string) int64 {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.programs[maphash.String(u.seed, program)].buyers
}

// counting is a store whose scan counts what it finds.
type counting struct {
	store.Store
	usage *usage
}

// Scan implements store.Store. What is stored is never refused.
func (c counting) Scan(ctx context.Context, f func(store.Record) error) (version uint64, err error) {
	all := c.usage.tally()
	version, err = c.Store.Scan(ctx, func(r store.Record) error {
		all.add(c.usage.burdenOf(r), 1)
		return f(r)
	})
	all.commit()
	return version, err
}

// burden is what one record adds to the counts; the zero burden adds nothing. A dry run
// keeps one for each of its names.
type burden struct {
	advertiser, program uint64 // hashes of names
	own                 int64  // entries of a campaign, whatever places there are
	place, approved     int8   // 1 of a place, and of an approved one
	campaign            int8   // 1 of a campaign around places
	buyer               int8   // 1 of any campaign
}

func (u *usage) burdenOf(r store.Record) (b burden) {
	switch v := r.Resource.(type) {
	case *hexbid.Place:
		b.place = 1
		if v.Review == hexbid.Approved {
			b.approved = 1
		}
	case *hexbid.Campaign:
		b.buyer, b.own = 1, int64(len(r.Covering))+entriesOf(&v.Area)+entriesOf(&v.Excluded)+entriesOfKeywords(v.Keywords)
		if v.Area.AroundPlacesM > 0 {
			b.campaign = 1
		}
	default:
		return burden{}
	}
	advertiser, program := countedUnder(r.Resource)
	b.advertiser, b.program = maphash.String(u.seed, advertiser), maphash.String(u.seed, program)
	return b
}

// countedUnder names the advertiser and the program that a place or a campaign counts
// for.
func countedUnder(r hexbid.Resource) (advertiser, program string) {
	name, _ := hexbid.ParseName(r.Metadata().Name) // stored names parse
	if c, ok := r.(*hexbid.Campaign); ok {
		return name.Owner().String(), c.Program
	}
	return name.Owner().String(), name.Parent().String()
}

// entriesOf counts what an area names.
func entriesOf(a *hexbid.Area) int64 {
	n := len(a.Circles) + len(a.Cells) + len(a.Regions)
	for _, polygon := range a.Polygons {
		for _, ring := range polygon {
			n += len(ring)
		}
	}
	return int64(n)
}

func entriesOfKeywords(keywords []hexbid.Keyword) (n int64) {
	for i := range keywords {
		n += 1 + int64(len(keywords[i].Text)/keywordBytesAnEntry)
	}
	return n
}

// tally is the usage as the writes of one batch leave it, one after another. It is
// committed with them or dropped.
type tally struct {
	usage    *usage
	counted  map[uint64]burden // by hash of a record's name: of those in the batch
	entries  map[uint64]int64  // those that have changed
	programs map[uint64]programUsage
}

func (u *usage) tally() *tally {
	return &tally{u, map[uint64]burden{}, map[uint64]int64{}, map[uint64]programUsage{}}
}

func (t *tally) entriesOf(advertiser uint64) int64 {
	if n, changed := t.entries[advertiser]; changed {
		return n
	}
	t.usage.mu.RLock()
	defer t.usage.mu.RUnlock()
	return t.usage.entries[advertiser]
}

// approvedIn is the number of approved places that a program has by the tally.
func (t *tally) approvedIn(program string) int64 {
	return t.programOf(maphash.String(t.usage.seed, program)).approved
}

func (t *tally) programOf(program uint64) programUsage {
	if p, changed := t.programs[program]; changed {
		return p
	}
	t.usage.mu.RLock()
	defer t.usage.mu.RUnlock()
	return t.usage.programs[program]
}

// replace counts a record in the place of another, each of them perhaps the zero
// Record. What would go above a limit is refused and not counted; what is above it
// already may stay and shrink.
func (t *tally) replace(name string, before, after store.Record) error {
	key := maphash.String(t.usage.seed, name)
	was, again := t.counted[key]
	if !again {
		was = t.usage.burdenOf(before)
	}
	now := t.usage.burdenOf(after)
	present := t.entriesOf(now.advertiser)
	t.add(was, -1)
	t.add(now, 1)
	if err := t.check(present, was, now, after.Resource); err != nil {
		t.add(now, -1)
		t.add(was, 1)
		return err
	}
	t.counted[key] = now
	return nil
}

// add counts a burden, or with by -1 takes it off. The entries are those of campaigns
// themselves and, of each program, approved places times campaigns around them: so the
// order in which records come and go does not matter.
func (t *tally) add(b burden, by int64) {
	if b == (burden{}) {
		return
	}
	p, entries := t.programOf(b.program), t.entriesOf(b.advertiser)
	entries -= entriesAPlace * p.approved * p.campaigns
	p.places, p.approved = p.places+by*int64(b.place), p.approved+by*int64(b.approved)
	p.campaigns, p.buyers = p.campaigns+by*int64(b.campaign), p.buyers+by*int64(b.buyer)
	entries += entriesAPlace*p.approved*p.campaigns + by*b.own
	t.programs[b.program], t.entries[b.advertiser] = p, entries
}

// check judges the counts after a resource, nil for none, has taken the place of another.
func (t *tally) check(present int64, was, now burden, r hexbid.Resource) error {
	p, entries := t.programOf(now.program), t.entriesOf(now.advertiser)
	tooMany := now.place > was.place && p.places > MaxPlaces
	if !tooMany && (entries <= t.usage.limit || entries <= present) {
		return nil
	}
	advertiser, program := countedUnder(r)
	if tooMany {
		return hexbid.Errorf(hexbid.Exhausted, "name", "%q has %d places already: at most %d a program; delete some, or share them among several programs",
			program, p.places-1, MaxPlaces)
	}
	const remedy = "delete campaigns, go around fewer places, name fewer or coarser shapes or fewer keywords, or ask the operator for more (--advertiser-entries)"
	if now.place > 0 {
		return hexbid.Errorf(hexbid.Exhausted, "place.review_state", "approved, it would add %d index entries, %d for each of the %d campaigns around the places of %q, to the %d of %q: at most %d; %s",
			entries-present, entriesAPlace, p.campaigns, program, present, advertiser, t.usage.limit, remedy)
	}
	around := int64(now.campaign) * p.approved
	return hexbid.Errorf(hexbid.Exhausted, "campaign.area", "it would bring the index entries of %q from %d to %d, %d of them for %d approved places of its program: at most %d; %s",
		advertiser, present, entries, entriesAPlace*around, around, t.usage.limit, remedy)
}

// commit makes the tally's counts those of the usage.
func (t *tally) commit() {
	u := t.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	for advertiser, n := range t.entries {
		if u.entries[advertiser] = n; n == 0 {
			delete(u.entries, advertiser)
		}
	}
	for program, p := range t.programs {
		if u.programs[program] = p; p == (programUsage{}) {
			delete(u.programs, program)
		}
	}
}
