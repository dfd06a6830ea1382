package pacing

import (
	"math"

	"github.com/hexbid/hexbid"
)

// Cost is how a campaign with a target cost stands.
type Cost struct {
	Target  hexbid.Money // of a click, on average
	Bid     hexbid.Money // the most that one may cost
	Clicks  int64        // charged since the last step
	Charged hexbid.Money // for them
	Events  float64      // clicks that are expected of awards still out
	Out     hexbid.Money // that these are expected to cost
}

// mostForCost returns the highest multiplier that keeps the average cost of a click at its target, 1 without a target.
//
// The bid starts at the target, where no click can cost more. What clicks cost less is credit, and the bid rises with
// it: by a factor of e for the target's cost of so many clicks as span says. So the credit stays near one amount, and
// the average of many clicks comes near the target from below. What clicks still to come will cost more than the target
// is taken off at once. The span grows with their number, so chance in them is small beside the credit.
func (s *State) mostForCost(c *Cost) float64 {
	if c.Target <= 0 {
		s.Target, s.Credit = 0, 0
		return 1
	}
	if int64(s.Target) != int64(c.Target) { // new, or edited: what was saved before is not for it
		s.Target, s.Credit = uint32(c.Target), 0
	}
	s.Credit += c.Target*hexbid.Money(c.Clicks) - c.Charged
	target := float64(c.Target)
	span := target * (20 + 8*c.Events)
	most := math.Log(float64(c.Bid) / target)
	// The full bid needs no more than so much: a later dear hour must not spend a cheap day's credit.
	s.Credit = min(s.Credit, hexbid.Money(1.5*span*most))
	saved := float64(s.Credit) + min(target*c.Events-float64(c.Out), 0)
	return math.Exp(min(max(saved/span, -3), most) - most)
}
