package auction

import (
	"fmt"
	"math/bits"

	"github.com/hexbid/hexbid"
)

// MaxScore is the highest possible score: the highest bid of either pricing model at the best quality.
const MaxScore = 1_000_000_000_000_000

// Basis holds everything that one price follows from, and nothing that another award needs. Tokens carry it, so a
// receipt can recompute the price without any stored state.
type Basis struct {
	Mechanism     hexbid.Mechanism
	Pricing       hexbid.PricingModel
	Bid           hexbid.Money // on the request's host, before pacing
	MultiplierPPM int64        // of pacing, 0 to PPM
	QualityPPM    int64        // predicted chance of a click once the slot is seen, 1 to PPM
	Reserve       int64        // in the unit of score
	Increment     hexbid.Money // of GSP, otherwise 0
	Next          int64        // of GSP: the score of the entry directly below, 0 when nobody is below
	// Factors are the chances that slots are seen. The first is that of the award's own slot. Under VCG those of all
	// slots below follow.
	Factors []int64
	// Sum is the sum in VCG's formula. Each slot from the award's own down adds one term: the score of the entry that
	// the award displaces there, times the difference between this slot's factor and the next one's.
	Sum Sum
}

// Sum is a 128-bit integer, because factors up to 10⁶ times scores up to 10¹⁵ do not fit in 64 bits.
type Sum struct{ High, Low uint64 }

// plus adds the product of a and b, which are both at least 0.
func (s Sum) plus(a, b int64) Sum {
	high, low := bits.Mul64(uint64(a), uint64(b))
	low, carry := bits.Add64(s.Low, low, 0)
	high, _ = bits.Add64(s.High, high, carry)
	return Sum{high, low}
}

// above reports whether s is greater than t.
func (s Sum) above(t Sum) bool { return s.High > t.High || s.High == t.High && s.Low > t.Low }

// ceilDiv returns the quotient, rounded up. The quotient must fit in 63 bits.
func (s Sum) ceilDiv(by int64) hexbid.Money {
	quotient, rest := bits.Div64(s.High, s.Low, uint64(by))
	if rest > 0 {
		quotient++
	}
	return hexbid.Money(quotient)
}

// Price computes the price of a click or of a thousand impressions, and says what set it. It is meaningless for a basis
// that Check refuses.
//
// All three mechanisms rank by score and differ in the price. Below, b is the paced bid and d the score that one micro
// buys: q for CPC, 1,000 for CPM.
//
// GSP is the generalised second price (Edelman, Ostrovsky and Schwarz 2007; Varian 2007), weighted by quality. With one
// slot this is the second-price auction:
//
//	price = min(b, ceil(max(next score, reserve) / d) + increment)
//
// VCG charges what a winner's presence costs the others (Vickrey 1961, Clarke 1971, Groves 1973), for slots 1 to K that
// are seen with chances w. w of K+1 and missing scores are 0. The sum has 128 bits and is rounded once:
//
//	price of slot k = ceil(Σ j=k..K (w_j − w_j+1)·max(s_j+1, own reserve) / (w_k·d))
//
// First price charges b.
func (b *Basis) Price() (hexbid.Money, SetBy) {
	paced, _ := Pace(b.Pricing, b.Bid, b.MultiplierPPM, b.QualityPPM)
	return b.priceOf(paced)
}

func (b *Basis) priceOf(paced hexbid.Money) (hexbid.Money, SetBy) {
	switch b.Mechanism {
	case hexbid.MechanismVCG:
		return b.vcg()
	case hexbid.MechanismFirstPrice:
		return paced, SetByBid
	}
	return b.gsp(paced)
}

func (b *Basis) gsp(paced hexbid.Money) (hexbid.Money, SetBy) {
	toBeat, setBy := b.Next, SetByNext
	if b.Reserve >= b.Next {
		toBeat, setBy = b.Reserve, SetByReserve
	}
	price := b.wholeMicros(hexbid.Money(ceilDiv(toBeat, divisor(b.Pricing, b.QualityPPM))) + b.Increment)
	if price > paced {
		return paced, SetByBid
	}
	return price, setBy
}

// vcg computes the price under VCG. It divides by w·d, which is at most 10¹². The terms of the sum add up to at most
// w·10¹⁵, so the quotient fits in 63 bits. When nobody below scores above the reserve, the sum is w times the reserve.
func (b *Basis) vcg() (hexbid.Money, SetBy) {
	setBy := SetByReserve
	if b.Sum.above(Sum{}.plus(b.Factors[0], b.Reserve)) {
		setBy = SetByOthers
	}
	return b.wholeMicros(b.Sum.ceilDiv(b.Factors[0] * divisor(b.Pricing, b.QualityPPM))), setBy
}

// wholeMicros rounds a CPM price up to a multiple of 1,000.
func (b *Basis) wholeMicros(price hexbid.Money) hexbid.Money {
	if b.Pricing == hexbid.CPM {
		return hexbid.Money(ceilDiv(int64(price), 1000) * 1000)
	}
	return price
}

// Check refuses a basis that no award can have, because the arithmetic of Price does not cover it. The error names the
// value that is out of range.
func (b *Basis) Check() error {
	if b.Mechanism == hexbid.MechanismUnspecified || b.Mechanism >= hexbid.MechanismCount {
		return fmt.Errorf("mechanism %d is unknown", b.Mechanism)
	}
	if b.Pricing != hexbid.CPC && b.Pricing != hexbid.CPM {
		return fmt.Errorf("pricing model %d is unknown", b.Pricing)
	}
	if len(b.Factors) == 0 {
		return fmt.Errorf("there is no position factor")
	}
	for _, factor := range b.Factors {
		if err := within("position factor", factor, 1, PPM); err != nil {
			return err
		}
	}
	if b.Sum.above(Sum{}.plus(b.Factors[0], MaxScore)) {
		return fmt.Errorf("the sum is above %d times the highest score", b.Factors[0])
	}
	_, most := b.Pricing.BidLimits()
	for _, number := range []struct {
		of             string
		is, least, end int64
	}{
		{"bid", int64(b.Bid), 0, int64(most)}, {"multiplier", b.MultiplierPPM, 0, PPM}, {"quality", b.QualityPPM, 1, PPM},
		{"reserve", b.Reserve, 0, MaxScore},
		{"increment", int64(b.Increment), 0, int64(hexbid.MaxBidCPC)}, {"rival's score", b.Next, 0, MaxScore},
	} {
		if err := within(number.of, number.is, number.least, number.end); err != nil {
			return err
		}
	}
	return nil
}

func within(what string, is, least, most int64) error {
	if is < least || is > most {
		return fmt.Errorf("%s %d is out of range: it is %d to %d", what, is, least, most)
	}
	return nil
}
