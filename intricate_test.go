package hexbid

import (
	"math"
	"math/rand/v2"
	"testing"
)

// intricate makes outlines of n vertices without a crossing. Each outline is slow for some way of checking it.
var intricate = map[string]func(n int) []Point{
	"a comb of teeth across all latitudes":  func(n int) []Point { return comb(n-3, false) },
	"a comb of teeth across all longitudes": func(n int) []Point { return comb(n-3, true) },
	"diagonal teeth":                        diagonalTeeth,
	"a spiral":                              spiral,
	"a star of long rays": func(n int) (ring []Point) {
		for i := range n - 1 {
			sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n-1))
			reach := 0.001 + 60*float64(i%2)
			ring = append(ring, Point{Lat: reach * sin, Lng: reach * cos})
		}
		return closed(ring)
	},
	"rays from one point": func(n int) (ring []Point) {
		for i := 0; i+3 < n; i += 3 {
			a := 2 * math.Pi * float64(i) / float64(n)
			b := 2 * math.Pi * float64(i+1) / float64(n)
			ring = append(ring, Point{1, 1}, Point{1 + 60*math.Sin(a), 1 + 60*math.Cos(a)},
				Point{1 + 60*math.Sin(b), 1 + 60*math.Cos(b)})
		}
		return closed(ring)
	},
	"a walk to the east": func(n int) (ring []Point) {
		r := rand.New(rand.NewPCG(35, 36))
		lat := 0.0
		for i := range n - 3 {
			lat = max(-80, min(80, lat+r.NormFloat64()))
			ring = append(ring, Point{Lat: lat, Lng: -85 + 170*float64(i)/float64(n)})
		}
		return closed(append(ring, Point{Lat: -85, Lng: 85}, Point{Lat: -85, Lng: -85}))
	},
	"a square walked round ten thousand times": func(n int) (ring []Point) {
		for range (n - 1) / 4 {
			ring = append(ring, Point{1, 1}, Point{1, 2}, Point{2, 2}, Point{2, 1})
		}
		return closed(ring)
	},
	"a diagonal walked to and fro": func(n int) (ring []Point) {
		r := rand.New(rand.NewPCG(37, 38))
		for range n - 3 {
			x := 10 + 70*r.Float64()
			ring = append(ring, Point{x, x})
		}
		return closed(append(ring, Point{80, 10}, Point{10, 10}))
	},
	"a staircase": func(n int) (ring []Point) {
		for i := range n - 2 {
			ring = append(ring, Point{Lat: float64(i/2) * 0.003, Lng: float64((i+1)/2) * 0.003})
		}
		return closed(append(ring, Point{Lat: 80, Lng: -10}))
	},
}

// comb has long teeth that do not cross. Along one axis every edge overlaps every other, along the other axis none.
func comb(vertices int, turned bool) []Point {
	var ring []Point
	for i := range vertices {
		lat := 10.0
		if i%2 == 1 {
			lat = 50
		}
		ring = append(ring, Point{Lat: lat, Lng: -80 + 160*float64(i)/float64(vertices)})
	}
	ring = append(ring, Point{Lat: 5, Lng: 80}, Point{Lat: 5, Lng: -80}, ring[0])
	if turned {
		for i, p := range ring {
			ring[i] = Point{Lat: p.Lng, Lng: p.Lat}
		}
	}
	return ring
}

// diagonalTeeth runs to and fro between two parallel lines. Its teeth stand at 45°.
func diagonalTeeth(n int) (ring []Point) {
	for i := range n - 3 {
		start := -80 + 80*float64(i)/float64(n)
		at := Point{Lat: start - 0, Lng: -start - 80}
		if i%2 == 1 {
			at.Lat, at.Lng = at.Lat+80, at.Lng+80
		}
		ring = append(ring, at)
	}
	return closed(append(ring, Point{Lat: -85, Lng: -90}, Point{Lat: -85, Lng: 5}))
}

// spiral winds inward, and back outward beside its own track.
func spiral(n int) (ring []Point) {
	half := (n - 1) / 2
	at := func(i int, wide float64) Point {
		turns := 40 * 2 * math.Pi * float64(i) / float64(half)
		reach := 5 + 70*float64(i)/float64(half) + wide
		return Point{Lat: reach * math.Sin(turns), Lng: reach * math.Cos(turns)}
	}
	for i := range half {
		ring = append(ring, at(i, 0))
	}
	for i := half - 1; i >= 0; i-- {
		ring = append(ring, at(i, 0.5))
	}
	return closed(ring)
}

func TestEveryIntricateOutlineIsCheckedInTimeNLogN(t *testing.T) {
	for name, outline := range intricate {
		for _, n := range []int{5_000, MaxVertices} {
			ring := outline(n)
			if len(ring) > MaxVertices {
				t.Fatalf("%s has %d vertices", name, len(ring))
			}
			found, comparisons := findCrossing(Polygon{ring})
			if found != nil {
				t.Errorf("%s of %d vertices crosses itself near %v", name, n, found.at)
			}
			if most := 3 * float64(n) * math.Log2(float64(n)); float64(comparisons) > most {
				t.Errorf("%s of %d vertices takes %d comparisons, above %.0f", name, n, comparisons, most)
			}
			t.Logf("%s: %d vertices, %.1f comparisons each", name, n, float64(comparisons)/float64(n))
		}
	}
}

func TestOneCrossingInAnIntricateOutlineIsFound(t *testing.T) {
	for _, name := range []string{"diagonal teeth", "a spiral", "a walk to the east"} {
		ring := intricate[name](MaxVertices)
		ring[20_000], ring[20_002] = ring[20_002], ring[20_000]
		if found, _ := findCrossing(Polygon{ring}); found == nil || !found.sameRing {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func BenchmarkValidateIntricateOutline(b *testing.B) {
	for name, outline := range intricate {
		b.Run(name, func(b *testing.B) {
			p := []Polygon{{outline(MaxVertices)}}
			for b.Loop() {
				if err := validatePolygons("area", p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
