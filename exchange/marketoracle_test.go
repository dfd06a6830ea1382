package exchange

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// plainBidder is a campaign as the plain auction below sees it, which shares no code with the engine.
type plainBidder struct {
	uid      hexbid.UID
	bid      int64 // micros
	perView  bool  // pays for a thousand impressions instead of a click
	category hexbid.Category
	hosts    []hexbid.Host
}

// plainWin is a slot that a campaign wins.
type plainWin struct {
	uid   hexbid.UID
	price int64 // micros
}

// plainPrior returns the chance of a click in a category, parts per million.
func plainPrior(rules *hexbid.Market, of hexbid.Category) int64 {
	for _, p := range rules.Priors {
		if p.Category == of {
			return p.PPM
		}
	}
	panic("the test states the prior of each category that it uses")
}

// plainFloor returns the highest reserve that applies, in millionths of a micro for one impression.
func plainFloor(rules *hexbid.Market, r *hexbid.Request, of hexbid.Category) (floor int64) {
	for _, reserve := range rules.Reserves {
		if (reserve.Host == 0 || reserve.Host == r.Host) && (reserve.Scene == 0 || reserve.Scene == r.Scene) &&
			(reserve.Category == 0 || reserve.Category == of) {
			floor = max(floor, int64(reserve.PerThousand)*1000)
		}
	}
	return floor
}

// unit is what one micro of a bid is worth for one impression, in millionths of a micro.
func (b *plainBidder) unit(rules *hexbid.Market) int64 {
	if b.perView {
		return 1000
	}
	return plainPrior(rules, b.category)
}

// plainRank returns those of the campaigns that reach their reserve, best first. tied says that two are equal, which
// only their hashes decide.
func plainRank(rules *hexbid.Market, r *hexbid.Request, from []plainBidder) (ranked []plainBidder, tied bool) {
	worth := func(b plainBidder) int64 { return b.bid * b.unit(rules) }
	for _, b := range from {
		if worth(b) < plainFloor(rules, r, b.category) {
			continue
		}
		at := 0
		for at < len(ranked) && worth(ranked[at]) > worth(b) {
			at++
		}
		tied = tied || at < len(ranked) && worth(ranked[at]) == worth(b)
		ranked = slices.Insert(ranked, at, b)
	}
	return ranked, tied
}

// plainWins prices the slots of a request: each winner pays the least that beats the next one and the reserve, and the
// increment, but no more than its bid.
func plainWins(rules *hexbid.Market, r *hexbid.Request, ranked []plainBidder) (wins []plainWin) {
	for i := 0; i < len(ranked) && i < r.Slots; i++ {
		b := &ranked[i]
		beat := plainFloor(rules, r, b.category)
		if i+1 < len(ranked) {
			beat = max(beat, ranked[i+1].bid*ranked[i+1].unit(rules))
		}
		price := beat / b.unit(rules)
		for price*b.unit(rules) < beat {
			price++
		}
		price += int64(rules.Increment)
		for b.perView && price%1000 != 0 {
			price++
		}
		wins = append(wins, plainWin{b.uid, min(price, b.bid)})
	}
	return wins
}

// plainForecast adds up what other rules make of kept auctions.
type plainForecast struct {
	before, after   uint64 // winners
	below, changed  uint64
	revenue         [2]int64 // millionths of micros
	belowCPC, ofCPM int      // active campaigns below the new least bids
}

// add runs an auction by both rules. kept are the campaigns that ranked by the first ones, with one more than slots.
func (f *plainForecast) add(now, next *hexbid.Market, r *hexbid.Request, kept []plainBidder) (tied bool) {
	again, tied := plainRank(next, r, kept)
	was, will := plainWins(now, r, kept), plainWins(next, r, again)
	f.before, f.after = f.before+uint64(len(was)), f.after+uint64(len(will))
	for i, w := range was {
		if !slices.ContainsFunc(again, func(b plainBidder) bool { return b.uid == w.uid }) {
			f.below++
		}
		if i >= len(will) || will[i].uid != w.uid {
			f.changed++
		}
	}
	for k, wins := range [][]plainWin{was, will} {
		for i, w := range wins {
			at := slices.IndexFunc(kept, func(b plainBidder) bool { return b.uid == w.uid })
			// The first market pins the factors to 10, 9, 8 …, and what people do stays as it is by its priors.
			f.revenue[k] += w.price * kept[at].unit(now) * int64(10-i) / 10
		}
	}
	return tied
}

