package quality

import "math"

// Strengths say how many clicks the mean of a level is worth: that of a category for its programs, and that of a
// program for its campaigns.
type Strengths struct{ Programs, Campaigns float64 }

// assumedStrengths hold until enough is known: rates of programs differ from their category's by 45 % (a standard
// deviation), and campaigns from their program by 22 %.
var assumedStrengths = Strengths{Programs: 5, Campaigns: 20}

const (
	leastStrength, mostStrength = 2, 200
	// assumedUnits is how many programs or campaigns the assumption is worth.
	assumedUnits = 20
	// leastExpected is the least number of expected clicks of a program or campaign that tells how much rates differ.
	leastExpected = 5
)

// spread adds up how much rates differ from what is expected of them, beyond what chance alone explains. With K clicks
// where E were expected, (K − E)² is E by chance, and E²/strength more if rates differ.
type spread struct{ beyond, squares, units float64 }

// add adds a unit. own is the part of the data behind the expectation that is the unit's.
func (s *spread) add(expected, clicks, own float64) {
	if expected < leastExpected || own > 0.95 {
		return
	}
	s.beyond += (clicks-expected)*(clicks-expected) - expected*(1-own)
	s.squares += expected * expected * (1 - own)
	s.units++
}

// strength returns the estimate by the method of moments, drawn to an assumption. The variance of rates, in parts of
// their mean, is 1/strength.
func (s *spread) strength(assumed float64) float64 {
	variance := assumedUnits / assumed
	if s.units > 0 {
		variance += s.units * max(s.beyond/s.squares, 0)
	}
	variance /= assumedUnits + s.units
	return math.Min(math.Max(1/variance, leastStrength), mostStrength)
}

// mostCompared bounds the campaigns that strengths are learned from at a time: some milliseconds.
const mostCompared = 20_000

// learnStrengths learns how much programs and campaigns differ.
func (b *Book) learnStrengths(now int64) {
	var programs, campaigns spread
	for i := range min(len(b.round), mostCompared) {
		c := b.round[(b.next+i)%len(b.round)]
		p := c.program
		whole := b.evidence(&p.Account, p, now)
		if p.campaigns[0] == c { // once for each program
			programs.add(whole.Weight*p.prior, whole.Clicks, 0)
		}
		if whole.Weight > 0 {
			e := b.evidence(&c.Account, p, now)
			campaigns.add(e.Weight*whole.Clicks/whole.Weight, e.Clicks, e.Weight/whole.Weight)
		}
	}
	b.strengths = Strengths{programs.strength(assumedStrengths.Programs), campaigns.strength(assumedStrengths.Campaigns)}
}
