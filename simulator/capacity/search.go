package capacity

import (
	"context"
	"fmt"
	"math"

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
	// lie before they are confirmed.
	Precision float64
	// Confirmations is how often in a row an end must hold, or fail.
	Confirmations int
}

// DefaultSearch is for an objective.
func DefaultSearch(objective []Condition) Search {
	return Search{Objective: objective, Start: 100, Most: 1e6, Precision: 0.05, Confirmations: 3}
}

const (
	least        = 1     // a second: below it nothing is tried
	leastAnswers = 0.999 // share that an objective takes for granted
	mostTries    = 80
)

// Try is one rate that was tried.
type Try struct {
	PerSecond float64       `json:"per_second"`
	Phase     string        `json:"phase"` // climb, narrow, confirm
	Held      bool          `json:"held"`
	Missed    string        `json:"missed,omitempty"`  // the first condition that did not hold
	Limited   string        `json:"limited,omitempty"` // why the generator, not the server, may have set it
	Measures  load.Measures `json:"measures"`
}

// Found is a capacity as an interval: the lower end held each time that it was
// confirmed, the upper failed each time.
type Found struct {
	Low  float64 `json:"low_per_second"`
	High float64 `json:"high_per_second"` // 0 where none is known
	// NoVerdict says why there is no upper end; empty where there is one.
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
}

// Find climbs until the objective fails, narrows the interval by halving it, and
// confirms both ends. Where an end does not stand, the interval is widened: what
// holds at times and fails at times lies inside it. The tries so far are returned
// with an error too: of a probe, or Invalid for an objective that fails at the
// lowest rate.
func (s Search) Find(ctx context.Context, probe Probe) (*Found, error) {
	f := &finder{Search: s, ctx: ctx, probe: probe}
	low, high, err := f.climb()
	if err == nil && high > 0 {
		low, high, err = f.narrow(low, high)
	}
	if err == nil {
		low, high, err = f.confirm(low, high)
	}
	f.found.Low, f.found.High = low, high
	return &f.found, err
}

// try measures a rate.
func (f *finder) try(phase string, perSecond float64) (*Try, error) {
	if len(f.found.Tries) == mostTries {
		return nil, hexbid.Errorf(hexbid.Unavailable, "", "no interval stood after %d tries: the machine is too restless, or a try too short", mostTries)
	}
	m, limited, err := f.probe(f.ctx, perSecond)
	if err != nil {
		return nil, err
	}
	t := Try{PerSecond: perSecond, Phase: phase, Measures: m, Limited: limited}
	if t.Missed, err = f.missed(m); err != nil {
		return nil, err
	}
	t.Held = t.Missed == ""
	if !t.Held && f.serverMisses(m) {
		t.Limited = ""
	}
	f.found.Tries = append(f.found.Tries, t)
	return &t, nil
}

// missed is the first condition that does not hold.
func (f *finder) missed(m load.Measures) (string, error) {
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

// climb doubles the rate until it fails, or quarters it until it holds. High is 0
// where the generator was the bottleneck or nothing failed.
func (f *finder) climb() (low, high float64, err error) {
	rate := min(f.Start, f.Most)
	for {
		t, err := f.try("climb", rate)
		switch {
		case err != nil:
			return low, high, err
		case t.Held && high > 0:
			return rate, high, nil
		case t.Held && rate == f.Most:
			f.found.NoVerdict = fmt.Sprintf("the objective holds at %.0f a second, the most that was to be tried", f.Most)
			return rate, 0, nil
		case t.Held:
			low, rate = rate, min(2*rate, f.Most)
		case t.Limited != "":
			f.found.NoVerdict = fmt.Sprintf("at %.0f a second %s", rate, t.Limited)
			if low == 0 {
				return 0, 0, hexbid.Errorf(hexbid.Unavailable, "", "no verdict: %s", f.found.NoVerdict)
			}
			return low, 0, nil
		case low > 0:
			return low, rate, nil
		case rate <= least:
			return 0, rate, hexbid.Invalidf("slo", "it cannot be met: at %.2g a second %s", rate, t.Missed)
		default:
			high, rate = rate, max(rate/4, least)
		}
	}
}

// narrow halves the interval, on the scale of ratios.
func (f *finder) narrow(low, high float64) (float64, float64, error) {
	for high > low*(1+f.Precision) {
		rate := math.Sqrt(low * high)
		t, err := f.try("narrow", rate)
		switch {
		case err != nil:
			return low, high, err
		case t.Held:
			low = rate
		case t.Limited != "":
			f.found.NoVerdict = fmt.Sprintf("at %.0f a second %s", rate, t.Limited)
			return low, 0, nil
		default:
			high = rate
		}
	}
	return low, high, nil
}

// confirm moves the ends apart until the lower holds and the upper fails each
// time.
func (f *finder) confirm(low, high float64) (float64, float64, error) {
	for {
		all, err := f.all(low, true)
		if err != nil {
			return low, high, err
		}
		if all {
			break
		}
		if low /= 1 + f.Precision; low < least {
			return 0, high, hexbid.Invalidf("slo", "it cannot be met: it held once and not again, down to %.2g a second", low)
		}
	}
	for high > 0 {
		all, err := f.all(high, false)
		if err != nil || all {
			return low, high, err
		}
		if last := f.found.Tries[len(f.found.Tries)-1]; last.Limited != "" {
			f.found.NoVerdict = fmt.Sprintf("at %.0f a second %s", high, last.Limited)
			return low, 0, nil
		}
		high *= 1 + f.Precision
	}
	return low, high, nil
}

// all says whether a rate holds, or fails, each time. A failure that may be the
// generator's is none.
func (f *finder) all(rate float64, hold bool) (bool, error) {
	for range f.Confirmations {
		t, err := f.try("confirm", rate)
		if err != nil {
			return false, err
		}
		if t.Held != hold || !hold && t.Limited != "" {
			return false, nil
		}
	}
	return true, nil
}

// Format writes a measure for people.
func Format(measure string, v float64) string {
	switch k, _ := kindOf(measure); k {
	case span:
		return FormatSeconds(v)
	case share:
		return fmt.Sprintf("%.3g %%", 100*v)
	}
	return fmt.Sprintf("%.4g", v)
}

// FormatSeconds writes a length of time with three digits.
func FormatSeconds(s float64) string {
	switch {
	case s >= 1:
		return fmt.Sprintf("%.3g s", s)
	case s >= 1e-3:
		return fmt.Sprintf("%.3g ms", 1e3*s)
	}
	return fmt.Sprintf("%.3g µs", 1e6*s)
}
