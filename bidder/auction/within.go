package auction

import "github.com/hexbid/hexbid"

// dearestEvent is the most that one event can cost: the highest bid for a click, or a thousandth of that for a thousand
// impressions.
const dearestEvent = int64(hexbid.MaxBidCPC)

// MultiplierWithin returns the highest multiplier, in parts per million and at most PPM, with which one event costs no
// more than left micros: a click at the paced bid, or an impression at a thousandth of it. highest is a campaign's
// highest bid on any host. A price never exceeds the paced bid, so the price keeps within left too.
func MultiplierWithin(pricing hexbid.PricingModel, highest, left hexbid.Money) int64 {
	if left <= 0 || highest <= 0 {
		return 0
	}
	// The paced bid is ⌊highest·m/PPM⌋, for CPM floored to a whole event. Its event costs at most left exactly if
	// highest·m < (left+1)·event·PPM. Both sides stay below 2⁶³: they are at most about 10¹⁸.
	event := int64(1)
	if pricing == hexbid.CPM {
		event = 1000
	}
	beyond := (min(int64(left), dearestEvent) + 1) * event * PPM
	return min(PPM, (beyond-1)/int64(highest))
}
