package auction

import "github.com/hexbid/hexbid"

// MultiplierToReach returns the least multiplier, in parts per million, with which a bid reaches a score. It is above
// PPM when the whole bid does not.
func MultiplierToReach(pricing hexbid.PricingModel, bid hexbid.Money, score, qualityPPM int64) int64 {
	paced := ceilDiv(score, divisor(pricing, qualityPPM))
	if pricing == hexbid.CPM {
		paced = ceilDiv(paced, 1000) * 1000
	}
	if bid <= 0 || paced > int64(bid) {
		return PPM + 1
	}
	return ceilDiv(paced*PPM, int64(bid)) // at most 10¹² · 10⁶
}
