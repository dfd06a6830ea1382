package bidder

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
)

// learnDistances puts a table of distances into force that has nothing in common with the one before but its ends.
func (m *testMarket) learnDistances(t *testing.T, version uint64) {
	t.Helper()
	table := quality.Distances{EndsM: m.market.Distance.EndsM, FactorPPM: slices.Clone(m.market.Distance.FactorPPM)}
	table.WithoutPlacePPM = table.FactorPPM[0]
	for c := range table.WithoutPlacePPM {
		ppm := int64(1_000_000)
		for band := range table.FactorPPM {
			ppm = max(1, ppm*pick(m.r, 1_000_000, 1_000_000, 1+m.r.Int64N(1_000_000), 1000)/1_000_000)
			table.FactorPPM[band][c] = ppm
		}
		table.WithoutPlacePPM[c] = max(1, ppm/2)
	}
	m.setMarket(t, m.market.With(&Learned{Distance: &table}, 2+version))
}

func (m *testMarket) setMarket(t *testing.T, to *Market) {
	t.Helper()
	if err := m.indexer.SetMarket(context.Background(), to); err != nil {
		t.Fatal(err)
	}
}

// checkWhereabouts compares what postings tell of places with what the records say. It returns how many tell something.
// A campaign that is off may stay posted as it was.
func (m *testMarket) checkWhereabouts(t *testing.T) (tell int) {
	t.Helper()
	s := m.indexer.Snapshot()
	check := func(key geoindex.Key, ordinal uint32, about geoindex.Whereabouts) {
		c := s.campaigns.at(ordinal)
		if c.state&active == 0 {
			return
		}
		if want := m.wantedWhereabouts(s, key, ordinal); about != want {
			t.Fatalf("campaign %d under %x tells %x, want %x", c.uid, key, about, want)
		}
		if about != 0 {
			tell++
		}
	}
	s.lists.each(func(e *entry[posting, tail]) {
		key := geoindex.Key(e.key &^ withKeywords)
		below := tail{}
		if e.extra != nil {
			below = *e.extra
		}
		for _, p := range slices.Concat(e.run, below.fresh) {
			check(key, p.ordinal, p.cap.whereabouts())
		}
		for _, b := range below.blocks {
			for i, ordinal := range b.ordinals {
				if b.alive>>i&1 == 0 {
					continue
				}
				check(key, ordinal, b.places.at(i))
				if b.places.at(i) != 0 && b.places.category(i) != s.campaigns.at(ordinal).category {
					t.Fatalf("a block has another category of campaign %d", s.campaigns.at(ordinal).uid)
				}
			}
		}
	})
	return tell
}

func (m *testMarket) wantedWhereabouts(s *Snapshot, key geoindex.Key, ordinal uint32) geoindex.Whereabouts {
	c, of := s.campaigns.at(ordinal), s.programs.at(s.details.at(ordinal).program)
	_, isCell := key.CellResolution()
	switch {
	case !m.market.Distance.Count() || c.pricing == hexbid.CPM || c.worth.qualityPPM() < leastLoweredPPM:
		return 0
	case of.placed == 0:
		return geoindex.NoPoint
	case of.placed == 1 && isCell:
		return geoindex.Cell(key).Whereabouts(geoindex.SpotOf(s.places.at(of.places - 1).vec))
	}
	return 0
}

// street is a market of shops with one place each, over which searches read far into lists.
type street struct {
	*testMarket
	shops int
}

