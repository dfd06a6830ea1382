package auction

import "github.com/hexbid/hexbid"

// SetBy is what set a price.
type SetBy uint8

// What sets a price: the score of the entry below, the reserve, or the
// winner's own bid, which no price exceeds.
const (
	SetByNext SetBy = iota + 1
	SetByReserve
	SetByBid
)

// String is the word that traces use.
func (s SetBy) String() string {
	return [...]string{"", "next", "reserve", "bid"}[min(s, SetByBid)]
}

// Award is a won slot.
type Award struct {
	Entry Entry
	Slot  int          // 1 is the first
	Price hexbid.Money // a click, or a thousand impressions
	SetBy SetBy
}

// GSP prices entries, best first, by the generalised second price (Edelman,
// Ostrovsky and Schwarz 2007; Varian 2007), weighted by quality:
//
//	price = min(b, ceil(max(next score, reserve) / d) + increment)
//
// with d the score that one micro buys: q for CPC, 1,000 for CPM. A CPM price
// is rounded up to a multiple of 1,000, so that one impression costs whole
// micros. With one slot this is the second-price auction. The awards are
// appended to the given slice.
func GSP(entries []Entry, slots int, increment hexbid.Money, awards []Award) []Award {
	for i := range entries[:min(slots, len(entries))] {
		var next int64
		if i+1 < len(entries) {
			next = entries[i+1].Score
		}
		awards = append(awards, priced(entries[i], i+1, next, increment))
	}
	return awards
}

func priced(e Entry, slot int, next int64, increment hexbid.Money) Award {
	toBeat, setBy := next, SetByNext
	if e.Reserve >= next {
		toBeat, setBy = e.Reserve, SetByReserve
	}
	price := hexbid.Money(ceilDiv(toBeat, divisor(e.Pricing, e.QualityPPM))) + increment
	if e.Pricing == hexbid.CPM {
		price = hexbid.Money(ceilDiv(int64(price), 1000) * 1000)
	}
	if price > e.PacedBid {
		price, setBy = e.PacedBid, SetByBid
	}
	return Award{Entry: e, Slot: slot, Price: price, SetBy: setBy}
}

func ceilDiv(n, d int64) int64 { return (n + d - 1) / d }

// BidToScore is the least bid, unpaced, whose score reaches a target.
func BidToScore(pricing hexbid.PricingModel, target, qualityPPM, multiplierPPM int64) hexbid.Money {
	if multiplierPPM == 0 {
		return 0
	}
	paced := ceilDiv(target, divisor(pricing, qualityPPM))
	if pricing == hexbid.CPM {
		paced = ceilDiv(paced, 1000) * 1000
	}
	whole, rest := paced/multiplierPPM, paced%multiplierPPM // paced·10⁶ would overflow
	return hexbid.Money(whole*PPM + ceilDiv(rest*PPM, multiplierPPM))
}
