package verify

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/hexbid/hexbid/simulator/load"
)

// gathered collects the instants of a plan, in seconds.
func gathered(next load.Arrivals) (at []float64) {
	for {
		t, more := next()
		if !more {
			return at
		}
		at = append(at, t.Seconds())
	}
}

// arrivals tests plans. Each figure is a test statistic divided by the value that chance exceeds once in a thousand. It
// should be 0 and may be 1.
func arrivals(seed uint64) []Check {
	const perSecond = 500.0
	at := gathered(load.Constant(perSecond, 400*time.Second).Poisson(seed))
	gaps := make([]float64, len(at))
	last := 0.0
	for i, t := range at {
		gaps[i], last = t-last, t
	}
	day := load.Day(dayOfTest, 200, 1000*time.Second)
	even := gathered(load.Constant(perSecond, 10*time.Second).Even())
	return []Check{
		{"Poisson gaps are exponential: share of Kolmogorov's bound", 0, kolmogorov(gaps, perSecond), 1, "",
			"Kolmogorov 1933, one in a thousand"},
		{"Poisson counts are Poisson: share of the bound of dispersion", 0, dispersion(at, 1), 1, "",
			"Fisher's index of dispersion, one in a thousand"},
		{"a day's calls follow its curve: share of the bound of χ²", 0, follows(gathered(day.Poisson(seed)), day), 1, "",
			"Pearson 1900, one in a thousand"},
		{"even plans: calls in ten seconds", perSecond * 10, float64(len(even)), 0, "", "by definition"},
		{"even plans: the longest gap", 1 / perSecond, longestGap(even), 1e-6, "s", "by definition"},
	}
}

// dayOfTest has hours of different weights.
var dayOfTest = func() (weights [24]float64) {
	for h := range weights {
		weights[h] = 1 + math.Cos(float64(h-20)/12*math.Pi)*0.9
	}
	return weights
}()

// kolmogorov returns the largest distance between the distribution of the gaps and the exponential one, divided by the
// distance that chance exceeds once in a thousand.
func kolmogorov(gaps []float64, perSecond float64) float64 {
	slices.Sort(gaps)
	d, n := 0.0, float64(len(gaps))
	for i, g := range gaps {
		f := 1 - math.Exp(-perSecond*g)
		d = max(d, f-float64(i)/n, float64(i+1)/n-f)
	}
	return d * math.Sqrt(n) / math.Sqrt(math.Log(2/0.001)/2)
}

// dispersion compares the variance of the counts in stretches with their mean.
func dispersion(at []float64, stretch float64) float64 {
	counts := make([]float64, int(math.Ceil(at[len(at)-1]/stretch)))
	for _, t := range at {
		counts[int(t/stretch)]++
	}
	mean := float64(len(at)) / float64(len(counts))
	return chiSquare(counts, func(int) float64 { return mean })
}

// follows compares the number of calls in each piece of a curve with the integral of its rate.
func follows(at []float64, curve load.Curve) float64 {
	counts, ends := make([]float64, len(curve)), time.Duration(0)
	next := 0
	for i := range curve {
		for ends += curve[i].Lasts; next < len(at) && at[next] < ends.Seconds(); next++ {
			counts[i]++
		}
	}
	return chiSquare(counts, func(i int) float64 { return curve[i : i+1].Calls() })
}

func chiSquare(counts []float64, expected func(i int) float64) (share float64) {
	sum := 0.0
	for i, n := range counts {
		off := n - expected(i)
		sum += off * off / expected(i)
	}
	return sum / distuv.ChiSquared{K: float64(len(counts) - 1)}.Quantile(0.999)
}

func longestGap(at []float64) (longest float64) {
	for i := 1; i < len(at); i++ {
		longest = max(longest, at[i]-at[i-1])
	}
	return longest
}

// omission checks coordinated omission. A server that answers at once stands still for one second of ten, and 1,000
// calls a second are planned. The calls of that second wait until it ends, so one hundredth of all calls waits 0.9 s or
// more. A second caller waits for each answer, therefore sends the next call late, and measures from the actual send.
// It sees one slow call.
func omission(uint64) []Check {
	const service, freeze, thaw = 0.00001, 5.0, 6.0
	recorder, plan := load.NewRecorder(0), load.Constant(1000, 10*time.Second).Even()
	free := 0.0
	for {
		planned, more := plan()
		if !more {
			break
		}
		sent := max(planned.Seconds(), free)
		done := sent + service
		if done > freeze && sent < thaw {
			done = max(done, thaw)
		}
		free = done
		recorder.Record(planned, seconds(sent), seconds(done), nil)
	}
	m := recorder.Report(10 * time.Second).Measures()
	source := "Tene, How NOT to Measure Latency"
	return []Check{
		{"a second's standstill in ten: p99 from the plan", 0.9, m["p99"], 0.02, "s", source},
		{"the same from the actual send, which does not see it", service, m["service_p99"], 0.1, "s", source},
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// inRealTime makes the same check against the clock of this machine, through the pacer and its workers. It is shorter:
// a standstill of 0.4 s in four seconds. On a machine busy with other work the check misses, rightly, because such a
// machine cannot measure.
func inRealTime(ctx context.Context) ([]Check, error) {
	const freeze, thaw = 1800 * time.Millisecond, 2200 * time.Millisecond
	var once sync.Once
	var started time.Time
	r, err := load.Run(ctx, load.Config{MaxInFlight: 1000, Timeout: 5 * time.Second},
		load.Constant(500, 4*time.Second).Even(), func(context.Context, int) error {
			once.Do(func() { started = time.Now() })
			if at := time.Since(started); at > freeze && at < thaw {
				time.Sleep(thaw - at)
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	m, source := r.Measures(), "Tene, How NOT to Measure Latency"
	return []Check{
		{"in real time, a standstill of 0.4 s in 4 s: p99 from the plan", 0.36, m["p99"], 0.1, "s", source},
		{"in real time: calls answered of 2,000 planned", 2000, float64(r.Answered), 0, "", "by definition"},
	}, ctx.Err()
}