// drawPlainRules draws rules with the second price, and priors of which no product needs rounding.
func drawPlainRules(t *rapid.T) *hexbid.Market {
	m := &hexbid.Market{Meta: hexbid.Meta{Name: hexbid.MarketName}, Distance: &hexbid.DistanceTable{},
		PositionFactors: []int64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1},
		Increment:       hexbid.Money(rapid.SampledFrom([]int64{0, 1, 999, 50_000}).Draw(t, "increment"))}
	for _, c := range plainCategories {
		m.Priors = append(m.Priors, hexbid.CategoryPrior{Category: c, PPM: 10 * rapid.Int64Range(1, 9000).Draw(t, "prior")})
	}
	for range rapid.IntRange(0, 4).Draw(t, "reserves") {
		m.Reserves = append(m.Reserves, hexbid.Reserve{
			Host:        rapid.SampledFrom([]hexbid.Host{0, hexbid.WeChat, hexbid.Alipay}).Draw(t, "host"),
			Scene:       rapid.SampledFrom([]hexbid.Scene{0, hexbid.NearbyList, hexbid.Search}).Draw(t, "scene"),
			Category:    rapid.SampledFrom(append(plainCategories, 0)).Draw(t, "category"),
			PerThousand: hexbid.Money(rapid.Int64Range(0, 30_000_000).Draw(t, "reserve"))})
	}
	return m
}

var plainCategories = []hexbid.Category{hexbid.Catering, hexbid.Finance, hexbid.Games}

// fillPlain fills a market with campaigns, each of its own advertiser, and returns them.
func fillPlain(t *rapid.T, e *Exchange) (all []plainBidder) {
	for i := range rapid.IntRange(1, 7).Draw(t, "campaigns") {
		name := fmt.Sprintf("advertisers/a%d", i)
		b := plainBidder{perView: rapid.IntRange(0, 2).Draw(t, "pays") == 0,
			category: rapid.SampledFrom(plainCategories).Draw(t, "category"),
			hosts:    rapid.SampledFrom([][]hexbid.Host{{hexbid.WeChat}, {hexbid.WeChat, hexbid.Alipay}}).Draw(t, "hosts"),
			bid:      rapid.Int64Range(10_000, 2_000_000).Draw(t, "bid")}
		c := &hexbid.Campaign{Meta: hexbid.Meta{Name: name + "/campaigns/c"}, DisplayName: "C", Program: name + "/programs/p",
			Pricing: hexbid.CPC, DailyBudget: 1_000_000_000, Pacing: hexbid.PaceASAP, Area: hexbid.Area{Everywhere: true}}
		if b.perView {
			c.Pricing, b.bid = hexbid.CPM, b.bid/100*1000
		}
		c.Bid = hexbid.Money(b.bid)
		for _, o := range e.Import(ctx, []hexbid.Resource{
			&hexbid.Advertiser{Meta: hexbid.Meta{Name: name}, DisplayName: "A"},
			&hexbid.Program{Meta: hexbid.Meta{Name: c.Program}, DisplayName: "P", Hosts: b.hosts, Category: b.category},
			c}, false) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			b.uid = o.Resource.Metadata().UID // that of the campaign, which is the last
		}
		all = append(all, b)
	}
	return all
}

