package bidder

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
)

// shops are so many programs with a campaign each in one region, the best first. Those
// from firstLantern on have the word, which makes it one of many.
func shops(t *testing.T, m *testMarket, n, firstLantern int) []*hexbid.Program {
	t.Helper()
	programs := make([]*hexbid.Program, n)
	for first := n - 500; first >= 0; first -= 500 { // blocks have rows for words once there are many: the upper ones
		var some []hexbid.Resource
		for i := first; i < first+500; i++ {
			name := fmt.Sprintf("advertisers/s%d", i)
			p := &hexbid.Program{Meta: hexbid.Meta{Name: name + "/programs/p"}, DisplayName: "shop", Category: hexbid.Shopping,
				Hosts: []hexbid.Host{hexbid.WeChat}}
			if i >= firstLantern {
				p.DisplayName = "lantern"
			}
			programs[i] = p
			some = append(some, &hexbid.Advertiser{Meta: hexbid.Meta{Name: name}}, p,
				&hexbid.Campaign{Meta: hexbid.Meta{Name: name + "/campaigns/c"}, Program: p.Name, Pricing: hexbid.CPC,
					Bid: hexbid.Money(20_000_000 - 1000*i), Area: hexbid.Area{Regions: []string{"330100"}}})
		}
		m.commit(t, some...)
	}
	return programs
}

// TestACampaignIsFoundByItsProgramsNewWord in whatever part of a long list it stands:
// the blocks that have rows for words are made anew, and nothing else is.
func TestACampaignIsFoundByItsProgramsNewWord(t *testing.T) {
	m := newTestMarket(t, 12, hangzhou)
	programs := shops(t, m, 6000, 5000)
	region, err := geoindex.RegionByCode("330100")
	if err != nil {
		t.Fatal(err)
	}
	q := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 10, Words: "lantern",
		Viewer: hexbid.Viewer{Age: 30}}, "r", m.now)
	var w Scratch
	withRows, without := 0, 0
	// each bids more than those before
	for _, i := range []int{4900, 4500, 4000, 3500, 3000, 2500, 2000, 1500, 1000, 500, 200, 20} {
		before, s := m.indexer.postings.lists.edits.ever, m.indexer.Snapshot()
		campaign, _ := s.campaignOf.get(m.uidOf(t, fmt.Sprintf("advertisers/s%d/campaigns/c", i)))
		as := posting{ordinal: campaign, cap: m.indexer.postings.states.at(campaign).cap}
		rows := 0
		if b := m.indexer.postings.lists.at(uint64(geoindex.KeyOfRegion(region))).blockOf(&as); b != nil && b.words != nil {
			rows = 1
		}
		if inHead := i < leastInHead; inHead && rows > 0 {
			t.Errorf("campaign %d stands in a block", i)
		}
		renamed := *programs[i]
		renamed.DisplayName = "lantern shop"
		m.commit(t, &renamed)
		s = m.indexer.Snapshot()
		got, want := s.Search(&q, &w), s.Plain(&q).Awards
		if !slices.Equal(got, want) || got[0].Entry.Ordinal != campaign || w.Sifted == 0 {
			t.Fatalf("campaign %d, rows %d, %d sifted: got %+v, want %+v", i, rows, w.Sifted, got, want)
		}
		if edits := m.indexer.postings.lists.edits.ever - before; edits != 2*rows {
			t.Errorf("campaign %d: %d edits of lists, want %d", i, edits, 2*rows)
		}
		withRows, without = withRows+rows, without+1-rows
	}
	if withRows < 3 || without < 3 {
		t.Errorf("%d campaigns stood in blocks with rows for words, %d did not", withRows, without)
	}
}

func (m *testMarket) uidOf(t *testing.T, name string) hexbid.UID {
	t.Helper()
	r, err := m.store.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r.Meta().UID
}

// TestAProgramsNewNameEditsNoListOfItsCampaigns however many they are; another gate edits
// all of them.
func TestAProgramsNewNameEditsNoListOfItsCampaigns(t *testing.T) {
	market := DefaultMarket()
	x := NewIndexer(&market, time.Now, slog.New(slog.DiscardHandler))
	put := func(r hexbid.Resource) {
		t.Helper()
		in := incoming{resource: r}
		in.complete()
		if err := x.put(&in); err != nil {
			t.Fatal(err)
		}
	}
	put(&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a", UID: 1, Version: 1}})
	p := hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/a/programs/p", UID: 2, Version: 1}, DisplayName: "one",
		Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}}
	put(&p)
	const campaigns = 500
	for i := range campaigns {
		put(&hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/a/campaigns/c%d", i), UID: hexbid.UID(3 + i),
			Version: 1}, Program: p.Name, Pricing: hexbid.CPC, Bid: 1_000_000,
			Area: hexbid.Area{Circles: []hexbid.Circle{{Center: hexbid.Point{Lat: 20 + float64(i%20), Lng: 100 + float64(i/20)},
				RadiusM: 2000}}}})
	}
	x.publish()
	edits := func(change func(*hexbid.Program)) int {
		before, now := x.postings.lists.edits.ever, p
		change(&now)
		put(&now)
		x.publish()
		return x.postings.lists.edits.ever - before
	}
	if n := edits(func(p *hexbid.Program) { p.DisplayName, p.Keywords = "two", []string{"three"} }); n != 0 {
		t.Errorf("another name makes %d edits of lists", n)
	}
	if n := edits(func(p *hexbid.Program) { p.MinimumAge = 18 }); n < 2*campaigns {
		t.Errorf("a minimum age makes %d edits of lists", n)
	}
}