func newStreet(t *testing.T, seed uint64, center hexbid.Point, shops int) *street {
	m := &street{newTestMarket(t, seed, center, byDistance), shops}
	var all []hexbid.Resource
	for i := range shops {
		all = append(all, &hexbid.Advertiser{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/s%d", i)}}, m.program(i),
			m.place(i, 0))
		for j := range 2 {
			all = append(all, m.campaign(i, j))
		}
	}
	m.commit(t, all...)
	return m
}

func (m *street) program(i int) *hexbid.Program {
	return &hexbid.Program{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/s%d/programs/p", i)},
		Category: hexbid.Category(1 + m.r.IntN(16)), Hosts: []hexbid.Host{hexbid.WeChat}}
}

func (m *street) place(i, number int) *hexbid.Place {
	at := m.point(math.Pow(10, -3*m.r.Float64()))
	if m.r.IntN(6) == 0 { // far away
		at = hexbid.Point{Lat: 180*m.r.Float64() - 90, Lng: 360*m.r.Float64() - 180}
	}
	return &hexbid.Place{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/s%d/programs/p/places/l%d", i, number)},
		Point: at, Review: pick(m.r, hexbid.Approved, hexbid.Approved, hexbid.Approved, hexbid.Approved, hexbid.InReview)}
}

func (m *street) campaign(i, j int) *hexbid.Campaign {
	c := &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/s%d/campaigns/c%d", i, j)},
		Program: fmt.Sprintf("advertisers/s%d/programs/p", i), Bid: hexbid.Money(1+m.r.IntN(100)) * 20_000,
		Pricing: pick(m.r, hexbid.CPC, hexbid.CPC, hexbid.CPC, hexbid.CPC, hexbid.CPM)}
	if c.Pricing == hexbid.CPM {
		c.Bid *= 20
	}
	switch m.r.IntN(12) {
	case 0:
		c.Area.Everywhere = true
	case 1:
		c.Area.AroundPlacesM = 3000
	default:
		c.Area.Circles = []hexbid.Circle{{Center: m.point(0.02), RadiusM: 500 * math.Pow(10, 1.5*m.r.Float64())}}
	}
	return c
}

// change moves places, lets programs have none, one or two, and changes campaigns and what they are worth.
func (m *street) change(t *testing.T, round int) {
	var batch []hexbid.Resource
	for range 1 + m.r.IntN(20) {
		i := m.r.IntN(m.shops)
		switch m.r.IntN(6) {
		case 0, 1:
			batch = append(batch, m.place(i, 0))
		case 2:
			batch = append(batch, m.place(i, 1))
		case 3:
			batch = append(batch, m.program(i))
		default:
			batch = append(batch, m.campaign(i, m.r.IntN(2)))
		}
	}
	m.commit(t, batch...)
	for range 4 {
		name := fmt.Sprintf("advertisers/s%d/programs/p/places/l%d", m.r.IntN(m.shops), m.r.IntN(2))
		if _, err := m.store.Get(context.Background(), name); err == nil {
			m.wait(t, []store.Step{{Delete: name, IfVersion: store.AnyVersion}})
		}
	}
	m.handIn(t)
	if round%4 == 3 {
		m.learnDistances(t, uint64(round))
	}
}

// handIn changes what some campaigns are worth. Some qualities are so low that a product with a factor ends at 1.
func (m *street) handIn(t *testing.T) {
	var some []stated
	for range 20 {
		r, err := m.store.Get(context.Background(), fmt.Sprintf("advertisers/s%d/campaigns/c%d", m.r.IntN(m.shops),
			m.r.IntN(2)))
		if err != nil {
			t.Fatal(err)
		}
		ppm := pick(m.r, 1+m.r.Int64N(50_000), 1+m.r.Int64N(50_000), 1+m.r.Int64N(5), leastLoweredPPM-1+m.r.Int64N(3))
		some = append(some, stated{campaign: r.Meta().UID, qualityPPM: ppm, exploredPPM: ppm + m.r.Int64N(ppm+1),
			pacingPPM: pick[int64](m.r, 500_000, 1_000_000, 1_000_000), spent: m.r.IntN(10) == 0})
	}
	m.indexer.handInAll(t, some)
	m.awaitReturns(t)
}

func (m *street) check(t *testing.T, w *Scratch, id int) {
	t.Helper()
	s := m.indexer.Snapshot()
	q := NewQuery(&hexbid.Request{Point: m.point(0.02), Slots: pick(m.r, 1, 3, 10), Host: hexbid.WeChat,
		Scene: hexbid.Scene(m.r.IntN(4)), Viewer: hexbid.Viewer{Age: 30, UserKey: "u"}}, fmt.Sprint(id), m.now)
	q.Explore = m.r.IntN(4) == 0
	if got, want := s.Search(&q, w), s.Plain(&q).Awards; !slices.Equal(got, want) {
		t.Fatalf("at %v: got\n%+v\nwant\n%+v", q.At.Point, got, want)
	}
}

