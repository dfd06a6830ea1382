package benchmarks

import (
	"runtime"
	"slices"
	"time"
)

// Figures are named numbers of one round.
type Figures map[string]float64

// Spread is a figure over rounds.
type Spread struct{ Median, Low, High float64 }

// Rounds measures so many times and gives the spread of every figure.
func Rounds(n int, measure func() (Figures, error)) (map[string]Spread, error) {
	all := map[string][]float64{}
	for range n {
		runtime.GC()
		figures, err := measure()
		if err != nil {
			return nil, err
		}
		for name, value := range figures {
			all[name] = append(all[name], value)
		}
	}
	spreads := map[string]Spread{}
	for name, values := range all {
		slices.Sort(values)
		spreads[name] = Spread{values[len(values)/2], values[0], values[len(values)-1]}
	}
	return spreads, nil
}

// timed calls f n times: first as fast as it goes, for the rate, then with a
// clock around each, for the quantiles. On a clock of 25 ns both see their own
// cost.
func timed(n int, f func(i int)) (perSecond, p50, p99 float64) {
	started := time.Now()
	for i := range n {
		f(i)
	}
	perSecond = float64(n) / time.Since(started).Seconds()
	took := make([]time.Duration, n)
	for i := range n {
		before := time.Now()
		f(i)
		took[i] = time.Since(before)
	}
	p50, p99 = quantiles(took)
	return perSecond, p50, p99
}

// quantiles sorts durations; the results are nanoseconds.
func quantiles(took []time.Duration) (p50, p99 float64) {
	slices.Sort(took)
	return float64(took[len(took)/2]), float64(took[len(took)*99/100])
}

// allocsPer is the number of allocations of one call.
func allocsPer(n int, f func(i int)) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range n {
		f(i)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}
