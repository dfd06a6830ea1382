package market_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/simulator/market"
)

// skimmers see the second slot half as often as the first, whoever stands in it. The better campaign stands first.
type skimmers struct{ rate float64 }

func (s skimmers) Rate(time.Time) float64 { return s.rate }

func (skimmers) Search(*rand.Rand, time.Time) *hexbid.Request {
	return &hexbid.Request{Point: center, RadiusM: 3000, Slots: 2, Host: hexbid.WeChat, Scene: hexbid.NearbyList,
		ClientID: "app", Viewer: hexbid.Viewer{Age: hexbid.AgeUnknown}}
}

func (skimmers) React(r *rand.Rand, _ *hexbid.Request, s *exchange.Sponsored) market.Reaction {
	return market.Reaction{Seen: r.Float64() < 0.9/float64(s.Slot), SeenAfter: time.Second}
}

// TestTheMarketLearnsWhatSlotsAreWorth runs the real exchange: its swaps, tokens, events and versions of the market.
func TestTheMarketLearnsWhatSlotsAreWorth(t *testing.T) {
	m, err := market.Open(market.Config{Seed: 3, Start: start, People: skimmers{10}, Every: 10 * time.Second,
		Change: func(c *exchange.Config) { c.SwapPPM = exchange.MaxSwapPPM }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{"a", "b", "c"} {
		program := "advertisers/" + name + "/programs/p"
		if err := m.Put(&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/" + name}, DisplayName: name},
			&hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "P", Category: hexbid.Catering,
				Hosts: []hexbid.Host{hexbid.WeChat}, Path: "index"},
			&hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/" + name + "/campaigns/c"}, DisplayName: "c",
				Program: program, Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 2_000_000_000,
				Area: hexbid.Area{Everywhere: true}}); err != nil {
			t.Fatal(err)
		}
	}
	version, before := factorsInForce(t, m)
	if err := m.Run(50 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if now, factors := factorsInForce(t, m); now != version || factors[1]*before[0] != before[1]*factors[0] {
		t.Errorf("within the hour version %d became %d, with the factors %v", version, now, factors)
	}
	if err := m.Run(15 * time.Minute); err != nil {
		t.Fatal(err)
	}
	learned, factors := factorsInForce(t, m)
	ratio := float64(factors[1]) / float64(factors[0])
	if off := math.Abs(math.Log(ratio / 0.5)); learned <= version || off > 0.25 { // three standard errors are 0.19
		t.Errorf("version %d has the second slot at %.3f of the first; in truth it is half (assumed was %.3f)", learned,
			ratio, float64(before[1])/float64(before[0]))
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	if now, after := factorsInForce(t, m); now != learned || after[1] != factors[1] {
		t.Errorf("after a restart version %d has the factors %v; before it was %d with %v", now, after, learned, factors)
	}
}

// factorsInForce returns the market's version and position factors.
func factorsInForce(t *testing.T, m *market.Market) (uint64, []int64) {
	t.Helper()
	request := skimmers{}.Search(nil, m.Now())
	request.Trace = true
	out, err := m.Exchange.Search(market.Context, request, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return out.Trace.Snapshot.MarketVersion(), out.Trace.Snapshot.PositionFactors(&out.Trace.Query)
}
