package bidder

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hexbid/hexbid"
)

func TestSearchAndNearbyDoNotAllocate(t *testing.T) {
	t.Run("at any distance", func(t *testing.T) { checkAllocations(t) })
	t.Run("by distance", func(t *testing.T) { checkAllocations(t, byDistance) })
}

func checkAllocations(t *testing.T, rules ...func(*Market)) {
	m := newTestMarket(t, 1, hangzhou, rules...)
	m.fill(t, 1500)
	for range 5 {
		m.adjust(t)
	}
	s := m.indexer.Snapshot()
	r := &hexbid.Request{Point: hangzhou, RadiusM: 3000, NearbyLimit: 20, Slots: 10, Host: hexbid.WeChat,
		Viewer: hexbid.Viewer{UserKey: "u", Age: 30, Gender: hexbid.Female, OS: hexbid.IOS,
			Interests: []hexbid.Category{1, 2}}}
	q := NewQuery(r, "request", m.now)
	q.History, q.Explore = m.history(), true
	var w Scratch
	found := 0
	if n := testing.AllocsPerRun(200, func() {
		awards := s.Search(&q, &w)
		list, _ := s.Nearby(&q, &w)
		found = len(awards) + len(list)
	}); n > 0 {
		t.Errorf("%v allocations a search", n)
	}
	if found < 15 {
		t.Errorf("the search found only %d", found)
	}
}

// TestADenseListIsReadNoFurtherThanItsHead: 10,000 campaigns over one point,
// ten slots.
func TestADenseListIsReadNoFurtherThanItsHead(t *testing.T) {
	m := newTestMarket(t, 2, hangzhou)
	all := []hexbid.Resource{}
	for i := range 100 {
		a, p := fmt.Sprintf("advertisers/d%d", i), fmt.Sprintf("advertisers/d%d/programs/p", i)
		all = append(all, &hexbid.Advertiser{Meta: hexbid.Meta{Name: a}},
			&hexbid.Program{Meta: hexbid.Meta{Name: p}, Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}})
		for j := range 100 {
			all = append(all, &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/campaigns/c%d", a, j)}, Program: p,
				Pricing: hexbid.CPC, Bid: hexbid.Money(1_000_000 + m.r.IntN(1_000_000)),
				Area: hexbid.Area{Circles: []hexbid.Circle{{Center: hangzhou, RadiusM: 2000}}}})
		}
	}
	m.commit(t, all...)
	var w Scratch
	q := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 10, Viewer: hexbid.Viewer{Age: 30}}, "r", m.now)
	s := m.indexer.Snapshot()
	if got, want := s.Search(&q, &w), s.Plain(&q).Awards; len(got) != 10 || !slices.Equal(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if w.Sifted > 3*64 || w.Scored > 100 {
		t.Errorf("%d postings sifted and %d candidates scored of 10,000", w.Sifted, w.Scored)
	}
}

// TestWorkIsBoundedWhenManyShareAKeywordOrARegion: 100,000 campaigns in one
// region, most on one keyword, one on a rare one.
func TestWorkIsBoundedWhenManyShareAKeywordOrARegion(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	m := newTestMarket(t, 4, hangzhou)
	var all []hexbid.Resource
	for i := range n {
		a := fmt.Sprintf("advertisers/k%d", i/100)
		if i%100 == 0 {
			all = append(all, &hexbid.Advertiser{Meta: hexbid.Meta{Name: a}},
				&hexbid.Program{Meta: hexbid.Meta{Name: a + "/programs/p"}, DisplayName: "馆", Category: hexbid.Shopping,
					Hosts: []hexbid.Host{hexbid.WeChat}})
		}
		c := &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/campaigns/c%d", a, i)}, Program: a + "/programs/p",
			Pricing: hexbid.CPC, Bid: hexbid.Money(1_000_000 + m.r.IntN(1_000_000)),
			Area: hexbid.Area{Regions: []string{"330100"}}, Keywords: []hexbid.Keyword{{Text: "咖啡"}}}
		switch {
		case i == 0:
			c.Keywords = []hexbid.Keyword{{Text: "火锅"}}
		case i%3 == 0:
			c.Keywords = nil
		}
		all = append(all, c)
	}
	m.commit(t, all...)
	s := m.indexer.Snapshot()
	var w Scratch
	for words, c := range map[string]struct{ sifted, scored, won int }{
		"":           {3 * 64, 100, 10}, // those without keywords
		"附近的咖啡":      {3 * 64, 100, 10},
		"火锅":         {0, 1, 1}, // found by the word
		"nothing at": {0, 0, 0},
	} {
		q := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 10, Words: words, Viewer: hexbid.Viewer{Age: 30}}, "r", m.now)
		won := s.Search(&q, &w)
		if len(won) != c.won || w.Sifted > c.sifted || w.Scored > c.scored {
			t.Errorf("%q: %d won, %d sifted, %d scored; want %d won in at most %d and %d", words, len(won), w.Sifted, w.Scored,
				c.won, c.sifted, c.scored)
		}
	}
}

