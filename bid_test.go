package hexbid

import (
	"testing"

	"pgregory.net/rapid"
)

func TestBidForAndMultiplierForAreTheLeastThatReach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := func(label string) Money {
			magnitude := int64(1) << rapid.IntRange(0, 39).Draw(t, label+" magnitude")
			return Money(magnitude + rapid.Int64Range(0, magnitude).Draw(t, label))
		}
		wanted := min(amount("wanted"), MaxBidCPM)
		c := &Campaign{Bid: min(amount("bid"), MaxBidCPM),
			HostBids: []HostBid{{Host: Alipay, MultiplierPPM: rapid.Int64Range(1, MaxHostMultiplierPPM).Draw(t, "ppm")}}}
		bidOn := func(bid Money, ppm int64) Money {
			return (&Campaign{Bid: bid, HostBids: []HostBid{{Host: Alipay, MultiplierPPM: ppm}}}).BidOn(Alipay)
		}
		if ppm := c.MultiplierFor(wanted); ppm <= MaxHostMultiplierPPM && bidOn(c.Bid, ppm) < wanted ||
			ppm > 1 && ppm <= MaxHostMultiplierPPM && bidOn(c.Bid, ppm-1) >= wanted {
			t.Errorf("%d ppm of %d for %d", ppm, c.Bid, wanted)
		}
		ppm, bid := c.MultiplierOn(Alipay), c.BidFor(Alipay, wanted)
		if bid <= MaxBidCPM && bidOn(bid, ppm) < wanted || bid > 1 && bid <= MaxBidCPM && bidOn(bid-1, ppm) >= wanted {
			t.Errorf("a bid of %d at %d ppm for %d", bid, ppm, wanted)
		}
		if c.BidFor(WeChat, wanted) != wanted {
			t.Error("a host without a bid of its own does not get the campaign's")
		}
	})
}
