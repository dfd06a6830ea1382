// Package overload measures what a server does that is offered more than it can do: how much it still answers, how
// soon, what a refusal costs it, what memory it takes, and how soon it is its old self. The package judges these by
// bounds that follow from the cost of a refusal.
//
// Let r be the cost of a refusal over the cost of an answer, in processor time, and let k times the capacity C be
// offered. A machine that does nothing else answers g and refuses k·C − g with g + r·(k·C − g) = C, so it can answer
// (1 − k·r)/(1 − r) of its capacity.
package overload

import (
	"fmt"
	"math"
)

// Round is what one rate brought. Rates are calls a second, times are seconds.
type Round struct {
	Times    float64 `json:"times"` // of the capacity that were to be offered
	Offered  float64 `json:"offered"`
	Admitted float64 `json:"admitted"` // all that the server did not refuse
	Goodput  float64 `json:"goodput"`  // answered in time, as clients saw it
	Refused  float64 `json:"refused"`
	Failed   float64 `json:"failed"` // neither answered nor refused

	// Of the answered, from the arrival of their headers at the server.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`

	CPU           float64 `json:"cpu_cores"` // of the server
	ResidentBytes float64 `json:"resident_bytes"`
	// Recovery is how long after the rush the server answered all calls again; Recovered tells whether it did.
	Recovery  float64 `json:"recovery"`
	Recovered bool    `json:"recovered"`
	// Limited says why the generator may have decided the figures, empty when it did not.
	Limited string `json:"limited,omitempty"`
}

// Share returns the share of a capacity that a machine can answer when times the capacity is offered and a refusal
// costs r of an answer. It is 0 where refusing alone takes the whole machine.
func Share(times, r float64) float64 {
	if times <= 1 {
		return times
	}
	if r >= 1 || times*r >= 1 {
		return 0
	}
	return (1 - times*r) / (1 - r)
}

// RefusalCost estimates r from the processor time of the first round, at the capacity, and that of the later ones
// together: of two mixtures of answers and refusals. It returns false when both have nearly the same part of refusals.
func RefusalCost(rounds []Round) (r float64, known bool) {
	const least = 0.05 // by how much the part of refusals must differ
	if len(rounds) == 0 {
		return 0, false
	}
	first, later := rounds[0], Round{}
	for i := range rounds[1:] {
		o := &rounds[1+i]
		later.CPU, later.Goodput, later.Refused = later.CPU+o.CPU, later.Goodput+o.Goodput, later.Refused+o.Refused
	}
	part := func(o *Round) float64 { return ratio(o.Refused, o.Refused+o.Goodput) }
	if part(&later)-part(&first) < least {
		return 0, false
	}
	// CPU = answer·Goodput + refusal·Refused in both; the difference of the parts keeps the determinant above 0.
	answer := first.CPU*later.Refused - later.CPU*first.Refused
	refusal := later.CPU*first.Goodput - first.CPU*later.Goodput
	if answer <= 0 {
		return 1, true
	}
	return min(1, max(0, refusal/answer)), true
}

// Goals are what a server must keep to.
type Goals struct {
	Goodput  float64 // share of what its machine can answer
	P99      float64 // times that at the capacity
	Memory   float64 // times that at the capacity, and Room beside it
	Room     float64 // bytes
	Recovery float64 // seconds
}

// DefaultGoals are those of docs/CAPACITY.md.
func DefaultGoals() Goals { return Goals{Goodput: 0.9, P99: 2, Memory: 1.25, Room: 64e6, Recovery: 1} }

// Verdict is whether a round kept to a goal.
type Verdict struct {
	Times  float64 `json:"times"`
	Goal   string  `json:"goal"`
	Passed bool    `json:"passed"`
	Says   string  `json:"says"`
}