// keptAuctions makes searches, fails unless each answers as the plain auction does, and returns the requests with the
// campaigns that ranked, one more than there are slots. tied says that hashes decided one of them.
func keptAuctions(t *rapid.T, e *Exchange, rules *hexbid.Market, all []plainBidder) (requests []*hexbid.Request,
	kept [][]plainBidder, tied bool) {
	for i := range rapid.IntRange(1, 50).Draw(t, "searches") {
		r := &hexbid.Request{Point: hub, RadiusM: 5000, NearbyLimit: 1, Slots: rapid.IntRange(1, 5).Draw(t, "slots"),
			Host:   rapid.SampledFrom([]hexbid.Host{hexbid.WeChat, hexbid.Alipay}).Draw(t, "host"),
			Scene:  rapid.SampledFrom([]hexbid.Scene{hexbid.NearbyList, hexbid.Search}).Draw(t, "scene"),
			Viewer: hexbid.Viewer{UserKey: fmt.Sprint("viewer ", i), Age: 30}}
		var there []plainBidder
		for _, b := range all {
			if slices.Contains(b.hosts, r.Host) {
				there = append(there, b)
			}
		}
		ranked, isTied := plainRank(rules, r, there)
		ranked = ranked[:min(len(ranked), r.Slots+1)]
		answer, err := e.Search(ctx, r, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var got []plainWin
		for _, s := range answer.Sponsored {
			got = append(got, plainWin{s.Campaign, int64(s.Price)})
		}
		if want := plainWins(rules, r, ranked); !isTied && !slices.Equal(got, want) {
			t.Fatalf("request %+v: the search awards %v, the plain auction %v", r, got, want)
		}
		requests, kept, tied = append(requests, r), append(kept, ranked), tied || isTied
	}
	return requests, kept, tied
}

// TestAForecastIsThatOfAPlainAuction compares forecasts with a plain evaluation of the second price that shares no code
// with the engine: its ranks, reserves, prices and sums are written down here once more.
func TestAForecastIsThatOfAPlainAuction(t *testing.T) {
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	seen := struct{ below, changed, dearer, cheaper, least int }{}
	rapid.Check(t, func(drawn *rapid.T) {
		s, now := store.NewMemory(), drawPlainRules(drawn)
		if _, err := FirstMarket(ctx, s, now, time.Now()); err != nil {
			drawn.Fatal(err)
		}
		e := openStored(t, s, keys)
		defer e.Close()
		e.config.AuctionBudget, e.config.ExploreShare, e.config.SwapPPM = time.Hour, 0, 0
		all := fillPlain(drawn, e)
		requests, kept, tied := keptAuctions(drawn, e, now, all)
		next := drawPlainRules(drawn)
		next.MinimumBidCPC = hexbid.Money(rapid.Int64Range(0, 2_000_000).Draw(drawn, "least bid a click"))
		next.MinimumBidCPM = hexbid.Money(rapid.Int64Range(0, 20_000).Draw(drawn, "least bid of CPM") * 1000)
		var want plainForecast
		for i := range requests {
			tied = want.add(now, next, requests[i], kept[i]) || tied
		}
		if tied {
			drawn.Skip("hashes decide who of two equals wins")
		}
		for _, b := range all {
			switch {
			case b.perView && b.bid < int64(next.MinimumBidCPM):
				want.ofCPM++
			case !b.perView && b.bid < int64(next.MinimumBidCPC):
				want.belowCPC++
			}
		}
		got, err := e.ForecastMarket(ctx, next)
		if err != nil {
			drawn.Fatal(err)
		}
		winners := max(want.before, 1)
		if n := uint64(len(requests)); got.Auctions != n || got.Sampled != n || got.SampledWinners != want.before ||
			got.WinnersBefore != want.before || got.WinnersAfter != want.after ||
			got.BelowReservePPM != int64(want.below*1_000_000/winners) ||
			got.ChangedPPM != int64(want.changed*1_000_000/winners) ||
			int64(got.RevenueBefore) != want.revenue[0]/1_000_000 || int64(got.RevenueAfter) != want.revenue[1]/1_000_000 ||
			got.BelowMinimumCPC != want.belowCPC || got.BelowMinimumCPM != want.ofCPM {
			drawn.Fatalf("the forecast is %+v, the plain one %+v of %d auctions", got, want, n)
		}
		for count, holds := range map[*int]bool{&seen.below: want.below > 0, &seen.changed: want.changed > want.below,
			&seen.dearer: want.revenue[1] > want.revenue[0], &seen.cheaper: want.revenue[1] < want.revenue[0],
			&seen.least: want.belowCPC*want.ofCPM > 0} {
			if holds {
				*count++
			}
		}
	})
	if seen.below*seen.changed*seen.dearer*seen.cheaper*seen.least == 0 {
		t.Errorf("the draws lack a case: %+v", seen)
	}
}
