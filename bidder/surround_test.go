package bidder

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/targeting"
)

// chainMarket is one advertiser with programs of many places and campaigns around them.
type chainMarket struct {
	store   *store.Memory
	indexer *Indexer
	feed    *store.Feed
	nouns   map[string]hexbid.Resource
}

// newChainMarket has an indexer that applies changes when the test says so.
func newChainMarket(tb rapid.TB) *chainMarket {
	m := &chainMarket{store: store.NewMemory(), nouns: map[string]hexbid.Resource{}}
	m.indexer = m.freshIndexer(tb)
	m.feed = m.store.Watch(m.store.Version())
	m.put(tb, &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "a"})
	for _, name := range []string{"p", "q"} {
		m.put(tb, chainProgram(name))
	}
	return m
}

// freshIndexer loads what the store has.
func (m *chainMarket) freshIndexer(tb rapid.TB) *Indexer {
	market := DefaultMarket()
	if err := market.Validate(); err != nil {
		tb.Fatal(err)
	}
	x := NewIndexer(&market, fixedClock, slog.New(slog.DiscardHandler))
	if err := x.Load(context.Background(), m.store); err != nil {
		tb.Fatal(err)
	}
	return x
}

// put commits resources and indexes them, published or not.
func (m *chainMarket) put(tb rapid.TB, resources ...hexbid.Resource) {
	var steps []store.Step
	for _, r := range resources {
		steps = append(steps, store.Step{Put: &store.Record{Resource: r}, IfVersion: store.AnyVersion})
		m.nouns[r.Metadata().Name] = r
	}
	m.apply(tb, steps)
}

func (m *chainMarket) remove(tb rapid.TB, name string) {
	m.apply(tb, []store.Step{{Delete: name, IfVersion: store.AnyVersion}})
	delete(m.nouns, name)
}

func (m *chainMarket) apply(tb rapid.TB, steps []store.Step) {
	mustCommit(tb, m.store, steps)
	change, err := m.feed.Next(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	m.indexer.apply(completed(updateOf(&change)))
}

// completed has worked out what the index needs of an update.
func completed(u update) *update {
	for i := range u.puts {
		u.puts[i].complete()
	}
	return &u
}

// puts is an update that puts resources.
func puts(version uint64, resources ...hexbid.Resource) *update {
	u := update{version: version}
	for _, r := range resources {
		u.puts = append(u.puts, incoming{resource: r})
	}
	return completed(u)
}

func chainProgram(name string) *hexbid.Program {
	return &hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/a/programs/" + name}, DisplayName: "Coffee",
		Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}}
}

func chainPlace(program string, i int, p hexbid.Point) *hexbid.Place {
	return &hexbid.Place{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/a/programs/%s/places/l%d", program, i)},
		DisplayName: "x", Point: p, Review: hexbid.Approved}
}

func chainCampaign(program string, i int, in, out hexbid.Area) *hexbid.Campaign {
	return &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/a/campaigns/c%d", i)}, DisplayName: "c",
		Program: "advertisers/a/programs/" + program, Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 10_000_000, Area: in,
		Excluded: out}
}

// TestAPlaceCostsTheSameHoweverManyThereAre counts the work of the indexer for one
// place that comes, moves and goes, among few places and among many.
func TestAPlaceCostsTheSameHoweverManyThereAre(t *testing.T) {
	const campaigns = 20
	work := func(places int) (covered, edits int) {
		m := newChainMarket(t)
		for i := range places { // some kilometres apart, so that discs overlap
			m.put(t, chainPlace("p", i, hexbid.Point{Lat: 30 + float64(i/50)/50, Lng: 120 + float64(i%50)/50}))
		}
		for i := range campaigns {
			m.put(t, chainCampaign("p", i, hexbid.Area{AroundPlacesM: 3000}, hexbid.Area{}))
		}
		m.indexer.publish()
		coveredBefore, editsBefore := m.indexer.surrounds.covered, m.indexer.postings.lists.edits.ever
		for _, lat := range []float64{29.505, 29.515} { // apart from the others
			m.put(t, chainPlace("p", places, hexbid.Point{Lat: lat, Lng: 120.005}))
			m.indexer.publish()
		}
		m.remove(t, m.placeName(places))
		m.indexer.publish()
		return m.indexer.surrounds.covered - coveredBefore, m.indexer.postings.lists.edits.ever - editsBefore
	}
	for _, places := range []int{1, 10, 1000, 3000} {
		covered, edits := work(places)
		t.Logf("%d places: %d discs covered, %d edits of %d campaigns", places, covered, edits, campaigns)
		// four discs, that come or go, of at most 20 cells
		if mostEdits := 4 * 2 * 20 * campaigns; covered != 4 || edits == 0 || edits > mostEdits {
			t.Errorf("among %d places, %d discs were covered and %d edits noted: want 4 and at most %d", places,
				covered, edits, mostEdits)
		}
	}
}

