package exchange

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/token"
)

func TestAPageTokenComesBackAsItWas(t *testing.T) {
	e := open(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		want := page{pin: bidder.Pin{Chord2: rapid.Float64Range(0, 4).Draw(t, "chord²"),
			ProgramUID: hexbid.UID(rapid.Uint64().Draw(t, "program"))}, depth: rapid.IntRange(0, 1<<40).Draw(t, "depth")}
		for range rapid.IntRange(0, hexbid.MaxSlots).Draw(t, "slots") {
			want.sponsored = append(want.sponsored, hexbid.UID(rapid.Uint64().Draw(t, "sponsored")))
		}
		r := at(hub)
		r.PageToken = e.sealPage(r, &want)
		got, err := e.openPage(r)
		if err != nil || got.pin != want.pin || got.depth != want.depth || !slices.Equal(got.sponsored, want.sponsored) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}

// TestAPageTokenOfAnotherFormatIsRefused has texts that were sealed with the right
// keys, as an older or a newer program would.
func TestAPageTokenOfAnotherFormatIsRefused(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub))
	whole := make([]byte, maxPageBytes+9)
	for n := range whole {
		for _, version := range []byte{0, pageVersion, pageVersion + 1} {
			whole[0] = version
			r := at(hub)
			r.PageToken = e.keys.Ring().Seal(token.PagePurpose, whole[:n])
			if _, err := e.Search(ctx, r, time.Now()); hexbid.KindOf(err) != hexbid.Invalid {
				t.Fatalf("%d bytes of version %d: %v", n, version, err)
			}
		}
	}
}

func TestPagesJoinToTheWholeList(t *testing.T) {
	e := open(t, nil)
	var more []hexbid.Resource
	for i := range 37 {
		p := fmt.Sprintf("advertisers/a/programs/p%d", i)
		more = append(more, &hexbid.Program{Meta: hexbid.Meta{Name: p}, DisplayName: p, Category: hexbid.Shopping,
			Hosts: []hexbid.Host{hexbid.WeChat}})
		for j := range 3 { // a chain's farther places must not come again
			more = append(more, &hexbid.Place{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/places/l%d", p, j)},
				Point: hexbid.Point{Lat: hub.Lat + 0.0005*float64(i%10+10*j), Lng: hub.Lng}})
		}
	}
	fill(t, e, more...)
	whole := at(hub)
	whole.NearbyLimit, whole.RadiusM = 100, 50_000
	want := mustSearch(t, e, whole).Nearby
	if len(want) != 37 {
		t.Fatalf("%d programs", len(want))
	}
	var got []Nearby
	r := at(hub)
	r.NearbyLimit, r.RadiusM = 5, 50_000
	for pages := 0; pages < 20; pages++ {
		response := mustSearch(t, e, r)
		got = append(got, response.Nearby...)
		if r.PageToken = response.NextPageToken; r.PageToken == "" {
			break
		}
		r.Slots = 3
	}
	if len(got) != len(want) {
		t.Fatalf("%d programs on pages, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("entry %d: got %s, want %s", i, got[i].Cards, want[i].Cards)
		}
	}
	first := mustSearch(t, e, at(hub))
	other := at(hexbid.Point{Lat: 30.3, Lng: 120.2})
	other.PageToken = first.NextPageToken
	if _, err := e.Search(ctx, other, time.Now()); hexbid.KindOf(err) != hexbid.Invalid ||
		!strings.Contains(err.Error(), "another request") {
		t.Errorf("a page token of another request: %v", err)
	}
}

// TestPagesNeverRepeatWhatTheFirstSponsored pages through programs of which each
// has a campaign, while the catalogue changes between pages.
func TestPagesNeverRepeatWhatTheFirstSponsored(t *testing.T) {
	const programs = 40
	for _, slots := range []int{0, 3, hexbid.MaxSlots} {
		e := open(t, nil)
		fill(t, e, sponsoredPrograms(programs)...)
		r, shown, sponsored := at(hub), map[hexbid.UID]int{}, 0
		r.NearbyLimit, r.RadiusM, r.Slots = 5, 50_000, slots
		for page := 0; page == 0 || r.PageToken != ""; page++ {
			response := mustSearch(t, e, r)
			for _, s := range response.Sponsored {
				sponsored++
				shown[s.Program]++
			}
			for _, n := range response.Nearby {
				if shown[n.Program]++; shown[n.Program] > 1 {
					t.Errorf("%d slots: page %d repeats %s", slots, page, n.Cards)
				}
			}
			r.PageToken, r.Slots = response.NextPageToken, slots
			fill(t, e, &hexbid.Program{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/a/programs/new%d", page)},
				DisplayName: "new", Category: hexbid.Shopping, Hosts: []hexbid.Host{hexbid.WeChat}})
		}
		if sponsored != slots || len(shown) != programs {
			t.Errorf("%d slots: %d sponsored, %d of %d programs shown", slots, sponsored, len(shown), programs)
		}
	}
}

// TestTokensOfAnAnswerHaveNamesOfTheirOwn: a ledger tells tokens apart by them.
func TestTokensOfAnAnswerHaveNamesOfTheirOwn(t *testing.T) {
	e := open(t, nil)
	fill(t, e, sponsoredPrograms(10)...)
	names, r := map[token.Name]bool{}, at(hub)
	r.Slots = hexbid.MaxSlots
	for range 3 {
		for _, s := range mustSearch(t, e, r).Sponsored {
			award, name, err := e.keys.Ring().OpenAward(s.Token)
			if err != nil || award.Slot != s.Slot || name.Sequence != uint64(len(names)) {
				t.Errorf("slot %d: %+v of slot %d, %v", s.Slot, name, award.Slot, err)
			}
			names[name] = true
		}
	}
	if len(names) != 30 {
		t.Errorf("%d names of 30 tokens", len(names))
	}
}

// sponsoredPrograms are programs of advertisers of their own, each at a place on
// a line north of hub and with a campaign that all of the line sees. The farther
// a program is the more its campaign bids.
func sponsoredPrograms(n int) (all []hexbid.Resource) {
	for i := range n {
		owner := fmt.Sprintf("advertisers/b%d", i)
		program := owner + "/programs/p"
		all = append(all, &hexbid.Advertiser{Meta: hexbid.Meta{Name: owner}, DisplayName: "B"},
			&hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: owner, Category: hexbid.Shopping,
				Hosts: []hexbid.Host{hexbid.WeChat}},
			&hexbid.Place{Meta: hexbid.Meta{Name: program + "/places/l"},
				Point: hexbid.Point{Lat: hub.Lat + 0.0005*float64(i), Lng: hub.Lng}},
			&hexbid.Campaign{Meta: hexbid.Meta{Name: owner + "/campaigns/c"}, DisplayName: "c", Program: program,
				Pricing: hexbid.CPC, Bid: hexbid.Money(1_000_000 + 10_000*i), DailyBudget: 100_000_000,
				Area: hexbid.Area{AroundPlacesM: 20_000}})
	}
	return all
}