// Result is a whole measurement. The first round is at the capacity.
type Result struct {
	Capacity    float64   `json:"capacity"`     // calls a second that were offered once, twice and so on
	Held        float64   `json:"held"`         // what the machine could answer while the rounds were made
	RefusalCost float64   `json:"refusal_cost"` // r
	RefusalFrom string    `json:"refusal_from"` // how r is known
	Rounds      []Round   `json:"rounds"`
	Repeats     [][]Round `json:"repeats"` // of which each round is the median
	Verdicts    []Verdict `json:"verdicts"`
	NotJudged   []string  `json:"not_judged,omitempty"`
}

// SetRefusalCost sets r to the given value, or when that is 0 to what the rounds say. It sets Held by it: what was
// answered at the capacity, and what was refused there, as answers. That is less than Capacity when the machine had
// become slower.
func (r *Result) SetRefusalCost(given float64) {
	r.RefusalCost, r.RefusalFrom = given, "as given"
	if given <= 0 {
		known := false
		r.RefusalFrom = "by the server's processor time"
		if r.RefusalCost, known = RefusalCost(r.Rounds); !known {
			r.RefusalFrom = "too few calls were refused to tell"
		}
	}
	r.Held = r.Rounds[0].Goodput + r.RefusalCost*r.Rounds[0].Refused
}

// Bound returns the goodput that a round's machine can reach, in calls a second.
func (r *Result) Bound(o *Round) float64 {
	return r.Held * Share(ratio(o.Offered, r.Held), r.RefusalCost)
}

// Judge compares the rounds above the capacity with the goals. A round in which the generator was the bottleneck is not
// judged, and neither is anything when the one at the capacity is not.
func (r *Result) Judge(g Goals) {
	if len(r.Rounds) == 0 {
		return
	}
	base := &r.Rounds[0]
	if base.Limited != "" {
		r.NotJudged = append(r.NotJudged, fmt.Sprintf("at the capacity: %s", base.Limited))
		return
	}
	for i := range r.Rounds[1:] {
		o := &r.Rounds[1+i]
		if o.Limited != "" {
			r.NotJudged = append(r.NotJudged, fmt.Sprintf("at %g times the capacity: %s", o.Times, o.Limited))
			continue
		}
		r.judge(o, base, g)
	}
}

func (r *Result) judge(o, base *Round, g Goals) {
	add := func(goal string, passed bool, format string, args ...any) {
		r.Verdicts = append(r.Verdicts, Verdict{o.Times, goal, passed, fmt.Sprintf(format, args...)})
	}
	bound := g.Goodput * r.Bound(o)
	add("goodput", o.Goodput >= bound, "%.0f a second of at least %.0f", o.Goodput, bound)
	add("p99", o.P99 <= g.P99*base.P99, "%.2f ms of at most %.2f", 1e3*o.P99, 1e3*g.P99*base.P99)
	most := g.Memory*base.ResidentBytes + g.Room
	add("memory", o.ResidentBytes <= most, "%.0f MB of at most %.0f", o.ResidentBytes/1e6, most/1e6)
	add("recovery", o.Recovered && o.Recovery <= g.Recovery, "%s of at most %.1f s", recoveryText(o), g.Recovery)
}

func recoveryText(o *Round) string {
	if !o.Recovered {
		return "not while it was watched"
	}
	return fmt.Sprintf("%.1f s", o.Recovery)
}

// Passed reports whether every round was judged and kept to every goal.
func (r *Result) Passed() bool {
	for _, v := range r.Verdicts {
		if !v.Passed {
			return false
		}
	}
	return len(r.Verdicts) > 0 && len(r.NotJudged) == 0
}

// ratio returns a / b, 0 for nothing.
func ratio(a, b float64) float64 {
	if b == 0 || math.IsNaN(a/b) {
		return 0
	}
	return a / b
}

// P99Ratio returns a round's p99 over that at the capacity.
func (r *Result) P99Ratio(o *Round) float64 { return ratio(o.P99, r.Rounds[0].P99) }
