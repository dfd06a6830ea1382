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

// Ramp is a curve that goes evenly from one rate to another.
func Ramp(from, to float64, lasts time.Duration) Curve { return Curve{{lasts, from, to}} }

// Steps is a curve that holds each of some rates for as long as the others.
func Steps(lasts time.Duration, perSecond ...float64) Curve {
	c := make(Curve, len(perSecond))
	for i, rate := range perSecond {
		c[i] = Piece{lasts / time.Duration(len(perSecond)), rate, rate}
	}
	return c
}

// Day is a curve of a day's hours, squeezed into a while. Weights are the shares
// of the hours in any unit, and the rate changes evenly from the middle of an
// hour to that of the next, as people do; its mean is perSecond.
func Day(weights [24]float64, perSecond float64, lasts time.Duration) Curve {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	rate := func(hour int) float64 { return weights[hour%24] * 24 / total * perSecond }
	half := lasts / 48
	midnight := (rate(23) + rate(0)) / 2
	c := Curve{{half, midnight, rate(0)}}
	for hour := range 23 {
		c = append(c, Piece{2 * half, rate(hour), rate(hour + 1)})
	}
	return append(c, Piece{half, rate(23), midnight})
}

// Lasts is how long a curve goes on.
func (c Curve) Lasts() (lasts time.Duration) {
	for i := range c {
		lasts += c[i].Lasts
	}
	return lasts
}

// Calls is how many calls a curve plans, on average.
func (c Curve) Calls() (calls float64) {
	for i := range c {
		calls += c[i].calls()
	}
	return calls
}

// Replay plans calls at instants recorded before, in order.
func Replay(at []time.Duration) Arrivals {
	next := 0
	return func() (time.Duration, bool) {
		if next == len(at) {
			return 0, false
		}
		next++
		return at[next-1], true
	}
}
