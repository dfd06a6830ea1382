// Package pacing spreads a campaign's budget over its day. It is pure arithmetic, without a clock, a lock, a goroutine
// or I/O: a caller steps each campaign's State every ten seconds and tells searches its Output.
//
// # The plan
//
// A Curve learns how the searches of a market spread over the week. A Day is the curve of one local date, restricted to
// the hours in which a campaign serves. What is left of the budget is planned over what is left of the day's traffic,
// so a campaign that is made at noon, that was paused, or whose budget is edited goes on from where it stands.
//
// # The controller
//
// The effort of a campaign is the share of its demand that it goes for: 1 is the full bid in every search. Searches get
// the effort as a multiplier of the bid, and as participation, the share of matching searches that it takes part in.
// A step sets
//
//	ln effort = ln slope − ln demand + gain·(planned − spent)/budget
//
// slope is the planned rate of spend, and demand is what full effort would spend, both in budgets a day's traffic.
// Demand is learned from awards by their expected cost, which has far less noise than the clicks that are charged: a
// gamma prior whose evidence fades, so that it follows a spike within a step. The last term holds the spend to the
// plan. In logarithms it is the dual mirror descent of Balseiro and Gur (Learning in Repeated Auctions with Budgets:
// Regret Minimization and Equilibrium, Management Science 65(9), 2019), whose multiplier falls with each overspend and
// rises with each underspend against the plan. That the plan follows the forecast traffic, and that participation
// paces, is from Agarwal, Ghosh, Wei and You (Budget Pacing for Targeted Online Advertisements at LinkedIn, KDD 2014).
// That budget and cost are followed together by feedback is in Xu, Lee, Li, Qi and Lu (Smart Pacing for Effective
// Online Ad Campaign Optimization, KDD 2015). Both goals beyond the bid are those of Balseiro et al. (A Field Guide for
// Pacing Budget and ROS Constraints, ICML 2024): the lower of two multipliers holds, one for the budget and one for the
// cost.
//
// A lower multiplier wins cheaper auctions and fewer of them, until only the reserve sets prices. From there on it
// would lose every auction at once, so the multiplier stays at the entry value, the median of those that meet the
// reserves which the campaign faced in the last hour, and participation paces. Rivals who all bid the same are such an
// edge too, which nobody tells: a campaign that wins far more than planned in the steps in which it wins at all takes
// part in so few searches that no step spends much.
//
// Floats decide here how much a campaign bids. No amount that anybody pays is computed from them.
package pacing

import (
	"math"
	"time"

	"github.com/hexbid/hexbid"
)

// PPM is one whole in parts per million.
const PPM = 1_000_000

// Every is the least time between two steps of a campaign.
const Every = 10 * time.Second

// Mode says how a campaign paces.
type Mode uint8

// The modes.
const (
	Even     Mode = iota // by the multiplier down to the entry value, and by participation below
	Throttle             // by participation alone
	Steady               // as Even, with one multiplier for the whole day that hardly moves: for most clicks in the budget
	ASAP                 // not at all
)

// ModeOf returns the mode of a campaign. Most clicks need the whole day's auctions to choose from, so that goal spreads
// the budget even where the pacing says as soon as possible.
func ModeOf(c *hexbid.Campaign) Mode {
	switch {
	case c.Goal == hexbid.GoalMostClicks:
		return Steady
	case c.Pacing == hexbid.PaceASAP:
		return ASAP
	case c.Pacing == hexbid.PaceThrottle:
		return Throttle
	}
	return Even
}

// Output is what searches are told of a campaign.
type Output struct {
	MultiplierPPM    int64 // of its bid
	ParticipationPPM int64 // the share of matching searches that it takes part in
	AtEntry          bool  // a lower multiplier would only meet the reserve
}

// Full is the output of a campaign that nothing holds back.
var Full = Output{MultiplierPPM: PPM, ParticipationPPM: PPM}

// Calls reports whether searches should be told an output: when it differs by a share, as State.Grain returns one, or
// when the campaign begins or ends to be held back, or to stand at its entry value. A multiplier at the entry value may
// not be below it by any amount, because the campaign would win nothing.
func (o Output) Calls(told Output, share float64) bool {
	return o.AtEntry != told.AtEntry || (o == Full) != (told == Full) ||
		o.AtEntry && o.MultiplierPPM > told.MultiplierPPM ||
		differ(o.MultiplierPPM, told.MultiplierPPM, share) || differ(o.ParticipationPPM, told.ParticipationPPM, share)
}

// differ reports whether two parts per million differ by a share of either.
func differ(x, y int64, share float64) bool {
	return float64(max(x-y, y-x)) >= share*float64(max(x, y)) && x != y
}

// effort is the share of the demand that an output goes for.
func (o Output) effort() float64 {
	return max(float64(o.MultiplierPPM)*float64(o.ParticipationPPM)/(PPM*PPM), leastEffort)
}

// Bounds of an effort and of a multiplier. Participation has a resolution of one part per million.
const (
	leastEffort     = 1e-6
	leastMultiplier = 1e-3
)

// split says how searches get an effort: by a multiplier between two bounds, with as much participation as given.
// Where the multiplier cannot be low enough, participation is lower; where it cannot be high enough, higher.
type split struct{ least, most, part float64 }

func (s split) of(effort float64) Output {
	most := s.most
	if most == 0 {
		most = 1
	}
	switch multiplier := effort / s.part; {
	case multiplier < s.least:
		return Output{MultiplierPPM: ppm(s.least), ParticipationPPM: ppm(effort / s.least), AtEntry: true}
	case multiplier > most:
		return Output{MultiplierPPM: ppm(most), ParticipationPPM: ppm(effort / most)}
	default:
		return Output{MultiplierPPM: ppm(multiplier), ParticipationPPM: ppm(s.part)}
	}
}

// ppm rounds a share up to parts per million, so that an entry value still meets its reserve. The small number keeps a
// whole number of parts from rounding up to the next.
func ppm(share float64) int64 { return int64(min(max(math.Ceil(share*PPM-1e-3), 1), PPM)) }
