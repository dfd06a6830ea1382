package load

import (
	"math"
	"math/rand/v2"
	"time"
)

// Arrivals gives the planned instants of calls since the start, in order, until
// there are no more.
type Arrivals func() (at time.Duration, more bool)

// Curve is a rate over time, in pieces that follow each other.
type Curve []Piece

// Piece is a stretch of a curve whose rate changes evenly.
type Piece struct {
	Lasts    time.Duration
	From, To float64 // calls a second
}

// Constant is a curve of one rate.
func Constant(perSecond float64, lasts time.Duration) Curve {
	return Curve{{lasts, perSecond, perSecond}}
}

// Even plans calls as regularly as the curve allows.
func (c Curve) Even() Arrivals {
	first := true
	return c.arrivals(func() float64 {
		if first {
			first = false
			return 0
		}
		return 1
	})
}

// Poisson plans independent calls, as those of many people: a Poisson process
// of the curve's rate. Equal seeds give equal plans.
func (c Curve) Poisson(seed uint64) Arrivals {
	r := rand.New(rand.NewPCG(seed, 0x706f6973736f6e))
	return c.arrivals(r.ExpFloat64)
}

// arrivals inverts the integral of the rate: between two calls it grows by a gap.
// Within a piece it is a·t + k·t², so that t = 2m / (a + √(a² + 4km)), a form
// that stays exact when k is small.
func (c Curve) arrivals(gap func() float64) Arrivals {
	piece, start, mass := 0, time.Duration(0), 0.0 // mass since the start of the piece
	return func() (time.Duration, bool) {
		mass += gap()
		for piece < len(c) && mass >= c[piece].calls() {
			mass -= c[piece].calls()
			start += c[piece].Lasts
			piece++
		}
		if piece == len(c) {
			return 0, false
		}
		p := &c[piece]
		k := (p.To - p.From) / (2 * p.Lasts.Seconds())
		t := 0.0
		if mass > 0 {
			t = 2 * mass / (p.From + math.Sqrt(max(0, p.From*p.From+4*k*mass)))
		}
		return start + time.Duration(t*float64(time.Second)), true
	}
}

// calls is how many calls a piece has: the integral of its rate.
func (p *Piece) calls() float64 { return p.Lasts.Seconds() * (p.From + p.To) / 2 }
