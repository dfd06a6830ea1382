package geoindex

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/uber/h3-go/v4"

	"github.com/hexbid/hexbid"
)

// randomPoint is uniform on the sphere.
func randomPoint(r *rand.Rand) hexbid.Point {
	return hexbid.Point{Lat: math.Asin(2*r.Float64()-1) / radians, Lng: 360*r.Float64() - 180}
}

// hardPoint is near what grids get wrong: pentagons, edges of the icosahedron,
// cell edges and vertices, poles and the antimeridian.
func hardPoint(r *rand.Rand) hexbid.Point {
	around := func(p hexbid.Point, deg float64) hexbid.Point {
		return hexbid.Point{Lat: min(90, max(-90, p.Lat+deg*r.NormFloat64())),
			Lng: math.Remainder(p.Lng+deg*r.NormFloat64(), 360)}
	}
	scale := math.Pow(10, -6*r.Float64())
	switch r.IntN(5) {
	case 0:
		pentagons, _ := h3.Pentagons(r.IntN(9))
		p, _ := pentagons[r.IntN(len(pentagons))].LatLng()
		return around(hexbid.Point{Lat: p.Lat, Lng: p.Lng}, 20*scale)
	case 1:
		a, b := faceCenters[r.IntN(20)], faceCenters[r.IntN(20)]
		mid := a.plus(b.scaled(1 + 1e-9))
		return around(mid.scaled(1/math.Sqrt(mid.dot(mid)+1e-300)).Point(), scale)
	case 2:
		return around(hexbid.Point{Lat: 90 - 180*float64(r.IntN(2)), Lng: 360*r.Float64() - 180}, scale)
	case 3:
		return around(hexbid.Point{Lat: 180*r.Float64() - 90, Lng: 180}, scale)
	default:
		p := randomPoint(r)
		c, _ := h3.LatLngToCell(h3.LatLng{Lat: p.Lat, Lng: p.Lng}, r.IntN(12))
		b, _ := c.Boundary()
		v := b[r.IntN(len(b))]
		return around(hexbid.Point{Lat: v.Lat, Lng: v.Lng}, 1e-5*scale)
	}
}

func TestCellAtAgreesWithH3EverywhereButOnEdges(t *testing.T) {
	n := 10_000_000
	if os.Getenv("HEXBID_LONG") == "" {
		n = 500_000
	}
	r := rand.New(rand.NewPCG(1, 2))
	differ := 0
	for i := range n {
		p := randomPoint(r)
		if i%3 == 0 {
			p = hardPoint(r)
		}
		got := CellAt(VecOf(p))
		want, err := h3.LatLngToCell(h3.LatLng{Lat: p.Lat, Lng: p.Lng}, Finest)
		if err != nil {
			t.Fatal(err)
		}
		if got == Cell(want) {
			continue
		}
		// Both are right when the point lies on their common edge as far as 53
		// bits can tell: then h3 says the same of a point nearby.
		differ++
		if !saidNearby(p, got) {
			t.Fatalf("%v: got %v, h3 says %v", p, got, want)
		}
	}
	if differ > n/10_000 {
		t.Errorf("%d of %d points differ: too many to be edges", differ, n)
	}
}

// saidNearby asks h3 about points some 30 nm away. H3 takes the angle to the
// face's centre from its cosine, which near the centre loses an ulp divided by
// the angle: a centimetre at one metre.
func saidNearby(p hexbid.Point, cell Cell) bool {
	v, angle := VecOf(p), 4.0
	for _, center := range faceCenters {
		angle = min(angle, math.Sqrt(v.Chord2(center)))
	}
	step := (30e-9/hexbid.EarthRadiusM + 2.3e-16/angle) / radians
	for turn := range 16 {
		sin, cos := math.Sincos(float64(turn) * math.Pi / 8)
		q := h3.LatLng{Lat: p.Lat + step*sin, Lng: p.Lng + step*cos/math.Cos(p.Lat*radians)}
		if c, err := h3.LatLngToCell(q, Finest); err == nil && Cell(c) == cell {
			return true
		}
	}
	return false
}

func TestParentAndChildrenAgreeWithH3(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		finest := CellAt(VecOf(hardPoint(r)))
		for res := range Finest + 1 {
			want, err := h3.Cell(finest).Parent(res)
			if err != nil || finest.Parent(res) != Cell(want) {
				t.Fatalf("parent of %v at %d: got %v, h3 says %v, %v", finest, res, finest.Parent(res), want, err)
			}
		}
		c := finest.Parent(r.IntN(Finest))
		want, _ := h3.Cell(c).ImmediateChildren()
		got := c.Children(nil)
		if len(got) != len(want) {
			t.Fatalf("%v has %d children, h3 says %d", c, len(got), len(want))
		}
		for i := range got {
			if got[i] != Cell(want[i]) || !c.Contains(got[i]) || got[i].Contains(c) {
				t.Fatalf("child %d of %v: got %v, h3 says %v", i, c, got[i], want[i])
			}
		}
	}
}

func TestCentersAgreeWithH3(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	worst := 0.0
	for i := range 200_000 {
		p := randomPoint(r)
		if i%2 == 0 {
			p = hardPoint(r)
		}
		c := CellAt(VecOf(p)).Parent(r.IntN(Finest + 1))
		want, err := h3.CellToLatLng(h3.Cell(c))
		if err != nil {
			t.Fatal(err)
		}
		apart := MetresOfChord2(c.Center().Chord2(VecOf(hexbid.Point{Lat: want.Lat, Lng: want.Lng})))
		if worst = max(worst, apart); apart > 0.01 {
			t.Fatalf("the centre of %v is %.3f m from where h3 has it", c, apart)
		}
	}
	t.Logf("the farthest is %.2g m off", worst)
}

func TestCapHoldsEveryLogicalDescendant(t *testing.T) {
	n := 300_000
	if testing.Short() {
		n = 30_000
	}
	r := rand.New(rand.NewPCG(5, 6))
	worst := 0.0
	for i := range n {
		p := randomPoint(r)
		if i%2 == 0 {
			p = hardPoint(r)
		}
		v := VecOf(p)
		c := CellAt(v).Parent(r.IntN(Finest + 1))
		limit := c.Cap()
		angle := 2 * math.Asin(math.Sqrt(v.Chord2(limit.Center))/2)
		worst = max(worst, angle/limit.Angle)
		if angle > limit.Angle {
			t.Fatalf("%v lies %.4f cap radii from the centre of its ancestor %v", p, angle/limit.Angle, c)
		}
	}
	t.Logf("the farthest descendant reached %.3f of its cap", worst)
}

func TestParseCellRefusesWhatIsNotACell(t *testing.T) {
	for _, s := range []string{"", "zz", "ffffffffffffffff", "0", "89309ab36abfff", "-1"} {
		if c, err := ParseCell(s); err == nil {
			t.Errorf("ParseCell(%q) = %v", s, c)
		}
	}
	c := CellAt(VecOf(hexbid.Point{Lat: 30.2553, Lng: 120.1640})).Parent(9)
	if got, err := ParseCell(c.String()); err != nil || got != c {
		t.Errorf("ParseCell(%q) = %v, %v", c.String(), got, err)
	}
}

func BenchmarkCellAt(b *testing.B) {
	v := VecOf(hexbid.Point{Lat: 30.2553, Lng: 120.1640})
	for b.Loop() {
		CellAt(v)
	}
}

func BenchmarkCenter(b *testing.B) {
	c := CellAt(VecOf(hexbid.Point{Lat: 30.2553, Lng: 120.1640})).Parent(8)
	for b.Loop() {
		c.Cap()
	}
}