// TestPostingsTellWhereShopsAre while shops move, come and go, and tables of distances change. Searches equal the plain
// evaluation all the while, also where cells are odd: at a pole, at the antimeridian, at a pentagon.
func TestPostingsTellWhereShopsAre(t *testing.T) {
	for seed, center := range []hexbid.Point{hangzhou, {Lat: 89.99, Lng: 20}, {Lat: -16.5, Lng: 180},
		{Lat: 64.7, Lng: 10.536199}} {
		t.Run(fmt.Sprint(center), func(t *testing.T) {
			m := newStreet(t, uint64(seed), center, 400)
			var w Scratch
			tell := 0
			for round := range 25 {
				for i := range 20 {
					m.check(t, &w, 100*round+i)
				}
				m.change(t, round)
				tell += m.checkWhereabouts(t)
			}
			if tell < 25*400 {
				t.Errorf("only %d postings told where their shop is", tell)
			}
		})
	}
}

// TestPostingsTellOfPlacesOnceDistanceCounts: a market in which it does not count comes into force and goes again.
func TestPostingsTellOfPlacesOnceDistanceCounts(t *testing.T) {
	m := newStreet(t, 9, hangzhou, 300)
	var w Scratch
	without := *m.market
	without.Version, without.Distance = 2, quality.Distances{}
	with := *m.market
	with.Version = 3
	for _, market := range []*Market{&without, &with} {
		m.setMarket(t, market)
		for i := range 20 {
			m.check(t, &w, i)
		}
		m.awaitMoves(t)
		m.market = market
		if tell := m.checkWhereabouts(t); tell > 0 != market.Distance.Count() {
			t.Errorf("%d postings tell of places; distance counts: %v", tell, market.Distance.Count())
		}
		for i := range 20 {
			m.check(t, &w, i)
		}
	}
}

// awaitMoves waits until the postings of all campaigns are as the market wants them, or as good as that.
func (m *testMarket) awaitMoves(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := m.indexer.await(ctx, func() bool { return m.indexer.Snapshot().Moving == 0 }); err != nil {
		t.Fatal(err)
	}
}

// TestCapsAreLoweredByNoMoreThanTheFactor compares the factors of caps with those of bands, at all distances from the
// least that whereabouts may tell.
func TestCapsAreLoweredByNoMoreThanTheFactor(t *testing.T) {
	prior := quality.PriorDistances()
	prior.FactorPPM[7][hexbid.Catering], prior.WithoutPlacePPM[hexbid.Catering] = 1, 1
	d := compileDistances(&prior)
	rapid.Check(t, func(t *rapid.T) {
		chord2 := rapid.OneOf(rapid.Float64Range(0, 4), rapid.SampledFrom(d.chord2), rapid.Custom(func(t *rapid.T) float64 {
			return geoindex.Chord2OfM(math.Pow(10, rapid.Float64Range(-3, 7).Draw(t, "magnitude")))
		}), rapid.Just(math.Inf(1))).Draw(t, "squared chord")
		category := hexbid.Category(rapid.IntRange(1, int(hexbid.CategoryCount)-1).Draw(t, "category"))
		of, band := d.caps.of(chord2, category), d.band(chord2)
		if least := float64(d.factorPPM(band, category)) / 1e6; of < least || of < 1.0/leastLoweredPPM {
			t.Fatalf("at %g the cap is lowered by %g, the quality by %g", chord2, of, least)
		}
		if nearer := d.band(chord2 / 1.07); of > 1.001*max(float64(d.factorPPM(nearer, category))/1e6, 1.0/leastLoweredPPM) {
			t.Fatalf("at %g the cap is lowered by %g, somewhat nearer the quality by %d", chord2, of,
				d.factorPPM(nearer, category))
		}
	})
}
