package capacity

import (
	"context"
	"fmt"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/load"
)

// Search says what to search for, and limits the search.
type Search struct {
	// Objective must hold, and nearly all calls must be answered.
	Objective []Condition
	// Start is the first rate tried and Most the highest, in calls a second.
	Start, Most float64
	// Precision is how close together the ends of the interval must be before they are confirmed, relative to the lower
	// end. On a noisy machine they may stay farther apart.
	Precision float64
	// Confirmations is how many repeats must agree before two disagree, for an end to stand.
	Confirmations int
}

// DefaultSearch returns the default search for an objective.
func DefaultSearch(objective []Condition) Search {
	return Search{Objective: objective, Start: 100, Most: 1e6, Precision: 0.05, Confirmations: 3}
}

const (
	least        = 1     // calls a second: the lowest rate that is tried
	leastAnswers = 0.999 // share of answered calls that every objective includes
	mostContrary = 2     // tries that overturn a verdict: a single one may have met a stall

	// Tries to find and to move the ends, without those that confirm them. With three confirmations a search makes at
	// most 40 tries.
	triesToFind = 25
	triesToMove = 9
)

// Try is one try of a rate.
type Try struct {
	PerSecond float64 `json:"per_second"`
	Phase     string  `json:"phase"` // climb, narrow, confirm
	Held      bool    `json:"held"`
	Missed    string  `json:"missed,omitempty"` // the first condition that did not hold
	// Limited says why the generator, rather than the server, may have determined the result.
	Limited  string        `json:"limited,omitempty"`
	Decision string        `json:"decision"` // what the search did next, and why
	Measures load.Measures `json:"measures"`
}

// Found is a capacity as an interval. Of the repeats at the lower end most held the objective, and of those at the
// upper end most failed it.
type Found struct {
	Low  float64 `json:"low_per_second"`
	High float64 `json:"high_per_second"` // 0 where it is unknown
	// NoVerdict says why an end is missing or not confirmed. It is empty when both ends stand.
	NoVerdict string `json:"no_verdict,omitempty"`
	Tries     []Try  `json:"tries"`
}

// Probe offers a rate to a server, or to a model of one, and returns its measures. When the generator was the
// bottleneck it returns the reason in limited, not as an error.
type Probe func(ctx context.Context, perSecond float64) (m load.Measures, limited string, err error)

// finder is a search under way.
type finder struct {
	Search
	ctx   context.Context
	probe Probe
	found Found
	bracket
}

// Find brackets the capacity by doubling the rate, narrows the bracket, and confirms both ends. A stall of the machine
// may spoil any single try, so no single try decides. Find repeats a miss before it ends the climb, narrows the bracket
// by what all tries together make likely, and accepts an end when its repeats agree. An end that does not stand moves
// outward, twice as far each time.
//
// Find returns the tries so far even with an error: an error of the probe, Invalid for an objective that fails at the
// lowest rate, or Unavailable when nothing could be judged. In the last case NoVerdict says why.
func (s Search) Find(ctx context.Context, probe Probe) (*Found, error) {
	f := &finder{Search: s, ctx: ctx, probe: probe}
	err := f.climb()
	f.found.Low, f.found.High = f.held, f.missed
	if err == nil {
		err = f.narrow()
	}
	if err == nil {
		err = f.confirm()
	}
	if err != nil {
		f.found.NoVerdict = err.Error()
		if n := len(f.found.Tries); n > 0 && f.found.Tries[n-1].Decision == "" {
			f.decide("%s", err)
		}
	}
	return &f.found, err
}

// mostTries returns the most tries that a search makes.
func (s *Search) mostTries() int { return triesToFind + triesToMove + 2*s.Confirmations }

// try measures a rate.
func (f *finder) try(phase string, perSecond float64) (*Try, error) {
	if len(f.found.Tries) == f.mostTries() {
		return nil, hexbid.Errorf(hexbid.Unavailable, "",
			"no interval stood after %d tries: the machine's speed varies too much, or the tries are too short", f.mostTries())
	}
	m, limited, err := f.probe(f.ctx, perSecond)
	if err != nil {
		return nil, err
	}
	t := Try{PerSecond: perSecond, Phase: phase, Measures: m}
	if t.Missed, err = f.misses(m); err != nil {
		return nil, err
	}
	t.Held = t.Missed == ""
	if !t.Held && !f.serverMisses(m) {
		t.Limited = limited
	}
	f.found.Tries = append(f.found.Tries, t)
	return &f.found.Tries[len(f.found.Tries)-1], nil
}

// decide notes what the search does after the last try.
func (f *finder) decide(format string, args ...any) {
	f.found.Tries[len(f.found.Tries)-1].Decision = fmt.Sprintf(format, args...)
}

// misses returns the first condition that does not hold.
func (f *finder) misses(m load.Measures) (string, error) {
	if answered := m["answered"]; answered < leastAnswers {
		return fmt.Sprintf("answered %.4g %% of the calls", 100*answered), nil
	}
	for i := range f.Objective {
		c := &f.Objective[i]
		holds, err := c.Holds(m)
		if err != nil {
			return "", err
		}
		if !holds {
			return fmt.Sprintf("%s: %s is %s", c.text, c.Measure, Format(c.Measure, m[c.Measure])), nil
		}
	}
	return "", nil
}

// serverMisses reports whether service times miss the objective too. A generator that sends late does not lengthen
// service times. One without free cores does.
func (f *finder) serverMisses(m load.Measures) bool {
	if m["generator_busy"] > load.MostGeneratorBusy {
		return false
	}
	for _, c := range f.Objective {
		c.Measure = "service_" + c.Measure
		if holds, err := c.Holds(m); err == nil && !holds {
			return true
		}
	}
	return false
}

// narrow tries rates within the bracket. It stops when the ends that all tries so far make likely are close enough, or
// when the remaining tries are needed to confirm the ends.
func (f *finder) narrow() error {
	if f.top() == 0 {
		return nil
	}
	const slack = 1.1 // the climb may have had luck, or met a stall
	b := newBelief(f.held/slack, f.top()*slack, f.Precision)
	for i := range f.found.Tries {
		b.see(f.found.Tries[i].PerSecond, f.found.Tries[i].Held)
	}
	for n := 0; ; n++ {
		f.found.Low, f.found.High = b.ends()
		if f.found.High <= f.found.Low*(1+f.Precision) || len(f.found.Tries) >= triesToFind {
			f.decide("the ends to confirm: %.0f and %.0f", f.found.Low, f.found.High)
			return nil
		}
		if n > 0 {
			f.decide("the capacity likely lies between %.0f and %.0f", f.found.Low, f.found.High)
		}
		t, err := f.try("narrow", b.quantile(askedAt[n%len(askedAt)]))
		if err != nil {
			return err
		}
		b.see(t.PerSecond, t.Held)
	}
}

// askedAt are the quantiles of the belief that are tried in turn. A try away from the middle also tells about the
// spread.
var askedAt = [...]float64{0.3, 0.7}
