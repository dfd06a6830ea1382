// Package outstanding estimates the expected spend of awards that are still out: shown or about to be shown, with their
// click or impression yet to come. Budgets subtract it, so that a campaign stops winning before what it has won already
// exceeds what it may pay. What comes nevertheless is over-delivery, which the platform bears.
//
// # The estimate
//
// An award of a price p, won at the instant t, costs p if its event comes. By a prior it comes with the chance w:
// quality times position for CPC, position for CPM. Each campaign has a learned factor f, by which more or fewer
// events come than by the prior. The market has a learned delay from award to event; S(a) is the share of events that
// come later than the age a. An award of age a without an event is then worth
//
//	p · f·w·S(a) / (1 − f·w·(1 − S(a)))
//
// by Bayes' rule. An event takes its award out of the sum. Awards are kept in sums by slices of their instants, which
// are never longer than half their age, so an account has some twenty slices however many awards are out.
//
// The factor of a campaign has a gamma prior with mean 1, worth priorEvents events. The number of events to come has
// therefore a negative binomial distribution, and its standard deviation is the margin of an estimate.
//
// The package reads no clock: every call that depends on time takes an instant. Floats estimate here; no amount that
// anybody pays is computed from them.
package outstanding

import (
	"math"
	"time"

	"github.com/hexbid/hexbid"
)

// Award is what the estimate keeps of a sponsored result.
type Award struct {
	Campaign, Advertiser hexbid.UID
	Pricing              hexbid.PricingModel
	Trial                uint8        // quality.Position's code, 0 for none: not of use here, but of who drains the lanes
	Price                hexbid.Money // of its event: one click, or one impression
	Chance               float32      // that the event comes, by the prior
	EntryPPM             uint32       // the multiplier with which its bid just met the reserve; 0 for no reserve
}

// PriceOfEvent returns what one event of an award costs: a click, or one of a thousand impressions.
func PriceOfEvent(pricing hexbid.PricingModel, price hexbid.Money) hexbid.Money {
	if pricing == hexbid.CPM {
		return price / 1000
	}
	return price
}

// Chance returns the prior chance that an award's event comes. The factors are the market's position factors, and
// slot 1 is the first.
func Chance(pricing hexbid.PricingModel, qualityPPM int64, slot int, factors []int64) float32 {
	seen := float32(factors[slot-1]) / float32(factors[0])
	if pricing == hexbid.CPM {
		return seen
	}
	return seen * float32(qualityPPM) / 1e6
}

// Out is what the awards of a campaign or an advertiser that are still out will cost.
type Out struct {
	Expected hexbid.Money
	Margin   hexbid.Money // three standard deviations of what they will cost
	Events   float64      // that are expected of them
	Highest  hexbid.Money // price of one of their events
}

// tick is the resolution of time here: a quarter of a second.
type tick int32

const ticksASecond = 4

// tickOf returns the tick of an instant in Unix milliseconds. It counts from 2026, so that it fits for centuries of
// clocks that are not wildly wrong; others are held at the ends.
func tickOf(unixMillis int64) tick {
	const epoch = 1_767_225_600_000 // 2026-01-01
	return tick(min(max((unixMillis-epoch)/(1000/ticksASecond), -math.MaxInt32), math.MaxInt32))
}

// ticksIn returns a duration in ticks.
func ticksIn(d time.Duration) tick { return tick(d / (time.Second / ticksASecond)) }

// Half-lives of what is learned, and the weight of what is assumed before.
const (
	delayHalfLife  = time.Hour
	factorHalfLife = 2 * time.Hour
	priorEvents    = 10 // of a campaign's factor 1
	priorDelays    = 50 // of the delays assumed in newDelays
)

// halved returns what is left of a weight after a time.
func halved(halfLife time.Duration, passed tick) float64 {
	return math.Exp2(-float64(passed) / float64(ticksIn(halfLife)))
}