func (m *chainMarket) placeName(i int) string { return chainPlace("p", i, hexbid.Point{}).Name }

// TestManyChangesOfOnePlaceCostOne: what changes many times before a publication is
// worked out once.
func TestManyChangesOfOnePlaceCostOne(t *testing.T) {
	m := newChainMarket(t)
	for i := range 100 {
		m.put(t, chainPlace("p", i, hexbid.Point{Lat: 30 + float64(i)/100, Lng: 120}))
	}
	m.put(t, chainCampaign("p", 0, hexbid.Area{AroundPlacesM: 3000}, hexbid.Area{}))
	m.indexer.publish()
	covered, edits := m.indexer.surrounds.covered, m.indexer.postings.lists.edits.ever
	for i := range 200 {
		hidden := chainPlace("p", 7, hexbid.Point{Lat: 31, Lng: 121})
		if i%2 == 0 {
			hidden.Review = hexbid.Hidden
		}
		m.put(t, hidden)
		m.put(t, chainCampaign("p", 0, hexbid.Area{AroundPlacesM: 3000 + float64(i%2)}, hexbid.Area{}))
		program := *m.nouns["advertisers/a/programs/p"].(*hexbid.Program)
		program.MinimumAge = i % 2 * 18
		m.put(t, &program)
		owner := *m.nouns["advertisers/a"].(*hexbid.Advertiser)
		owner.State = []hexbid.ServingState{hexbid.Paused, hexbid.Active}[i%2]
		m.put(t, &owner)
	}
	m.indexer.publish()
	if n := m.indexer.surrounds.covered - covered; n > 102 { // the places at the radius it ends with
		t.Errorf("%d discs were covered", n)
	}
	if n := m.indexer.postings.lists.edits.ever - edits; n > 2*20*100 {
		t.Errorf("%d edits were noted", n)
	}
	m.compareWithFresh(t)
}

// TestACampaignThatStandsAsItDidStaysPosted: an edit of what lists do not have
// changes no list.
func TestACampaignThatStandsAsItDidStaysPosted(t *testing.T) {
	m := newChainMarket(t)
	for i := range 300 {
		m.put(t, chainPlace("p", i, hexbid.Point{Lat: 30 + float64(i)/100, Lng: 120}))
	}
	c := chainCampaign("p", 0, hexbid.Area{AroundPlacesM: 3000}, hexbid.Area{})
	m.put(t, c)
	m.indexer.publish()
	covered, edits := m.indexer.surrounds.covered, m.indexer.postings.lists.edits.ever
	renamed := *c
	renamed.DisplayName, renamed.DailyBudget, renamed.Bid = "another", 20_000_000, c.Bid-1
	m.put(t, &renamed)
	program := *m.nouns["advertisers/a/programs/p"].(*hexbid.Program)
	program.Path = "index"
	m.put(t, &program)
	m.indexer.publish()
	if m.indexer.surrounds.covered != covered || m.indexer.postings.lists.edits.ever != edits {
		t.Errorf("%d discs were covered and %d edits noted", m.indexer.surrounds.covered-covered,
			m.indexer.postings.lists.edits.ever-edits)
	}
	higher := renamed
	higher.Bid = 3 * c.Bid
	m.put(t, &higher)
	m.indexer.publish()
	if m.indexer.postings.lists.edits.ever == edits {
		t.Error("a higher bid is above the cap that the campaign is posted with")
	}
	m.compareWithFresh(t)
}

