package auction

import (
	"github.com/hexbid/hexbid"
)

// SetBy says what set a price.
type SetBy uint8

// A price is set by the score of the entry below, by the reserve, by the winner's own bid, which no price exceeds, or
// under VCG by all the entries below.
const (
	SetByNext SetBy = iota + 1
	SetByReserve
	SetByBid
	SetByOthers
)

// String returns the word that traces use.
func (s SetBy) String() string {
	return [...]string{"", "next", "reserve", "bid", "others"}[min(s, SetByOthers)]
}

// Award is a slot that an entry has won.
type Award struct {
	Entry  Entry
	Slot   int          // 1 is the first
	PaysAs int          // the slot by which the price is reckoned: Slot, but for the upper one of a swapped pair
	Price  hexbid.Money // a click, or a thousand impressions
	SetBy  SetBy
	Next   int64 // the score of the entry directly below, 0 when nobody is below
	Sum    Sum   // of VCG's formula
}

// Trial is an auction's part in learning what slots are worth, whoever stands in them: it is about the slots Pair and
// Pair + 1. Half of the trials swap the winners of the two, if both have one. Both winners then pay as the lower slot
// does, by the list below the pair, so neither pays more for being part of a trial. The zero value is no trial.
// (Joachims, Swaminathan and Schnabel 2017, "Unbiased learning-to-rank with biased feedback".)
type Trial struct {
	Pair    uint8 // 1 to hexbid.MaxSlots - 1
	Swapped bool
}

// Concerns reports whether a slot is one of the pair.
func (t Trial) Concerns(slot int) bool {
	return t.Pair > 0 && (slot == int(t.Pair) || slot == int(t.Pair)+1)
}

// swaps returns the upper slot of the pair that is swapped when so many slots are won, 0 for none.
func (t Trial) swaps(won int) int {
	if t.Swapped && int(t.Pair) < won {
		return int(t.Pair)
	}
	return 0
}

// Pricing says how one auction is priced.
type Pricing struct {
	Mechanism hexbid.Mechanism
	Slots     int
	Increment hexbid.Money // of GSP
	// Factors are the chances that the slots are seen, relative to the first slot, in any common unit. There are at
	// least as many as slots. Each is from 1 to 10⁶ and none is above the one before it. Only VCG reads them.
	Factors []int64
	// Trial may change the winners of two neighbouring slots.
	Trial Trial
}

// Price awards the slots to the entries, which stand best first. It rounds a CPM price up to a multiple of 1,000, so
// that one impression costs whole micros. It appends the awards to the given slice.
func Price(entries []Entry, p Pricing, awards []Award) []Award {
	won := min(p.Slots, len(entries))
	upper := p.Trial.swaps(won)
	for slot := 1; slot <= won; slot++ {
		rank, paysAs := slot-1, slot
		switch {
		case upper > 0 && slot == upper:
			rank, paysAs = slot, slot+1
		case upper > 0 && slot == upper+1:
			rank = slot - 2
		}
		awards = append(awards, Award{Entry: entries[rank], Slot: slot, PaysAs: paysAs, Next: scoreAt(entries, paysAs)})
		award := &awards[len(awards)-1]
		if p.Mechanism == hexbid.MechanismVCG {
			award.Sum = displaced(entries, award, &p)
		}
		basis := award.Basis(&p)
		award.Price, award.SetBy = basis.priceOf(award.Entry.PacedBid)
	}
	return awards
}

// Basis returns what the price of an award follows from, under the pricing of its auction. The basis shares the factors
// of that pricing.
func (a *Award) Basis(p *Pricing) Basis {
	e := &a.Entry
	b := Basis{Mechanism: p.Mechanism, Pricing: e.Pricing, Bid: e.Bid, MultiplierPPM: e.MultiplierPPM,
		QualityPPM: e.QualityPPM, Reserve: e.Reserve}
	last := a.PaysAs
	switch p.Mechanism {
	case hexbid.MechanismGSP:
		b.Increment, b.Next = p.Increment, a.Next
	case hexbid.MechanismVCG:
		b.Sum, last = a.Sum, p.Slots
	}
	b.Factors = p.Factors[a.PaysAs-1 : last]
	return b
}

// scoreAt returns the score of the entry at a rank, or 0 when the rank is empty.
func scoreAt(entries []Entry, rank int) int64 {
	if rank < len(entries) {
		return entries[rank].Score
	}
	return 0
}

// displaced returns the sum of VCG's formula for an award.
func displaced(entries []Entry, a *Award, p *Pricing) (sum Sum) {
	for j := a.PaysAs - 1; j < p.Slots; j++ {
		var below int64 // w of the slot below
		if j+1 < p.Slots {
			below = p.Factors[j+1]
		}
		sum = sum.plus(p.Factors[j]-below, max(scoreAt(entries, j+1), a.Entry.Reserve))
	}
	return sum
}

func ceilDiv(n, d int64) int64 { return (n + d - 1) / d }

// BidToScore returns the least bid before pacing whose score reaches a target. It returns false when no bid that the
// market accepts is high enough.
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
