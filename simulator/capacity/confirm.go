package capacity

import (
	"fmt"
	"math"

	"github.com/hexbid/hexbid"
)

// end is an end of the interval while it is being confirmed.
type end struct {
	name     string
	rate     *float64
	holds    bool    // whether the objective must hold at this end, or fail
	distance float64 // from the middle, on a logarithmic scale
	agreed   int     // tries that agreed since the end last moved
	contrary int
	unjudged int
}

// confirm repeats tries at both ends in turn, so that both are confirmed over the same time. An end stands when as many
// tries agree as Confirmations asks for, before two disagree. An end that does not stand moves outward, each time to
// twice its distance from the middle. So a rate that sometimes holds and sometimes fails ends up inside the interval.
func (f *finder) confirm() error {
	middle, distance := f.found.Low, math.Log1p(f.Precision)
	if f.found.High > 0 {
		middle, distance = math.Sqrt(f.found.Low*f.found.High), math.Log(f.found.High/f.found.Low)/2
	} else {
		f.found.NoVerdict = fmt.Sprintf("the objective holds at %.0f a second, the highest rate to try", f.Most)
	}
	low, high := &end{name: "lower", rate: &f.found.Low, holds: true, distance: distance},
		&end{name: "upper", rate: &f.found.High, distance: distance}
	for !f.stands(low) || !f.stands(high) {
		for _, e := range []*end{low, high} {
			if f.stands(e) {
				continue
			}
			if err := f.repeat(e, middle); err != nil {
				return err
			}
		}
	}
	return nil
}

// stands reports whether an end is confirmed. An upper end that was given up needs no confirmation.
func (f *finder) stands(e *end) bool { return *e.rate == 0 || e.agreed == f.Confirmations }

// repeat tries the rate of an end once more and decides what follows.
func (f *finder) repeat(e *end, middle float64) error {
	t, err := f.try("confirm", *e.rate)
	if err != nil {
		return err
	}
	switch {
	case !e.holds && t.Limited != "":
		e.unjudged++
	case t.Held == e.holds:
		e.agreed++
	default:
		e.contrary++
	}
	switch {
	case e.agreed == f.Confirmations:
		f.decide("the %s end stands at %.0f", e.name, *e.rate)
	case e.contrary == mostContrary:
		return f.move(e, middle)
	case e.unjudged == mostContrary:
		f.goAround(e, middle, t.Limited)
	case t.Held != e.holds || e.unjudged > 0:
		f.decide("the %s end: one try disagreed, perhaps because of a stall", e.name)
	default:
		f.decide("the %s end: %d of %d", e.name, e.agreed, f.Confirmations)
	}
	return nil
}

// move puts an end at twice its distance from the middle.
func (f *finder) move(e *end, middle float64) error {
	was := *e.rate
	e.distance, e.agreed, e.contrary, e.unjudged = 2*e.distance, 0, 0, 0
	if e.holds {
		*e.rate = middle * math.Exp(-e.distance)
		if *e.rate < least {
			return hexbid.Invalidf("slo", "it cannot be met: it held once and then failed, down to %.2g a second", was)
		}
		if f.top() == 0 {
			f.found.NoVerdict = f.atTimes()
		}
	} else if *e.rate = min(middle*math.Exp(e.distance), f.Most); was == f.Most {
		*e.rate = 0
		f.found.NoVerdict = f.atTimes()
	}
	f.decide("the %s end does not stand at %.0f: on to %.0f", e.name, was, *e.rate)
	return nil
}

func (f *finder) atTimes() string {
	return fmt.Sprintf("the objective sometimes holds at %.0f a second, the highest rate to try", f.Most)
}

// goAround handles an upper end at which the generator was the limit. It puts the end at the next higher rate at which
// the server failed by itself. If there is none it gives the end up.
func (f *finder) goAround(e *end, middle float64, limited string) {
	was := *e.rate
	e.agreed, e.contrary, e.unjudged = 0, 0, 0
	if f.missed > was {
		*e.rate, e.distance = f.missed, math.Log(f.missed/middle)
		f.decide("the generator was the limit at %.0f: the upper end goes to %.0f, where the server was", was, f.missed)
		return
	}
	*e.rate, f.found.NoVerdict = 0, fmt.Sprintf("at %.0f a second %s", was, limited)
	f.decide("the generator was the limit: there is no upper end")
}
