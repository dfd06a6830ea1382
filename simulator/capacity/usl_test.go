package capacity

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestTheLawIsFoundAgain fits points that lie on a law. (simulator/verify fits published points.)
func TestTheLawIsFoundAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		law := Scalability{Lambda: rapid.Float64Range(1, 1e5).Draw(t, "λ"), Sigma: rapid.Float64Range(0, 0.5).Draw(t, "σ"),
			Kappa: rapid.Float64Range(0, 0.01).Draw(t, "κ")}
		var points []Load
		for n := 1.0; n <= 128; n *= 2 {
			points = append(points, Load{n, law.At(n)})
		}
		got, err := FitScalability(points)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1.0; n <= 128; n++ {
			if math.Abs(got.At(n)/law.At(n)-1) > 0.01 {
				t.Fatalf("%+v of %+v: %g callers give %g, expected %g", got, law, n, got.At(n), law.At(n))
			}
		}
		if got.R2 < 0.999 {
			t.Errorf("R² %g", got.R2)
		}
	})
}

func TestEqualThroughputsAreFitted(t *testing.T) {
	s, err := FitScalability([]Load{{1, 100}, {2, 100}, {4, 100}, {8, 100}})
	if err != nil || math.IsNaN(s.R2) || math.IsInf(s.R2, 0) || math.Abs(s.Sigma-1) > 0.05 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestPointsThatCannotBeFitted(t *testing.T) {
	for _, points := range [][]Load{nil, {{1, 10}, {2, 20}, {3, 30}}, {{1, 10}, {2, 20}, {3, 0}, {4, 40}},
		{{1, 10}, {2, 20}, {0, 30}, {4, 40}}, {{1, math.NaN()}, {2, 20}, {3, 30}, {4, 40}}} {
		if _, err := FitScalability(points); err == nil {
			t.Errorf("%v was fitted", points)
		}
	}
}
