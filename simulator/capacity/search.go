package capacity

import (
	"context"
	"fmt"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/load"
)

// Search bounds a search for a capacity.
type Search struct {
	// Objective must hold, and as good as all calls must be answered.
	Objective []Condition
	// Start is the first rate tried, Most the highest, calls a second.
	Start, Most float64
	// Precision is how far apart, relative to the lower, the ends of the interval
	// lie before they are confirmed, where the machine's noise allows it.
	Precision float64
	// Confirmations is how many repeats must agree for an end to stand, before two
	// disagree.
	Confirmations int
}

// DefaultSearch is for an objective.
func DefaultSearch(objective []Condition) Search {
	return Search{Objective: objective, Start: 100, Most: 1e6, Precision: 0.05, Confirmations: 3}
}

const (
	least        = 1     // a second: below it nothing is tried
	leastAnswers = 0.999 // share that an objective takes for granted
	mostContrary = 2     // tries that turn a verdict: one may have met a stall

	// Tries to find the ends and to move them, beside those that confirm them. With
	// three confirmations a search makes at most 40.
	triesToFind = 25
	triesToMove = 9
)

// Try is one rate that was tried.
type Try struct {
	PerSecond float64       `json:"per_second"`
	Phase     string        `json:"phase"` // climb, narrow, confirm
	Held      bool          `json:"held"`
	Missed    string        `json:"missed,omitempty"`  // the first condition that did not hold
	Limited   string        `json:"limited,omitempty"` // why the generator, not the server, may have set it
	Decision  string        `json:"decision"`          // what the search did next, and why
	Measures  load.Measures `json:"measures"`
}

// Found is a capacity as an interval. The objective held at the lower end and
// failed at the upper in the median of their repeats.
type Found struct {
	Low  float64 `json:"low_per_second"`
	High float64 `json:"high_per_second"` // 0 where none is known
	// NoVerdict says why an end is missing or was not confirmed; empty where both
	// stand.
	NoVerdict string `json:"no_verdict,omitempty"`
	Tries     []Try  `json:"tries"`
}

// Probe offers a rate to a server, or a model of one, and gives its measures. A
// reason why the generator was the bottleneck is no error.
type Probe func(ctx context.Context, perSecond float64) (m load.Measures, limited string, err error)

// finder is a search under way.
type finder struct {
	Search
	ctx   context.Context
	probe Probe
	found Found
	bracket
}

// Find brackets the capacity by doubling the rate, narrows the bracket, and
// confirms both ends. No single try decides anything, for the machine may have
// stood still just then: a miss is tried again before it ends the climb, the
// bracket is narrowed by what all tries together make likely, and an end stands
// when its repeats agree. One that does not stand moves out, twice as far each
// time.
//
// The tries so far are returned with an error too: of a probe, Invalid for an
// objective that fails at the lowest rate, or Unavailable where nothing could be
// judged. Then NoVerdict says so.
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

// mostTries bounds a search.
func (s *Search) mostTries() int { return triesToFind + triesToMove + 2*s.Confirmations }

// try measures a rate.
func (f *finder) try(phase string, perSecond float64) (*Try, error) {
	if len(f.found.Tries) == f.mostTries() {
		return nil, hexbid.Errorf(hexbid.Unavailable, "", "no interval stood after %d tries: the machine is too restless, or a try too short", f.mostTries())
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

// decide keeps what followed from the last try.
func (f *finder) decide(format string, args ...any) {
	f.found.Tries[len(f.found.Tries)-1].Decision = fmt.Sprintf(format, args...)
}

// misses is the first condition that does not hold.
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

// serverMisses says whether the objective would be missed by service times too,
// which a generator that sends late does not lengthen; one without cores does.
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

// narrow tries rates within the bracket until the ends that all tries so far make
// likely are as close as was asked, or until the tries are needed to confirm them.
func (f *finder) narrow() error {
	if f.top() == 0 {
		return nil
	}
	const slack = 1.1 // the climb may have been lucky, or a stall's
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

// askedAt are the quantiles of the belief that are tried in turn. Away from the
// middle a try tells of the spread too.
var askedAt = [...]float64{0.3, 0.7}
