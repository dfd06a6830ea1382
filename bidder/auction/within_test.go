package auction

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

// eventCost returns what one event costs at a paced bid.
func eventCost(pricing hexbid.PricingModel, bid hexbid.Money, multiplierPPM int64) hexbid.Money {
	paced, _ := Pace(pricing, bid, multiplierPPM, PPM)
	if pricing == hexbid.CPM {
		return paced / 1000
	}
	return paced
}

func TestTheMultiplierIsTheHighestThatKeepsAnEventWithinWhatIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pricing := rapid.SampledFrom([]hexbid.PricingModel{hexbid.CPC, hexbid.CPM}).Draw(t, "pricing")
		_, most := pricing.BidLimits()
		bid := hexbid.Money(rapid.OneOf(rapid.Int64Range(1, 5000), rapid.Int64Range(1, int64(most)),
			rapid.Just(int64(most))).Draw(t, "bid"))
		left := hexbid.Money(rapid.OneOf(rapid.Int64Range(1, 5000), rapid.Int64Range(1, 2*int64(most)),
			rapid.Just(int64(1)<<62)).Draw(t, "left"))
		m := MultiplierWithin(pricing, bid, left)
		if m < 0 || m > PPM || eventCost(pricing, bid, m) > left {
			t.Fatalf("with %d ppm an event costs %d, and %d is left", m, eventCost(pricing, bid, m), left)
		}
		if m < PPM && eventCost(pricing, bid, m+1) <= left {
			t.Fatalf("%d ppm, but %d ppm would keep within %d too", m, m+1, left)
		}
	})
}

func TestNothingIsLeftForAMultiplierOfNothing(t *testing.T) {
	for _, left := range []hexbid.Money{0, -1} {
		if m := MultiplierWithin(hexbid.CPC, 1000, left); m != 0 {
			t.Errorf("%d ppm with %d left", m, left)
		}
	}
}

func TestMultiplierToReachIsTheLeastThatEnters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pricing := rapid.SampledFrom([]hexbid.PricingModel{hexbid.CPC, hexbid.CPM}).Draw(t, "pricing")
		_, most := pricing.BidLimits()
		bid := hexbid.Money(rapid.Int64Range(1, int64(most)).Draw(t, "bid"))
		quality := rapid.Int64Range(1, PPM).Draw(t, "quality")
		whole := Score(pricing, bid, quality)
		score := rapid.Int64Range(1, whole+whole/2).Draw(t, "score")
		m := MultiplierToReach(pricing, bid, score, quality)
		if _, full := Pace(pricing, bid, PPM, quality); full < score {
			if m <= PPM {
				t.Fatalf("%d is said to reach %d, the whole bid scores %d", m, score, full)
			}
			return
		}
		if _, reached := Pace(pricing, bid, m, quality); reached < score || m > PPM {
			t.Fatalf("%d scores %d, short of %d", m, reached, score)
		}
		if _, reached := Pace(pricing, bid, m-1, quality); reached >= score {
			t.Fatalf("%d would do for %d, not only %d", m-1, score, m)
		}
	})
}
