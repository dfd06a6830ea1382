package exchange

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/ledger/audit"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// drawMarket draws a valid market, near the borders of what matters in the markets below.
func drawMarket(t *rapid.T) *hexbid.Market {
	m := &hexbid.Market{Meta: hexbid.Meta{Name: hexbid.MarketName},
		Mechanism:     hexbid.Mechanism(rapid.IntRange(0, 3).Draw(t, "mechanism")),
		Increment:     hexbid.Money(rapid.SampledFrom([]int64{0, 7, 50_000}).Draw(t, "increment")),
		MinimumBidCPC: hexbid.Money(rapid.SampledFrom([]int64{0, 90_000, 400_000}).Draw(t, "minimum")),
		MinimumBidCPM: hexbid.Money(rapid.SampledFrom([]int64{0, 9_000_000}).Draw(t, "minimum of CPM"))}
	for _, c := range []hexbid.Category{hexbid.Catering, hexbid.Finance, hexbid.Games} {
		if rapid.Bool().Draw(t, "prior") {
			m.Priors = append(m.Priors, hexbid.CategoryPrior{Category: c,
				PPM: rapid.SampledFrom([]int64{1, 900, 20_000, 31_000, 800_000, 1_000_000}).Draw(t, "prior of "+c.String())})
		}
	}
	if rapid.Bool().Draw(t, "pins positions") {
		m.PositionFactors = []int64{1000, 900, 800, 300, 290, 280, 270, 260, 250, rapid.Int64Range(1, 250).Draw(t, "last")}
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "reserves") {
		m.Reserves = append(m.Reserves, hexbid.Reserve{
			Host:     rapid.SampledFrom([]hexbid.Host{0, hexbid.WeChat, hexbid.Alipay}).Draw(t, "host"),
			Scene:    rapid.SampledFrom([]hexbid.Scene{0, hexbid.NearbyList, hexbid.Search}).Draw(t, "scene"),
			Category: rapid.SampledFrom([]hexbid.Category{0, hexbid.Catering, hexbid.Finance}).Draw(t, "category"),
			Region:   rapid.SampledFrom([]string{"", "330100", "310000"}).Draw(t, "region"),
			PerThousand: hexbid.Money(rapid.SampledFrom([]int64{0, 1_000_000, 5_000_001, 30_000_000}).Draw(t,
				fmt.Sprint("reserve ", i)))})
	}
	if rapid.Bool().Draw(t, "scene") {
		m.SceneMechanisms = []hexbid.SceneMechanism{{Scene: hexbid.Search, Mechanism: hexbid.MechanismVCG}}
	}
	switch rapid.IntRange(0, 2).Draw(t, "distance") {
	case 1:
		m.Distance = &hexbid.DistanceTable{}
	case 2:
		m.Distance = &hexbid.DistanceTable{EndsM: []float64{rapid.Float64Range(10, 2000).Draw(t, "end")},
			Factors: []hexbid.CategoryDistance{{FactorPPM: []int64{900_000, 200_000}, WithoutPlacePPM: 100_000},
				{Category: hexbid.Games, FactorPPM: []int64{1_000_000, 1_000_000}}}}
	}
	return m
}

// fillShops fills a market with campaigns of shops that compete over the hub.
func fillShops(t testing.TB, e *Exchange, drawn *rapid.T) (uids []hexbid.UID) {
	t.Helper()
	var all []hexbid.Resource
	for a := range rapid.IntRange(2, 14).Draw(drawn, "advertisers") {
		name := fmt.Sprintf("advertisers/a%d", a)
		shop := name + "/programs/p"
		all = append(all, &hexbid.Advertiser{Meta: hexbid.Meta{Name: name}, DisplayName: "A"},
			&hexbid.Program{Meta: hexbid.Meta{Name: shop}, DisplayName: "P",
				Hosts:    []hexbid.Host{hexbid.WeChat, hexbid.Alipay},
				Category: rapid.SampledFrom([]hexbid.Category{hexbid.Catering, hexbid.Finance, hexbid.Games}).Draw(drawn, "of")})
		if rapid.Bool().Draw(drawn, "has a place") {
			all = append(all, &hexbid.Place{Meta: hexbid.Meta{Name: shop + "/places/l"}, DisplayName: "L",
				Point: hexbid.Point{Lat: hub.Lat + 0.001*float64(a), Lng: hub.Lng}})
		}
		c := &hexbid.Campaign{Meta: hexbid.Meta{Name: name + "/campaigns/c"}, DisplayName: "C", Program: shop,
			Pricing: hexbid.CPC, DailyBudget: 1_000_000_000, Pacing: hexbid.PaceASAP, Area: hexbid.Area{Everywhere: true},
			Bid: hexbid.Money(rapid.SampledFrom([]int64{100_000, 200_000, 200_001, 500_000, 1_000_000}).Draw(drawn, "bid"))}
		if rapid.IntRange(0, 3).Draw(drawn, "pays by impression") == 0 {
			c.Pricing, c.Bid = hexbid.CPM, c.Bid*30
		}
		all = append(all, c)
	}
	for _, o := range e.Import(ctx, all, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if c, ok := o.Resource.(*hexbid.Campaign); ok {
			uids = append(uids, c.UID)
		}
	}
	return uids
}

