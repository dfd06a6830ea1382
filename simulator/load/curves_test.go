package load

import (
	"context"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// rateAt returns the rate of a curve, computed piece by piece.
func (c Curve) rateAt(at time.Duration) float64 {
	for _, p := range c {
		if at < p.Lasts {
			return p.From + (p.To-p.From)*float64(at)/float64(p.Lasts)
		}
		at -= p.Lasts
	}
	return 0
}

// TestADayHasItsMeanAndItsHours: the rate in the middle of each hour is the hour's rate, and the curve never jumps, not
// even at midnight.
func TestADayHasItsMeanAndItsHours(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var weights [24]float64
		total := 0.0
		for h := range weights {
			weights[h] = rapid.Float64Range(0.01, 10).Draw(t, "weight")
			total += weights[h]
		}
		mean, lasts := rapid.Float64Range(1, 1000).Draw(t, "mean"),
			48*time.Duration(rapid.IntRange(1e6, 1e9).Draw(t, "half an hour"))
		day := Day(weights, mean, lasts)
		if day.Lasts() != lasts || math.Abs(day.Calls()/(mean*lasts.Seconds())-1) > 1e-9 {
			t.Fatalf("%v calls in %v, expected %v in %v", day.Calls(), day.Lasts(), mean*lasts.Seconds(), lasts)
		}
		for h := range weights {
			if got, want := day.rateAt(lasts*time.Duration(2*h+1)/48), weights[h]*24/total*mean; math.Abs(got/want-1) > 1e-9 {
				t.Fatalf("hour %d has %v a second, expected %v", h, got, want)
			}
		}
		for i := range day {
			if next := day[(i+1)%len(day)]; math.Abs(day[i].To-next.From) > 1e-9*mean {
				t.Fatalf("the curve jumps from %v to %v after piece %d", day[i].To, next.From, i)
			}
		}
	})
}

func TestRampsAndSteps(t *testing.T) {
	ramp, steps := Ramp(100, 300, 10*time.Second), Steps(9*time.Second, 10, 20, 60)
	if ramp.Calls() != 2000 || ramp.rateAt(5*time.Second) != 200 {
		t.Errorf("a ramp of %v calls, %v in its middle", ramp.Calls(), ramp.rateAt(5*time.Second))
	}
	if steps.Calls() != 270 || steps.rateAt(4*time.Second) != 20 || steps.Lasts() != 9*time.Second {
		t.Errorf("steps of %v calls in %v", steps.Calls(), steps.Lasts())
	}
}

func TestAReplayKeepsItsInstants(t *testing.T) {
	at := []time.Duration{0, 5 * time.Millisecond, 5 * time.Millisecond, 80 * time.Millisecond}
	r := mustRun(t, t.Context(), Config{MaxInFlight: 10, Timeout: time.Second}, Replay(at),
		func(context.Context, int) error { return nil })
	if r.Answered != 4 || r.Took < 80*time.Millisecond {
		t.Errorf("%d of 4 answered in %v", r.Answered, r.Took)
	}
	if got := all(Replay(at)); len(got) != 4 || got[3] != at[3] {
		t.Errorf("%v", got)
	}
}

// TestMomentsOfALongRunAreFew: a day of seconds fits in at most 1,200 moments. They add up to the whole run, and each
// keeps its worst percentiles.
func TestMomentsOfALongRunAreFew(t *testing.T) {
	r := NewRecorder(0)
	seconds := 86_400
	if testing.Short() {
		seconds = 6_000 // long enough for several halvings
	}
	for s := range seconds {
		at := time.Duration(s) * time.Second
		took := time.Millisecond
		if s == seconds/2 {
			took = time.Second
		}
		r.Plan()
		r.Record(at, at, at+took, nil)
		r.EndMoment(at + time.Second)
	}
	report := r.Report(time.Duration(seconds) * time.Second)
	sum, end, worst := 0, time.Duration(0), time.Duration(0)
	for _, m := range report.Moments {
		if m.Start != end {
			t.Fatalf("a moment starts at %v, the one before ended at %v", m.Start, end)
		}
		end += m.Lasts
		sum += m.Answered
		worst = max(worst, m.P99)
	}
	if len(report.Moments) > mostMoments || sum != seconds || end != time.Duration(seconds)*time.Second ||
		worst < 990*time.Millisecond {
		t.Errorf("%d moments with %d answers until %v, the worst p99 %v", len(report.Moments), sum, end, worst)
	}
}

func TestTheLastShortMomentIsPartOfTheOneBefore(t *testing.T) {
	r := NewRecorder(0)
	for s := range 3 {
		r.Plan()
		r.Record(0, 0, 1, nil)
		r.EndMoment(time.Duration(s+1) * time.Second)
	}
	r.Record(0, 0, 1, nil)
	moments := r.Report(3*time.Second + 20*time.Millisecond).Moments
	if len(moments) != 3 || moments[2].Answered != 2 || moments[2].Lasts != time.Second+20*time.Millisecond {
		t.Errorf("%+v", moments)
	}
}

func TestAReportIsLimitedByItsGenerator(t *testing.T) {
	report := func(lag, service time.Duration, busy float64) *Report {
		r := NewRecorder(0)
		for range 100 {
			r.Record(0, lag, lag+service, nil)
		}
		report := r.Report(time.Second)
		report.GeneratorBusy = busy
		return report
	}
	for _, test := range []struct {
		lag, service time.Duration
		busy         float64
		limited      bool
	}{
		{100 * time.Microsecond, 200 * time.Microsecond, 0.1, false},
		{900 * time.Microsecond, 100 * time.Microsecond, 0.1, false}, // under a millisecond: harmless
		{5 * time.Millisecond, 20 * time.Millisecond, 0.1, false},
		{5 * time.Millisecond, 2 * time.Millisecond, 0.1, true},
		{0, time.Millisecond, 0.9, true},
	} {
		if got := report(test.lag, test.service, test.busy).Limited(); (got != "") != test.limited {
			t.Errorf("%+v: %q", test, got)
		}
	}
	if NewRecorder(0).Report(time.Second).Limited() == "" {
		t.Error("a run without calls can be judged")
	}
}
