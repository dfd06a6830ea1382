package bidder

import (
	"maps"
	"weak"

	"github.com/hexbid/hexbid/targeting"
)

// ruleSet stores one copy of equal rules for as long as a campaign uses it. Audiences repeat, so few copies serve many
// campaigns.
type ruleSet struct {
	known   map[targeting.Rule]weak.Pointer[targeting.Rule]
	sweepAt int // size from which unused rules are swept out
}

const smallestSweep = 1024

func (s *ruleSet) intern(r targeting.Rule) *targeting.Rule {
	if same := s.known[r].Value(); same != nil {
		return same
	}
	if len(s.known) >= s.sweepAt {
		maps.DeleteFunc(s.known, func(_ targeting.Rule, p weak.Pointer[targeting.Rule]) bool { return p.Value() == nil })
		s.sweepAt = max(smallestSweep, 2*len(s.known))
	}
	if s.known == nil {
		s.known = map[targeting.Rule]weak.Pointer[targeting.Rule]{}
	}
	s.known[r] = weak.Make(&r)
	return &r
}