// handIns hands the same live states in to every exchange.
func handIns(t testing.TB, drawn *rapid.T, uids []hexbid.UID, to func(bidder.Owner, []bidder.LiveUpdate)) {
	t.Helper()
	for _, uid := range uids {
		switch rapid.IntRange(0, 3).Draw(drawn, "knows") {
		case 1:
			to(bidder.OwnerQuality, []bidder.LiveUpdate{{Campaign: uid, QualityPPM: 25_000}})
		case 2:
			to(bidder.OwnerLedger, []bidder.LiveUpdate{{Campaign: uid,
				Left: hexbid.Money(rapid.SampledFrom([]int64{80_000, 100_000, 390_000}).Draw(drawn, "left"))}})
		}
	}
}

// awardsIn runs auctions over the hub and describes what they award.
func awardsIn(t testing.TB, e *Exchange) (all []string) {
	t.Helper()
	s, at, err := e.indexer.SnapshotNow(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var work bidder.Scratch
	for i := range 24 {
		r := &hexbid.Request{Point: hexbid.Point{Lat: hub.Lat + 0.002*float64(i%5), Lng: hub.Lng}, Slots: 1 + i%10,
			Host:  []hexbid.Host{hexbid.WeChat, hexbid.Alipay}[i%2],
			Scene: []hexbid.Scene{0, hexbid.NearbyList, hexbid.Search}[i%3]}
		q := bidder.NewQuery(r, fmt.Sprint("request ", i), at)
		pricing, plain := s.PricingOf(&q), s.Plain(&q)
		for j, a := range s.Search(&q, &work) {
			all = append(all, fmt.Sprintf("request %d slot %d: campaign %d pays %d set by %s, %+v", i, a.Slot,
				a.Entry.CampaignUID, a.Price, a.SetBy, a.Basis(&pricing)))
			if j >= len(plain.Awards) || plain.Awards[j].Entry.CampaignUID != a.Entry.CampaignUID {
				t.Fatalf("request %d: slot %d is of campaign %d, and the plain evaluation says %+v", i, a.Slot,
					a.Entry.CampaignUID, plain.Awards)
			}
		}
	}
	return all
}

// openStored opens an exchange on a store that has a market.
func openStored(t testing.TB, s store.Store, keys *token.Keys) *Exchange {
	t.Helper()
	config := DefaultConfig()
	config.Clock, config.Log, config.Cards, config.CacheBytes = func() time.Time { return now },
		slog.New(slog.DiscardHandler), plainCards{}, 1<<20
	e, err := Open(ctx, config, s, keys)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// updateMarket updates all fields of the market.
func updateMarket(e *Exchange, next *hexbid.Market, ifVersion uint64) (*hexbid.Market, error) {
	r, err := e.Update(ctx, hexbid.MarketName, ifVersion, false, func(hexbid.Resource) (hexbid.Resource, error) {
		own := *next
		return &own, nil
	})
	if err != nil {
		return nil, err
	}
	return r.(*hexbid.Market), nil
}

// TestAnUpdatedMarketIsThatOfAFreshStart updates a market several times, and compares it with one that starts with the
// last rules.
func TestAnUpdatedMarketIsThatOfAFreshStart(t *testing.T) {
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(drawn *rapid.T) {
		s := store.NewMemory()
		first := drawMarket(drawn)
		first.MinimumBidCPC, first.MinimumBidCPM = 0, 0 // so that all campaigns can be written
		if _, err := FirstMarket(ctx, s, first, now); err != nil {
			drawn.Fatal(err)
		}
		e := openStored(t, s, keys)
		defer e.Close()
		uids := fillShops(t, e, drawn)
		type said struct {
			owner   bidder.Owner
			updates []bidder.LiveUpdate
		}
		var known []said
		handIns(t, drawn, uids, func(o bidder.Owner, u []bidder.LiveUpdate) {
			known = append(known, said{o, u})
			if err := e.HandIn(ctx, o, u); err != nil {
				drawn.Fatal(err)
			}
		})
		for range rapid.IntRange(1, 3).Draw(drawn, "updates") {
			if _, err := updateMarket(e, drawMarket(drawn), store.AnyVersion); err != nil {
				drawn.Fatal(err)
			}
		}
		fresh := openStored(t, s, keys)
		defer fresh.Close()
		for _, k := range known {
			if err := fresh.HandIn(ctx, k.owner, k.updates); err != nil {
				drawn.Fatal(err)
			}
		}
		if err := e.indexer.WaitForReturns(ctx); err != nil {
			drawn.Fatal(err)
		}
		if got, want := awardsIn(t, e), awardsIn(t, fresh); !slices.Equal(got, want) {
			drawn.Fatalf("updated: %q\nfresh:   %q", got, want)
		}
		updated, started := *e.indexer.Snapshot().Market(), *fresh.indexer.Snapshot().Market()
		if updated.Version, started.Version = 0, 0; !reflect.DeepEqual(updated, started) {
			drawn.Fatalf("updated: %+v\nfresh:   %+v", updated, started)
		}
	})
}

// TestEverySnapshotHasThePriorsOfOneMarket looks at snapshots while priors jump. No campaign has a prior of another
// market than its neighbours, and searches agree with the plain evaluation throughout.
func TestEverySnapshotHasThePriorsOfOneMarket(t *testing.T) {
	s := store.NewMemory()
	if _, err := FirstMarket(ctx, s, &hexbid.Market{}, now); err != nil {
		t.Fatal(err)
	}
	e := openOn(t, s, 1_000_000)
	uids := fillMany(t, e, 3000)
	stop, looked := make(chan struct{}), 0
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			snapshot := e.indexer.Snapshot()
			for _, uid := range uids {
				live, there := snapshot.LiveState(uid)
				if want := snapshot.Market().PriorPPM[hexbid.Catering]; !there || live.QualityPPM != want {
					t.Errorf("campaign %d has %+v in a market of %d", uid, live, want)
					return
				}
			}
			looked++
		}
	})
	for _, prior := range []int64{500_000, 1000, 900_000, 30_000} {
		next := &hexbid.Market{Meta: hexbid.Meta{Name: hexbid.MarketName}, Reserves: []hexbid.Reserve{{PerThousand: 5}},
			Priors: []hexbid.CategoryPrior{{Category: hexbid.Catering, PPM: prior}}}
		if _, err := updateMarket(e, next, store.AnyVersion); err != nil {
			t.Fatal(err)
		}
		if got := e.indexer.Snapshot().Market().PriorPPM[hexbid.Catering]; got != prior {
			t.Errorf("the update to %d returned in a market of %d", prior, got)
		}
		awardsIn(t, e)
	}
	close(stop)
	looking.Wait()
	if looked == 0 {
		t.Error("no snapshot was looked at whole")
	}
}

