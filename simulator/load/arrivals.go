package load

import (
	"math"
	"math/rand/v2"
	"time"
)

// Arrivals returns the next planned instant, counted from the start. The instants ascend. It returns false when there
// are no more.
type Arrivals func() (at time.Duration, more bool)

// Curve is a rate over time. Its pieces follow each other.
type Curve []Piece

// Piece is a stretch of a curve on which the rate changes linearly.
type Piece struct {
	Lasts    time.Duration
	From, To float64 // calls a second
}

// Constant returns a curve with one rate.
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

// Poisson plans calls as many independent people make them: a Poisson process with the curve's rate. Equal seeds give
// equal plans.
func (c Curve) Poisson(seed uint64) Arrivals {
	r := rand.New(rand.NewPCG(seed, 0x706f6973736f6e))
	return c.arrivals(r.ExpFloat64)
}

// arrivals inverts the integral of the rate, which grows by one gap between two calls. Within a piece the integral is
// a·t + k·t², so t = 2m / (a + √(a² + 4km)). This form stays exact when k is small.
func (c Curve) arrivals(gap func() float64) Arrivals {
	piece, start, mass := 0, time.Duration(0), 0.0 // the integral since the start of the piece
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

// calls returns how many calls a piece has, which is the integral of its rate.
func (p *Piece) calls() float64 { return p.Lasts.Seconds() * (p.From + p.To) / 2 }

// Ramp returns a curve that goes linearly from one rate to another.
func Ramp(from, to float64, lasts time.Duration) Curve { return Curve{{lasts, from, to}} }

// Steps returns a curve that holds each of the rates for the same time.
func Steps(lasts time.Duration, perSecond ...float64) Curve {
	c := make(Curve, len(perSecond))
	for i, rate := range perSecond {
		c[i] = Piece{lasts / time.Duration(len(perSecond)), rate, rate}
	}
	return c
}

// Day returns a curve with the hours of a day, compressed into the given time. Weights are the shares of the hours in
// any unit. The rate changes linearly from the middle of one hour to the middle of the next, as the number of people
// does. Its mean is perSecond.
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

// Lasts returns the length of a curve.
func (c Curve) Lasts() (lasts time.Duration) {
	for i := range c {
		lasts += c[i].Lasts
	}
	return lasts
}

// Calls returns how many calls a curve plans on average.
func (c Curve) Calls() (calls float64) {
	for i := range c {
		calls += c[i].calls()
	}
	return calls
}

// Replay plans calls at the instants of an earlier recording, in order.
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
