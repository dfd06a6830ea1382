package receipt

import (
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger/fold"
)

// TestAQualityFollowsFromItsFactors alters what a quality was made of, one number at a time.
func TestAQualityFollowsFromItsFactors(t *testing.T) {
	lowered := auction.Prediction{BasePPM: 50_001, ScenePPM: 800_000, DistancePPM: 750_000, Band: 3}
	const quality = 30_000 // 50,001 × 0.8 is 40,000 when floored
	charge := func(p auction.Prediction) *Charge {
		basis := auction.Basis{Mechanism: hexbid.MechanismGSP,
			Pricing: hexbid.CPC, Bid: 2_000_000, MultiplierPPM: auction.PPM,
			QualityPPM: quality, Next: 30_000_000_000, Factors: []int64{1}}
		price, _ := basis.Price()
		return &Charge{Event: &fold.Event{Kind: hexbid.Click, Ruling: fold.Ruling{Charged: price},
			Award: fold.Award{Price: price, MarketVersion: 1, Basis: basis, Prediction: p}}}
	}
	for _, right := range []auction.Prediction{lowered, {}, auction.PredictionOf(quality)} {
		if err := charge(right).checkAmount(); err != nil {
			t.Errorf("%+v: %v", right, err)
		}
	}
	for what, change := range map[string]func(*auction.Prediction){
		"own quality": func(p *auction.Prediction) { p.BasePPM += 2 },
		"scene":       func(p *auction.Prediction) { p.ScenePPM -= 100 },
		"distance":    func(p *auction.Prediction) { p.DistancePPM += 100 },
	} {
		wrong := lowered
		change(&wrong)
		if err := charge(wrong).checkAmount(); err == nil || !strings.Contains(err.Error(), "quality_ppm") {
			t.Errorf("another %s: %v", what, err)
		}
	}
}
