package hexbid

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// exactSide computes side in exact fractions, from the coordinates as written.
func exactSide(a, b, c Point) int {
	minus := func(x, y float64) *big.Rat {
		return new(big.Rat).Sub(new(big.Rat).SetFloat64(x), new(big.Rat).SetFloat64(y))
	}
	left := new(big.Rat).Mul(minus(b.Lng, a.Lng), minus(c.Lat, a.Lat))
	return left.Cmp(new(big.Rat).Mul(minus(b.Lat, a.Lat), minus(c.Lng, a.Lng)))
}

// plainlyCrosses is the oracle: it compares every edge with every other.
func plainlyCrosses(p Polygon) bool {
	var edges [][2]Point
	for _, ring := range p {
		for i := 1; i < len(ring); i++ {
			edges = append(edges, [2]Point{ring[i-1], ring[i]})
		}
	}
	for i, e := range edges {
		for _, f := range edges[:i] {
			if exactSide(e[0], e[1], f[0])*exactSide(e[0], e[1], f[1]) < 0 &&
				exactSide(f[0], f[1], e[0])*exactSide(f[0], f[1], e[1]) < 0 {
				return true
			}
		}
	}
	return false
}

func closed(ring []Point) []Point { return append(ring, ring[0]) }

// latticeRing draws a ring over few positions. So vertices repeat, vertices lie on other edges, and edges overlap or
// run due north.
func latticeRing(t *rapid.T, label string) []Point {
	size := rapid.IntRange(2, 9).Draw(t, label+" size")
	step := rapid.SampledFrom([]float64{1, 0.1, 1e-9}).Draw(t, label+" step")
	at := rapid.IntRange(0, size)
	ring := make([]Point, rapid.IntRange(3, 14).Draw(t, label+" vertices"))
	for i := range ring {
		ring[i] = Point{Lat: 30 + step*float64(at.Draw(t, "lat")), Lng: 120 + step*float64(at.Draw(t, "lng"))}
	}
	return closed(ring)
}

func checkAgainstThePlainForm(t interface{ Fatalf(string, ...any) }, p Polygon) {
	found, _ := findCrossing(p)
	if want := plainlyCrosses(p); (found != nil) != want {
		t.Fatalf("%v: the sweep says %v, every pair of edges %v", p, found, want)
	}
}

func TestTheSweepAgreesWithEveryPairOfEdgesOnALattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Polygon{latticeRing(t, "outer")}
		if rapid.Bool().Draw(t, "has a hole") {
			p = append(p, latticeRing(t, "hole"))
		}
		checkAgainstThePlainForm(t, p)
	})
}

// TestTheSweepAgreesOnRingsThatHardlyCross draws rings without a crossing and then moves one vertex. Purely random
// rings nearly always cross.
func TestTheSweepAgreesOnRingsThatHardlyCross(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	crossing := 0
	for range 1000 {
		ring := untangled(r, 5+r.IntN(12))
		if found, _ := findCrossing(Polygon{ring}); found != nil {
			t.Fatalf("%v: a crossing was found at %v", ring, found.at)
		}
		i := 1 + r.IntN(len(ring)-2)
		switch j := 1 + r.IntN(len(ring)-2); r.IntN(4) {
		case 0: // onto another vertex
			ring[i] = ring[j]
		case 1: // onto another edge, as near as floats allow
			ring[i] = Point{Lat: (ring[j].Lat + ring[j+1].Lat) / 2, Lng: (ring[j].Lng + ring[j+1].Lng) / 2}
		case 2:
			ring[i], ring[j] = ring[j], ring[i]
		default:
			ring[i].Lat = ring[j].Lat
		}
		checkAgainstThePlainForm(t, Polygon{ring})
		if plainlyCrosses(Polygon{ring}) {
			crossing++
		}
	}
	if crossing < 100 || crossing > 900 {
		t.Errorf("%d of 1,000 rings cross: too few of one kind", crossing)
	}
}

// untangled draws a ring around a point. Its vertices stand in order of angle.
func untangled(r *rand.Rand, n int) (ring []Point) {
	for i := range n {
		sin, cos := math.Sincos(2 * math.Pi * (float64(i) + 0.9*r.Float64()) / float64(n))
		reach := 0.01 + r.Float64()
		ring = append(ring, Point{Lat: 31 + reach*sin, Lng: 121 + reach*cos})
	}
	return closed(ring)
}

func FuzzCrossing(f *testing.F) {
	f.Add([]byte{0, 0, 4, 4, 4, 0, 0, 4})
	f.Add([]byte{0, 0, 2, 0, 4, 0, 4, 4, 2, 0, 0, 4})
	f.Add([]byte{0, 0, 0, 3, 0, 1, 0, 6, 5, 5, 255, 255, 1, 1, 2, 1, 2, 2})
	f.Fuzz(func(t *testing.T, coordinates []byte) {
		if len(coordinates) > 80 {
			return
		}
		var p Polygon
		var ring []Point
		for i := 1; i < len(coordinates); i += 2 {
			if coordinates[i] == 255 && len(ring) > 0 { // a ring ends
				p, ring = append(p, closed(ring)), nil
				continue
			}
			ring = append(ring, Point{Lng: 1 + float64(coordinates[i-1])/8, Lat: 1 + float64(coordinates[i])/8})
		}
		if len(ring) > 0 {
			p = append(p, closed(ring))
		}
		checkAgainstThePlainForm(t, p)
	})
}

func TestSidesAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	beside := func(x float64) float64 {
		for range r.IntN(3) {
			x = math.Nextafter(x, 180)
		}
		return x
	}
	for range 100_000 {
		a := Point{Lat: 180*r.Float64() - 90, Lng: 360*r.Float64() - 180}
		b := Point{Lat: 180*r.Float64() - 90, Lng: 360*r.Float64() - 180}
		along := r.Float64()
		c := Point{Lat: beside(a.Lat + along*(b.Lat-a.Lat)), Lng: beside(a.Lng + along*(b.Lng-a.Lng))}
		if min(math.Abs(a.Lat), math.Abs(a.Lng), math.Abs(b.Lat), math.Abs(b.Lng), math.Abs(c.Lat), math.Abs(c.Lng)) < 0.25 {
			continue // this point was rounded to the grid
		}
		if got, want := side(onGrid(a), onGrid(b), onGrid(c)), exactSide(a, b, c); got != want {
			t.Fatalf("%v, %v, %v: side %d, exactly %d", a, b, c, got, want)
		}
	}
	far := Point{Lat: 90, Lng: 180}
	if side(onGrid(Point{Lat: -90, Lng: -180}), onGrid(far), onGrid(Point{Lat: 90, Lng: -180})) != 1 {
		t.Error("the corners of the map overflow")
	}
}