// TestAPlaceThatComesAndGoesBetweenTwoPublicationsLeavesNothing: a campaign that was put
// while the place was there bought the disc around it alone.
func TestAPlaceThatComesAndGoesBetweenTwoPublicationsLeavesNothing(t *testing.T) {
	m := newChainMarket(t)
	m.put(t, chainCampaign("p", 0, hexbid.Area{AroundPlacesM: 800}, hexbid.Area{}))
	m.indexer.publish()
	here := hexbid.Point{Lat: 30, Lng: 120}
	m.put(t, chainPlace("p", 0, here))
	m.put(t, chainCampaign("p", 1, hexbid.Area{AroundPlacesM: 2500}, hexbid.Area{}))
	m.remove(t, m.placeName(0))
	m.indexer.publish()
	s := m.indexer.Snapshot()
	q := NewQuery(&hexbid.Request{Point: here, Slots: 3, Host: hexbid.WeChat, Viewer: hexbid.Viewer{Age: 30}},
		"request", fixedClock())
	if account := s.Plain(&q); len(account.Verdicts) > 0 {
		t.Errorf("around no place: %+v", account.Verdicts)
	}
}

// told is a posting by what does not depend on the order of changes.
type told struct {
	campaign hexbid.UID
	mask     targeting.Mask
}

func (m *chainMarket) postings(tb rapid.TB, s *Snapshot) map[uint64][]told {
	all := map[uint64][]told{}
	s.lists.each(func(e *entry[posting, tail]) {
		if e.extra != nil {
			tb.Fatal("a list of this small market has a tail")
		}
		for _, p := range e.run {
			all[e.key] = append(all[e.key], told{s.campaigns.at(p.ordinal).uid, p.mask})
		}
		slices.SortFunc(all[e.key], func(a, b told) int { return int(a.campaign) - int(b.campaign) })
	})
	return all
}

// compareWithFresh compares the lists of the indexer that followed every change with
// those of one that loads the outcome.
func (m *chainMarket) compareWithFresh(tb rapid.TB) {
	got, want := m.postings(tb, m.indexer.Snapshot()), m.postings(tb, m.freshIndexer(tb).Snapshot())
	if len(got) != len(want) {
		tb.Fatalf("%d lists, of a fresh index %d", len(got), len(want))
	}
	for key := range want {
		if !slices.Equal(got[key], want[key]) {
			tb.Fatalf("under key %x: %x, of a fresh index %x", key, got[key], want[key])
		}
	}
}

// areaHolds is membership by the nouns alone.
func (m *chainMarket) areaHolds(c *hexbid.Campaign, a *hexbid.Area, p hexbid.Point) bool {
	at := geoindex.VecOf(p)
	within := func(center hexbid.Point, radiusM float64) bool {
		return geoindex.VecOf(center).Chord2(at) <= geoindex.Chord2OfM(radiusM)
	}
	for _, circle := range a.Circles {
		if within(circle.Center, circle.RadiusM) {
			return true
		}
	}
	for name, r := range m.nouns {
		place, ok := r.(*hexbid.Place)
		if !ok || place.Review != hexbid.Approved || a.AroundPlacesM == 0 {
			continue
		}
		n, _ := hexbid.ParseName(name)
		if n.Parent().String() == c.Program && within(place.Point, a.AroundPlacesM) {
			return true
		}
	}
	return a.Everywhere
}

func drawChainArea(t *rapid.T, in bool) (a hexbid.Area) {
	if in || rapid.IntRange(0, 3).Draw(t, "excludes places") == 0 {
		a.AroundPlacesM = rapid.SampledFrom([]float64{800, 2500, 9000}).Draw(t, "radius")
	}
	if rapid.IntRange(0, 3).Draw(t, "has a circle") == 0 {
		a.Circles = []hexbid.Circle{{Center: drawChainPoint(t),
			RadiusM: rapid.SampledFrom([]float64{500, 3000}).Draw(t, "circle")}}
	}
	if in && rapid.IntRange(0, 5).Draw(t, "elsewhere") == 0 {
		a.AroundPlacesM = 0
		a.Everywhere = len(a.Circles) == 0
	}
	return a
}