// fillMany fills a market with campaigns of one program over the hub.
func fillMany(t testing.TB, e *Exchange, n int) (uids []hexbid.UID) {
	t.Helper()
	all := []hexbid.Resource{&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A"},
		&hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "P", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat, hexbid.Alipay}}, place("l", hub)}
	for i := range n {
		c := campaign(fmt.Sprint(i))
		c.Bid = hexbid.Money(100_000 + i)
		all = append(all, c)
	}
	for some := range slices.Chunk(all, 2000) {
		for _, o := range e.Import(ctx, some, false) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			if c, ok := o.Resource.(*hexbid.Campaign); ok {
				uids = append(uids, c.UID)
			}
		}
	}
	return uids
}

func TestOfTwoWritersOfTheMarketOneIsTold(t *testing.T) {
	s := store.NewMemory()
	if _, err := FirstMarket(ctx, s, &hexbid.Market{}, now); err != nil {
		t.Fatal(err)
	}
	e := openOn(t, s, 1_000_000)
	for round := range 20 {
		r, err := e.Get(ctx, hexbid.MarketName)
		if err != nil {
			t.Fatal(err)
		}
		var failures [2]error
		var writing sync.WaitGroup
		for i := range failures {
			writing.Go(func() {
				next := *r.(*hexbid.Market)
				next.Increment = hexbid.Money(10*round + i + 1)
				_, failures[i] = updateMarket(e, &next, r.Metadata().Version)
			})
		}
		writing.Wait()
		won := 0
		for i, err := range failures {
			switch {
			case err == nil:
				won++
				if got := e.indexer.Snapshot().Market().Increment; got != hexbid.Money(10*round+i+1) {
					t.Errorf("the writer of %d finds %d in force", 10*round+i+1, got)
				}
			case hexbid.KindOf(err) != hexbid.Stale:
				t.Error(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d of two writers with one etag succeed: %v", won, failures)
		}
	}
}

// TestTheStoredMarketOutlastsOtherSettings stores a first market, restarts with others, and changes it between.
func TestTheStoredMarketOutlastsOtherSettings(t *testing.T) {
	s := store.NewMemory()
	first, err := FirstMarket(ctx, s, &hexbid.Market{Increment: 5}, now)
	if err != nil || first.Mechanism != hexbid.MechanismGSP || len(first.Priors) != int(hexbid.CategoryCount)-1 {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := FirstMarket(ctx, s, &hexbid.Market{Increment: 9}, now); err != nil || again.Increment != 5 ||
		again.Version != first.Version {
		t.Fatalf("%+v, %v", again, err)
	}
	e := openOn(t, s, 1_000_000)
	if got := e.indexer.Snapshot().Market().Increment; got != 5 {
		t.Errorf("the increment is %d, and 5 is stored", got)
	}
	if err := e.Delete(ctx, hexbid.MarketName, store.AnyVersion, false); hexbid.KindOf(err) != hexbid.InUse {
		t.Errorf("deleting the market: %v", err)
	}
	if _, err := FirstMarket(ctx, store.NewMemory(), &hexbid.Market{Increment: -1}, now); err == nil {
		t.Error("a first market with a negative increment is stored")
	}
}

// TestRulesThatDoNotGoWithWhatWasLearnedLeaveAllAsItWas has learned a factor that no auction takes. The same rules come
// into force once that is mended: they are not taken to be in force already.
func TestRulesThatDoNotGoWithWhatWasLearnedLeaveAllAsItWas(t *testing.T) {
	e := openOn(t, store.NewMemory(), 1_000_000)
	rules := &hexbid.Market{Meta: hexbid.Meta{Name: hexbid.MarketName}, Increment: 77}
	completeMarket(rules)
	m := e.market
	before, operator := m.inForce, m.operator.Load()
	m.inForce.Learned.SceneFactorPPM = &bidder.SceneFactors{{-1}}
	m.change(ctx, rules)
	if m.inForce.number != before.number || m.inForce.Operator != before.Operator || m.operator.Load() != operator {
		t.Errorf("version %d is in force, after %d", m.inForce.number, before.number)
	}
	m.inForce.Learned = before.Learned
	m.change(ctx, rules)
	if got := e.indexer.Snapshot().Market().Increment; got != 77 {
		t.Errorf("the increment is %d, want 77", got)
	}
}

// TestTokensReceiptsAndVersionsOutlastMarkets changes the market between an award and its click, restarts, and clicks
// again. Prices are those of the award, versions never repeat, and an audit agrees with all of it.
func TestTokensReceiptsAndVersionsOutlastMarkets(t *testing.T) {
	m := openTill(t, nil)
	if _, err := FirstMarket(ctx, m.store, &hexbid.Market{Reserves: []hexbid.Reserve{{PerThousand: 3_000_000}},
		Distance: &hexbid.DistanceTable{}}, now); err != nil {
		t.Fatal(err)
	}
	m.stop()
	m.start()
	fill(t, m.Exchange, campaign("c"), place("l", hub))
	seen := map[uint64]bool{}
	for i := range 6 {
		award := &m.awards()[0]
		version := m.indexer.Snapshot().MarketVersion()
		if seen[version] {
			t.Fatalf("version %d is that of two markets", version)
		}
		seen[version] = true
		stored, err := storedMarket(ctx, m.store)
		if err != nil {
			t.Fatal(err)
		}
		next := *stored
		next.Reserves = []hexbid.Reserve{{PerThousand: stored.Reserves[0].PerThousand + 300_000}}
		if i%2 == 1 {
			next.PositionFactors = []int64{1000, 900, 800, 700, 600, 500, 400, 300, 200, int64(100 - i)}
		}
		if _, err := updateMarket(m.Exchange, &next, stored.Version); err != nil {
			t.Fatal(err)
		}
		want := hexbid.Money(stored.Reserves[0].PerThousand / 1000 * 1_000_000 / 30_000)
		if r := m.click(award); r.Charged != want || award.Price != want {
			t.Errorf("a click of market %d costs %d of %d, want %d", version, r.Charged, award.Price, want)
		}
		if i%3 == 2 {
			m.stop()
			m.start()
			if got := m.indexer.Snapshot().Market(); got.Reserves[0] != next.Reserves[0] || got.Version <= version {
				t.Errorf("after a restart version %d with %+v is in force", got.Version, got.Reserves)
			}
		}
	}
	if err := m.ledger.Read(ctx, func(v journal.View) error {
		report, err := audit.Verify(ctx, audit.Options{View: v, Now: m.now()})
		if err == nil && !report.OK() {
			t.Errorf("the audit finds %v", report.Faults)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
