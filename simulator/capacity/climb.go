package capacity

import (
	"fmt"

	"github.com/hexbid/hexbid"
)

// bracket is the result of a climb, in calls a second. 0 stands for none.
type bracket struct {
	held    float64 // the objective held at this rate
	missed  float64 // the objective failed, because of the server
	limited float64 // the lowest rate at which the objective failed, perhaps because of the generator
}

// top returns the upper end of the range that remains to be searched.
func (b *bracket) top() float64 {
	if b.missed > 0 {
		return b.missed
	}
	return b.limited
}

// verdict is the result of trying a rate.
type verdict uint8

const (
	holds verdict = iota
	fails
	unjudged // the objective failed, perhaps because of the generator
)

// tryUntilClear tries a rate until its verdict is clear. A try that holds proves the rate, so one is enough. A stall of
// the machine may make a try fail, so a failure takes two.
func (f *finder) tryUntilClear(rate float64) (verdict, error) {
	for failed, limited := 0, 0; ; {
		t, err := f.try("climb", rate)
		switch {
		case err != nil:
			return unjudged, err
		case t.Held:
			return holds, nil
		case t.Limited != "":
			limited++
		default:
			failed++
		}
		switch {
		case failed == mostContrary:
			return fails, nil
		case limited == mostContrary:
			return unjudged, nil
		}
		f.decide("missed: tried again, because a stall of the machine may be the cause")
	}
}

// quickAfter is the number of doublings after which the climb quadruples the rate.
const quickAfter = 8

// climb doubles the rate until it fails, or quarters it until it holds. When the generator is the limit it tries one
// higher rate, at which the server may fail by itself, and then goes on below.
func (f *finder) climb() error {
	rate, looked := min(f.Start, f.Most), false
	for n := 0; ; n++ {
		v, err := f.tryUntilClear(rate)
		if err != nil {
			return err
		}
		next := 0.0
		switch v {
		case holds:
			next = f.climbed(rate, n)
		case fails:
			f.missed = rate
		case unjudged:
			if f.limited == 0 || rate < f.limited {
				f.limited = rate
			}
			if f.held > 0 && !looked && rate < f.Most {
				next, looked = min(2*rate, f.Most), true
			}
		}
		if next == 0 && f.held == 0 {
			if next, err = f.descend(rate, v); err != nil {
				return err
			}
		}
		f.decide("%s", f.says(v, next))
		if next == 0 {
			return nil
		}
		rate = next
	}
}

// climbed returns the rate to try after one that held, or 0 at the top of the climb.
func (f *finder) climbed(rate float64, tries int) (next float64) {
	f.held = rate
	if f.limited < rate {
		f.limited = 0
	}
	if f.top() > 0 || rate == f.Most {
		return 0
	}
	if tries < quickAfter {
		return min(2*rate, f.Most)
	}
	return min(4*rate, f.Most)
}

// descend returns the rate to try after one that did not hold, while no rate has held yet.
func (f *finder) descend(rate float64, v verdict) (next float64, err error) {
	t := &f.found.Tries[len(f.found.Tries)-1]
	switch {
	case rate > least:
		return max(rate/4, least), nil
	case v == fails:
		return 0, hexbid.Invalidf("slo", "it cannot be met: at %.2g a second %s", rate, t.Missed)
	}
	return 0, hexbid.Errorf(hexbid.Unavailable, "", "no verdict: even at %.2g a second %s", rate, t.Limited)
}

// says describes what a verdict of the climb leads to.
func (f *finder) says(v verdict, next float64) string {
	because := [...]string{"held", "missed again", "the generator was the limit again"}[v]
	switch {
	case next > 0:
		return fmt.Sprintf("%s: on to %.0f", because, next)
	case f.top() > 0:
		return fmt.Sprintf("%s: the capacity lies between %.0f and %.0f", because, f.held, f.top())
	}
	return because + ": this is the highest rate to try"
}