// shops commits programs with some places each, and two campaigns around the first place of each.
func (m *testMarket) shops(t *testing.T, programs, places int) {
	t.Helper()
	var all []hexbid.Resource
	for i := range programs {
		a, p := fmt.Sprintf("advertisers/s%d", i), fmt.Sprintf("advertisers/s%d/programs/p", i)
		all = append(all, &hexbid.Advertiser{Meta: hexbid.Meta{Name: a}}, &hexbid.Program{Meta: hexbid.Meta{Name: p},
			Category: hexbid.Category(1 + i%5), Hosts: []hexbid.Host{hexbid.WeChat}})
		first := m.point(0.02)
		for j := range places {
			at := first
			if j > 0 {
				at = m.point(0.5)
			}
			all = append(all, &hexbid.Place{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/places/l%d", p, j)}, Point: at,
				Review: hexbid.Approved})
		}
		for j := range 2 {
			all = append(all, &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/campaigns/c%d", a, j)}, Program: p,
				Pricing: hexbid.CPC, Bid: hexbid.Money(500_000 + m.r.IntN(2_000_000)),
				Area: hexbid.Area{Circles: []hexbid.Circle{{Center: first, RadiusM: 5000}}}})
		}
	}
	m.commit(t, all...)
}

// work adds up the work of searches.
type work struct{ sifted, tested, asked int }

func (m *testMarket) workOf(t *testing.T, searches int) (sum work) {
	t.Helper()
	var w Scratch
	s := m.indexer.Snapshot()
	r := rand.New(rand.NewPCG(5, 6))
	for i := range searches {
		at := hexbid.Point{Lat: hangzhou.Lat + 0.01*r.NormFloat64(), Lng: hangzhou.Lng + 0.01*r.NormFloat64()}
		q := NewQuery(&hexbid.Request{Point: at, Slots: 10, Viewer: hexbid.Viewer{Age: 30}}, fmt.Sprint(i), m.now)
		got := s.Search(&q, &w)
		if want := s.Plain(&q).Awards; len(got) != 10 || !slices.Equal(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		sum.sifted, sum.tested, sum.asked = sum.sifted+w.Sifted, sum.tested+w.Tested, sum.asked+w.Asked
	}
	return sum
}

// TestDistanceIsReadFromPostingsAndRecords: where distance counts, a search of four hundred campaigns over one point
// loads few records of campaigns that are too far to win, because postings tell. It asks for hardly a place of programs
// with one, because records tell. Postings tell nothing of programs with several places, so a search loads and asks for
// more of those. Where distance does not count it asks for none.
func TestDistanceIsReadFromPostingsAndRecords(t *testing.T) {
	const searches, programs = 200, 200
	for _, c := range []struct {
		places      int
		rules       []func(*Market)
		least, most work // a search
	}{
		{1, nil, work{10, 11, 0}, work{36, 14, 0}},
		{1, []func(*Market){byDistance}, work{60, 11, 0}, work{125, 52, 1}},
		{3, []func(*Market){byDistance}, work{60, 80, 60}, work{125, 120, 105}},
	} {
		m := newTestMarket(t, 7, hangzhou, c.rules...)
		m.shops(t, programs, c.places)
		did := m.workOf(t, searches)
		if !did.isBetween(c.least, c.most, searches) {
			t.Errorf("%d places a program, distance counts: %v: %+v in %d searches, want %+v to %+v in each", c.places,
				c.rules != nil, did, searches, c.least, c.most)
		}
	}
}

// isBetween reports whether the work of some searches is from the least to the most of one.
func (did work) isBetween(least, most work, searches int) bool {
	within := func(n, least, most int) bool { return n >= least*searches && n <= most*searches }
	return within(did.sifted, least.sifted, most.sifted) && within(did.tested, least.tested, most.tested) &&
		within(did.asked, least.asked, most.asked)
}
