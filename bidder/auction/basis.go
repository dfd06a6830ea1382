package auction

import (
	"fmt"
	"math/bits"

	"github.com/hexbid/hexbid"
)

// MaxScore is the highest score that there is: the highest bid of either pricing
// model at its best.
const MaxScore = 1_000_000_000_000_000

// Basis is everything that one price follows from, and nothing that another award
// needs. Tokens carry it, so that a receipt works the price out again without any
// state.
type Basis struct {
	Mechanism     Mechanism
	Pricing       hexbid.PricingModel
	Bid           hexbid.Money // on the request's host, before pacing
	MultiplierPPM int64        // of pacing, 0 to PPM
	QualityPPM    int64        // predicted chance of a click once seen, 1 to PPM
	Reserve       int64        // in the unit of score
	Increment     hexbid.Money // of GSP, else 0
	Next          int64        // of GSP: the score of the entry directly below, 0 when there is none
	// Factors are the chances that slots are seen, best first: of the award's own
	// slot, and under VCG of every slot below it too.
	Factors []int64
	// Sum is VCG's, of the score that each slot from the award's own down is worth to
	// whoever the award displaces there, weighted by the step between the factors.
	Sum Sum
}

// Sum has 128 bits: factors to 10⁶ times scores to 10¹⁵ do not fit in 64.
type Sum struct{ High, Low uint64 }

// plus adds a product; both are at least 0.
func (s Sum) plus(a, b int64) Sum {
	high, low := bits.Mul64(uint64(a), uint64(b))
	low, carry := bits.Add64(s.Low, low, 0)
	high, _ = bits.Add64(s.High, high, carry)
	return Sum{high, low}
}

// above says whether s is greater than t.
func (s Sum) above(t Sum) bool { return s.High > t.High || s.High == t.High && s.Low > t.Low }

// ceilDiv is the quotient, rounded up, which must fit in 63 bits.
func (s Sum) ceilDiv(by int64) hexbid.Money {
	quotient, rest := bits.Div64(s.High, s.Low, uint64(by))
	if rest > 0 {
		quotient++
	}
	return hexbid.Money(quotient)
}

// Price works out the price, a click or a thousand impressions, and what set it. The
// formulas stand at the mechanisms. A basis that Check refuses has none.
func (b *Basis) Price() (hexbid.Money, SetBy) {
	paced, _ := Pace(b.Pricing, b.Bid, b.MultiplierPPM, b.QualityPPM)
	return b.priceOf(paced)
}

func (b *Basis) priceOf(paced hexbid.Money) (hexbid.Money, SetBy) {
	switch b.Mechanism {
	case VCG:
		return b.vcg()
	case FirstPrice:
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

// vcg divides by w·d, at most 10¹². Every term of the sum is at most w·10¹⁵ in all, so
// that the quotient fits. Without anyone above the reserve the sum is w times it.
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

// Check refuses a basis that no award has: the arithmetic of Price does not cover
// it. The error names what is out of range.
func (b *Basis) Check() error {
	if b.Mechanism > FirstPrice {
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
		{"bid", int64(b.Bid), 0, int64(most)}, {"multiplier", b.MultiplierPPM, 0, PPM}, {"quality", b.QualityPPM, 1, PPM}, {"reserve", b.Reserve, 0, MaxScore},
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
