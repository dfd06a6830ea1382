package exchange

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// searchAround makes searches whose requests have hashes of every size.
func searchAround(t testing.TB, e *Exchange, n int) {
	t.Helper()
	for i := range n {
		r := &hexbid.Request{Point: hexbid.Point{Lat: hub.Lat + 0.002*float64(i%5), Lng: hub.Lng}, RadiusM: 5000,
			NearbyLimit: 1, Slots: 1 + i%10, Host: []hexbid.Host{hexbid.WeChat, hexbid.Alipay}[i%2],
			Scene:  []hexbid.Scene{0, hexbid.NearbyList, hexbid.Search}[i%3],
			Viewer: hexbid.Viewer{UserKey: fmt.Sprint("viewer ", i), Age: 30}}
		if _, err := e.Search(ctx, r, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// winnersOf runs sampled auctions by the rules of a market.
func winnersOf(s *bidder.Snapshot, m *bidder.Market, hour []minuteSample) (all []string) {
	replay := bidder.NewReplay(s, m)
	for i := range hour {
		for j := range hour[i].sampled {
			for _, a := range replay.Run(&hour[i].sampled[j]) {
				all = append(all, fmt.Sprintf("%d.%d slot %d: %d pays %d by %s, %+v", i, j, a.Slot, a.Entry.CampaignUID, a.Price,
					a.SetBy, a.Entry.Prediction))
			}
		}
	}
	return all
}

// TestAForecastIsWhatTheUpdateThenDoes forecasts an update, makes it, and runs the sample again by the rules in force
// then. Forecasting changes nothing. Sampled auctions come out as they did, by the rules they were held by.
func TestAForecastIsWhatTheUpdateThenDoes(t *testing.T) {
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(drawn *rapid.T) {
		s := store.NewMemory()
		first := drawMarket(drawn)
		first.MinimumBidCPC, first.MinimumBidCPM = 0, 0
		if _, err := FirstMarket(ctx, s, first, now); err != nil {
			drawn.Fatal(err)
		}
		e := openStored(t, s, keys)
		defer e.Close()
		e.config.AuctionBudget, e.config.ExploreShare = time.Hour, MaxExploreShare
		fillShops(t, e, drawn)
		searchAround(t, e, 40)
		hour := e.market.sample.lastHour(now.Unix() / 60)
		if len(hour) != 1 || hour[0].auctions != 40 || len(hour[0].sampled) != 40 {
			drawn.Fatalf("%d minutes are sampled: %+v", len(hour), hour)
		}
		next, before := drawMarket(drawn), s.Version()
		next.Reserves = slices.DeleteFunc(next.Reserves, func(r hexbid.Reserve) bool { return r.Region != "" })
		foreseen, err := e.ForecastMarket(ctx, next)
		if err != nil {
			drawn.Fatal(err)
		}
		if again, err := e.ForecastMarket(ctx, next); err != nil || !reflect.DeepEqual(again, foreseen) {
			drawn.Fatalf("a second forecast: %+v, %v, first %+v", again, err, foreseen)
		}
		if s.Version() != before {
			drawn.Fatal("a forecast writes")
		}
		compiled, err := bidder.MarketOf(next)
		if err != nil {
			drawn.Fatal(err)
		}
		old := e.indexer.Snapshot()
		want := winnersOf(old, e.market.withLearned(&compiled, old.MarketVersion()), hour)
		oldWinners := winnersOf(old, old.Market(), hour)
		if _, err := updateMarket(e, next, store.AnyVersion); err != nil {
			drawn.Fatal(err)
		}
		fresh := e.indexer.Snapshot()
		if got := winnersOf(fresh, fresh.Market(), hour); !slices.Equal(got, want) {
			drawn.Fatalf("forecast %q\nin force %q", want, got)
		}
		if foreseen.WinnersAfter != uint64(len(want)) || foreseen.WinnersBefore != uint64(len(oldWinners)) ||
			foreseen.SampledWinners != uint64(len(oldWinners)) {
			drawn.Fatalf("%+v: %d winners before and %d after", foreseen, len(oldWinners), len(want))
		}
		same, err := e.ForecastMarket(ctx, next)
		if err != nil || same.RevenueBefore != same.RevenueAfter || same.BelowReservePPM+same.ChangedPPM != 0 {
			drawn.Fatalf("an update that changes nothing: %+v, %v", same, err)
		}
		if same.WinnersBefore != foreseen.WinnersAfter {
			drawn.Fatalf("%d winners were foreseen, %d are in force", foreseen.WinnersAfter, same.WinnersBefore)
		}
	})
}

// TestASampledAuctionRunsAgainAsItRan compares prices of the searches with those of the sample.
func TestASampledAuctionRunsAgainAsItRan(t *testing.T) {
	s := store.NewMemory()
	if _, err := FirstMarket(ctx, s, &hexbid.Market{Increment: 3, Mechanism: hexbid.MechanismVCG,
		Reserves: []hexbid.Reserve{{PerThousand: 2_999_999}}}, now); err != nil {
		t.Fatal(err)
	}
	e := openOn(t, s, 1_000_000)
	e.config.AuctionBudget, e.config.Cards = time.Hour, plainCards{}
	fillMany(t, e, 1)
	other := []hexbid.Resource{&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/b"}, DisplayName: "B"},
		&hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/b/programs/p"}, DisplayName: "P", Category: hexbid.Finance,
			Hosts: []hexbid.Host{hexbid.WeChat, hexbid.Alipay}},
		&hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/b/campaigns/c"}, DisplayName: "C", Bid: 900_000,
			Program: "advertisers/b/programs/p", Pricing: hexbid.CPC, DailyBudget: 10_000_000,
			Area: hexbid.Area{Everywhere: true}}}
	for _, o := range e.Import(ctx, other, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	paid := map[hexbid.Money]int{}
	for range 30 {
		r, err := e.Search(ctx, at(hub), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range r.Sponsored {
			paid[w.Price]++
		}
	}
	again, replay := map[hexbid.Money]int{}, bidder.NewReplay(e.indexer.Snapshot(), e.indexer.Snapshot().Market())
	for _, m := range e.market.sample.lastHour(now.Unix() / 60) {
		for i := range m.sampled {
			for _, a := range replay.Run(&m.sampled[i]) {
				again[a.Price]++
			}
		}
	}
	if len(paid) < 2 || !reflect.DeepEqual(paid, again) {
		t.Errorf("searches cost %v, their sample %v", paid, again)
	}
}

// TestAForecastCountsInWholeNumbers forecasts a reserve that keeps out one of two winners, and a least bid.
func TestAForecastCountsInWholeNumbers(t *testing.T) {
	s := store.NewMemory()
	if _, err := FirstMarket(ctx, s, &hexbid.Market{Distance: &hexbid.DistanceTable{}}, now); err != nil {
		t.Fatal(err)
	}
	e := openOn(t, s, 1_000_000)
	e.config.AuctionBudget, e.config.Cards = time.Hour, plainCards{}
	if f, err := e.ForecastMarket(ctx, &hexbid.Market{}); err != nil || f.Auctions != 0 ||
		!strings.Contains(strings.Join(f.Notices, " "), "no auction") {
		t.Errorf("without a sample: %+v, %v", f, err)
	}
	fillMany(t, e, 2) // of one advertiser, at 100,000 and 100,001 a click
	const searches = 50
	for range searches {
		if _, err := e.Search(ctx, at(hub), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	reserve := &hexbid.Market{Distance: &hexbid.DistanceTable{}, MinimumBidCPC: 100_001,
		Reserves: []hexbid.Reserve{{PerThousand: 1_500_000}}}
	f, err := e.ForecastMarket(ctx, reserve)
	if err != nil {
		t.Fatal(err)
	}
	// A click costs ceil(1,500,000/1000 · 10⁶ / 30,000) = 50,000 then, instead of nothing, at a chance of 3 %.
	if f.Auctions != searches || f.Sampled != searches || f.WinnersBefore != searches || f.WinnersAfter != searches ||
		f.RevenueBefore != 0 || f.RevenueAfter != searches*50_000*3/100 || f.BelowReservePPM != 0 || f.ChangedPPM != 0 ||
		f.BelowMinimumCPC != 1 || f.BelowMinimumCPM != 0 {
		t.Errorf("%+v", f)
	}
	// By a prior of 1 % a bid of 0.100001 scores 1,000,010 a thousand, below the reserve.
	reserve.Priors = []hexbid.CategoryPrior{{Category: hexbid.Catering, PPM: 10_000}}
	if f, err := e.ForecastMarket(ctx, reserve); err != nil || f.WinnersAfter != 0 || f.BelowReservePPM != auction.PPM {
		t.Errorf("by a third of the prior: %+v, %v", f, err)
	}
	reserve.Priors = nil
	reserve.Reserves[0].PerThousand = 30_000_000 // above every score
	if f, err := e.ForecastMarket(ctx, reserve); err != nil || f.WinnersAfter != 0 || f.BelowReservePPM != auction.PPM ||
		f.ChangedPPM != auction.PPM {
		t.Errorf("%+v, %v", f, err)
	}
	reserve.Reserves[0].PerThousand = -1
	if _, err := e.ForecastMarket(ctx, reserve); hexbid.KindOf(err) != hexbid.Invalid {
		t.Errorf("a negative reserve: %v", err)
	}
}

// TestTheSampleIsBounded offers far more than the sample holds.
func TestTheSampleIsBounded(t *testing.T) {
	var s auctionSample
	kept, first := 0, int64(29_000_000)
	for minute := first; minute < first+2*sampleMinutes; minute++ {
		for i := range 5000 {
			ties := auction.NewTieBreak(fmt.Sprint(minute, " ", i))
			s.offer(minute, ties.SampleHash(), func(*bidder.SampledAuction) { kept++ })
		}
	}
	hour := s.lastHour(first + 2*sampleMinutes - 1)
	if len(hour) != sampleMinutes {
		t.Fatalf("%d minutes", len(hour))
	}
	for i := range hour {
		if hour[i].auctions != 5000 || len(hour[i].sampled) != sampleAMinute {
			t.Errorf("minute %d has %d auctions, %d sampled", i, hour[i].auctions, len(hour[i].sampled))
		}
	}
	if perMinute := kept / (2 * sampleMinutes); perMinute > 6*sampleAMinute {
		t.Errorf("%d auctions a minute take the lock", perMinute)
	}
	if bytes := unsafe.Sizeof(keptAuction{}) * sampleAMinute * sampleMinutes; bytes > 2<<20 {
		t.Errorf("the sample takes %d bytes", bytes)
	}
	if old := s.lastHour(first + 3*sampleMinutes); len(old) != 0 {
		t.Errorf("%d minutes are older than an hour", len(old))
	}
}