func drawChainPoint(t *rapid.T) hexbid.Point {
	at := func() float64 { return float64(rapid.IntRange(0, 400).Draw(t, "at")) / 2000 }
	return hexbid.Point{Lat: 30 + at(), Lng: 120 + at()}
}

// startOver deletes programs with all that belongs to them, each in one batch, and makes
// them anew: each may take the other's ordinal, and that of its places.
func (m *chainMarket) startOver(t *rapid.T) {
	names := rapid.Permutation([]string{"p", "q"}).Draw(t, "gone")[:rapid.IntRange(1, 2).Draw(t, "programs")]
	for _, name := range names {
		program := "advertisers/a/programs/" + name
		steps := []store.Step{{Delete: program, IfVersion: store.AnyVersion}}
		for of, r := range m.nouns {
			if c, buys := r.(*hexbid.Campaign); buys && c.Program == program || store.UnderParent(of, mustName(program)) {
				steps = append(steps, store.Step{Delete: of, IfVersion: store.AnyVersion})
			}
		}
		for _, op := range steps {
			delete(m.nouns, op.Delete)
		}
		m.apply(t, steps)
	}
	for _, name := range rapid.Permutation(names).Draw(t, "again") {
		m.put(t, chainProgram(name))
	}
}

// step makes one random change.
func (m *chainMarket) step(t *rapid.T) {
	program := rapid.SampledFrom([]string{"p", "q"}).Draw(t, "program")
	switch rapid.IntRange(0, 10).Draw(t, "step") {
	case 10:
		m.startOver(t)
	case 0, 1, 2, 3, 4:
		p := chainPlace(program, rapid.IntRange(0, 25).Draw(t, "place"), drawChainPoint(t))
		p.Review = rapid.SampledFrom([]hexbid.ReviewState{hexbid.Approved, hexbid.Approved, hexbid.Approved,
			hexbid.Hidden}).Draw(t, "review")
		m.put(t, p)
	case 5:
		names := slices.Sorted(maps.Keys(m.nouns))
		name := rapid.SampledFrom(names).Draw(t, "gone")
		if kind := store.KindOf(m.nouns[name]); kind == hexbid.KindPlace || kind == hexbid.KindCampaign {
			m.remove(t, name)
		}
	case 6:
		p := *m.nouns["advertisers/a/programs/"+program].(*hexbid.Program)
		p.MinimumAge = rapid.SampledFrom([]int{0, 18}).Draw(t, "age")
		m.put(t, &p)
	case 7:
		a := &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "a",
			State: rapid.SampledFrom([]hexbid.ServingState{hexbid.Active, hexbid.Paused}).Draw(t, "state")}
		m.put(t, a)
	default:
		c := chainCampaign(program, rapid.IntRange(0, 6).Draw(t, "campaign"), drawChainArea(t, true), drawChainArea(t, false))
		c.Excluded.Everywhere = false
		c.Bid = hexbid.Money(rapid.IntRange(1, 4).Draw(t, "bid")) * 500_000
		c.Pricing = rapid.SampledFrom([]hexbid.PricingModel{hexbid.CPC, hexbid.CPC, hexbid.CPM}).Draw(t, "pricing")
		if part := rapid.SampledFrom([]int64{0, 500_000, 3_000_000}).Draw(t, "host"); part > 0 {
			c.HostBids = []hexbid.HostBid{{Host: hexbid.WeChat, MultiplierPPM: part}}
		}
		m.put(t, c)
	}
}

