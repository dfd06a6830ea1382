package market_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/simulator/market"
)

var (
	center = hexbid.Point{Lat: 30.25, Lng: 120.15}
	start  = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
)

// crowd searches at a rate that doubles at noon, sees every result and clicks on one in five.
type crowd struct{ rate float64 }

func (c crowd) Rate(at time.Time) float64 {
	if at.Hour() >= 12 {
		return 2 * c.rate
	}
	return c.rate
}

func (crowd) Search(r *rand.Rand, _ time.Time) *hexbid.Request {
	return &hexbid.Request{Point: center, RadiusM: 3000, Slots: 1, Host: hexbid.WeChat, Scene: hexbid.NearbyList,
		ClientID: "app", Viewer: hexbid.Viewer{Age: hexbid.AgeUnknown}}
}

func (crowd) React(r *rand.Rand, _ *hexbid.Request, _ *exchange.Sponsored) market.Reaction {
	return market.Reaction{Seen: true, SeenAfter: time.Second, Clicked: r.IntN(5) == 0,
		ClickedAfter: time.Duration(2+r.IntN(20)) * time.Second}
}

// run runs a market of one campaign, and returns it with the lines of what happened.
func run(t *testing.T, seed uint64, length time.Duration, restart bool) (lines []string, spent hexbid.Money) {
	t.Helper()
	m, err := market.Open(market.Config{Seed: seed, Start: start, People: crowd{0.01}, Every: 10 * time.Second,
		Change: func(c *exchange.Config) { c.Market.Mechanism = hexbid.MechanismFirstPrice },
		Answered: func(e *market.Event, r *hexbid.EventResult) {
			lines = append(lines, fmt.Sprint(e.Kind, " ", r.Outcome, " ", r.Charged))
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := &hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a/campaigns/c"}, DisplayName: "c",
		Program: "advertisers/a/programs/p", Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 2_000_000_000,
		Area: hexbid.Area{Everywhere: true}}
	if err := m.Put(&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A"},
		&hexbid.Program{Meta: hexbid.Meta{Name: c.Program}, DisplayName: "P", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}, Path: "index"}, c); err != nil {
		t.Fatal(err)
	}
	if err := m.Run(length / 2); err != nil {
		t.Fatal(err)
	}
	if restart {
		if err := m.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Run(length / 2); err != nil {
		t.Fatal(err)
	}
	if at := start.Add(length); !m.Now().Equal(at) {
		t.Errorf("it is %s, and should be %s", m.Now(), at)
	}
	account, err := m.Exchange.CampaignSpend(market.Context, hexbid.Account{Name: c.Name})
	if err != nil {
		t.Fatal(err)
	}
	return lines, account.Total.Charged
}

func TestEqualSeedsGiveEqualMarkets(t *testing.T) {
	lines, spent := run(t, 7, 24*time.Hour, false)
	again, spentAgain := run(t, 7, 24*time.Hour, false)
	if !slices.Equal(lines, again) || spent != spentAgain || spent == 0 {
		t.Errorf("%d events for %s, and again %d for %s", len(lines), spent, len(again), spentAgain)
	}
	if other, _ := run(t, 8, 24*time.Hour, false); slices.Equal(lines, other) {
		t.Error("another seed gives the same market")
	}
	searches := 0.01 * 1.5 * 86_400
	if n := float64(len(lines)) / 1.2; n < 0.9*searches || n > 1.1*searches {
		t.Errorf("%d events for %.0f searches, of which each makes 1.2", len(lines), searches)
	}
}

func TestAMarketGoesOnAfterARestart(t *testing.T) {
	lines, spent := run(t, 7, 24*time.Hour, true)
	if len(lines) < 1000 || spent == 0 {
		t.Errorf("%d events for %s", len(lines), spent)
	}
}
