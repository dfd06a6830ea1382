package report

import (
	"fmt"
	"slices"
	"strings"

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

// FailIf adds a gate for each condition. The run fails when the condition holds, when its measure is missing, and when
// the generator may have spoiled the measure.
func (r *Run) FailIf(conditions []capacity.Condition) {
	m := r.measures()
	for i := range conditions {
		c := &conditions[i]
		g := Gate{Name: "fail if " + c.String()}
		if holds, err := c.Holds(m); err != nil {
			g.Because = err.Error()
		} else {
			g.OK, g.Because = !holds, fmt.Sprintf("%s is %s", c.Measure, capacity.Format(c.Measure, m[c.Measure]))
		}
		if why := r.unjudged(c.Measure); why != "" {
			g.OK, g.Because = false, why
		}
		r.Gates = append(r.Gates, g)
	}
}

// measures returns the measures that gates judge.
func (r *Run) measures() load.Measures {
	switch {
	case r.Load != nil:
		return r.Load.Measures
	case r.Capacity != nil:
		return r.Capacity.atLow()
	}
	return nil
}

// unjudged says why a measure of the run cannot be judged. It returns "" when it can.
func (r *Run) unjudged(measure string) string {
	switch {
	case r.Interrupted:
		return "the run was interrupted"
	case r.Load != nil && r.Load.Limited != "" && r.Load.spoils(measure):
		return r.Load.Limited
	case r.Load != nil:
		return ""
	case r.Capacity == nil:
		return "there are no measures"
	case r.Capacity.Low == 0:
		return "no capacity was found"
	}
	return ""
}

// unspoiled are the measures that do not depend on when calls were sent: the contents of the answers, and what the
// generator reports about itself.
var unspoiled = []string{"errors", "fill", "skipped", "price", "generator_busy"}

// spoils reports whether a generator that was the bottleneck spoils a measure. A generator that sends late makes calls
// wait longer and come in bursts. Only one without free cores lengthens service times, because it reads answers late.
func (l *Load) spoils(measure string) bool {
	switch {
	case slices.Contains(unspoiled, measure), strings.HasPrefix(measure, "server_"), strings.HasPrefix(measure, "lag_"):
		return false
	case strings.HasPrefix(measure, "service_"):
		return l.Measures["generator_busy"] > load.MostGeneratorBusy
	}
	return true
}

// atLow returns the measures of the last try that held at the lower end.
func (c *Capacity) atLow() load.Measures {
	m := load.Measures{}
	for _, t := range c.Tries {
		if t.PerSecond == c.Low && t.Held {
			m = t.Measures
		}
	}
	return m
}

// compared lists the measures that a baseline judges, and whether more of a measure is worse.
var compared = []struct {
	name      string
	moreWorse bool
}{{"p50", true}, {"p99", true}, {"service_p99", true}, {"errors", true}, {"dropped", true}, {"reached", false}}

// noise is the share of errors by which a run may exceed its baseline.
const noise = 0.001

// Baseline adds a gate for each measure. The run fails when a measure is worse than in an older run by more than the
// given share, and when it is missing in either run. Baseline returns an Invalid error when the runs cannot be
// compared.
func (r *Run) Baseline(old *Run, tolerance float64) error {
	if old.Kind != r.Kind {
		return hexbid.Invalidf("baseline", "it is a run of %q, this is one of %q", old.Kind, r.Kind)
	}
	if r.Capacity != nil && old.Capacity != nil {
		now, was := r.Capacity.Low, old.Capacity.Low
		g := Gate{"capacity beside the baseline", was > 0 && now >= was*(1-tolerance),
			fmt.Sprintf("%.0f a second, was %.0f", now, was)}
		if r.Interrupted || old.Interrupted {
			g.OK, g.Because = false, "one of the runs was interrupted"
		}
		r.Gates = append(r.Gates, g)
		return nil
	}
	before, after := old.measures(), r.measures()
	for _, c := range compared {
		g := Gate{Name: c.name + " beside the baseline"}
		was, known := before[c.name]
		now, measured := after[c.name]
		why, whyOld := r.unjudged(c.name), old.unjudged(c.name)
		switch {
		case why != "":
			g.Because = why
		case whyOld != "":
			g.Because = "of the baseline: " + whyOld
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

// Passed reports whether every gate is open.
func (r *Run) Passed() bool {
	for _, g := range r.Gates {
		if !g.OK {
			return false
		}
	}
	return true
}
