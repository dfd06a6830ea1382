package capacity

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/optimize"

	"github.com/hexbid/hexbid"
)

// Load is a throughput measured at a concurrency.
type Load struct {
	Callers   float64 `json:"callers"`
	PerSecond float64 `json:"per_second"`
}

// Scalability is the Universal Scalability Law, throughput over concurrency N:
//
//	X(N) = λN / (1 + σ(N−1) + κN(N−1))
//
// (Gunther, "Guerrilla Capacity Planning", 2007.) λ is the throughput of one caller, σ the share of work that waits its
// turn, and κ the cost of agreement between callers.
type Scalability struct {
	Lambda float64 `json:"lambda"`
	Sigma  float64 `json:"sigma"`
	Kappa  float64 `json:"kappa"`
	R2     float64 `json:"r2"` // share of the variance that the law explains
}

// leastLoads is the fewest points for a fit of three parameters that leaves some room for error.
const leastLoads = 4

// FitScalability fits the law by least squares of the throughput. It returns an Invalid error for too few points, and
// for a point that is not above 0.
func FitScalability(points []Load) (Scalability, error) {
	if len(points) < leastLoads {
		return Scalability{}, hexbid.Invalidf("points", "%d are too few for three parameters: give %d or more",
			len(points), leastLoads)
	}
	for _, p := range points {
		if !(p.Callers > 0 && p.PerSecond > 0) {
			return Scalability{}, hexbid.Invalidf("points",
				"%v callers at %v a second: both must be above 0", p.Callers, p.PerSecond)
		}
	}
	// The fit uses squares, so that no parameter falls below 0. The first point gives the scale of λ.
	scale := points[0].PerSecond / points[0].Callers
	at := func(x []float64) Scalability {
		return Scalability{Lambda: scale * x[0] * x[0], Sigma: x[1] * x[1], Kappa: x[2] * x[2]}
	}
	problem := optimize.Problem{Func: func(x []float64) float64 { return at(x).squares(points) / (scale * scale) }}
	best := Scalability{}
	least := math.Inf(1)
	for _, sigma := range []float64{0.01, 0.3} {
		r, err := optimize.Minimize(problem, []float64{1, math.Sqrt(sigma), 0.01}, &optimize.Settings{MajorIterations: 20_000,
			Converger: &optimize.FunctionConverge{Absolute: 1e-14, Relative: 1e-12, Iterations: 500}}, &optimize.NelderMead{})
		if err != nil {
			return Scalability{}, fmt.Errorf("fitting the scalability law: %w", err)
		}
		if r.F < least {
			best, least = at(r.X), r.F
		}
	}
	best.R2 = best.explains(points)
	return best, nil
}

// At returns the throughput of a number of callers.
func (s Scalability) At(n float64) float64 {
	return s.Lambda * n / (1 + s.Sigma*(n-1) + s.Kappa*n*(n-1))
}

// Peak returns the concurrency of the highest throughput. It is infinite when κ is 0.
func (s Scalability) Peak() float64 {
	if s.Kappa < 1e-12 {
		return math.Inf(1)
	}
	return math.Sqrt(max(0, 1-s.Sigma) / s.Kappa)
}

func (s Scalability) squares(points []Load) (sum float64) {
	for _, p := range points {
		d := s.At(p.Callers) - p.PerSecond
		sum += d * d
	}
	return sum
}

func (s Scalability) explains(points []Load) float64 {
	mean, around := 0.0, 0.0
	for _, p := range points {
		mean += p.PerSecond / float64(len(points))
	}
	for _, p := range points {
		around += (p.PerSecond - mean) * (p.PerSecond - mean)
	}
	if around == 0 {
		return 0 // equal throughputs have no variance to explain
	}
	return 1 - s.squares(points)/around
}
