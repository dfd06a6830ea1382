package report

import (
	"fmt"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/capacity"
	"github.com/hexbid/hexbid/simulator/load"
)

// Gate is one judgement of a run.
type Gate struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Because string `json:"because"`
}

// FailIf adds a gate a condition: the run fails where one holds, where its measure
// is missing, and where the generator was the bottleneck.
func (r *Run) FailIf(conditions []capacity.Condition) {
	for i := range conditions {
		c := &conditions[i]
		g := Gate{Name: "fail if " + c.String()}
		m, why := r.judged()
		if holds, err := c.Holds(m); err != nil {
			g.Because = err.Error()
		} else {
			g.OK, g.Because = !holds, fmt.Sprintf("%s is %s", c.Measure, capacity.Format(c.Measure, m[c.Measure]))
		}
		if why != "" {
			g.OK, g.Because = false, why
		}
		r.Gates = append(r.Gates, g)
	}
}

// judged are the measures that gates look at, or why there are none.
func (r *Run) judged() (m load.Measures, why string) {
	switch {
	case r.Interrupted:
		why = "the run was interrupted"
	case r.Load != nil && r.Load.Limited != "":
		why = r.Load.Limited
	case r.Capacity != nil && r.Capacity.Low == 0:
		why = "no capacity was found"
	}
	switch {
	case r.Load != nil:
		return r.Load.Measures, why
	case r.Capacity != nil:
		return r.Capacity.atLow(), why
	}
	return nil, "there are no measures"
}

// atLow are the measures of the last run that held at the lower end, and the ends
// themselves.
func (c *Capacity) atLow() load.Measures {
	m := load.Measures{}
	for _, t := range c.Tries {
		if t.PerSecond == c.Low && t.Held {
			m = t.Measures
		}
	}
	return m
}

// compared are the measures of a run that a baseline judges, and whether more of
// them is worse.
var compared = []struct {
	name      string
	moreWorse bool
}{{"p50", true}, {"p99", true}, {"service_p99", true}, {"errors", true}, {"dropped", true}, {"reached", false}}

// noise is what a share of errors may grow by unremarked.
const noise = 0.001

// Baseline adds a gate a measure: the run fails where one is worse than in an
// older run by more than a share of it, and where it is missing in either. Its
// error is Invalid for an older run that cannot be compared.
func (r *Run) Baseline(old *Run, tolerance float64) error {
	if old.Kind != r.Kind {
		return hexbid.Invalidf("baseline", "it is a run of %q, this is one of %q", old.Kind, r.Kind)
	}
	if r.Capacity != nil && old.Capacity != nil {
		now, was := r.Capacity.Low, old.Capacity.Low
		r.Gates = append(r.Gates, Gate{"capacity beside the baseline", was > 0 && now >= was*(1-tolerance), fmt.Sprintf("%.0f a second, was %.0f", now, was)})
		return nil
	}
	before, whyOld := old.judged()
	after, why := r.judged()
	for _, c := range compared {
		g := Gate{Name: c.name + " beside the baseline"}
		was, known := before[c.name]
		now, measured := after[c.name]
		switch {
		case why != "" || whyOld != "":
			g.Because = why + whyOld
		case !known || !measured:
			g.Because = c.name + " was not measured in both"
		default:
			g.Because = fmt.Sprintf("%s, was %s", capacity.Format(c.name, now), capacity.Format(c.name, was))
			g.OK = c.moreWorse && now <= was*(1+tolerance)+noiseOf(c.name) || !c.moreWorse && now >= was*(1-tolerance)
		}
		r.Gates = append(r.Gates, g)
	}
	return nil
}

func noiseOf(measure string) float64 {
	if measure == "errors" || measure == "dropped" {
		return noise
	}
	return 0
}

// Passed says whether every gate is open.
func (r *Run) Passed() bool {
	for _, g := range r.Gates {
		if !g.OK {
			return false
		}
	}
	return true
}
