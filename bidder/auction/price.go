package auction

import (
	"fmt"
	"math/bits"

	"github.com/hexbid/hexbid"
)

// SetBy is what set a price.
type SetBy uint8

// What sets a price: the score of the entry below, the reserve, the winner's
// own bid, which no price exceeds, or all the entries below (VCG).
const (
	SetByNext SetBy = iota + 1
	SetByReserve
	SetByBid
	SetByOthers
)

// String is the word that traces use.
func (s SetBy) String() string {
	return [...]string{"", "next", "reserve", "bid", "others"}[min(s, SetByOthers)]
}

// Award is a won slot.
type Award struct {
	Entry Entry
	Slot  int          // 1 is the first
	Price hexbid.Money // a click, or a thousand impressions
	SetBy SetBy
}

// Mechanism decides what a winner pays.
type Mechanism uint8

// The mechanisms. All three rank by score; they differ in the price.
const (
	// GSP is the generalised second price (Edelman, Ostrovsky and Schwarz
	// 2007; Varian 2007), weighted by quality:
	//
	//	price = min(b, ceil(max(next score, reserve) / d) + increment)
	//
	// with d the score that one micro buys: q for CPC, 1,000 for CPM. With one
	// slot this is the second-price auction.
	GSP Mechanism = iota
	// VCG charges what a winner's presence costs the others (Vickrey 1961,
	// Clarke 1971, Groves 1973), for slots seen with chances w:
	//
	//	price of slot k = ceil(Σ j=k..K (w_j − w_j+1)·max(s_j+1, own reserve) / (w_k·d))
	//
	// with w of K+1 and missing scores 0. The sum has 128 bits and is rounded
	// once.
	VCG
	// FirstPrice charges the paced bid.
	FirstPrice
)

var mechanismNames = []string{"gsp", "vcg", "first_price"}

// String is the name that settings use.
func (m Mechanism) String() string { return mechanismNames[min(m, FirstPrice)] }

// ParseMechanism reads a name.
func ParseMechanism(s string) (Mechanism, error) {
	for i, name := range mechanismNames {
		if name == s {
			return Mechanism(i), nil
		}
	}
	return 0, fmt.Errorf("%q is not a mechanism: use gsp, vcg or first_price", hexbid.Shorten(s))
}

// Pricing is how one auction is priced.
type Pricing struct {
	Mechanism Mechanism
	Slots     int
	Increment hexbid.Money // of GSP
	// Factors are the chances that the slots are seen, relative to the first,
	// in any common unit: at least as many as slots, from 1 to 10⁶, none above
	// the one before. VCG reads them.
	Factors []int64
}

// Price awards the slots to entries, best first. A CPM price is rounded up to a
// multiple of 1,000, so that one impression costs whole micros. The awards are
// appended to the given slice.
func Price(entries []Entry, p Pricing, awards []Award) []Award {
	for i := range entries[:min(p.Slots, len(entries))] {
		awards = append(awards, Award{Entry: entries[i], Slot: i + 1})
		award := &awards[len(awards)-1]
		switch p.Mechanism {
		case VCG:
			award.Price, award.SetBy = vcgPrice(entries, i, &p)
		case FirstPrice:
			award.Price, award.SetBy = entries[i].PacedBid, SetByBid
		default:
			award.Price, award.SetBy = gspPrice(entries, i, p.Increment)
		}
	}
	return awards
}

// scoreAt is the score of the entry at a rank, 0 when there is none.
func scoreAt(entries []Entry, rank int) int64 {
	if rank < len(entries) {
		return entries[rank].Score
	}
	return 0
}

func gspPrice(entries []Entry, i int, increment hexbid.Money) (hexbid.Money, SetBy) {
	e, next := &entries[i], scoreAt(entries, i+1)
	toBeat, setBy := next, SetByNext
	if e.Reserve >= next {
		toBeat, setBy = e.Reserve, SetByReserve
	}
	price := e.wholeMicros(hexbid.Money(ceilDiv(toBeat, divisor(e.Pricing, e.QualityPPM))) + increment)
	if price > e.PacedBid {
		return e.PacedBid, SetByBid
	}
	return price, setBy
}

func vcgPrice(entries []Entry, k int, p *Pricing) (hexbid.Money, SetBy) {
	e := &entries[k]
	var high, low uint64 // of the sum: w to 10⁶ times scores to 10¹⁵ do not fit in 64 bits
	setBy := SetByReserve
	for j := k; j < p.Slots; j++ {
		var below int64 // w of the slot below
		if j+1 < p.Slots {
			below = p.Factors[j+1]
		}
		displaced := scoreAt(entries, j+1)
		if displaced > e.Reserve && p.Factors[j] > below {
			setBy = SetByOthers
		}
		h, l := bits.Mul64(uint64(p.Factors[j]-below), uint64(max(displaced, e.Reserve)))
		var carry uint64
		low, carry = bits.Add64(low, l, 0)
		high, _ = bits.Add64(high, h, carry)
	}
	// w_k·d reaches 10¹², and every term is at most w_k·10¹⁵ in all, so that the
	// quotient fits.
	quotient, rest := bits.Div64(high, low, uint64(p.Factors[k]*divisor(e.Pricing, e.QualityPPM)))
	if rest > 0 {
		quotient++
	}
	return e.wholeMicros(hexbid.Money(quotient)), setBy
}

// wholeMicros rounds a CPM price up to a multiple of 1,000.
func (e *Entry) wholeMicros(price hexbid.Money) hexbid.Money {
	if e.Pricing == hexbid.CPM {
		return hexbid.Money(ceilDiv(int64(price), 1000) * 1000)
	}
	return price
}

func ceilDiv(n, d int64) int64 { return (n + d - 1) / d }

// BidToScore is the least bid, unpaced, whose score reaches a target; false when no
// bid that the market takes does.
func BidToScore(pricing hexbid.PricingModel, target, qualityPPM, multiplierPPM int64) (hexbid.Money, bool) {
	_, most := pricing.BidLimits()
	paced := ceilDiv(target, divisor(pricing, qualityPPM))
	if pricing == hexbid.CPM {
		paced = ceilDiv(paced, 1000) * 1000
	}
	if multiplierPPM == 0 || paced > int64(most) {
		return 0, false
	}
	bid := hexbid.Money(ceilDiv(paced*PPM, multiplierPPM)) // 10¹² · 10⁶ fits
	return bid, bid <= most
}
