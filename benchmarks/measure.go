package benchmarks

import (
	"runtime"
	"slices"
	"time"
)

// Figures holds the numbers of one round by name.
type Figures map[string]float64

// Spread is the median, lowest and highest value of a figure over all rounds.
type Spread struct{ Median, Low, High float64 }

// Rounds runs measure n times and returns the spread of every figure.
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

// timed calls f n times without pause, for the rate, and then n times with a clock around each call, for the quantiles.
// Reading the clock takes some 25 ns, which the quantiles include.
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

// quantiles sorts durations and returns two quantiles in nanoseconds.
func quantiles(took []time.Duration) (p50, p99 float64) {
	slices.Sort(took)
	return float64(took[len(took)/2]), float64(took[len(took)*99/100])
}

// allocsPer returns the average number of allocations of one call.
func allocsPer(n int, f func(i int)) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range n {
		f(i)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}
