package traffic

import (
	"math/rand/v2"
	"sort"
)

// pick draws values by weight.
type pick[T any] struct {
	values     []T
	cumulative []float64
}

type share[T any] struct {
	value  T
	weight float64
}

func shares[T any](all ...share[T]) *pick[T] {
	p := &pick[T]{}
	for _, s := range all {
		p.add(s.value, s.weight)
	}
	return p
}

func (p *pick[T]) add(value T, weight float64) {
	if n := len(p.cumulative); n > 0 {
		weight += p.cumulative[n-1]
	}
	p.values, p.cumulative = append(p.values, value), append(p.cumulative, weight)
}

func (p *pick[T]) draw(r *rand.Rand) T {
	at := r.Float64() * p.cumulative[len(p.cumulative)-1]
	return p.values[min(sort.SearchFloat64s(p.cumulative, at), len(p.values)-1)]
}
