package overload

import (
	"math"
	"slices"
)

// Median returns the round whose figures are the medians of those of one or more rounds at one rate, the upper ones of
// an even number. It has recovered when most of them have, and the generator decided it when it decided most of them.
func Median(rounds []Round) Round {
	of := func(figure func(*Round) float64) float64 {
		all := make([]float64, len(rounds))
		for i := range rounds {
			all[i] = figure(&rounds[i])
		}
		return median(all)
	}
	recovered, limited := 0, 0
	m := Round{Times: rounds[0].Times}
	for i := range rounds {
		if rounds[i].Recovered {
			recovered++
		}
		if why := rounds[i].Limited; why != "" {
			limited, m.Limited = limited+1, why
		}
	}
	if 2*limited <= len(rounds) {
		m.Limited = ""
	}
	m.Recovered = 2*recovered > len(rounds)
	m.Offered = of(func(o *Round) float64 { return o.Offered })
	m.Admitted = of(func(o *Round) float64 { return o.Admitted })
	m.Goodput = of(func(o *Round) float64 { return o.Goodput })
	m.Refused = of(func(o *Round) float64 { return o.Refused })
	m.Failed = of(func(o *Round) float64 { return o.Failed })
	m.P50 = of(func(o *Round) float64 { return o.P50 })
	m.P99 = of(func(o *Round) float64 { return o.P99 })
	m.CPU = of(func(o *Round) float64 { return o.CPU })
	m.ResidentBytes = of(func(o *Round) float64 { return o.ResidentBytes })
	if m.Recovered {
		m.Recovery = of(func(o *Round) float64 {
			if !o.Recovered {
				return math.Inf(1)
			}
			return o.Recovery
		})
	}
	return m
}

// median returns the upper median of some numbers.
func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