// checkAreas compares Search with Plain, and what Plain says of areas with the nouns.
func (m *chainMarket) checkAreas(t *rapid.T, w *Scratch) {
	s := m.indexer.Snapshot()
	r := &hexbid.Request{Point: drawChainPoint(t), RadiusM: 3000, Slots: 3, Host: hexbid.WeChat,
		Viewer: hexbid.Viewer{Age: 30, UserKey: "u"}}
	q := NewQuery(r, "request", fixedClock())
	account := s.Plain(&q)
	if got := s.Search(&q, w); !slices.Equal(got, account.Awards) {
		t.Fatalf("at %v: got %+v, want %+v", r.Point, got, account.Awards)
	}
	for _, noun := range m.nouns {
		c, ok := noun.(*hexbid.Campaign)
		if !ok {
			continue
		}
		stored, err := m.store.Get(context.Background(), c.Name)
		if err != nil {
			t.Fatalf("%v", err)
		}
		ordinal, _ := m.indexer.records.campaignOf.get(stored.Meta().UID)
		in, out := m.areaHolds(c, &c.Area, r.Point), m.areaHolds(c, &c.Excluded, r.Point)
		hot := s.campaigns.at(ordinal)
		if got := s.contains(hot, ordinal, &q.At); got != (in && !out) {
			t.Fatalf("%s at %v: contains is %v, the nouns say in %v and excluded %v", c.Name, r.Point, got, in, out)
		}
		missed, excluded := s.missed(hot, s.details.at(ordinal), &q.At)
		if excluded != out || !in && missed < 0 || in && !c.Area.Everywhere && missed > 1e-6 {
			t.Fatalf("%s at %v: missed by %v, excluded %v; the nouns say in %v and excluded %v", c.Name, r.Point, missed,
				excluded, in, out)
		}
		if c.Area.OnlyAroundPlaces() && !in {
			if want := m.missedBy(c, r.Point); math.Abs(missed-want) > 1e-3 && !(math.IsInf(missed, 1) && math.IsInf(want, 1)) {
				t.Fatalf("%s at %v: missed by %v m, want %v", c.Name, r.Point, missed, want)
			}
		}
	}
}

func (m *chainMarket) missedBy(c *hexbid.Campaign, p hexbid.Point) float64 {
	least := math.Inf(1)
	for _, r := range m.nouns {
		if place, ok := r.(*hexbid.Place); ok && place.Review == hexbid.Approved &&
			store.UnderParent(place.Name, mustName(c.Program)) {
			least = min(least, place.Point.DistanceM(p)-c.Area.AroundPlacesM)
		}
	}
	return least
}

func mustName(name string) hexbid.Name {
	n, err := hexbid.ParseName(name)
	if err != nil {
		panic(err)
	}
	return n
}

func TestPlacesThatComeMoveAndGoLeaveTheListsOfAFreshIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newChainMarket(t)
		var w Scratch
		for range rapid.IntRange(1, 12).Draw(t, "publications") {
			for range rapid.IntRange(1, 12).Draw(t, "steps") {
				m.step(t)
			}
			m.indexer.publish()
			for range 4 {
				m.checkAreas(t, &w)
			}
		}
		// Those that went off lately are still posted.
		for i := range m.indexer.postings.off {
			m.indexer.postings.unpost(i)
		}
		m.indexer.publish()
		m.compareWithFresh(t)
		if m.indexer.surrounds.numbers.count() > 0 != (len(m.indexer.surrounds.byKey) > 0) ||
			len(m.indexer.surrounds.deserted) > 0 {
			t.Fatalf("surrounds without members are left: %d, %d", len(m.indexer.surrounds.byKey),
				len(m.indexer.surrounds.deserted))
		}
	})
}

func fixedClock() time.Time { return testStart }

// TestAPublicationIsOfThePresentQuarterHour: changes that never cease do not keep
// readers of the next quarter hour waiting.
func TestAPublicationIsOfThePresentQuarterHour(t *testing.T) {
	m := newChainMarket(t)
	at := testStart
	m.indexer.index.clock = func() time.Time { return at }
	c := chainCampaign("p", 0, hexbid.Area{AroundPlacesM: 3000}, hexbid.Area{})
	c.Start = testStart.Add(3 * targeting.Quarter)
	m.put(t, c, chainPlace("p", 0, hexbid.Point{Lat: 30, Lng: 120}))
	m.indexer.publish()
	at = c.Start.Add(time.Minute)
	m.put(t, chainPlace("p", 1, hexbid.Point{Lat: 31, Lng: 120}))
	m.indexer.publish()
	s := m.indexer.Snapshot()
	if !s.Covers(at) || len(m.postings(t, s)) == 0 {
		t.Errorf("published at %v, the snapshot holds that instant: %v; it has %d lists", at, s.Holds(at),
			len(m.postings(t, s)))
	}
}

// count returns how many parts are stored.
func (w *sparseWriter[T]) count() int { return int(w.ordinals.next) - len(w.ordinals.free) }
