package market_test

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/simulator/market"
)

// pair are two campaigns of one true rate. People see both slots, and click half as often on what stands in the second.
type pair struct {
	*town
	below float64
}

func (p *pair) React(r *rand.Rand, q *hexbid.Request, s *exchange.Sponsored) market.Reaction {
	reaction := p.town.React(r, q, s)
	if s.Slot == 2 {
		reaction.Clicked = reaction.Clicked && r.Float64() < p.below
	}
	return reaction
}

// TestEqualCampaignsEndEqualWhateverSlotTheyBeganIn: one bids more and always stands above, but for trials. The market
// begins with the belief that both slots are clicked alike, so at first it thinks less of the one below. What it saw
// then counts by what it has learned of slots since: after a day and a half they are equal within 5 %. A short run has
// some 500 clicks in trials of the second slot, which tell its share within 5 % (a standard error): its seed matters.
func TestEqualCampaignsEndEqualWhateverSlotTheyBeganIn(t *testing.T) {
	seeds, perSecond, within := []uint64{3}, 0.5, 0.07
	if os.Getenv("HEXBID_LONG") != "" {
		seeds, perSecond, within = []uint64{3, 4, 5, 6, 7}, 5, 0.05
	}
	for _, seed := range seeds {
		people := &pair{&town{perSecond: perSecond, streets: 1, slots: 2, rates: map[hexbid.UID]float64{}}, 0.5}
		m, err := market.Open(market.Config{Seed: seed, Start: start, People: people, Every: 30 * time.Second,
			Change: func(c *exchange.Config) { c.SwapPPM, c.ExploreShare = exchange.MaxSwapPPM, 0 }})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		above, below := settle(t, m, "above", 0, 1_000_000), settle(t, m, "below", 0, 300_000)
		people.rates[above], people.rates[below] = 0.8, 0.8
		early := qualityRatio(t, m, time.Duration(900/perSecond)*time.Second, below, above)
		late := qualityRatio(t, m, 36*time.Hour, below, above)
		t.Logf("seed %d: the one below has %.3f of the other's quality after 900 searches, and %.3f in the end", seed, early,
			late)
		if early > 0.85 || math.Abs(late-1) > within {
			t.Errorf("seed %d: the one below ends at %.3f of the other, after %.3f", seed, late, early)
		}
		if err := m.Restart(); err != nil {
			t.Fatal(err)
		}
		if again := qualityRatio(t, m, 36*time.Hour, below, above); math.Abs(again/late-1) > 0.03 {
			t.Errorf("seed %d: a restart makes of %.3f %.3f", seed, late, again)
		}
	}
}

// qualityRatio runs a market until so long after its start, and compares the qualities of two campaigns.
func qualityRatio(t *testing.T, m *market.Market, until time.Duration, of, to hexbid.UID) float64 {
	t.Helper()
	if err := m.Run(start.Add(until).Sub(m.Now())); err != nil {
		t.Fatal(err)
	}
	live, err := m.Exchange.LiveStates(market.Context)
	if err != nil {
		t.Fatal(err)
	}
	return float64(live(of).QualityPPM) / float64(live(to).QualityPPM)
}
