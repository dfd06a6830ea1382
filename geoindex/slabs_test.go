package geoindex

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

func closedRing(ring []hexbid.Point) hexbid.Polygon { return hexbid.Polygon{append(ring, ring[0])} }

// intricate are outlines of so many vertices, each hard for some index of edges.
var intricate = map[string]func(n int) hexbid.Polygon{
	"teeth across all latitudes":  func(n int) hexbid.Polygon { return zigzag(n, false) },
	"teeth across all longitudes": func(n int) hexbid.Polygon { return zigzag(n, true) },
	"diagonal teeth": func(n int) hexbid.Polygon {
		var ring []hexbid.Point
		for i := range n - 3 {
			start := -80 + 80*float64(i)/float64(n)
			at := hexbid.Point{Lat: start, Lng: -start - 80}
			if i%2 == 1 {
				at.Lat, at.Lng = at.Lat+80, at.Lng+80
			}
			ring = append(ring, at)
		}
		return closedRing(append(ring, hexbid.Point{Lat: -85, Lng: -90}, hexbid.Point{Lat: -85, Lng: 5}))
	},
	"teeth of every length": func(n int) hexbid.Polygon {
		r := rand.New(rand.NewPCG(41, 42))
		var ring []hexbid.Point
		for i := range n - 3 {
			at := hexbid.Point{Lat: -80 + 80*r.Float64(), Lng: -80 + 160*float64(i)/float64(n)}
			if i%2 == 1 {
				at.Lat += 80
			}
			ring = append(ring, at)
		}
		return closedRing(append(ring, hexbid.Point{Lat: -85, Lng: 80}, hexbid.Point{Lat: -85, Lng: -80}))
	},
	"rays from one point": func(n int) hexbid.Polygon {
		var ring []hexbid.Point
		for i := 0; i+3 < n; i += 3 {
			sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
			after, cosAfter := math.Sincos(2 * math.Pi * float64(i+1) / float64(n))
			ring = append(ring, hexbid.Point{Lat: 1, Lng: 1}, hexbid.Point{Lat: 1 + 60*sin, Lng: 1 + 60*cos},
				hexbid.Point{Lat: 1 + 60*after, Lng: 1 + 60*cosAfter})
		}
		return closedRing(ring)
	},
	"a square walked round thousands of times": func(n int) hexbid.Polygon {
		var ring []hexbid.Point
		for range (n - 1) / 4 {
			ring = append(ring, hexbid.Point{Lat: 1, Lng: 1}, hexbid.Point{Lat: 1, Lng: 2}, hexbid.Point{Lat: 2, Lng: 2},
				hexbid.Point{Lat: 2, Lng: 1})
		}
		return closedRing(ring)
	},
	"one band full, the rest empty": func(n int) hexbid.Polygon {
		var ring []hexbid.Point
		for i := range n - 3 {
			ring = append(ring, hexbid.Point{Lat: 10 + 1e-7*float64(i%2), Lng: -80 + 160*float64(i)/float64(n)})
		}
		return closedRing(append(ring, hexbid.Point{Lat: 80, Lng: 80}, hexbid.Point{Lat: 80, Lng: -80}))
	},
	"as many triangular holes as fit": func(n int) hexbid.Polygon {
		p := hexbid.Polygon{{{Lat: -1, Lng: -1}, {Lat: -1, Lng: 81}, {Lat: 81, Lng: 81}, {Lat: 81, Lng: -1},
			{Lat: -1, Lng: -1}}}
		for i := range n/4 - 2 {
			at := hexbid.Point{Lat: float64(i/112) * 0.7, Lng: float64(i%112) * 0.7}
			p = append(p, []hexbid.Point{at, {Lat: at.Lat + 0.5, Lng: at.Lng}, {Lat: at.Lat, Lng: at.Lng + 0.5}, at})
		}
		return p
	},
}

// zigzag has teeth across all latitudes, or all longitudes.
func zigzag(n int, turned bool) hexbid.Polygon {
	var ring []hexbid.Point
	for i := range n - 3 {
		ring = append(ring, hexbid.Point{Lat: 10 + 70*float64(i%2), Lng: -80 + 160*float64(i)/float64(n)})
	}
	ring = append(ring, hexbid.Point{Lat: 5, Lng: 80}, hexbid.Point{Lat: 5, Lng: -80})
	if turned {
		for i, p := range ring {
			ring[i] = hexbid.Point{Lat: p.Lng, Lng: p.Lat}
		}
	}
	return closedRing(ring)
}

// bytes is the memory that a polygon holds.
func (p *polygon) bytes() int {
	n := int(unsafe.Sizeof(*p)) + cap(p.edges)*int(unsafe.Sizeof(edge{})) + p.slabs.bytes()
	for _, level := range p.runs {
		n += cap(level) * int(unsafe.Sizeof(box{}))
	}
	return n
}

// mostSteps is the most edges that a test looks at, by halving or one by one,
// leaving out those nearby.
func (s *slabs) mostSteps() (most int) {
	for slab := range s.count() {
		steps := len(s.ending.at(slab))
		for node := slab + s.count(); node > 0; node = s.above(node) {
			n := len(s.across.at(node))
			if n > shortList && (s.tangled == nil || !s.tangled[node]) {
				n = bits.Len(uint(n)) + 2
			}
			steps += n
		}
		most = max(most, steps)
	}
	return most
}

// entries is how often edges are listed.
func (s *slabs) entries() int { return len(s.ending.edges) + len(s.across.edges) }

// bytes is the memory that the slabs hold.
func (s *slabs) bytes() int {
	ints := cap(s.ending.starts) + cap(s.ending.edges) + cap(s.across.starts) + cap(s.across.edges)
	ints += cap(s.guide.before)
	return cap(s.cuts)*int(unsafe.Sizeof(float64(0))) + ints*int(unsafe.Sizeof(int32(0))) + cap(s.tangled)
}

// TestNoOutlineTakesMoreThanLinearMemoryNorManySteps counts what the structure
// holds and the most edges that a test looks at.
func TestNoOutlineTakesMoreThanLinearMemoryNorManySteps(t *testing.T) {
	const bytesPerVertex, steps = 150, 700
	for name, outline := range intricate {
		for _, n := range []int{40_000, hexbid.MaxVertices} {
			polygon := outline(n)
			if err := (&hexbid.Campaign{DisplayName: "c", Program: "advertisers/a/programs/p", Pricing: hexbid.CPC, Bid: 1,
				DailyBudget: 1,
				Area:        hexbid.Area{Polygons: []hexbid.Polygon{polygon}}}).Validate(); err != nil {
				t.Errorf("%s of %d vertices is refused: %v", name, n, err)
			}
			p := compilePolygon(polygon)
			if most := entriesPerEdge * len(p.edges); p.slabs.entries() > most || p.bytes() > bytesPerVertex*n {
				t.Errorf("%s: %d entries of %d edges, %d bytes", name, p.slabs.entries(), len(p.edges), p.bytes())
			}
			if p.slabs.mostSteps() > steps || p.slabs.tangled != nil {
				t.Errorf("%s: a test takes up to %d steps (tangled: %v)", name, p.slabs.mostSteps(), p.slabs.tangled != nil)
			}
			t.Logf("%s: %.1f entries and %d bytes a vertex, at most %d steps", name, float64(p.slabs.entries())/float64(n),
				p.bytes()/n, p.slabs.mostSteps())
		}
	}
}

func TestIntricateOutlinesAgreeWithARay(t *testing.T) {
	for name, outline := range intricate {
		r := rand.New(rand.NewPCG(43, 44))
		for _, n := range []int{60, 3000} {
			polygon := outline(n)
			p := compilePolygon(polygon)
			for range 300 {
				q := hardQuery(r, polygon)
				if got, want := p.contains(q), slowContains(polygon, q); got != want && edgesNearby(p, q) <= mostNearby {
					t.Fatalf("%s of %d vertices, %v: %v, a ray says %v", name, n, q, got, want)
				}
			}
		}
	}
}

// edgesNearby counts the edges so near to a point that rounding may tell the wrong
// side of it.
func edgesNearby(p *polygon, q hexbid.Point) (n int) {
	for _, e := range p.edges {
		low, high := min(e.lat1, e.lat2), max(e.lat1, e.lat2)
		n += oneIf(low <= q.Lat && q.Lat < high && math.Abs(e.lngAt(q.Lat)-q.Lng) <= 2*nearby)
	}
	return n
}

// hardQuery draws a point of the outline's box, often at the latitude of a vertex,
// at a vertex or within rounding of an edge.
func hardQuery(r *rand.Rand, p hexbid.Polygon) hexbid.Point {
	ring := p[r.IntN(len(p))]
	i := 1 + r.IntN(len(ring)-1)
	a, b, c := ring[i-1], ring[i], ring[r.IntN(len(ring))]
	switch along := r.Float64(); r.IntN(5) {
	case 0:
		return a
	case 1:
		return hexbid.Point{Lat: a.Lat, Lng: c.Lng + r.NormFloat64()}
	case 2:
		lat := a.Lat + along*(b.Lat-a.Lat)
		e := edge{a.Lat, a.Lng, b.Lat, b.Lng}
		if a.Lat == b.Lat {
			return hexbid.Point{Lat: lat, Lng: a.Lng + along*(b.Lng-a.Lng)}
		}
		return hexbid.Point{Lat: lat, Lng: e.lngAt(lat) + 1e-13*r.NormFloat64()}
	case 3:
		return hexbid.Point{Lat: a.Lat + 1e-13*r.NormFloat64(), Lng: a.Lng + 1e-13*r.NormFloat64()}
	}
	return hexbid.Point{Lat: a.Lat + r.Float64()*(c.Lat-a.Lat), Lng: b.Lng + r.Float64()*(c.Lng-b.Lng)}
}

// TestAnyRingsAgreeWithARay draws rings that cross, overlap and touch too: what
// was stored before they were refused answers as it did.
func TestAnyRingsAgreeWithARay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, rapid.IntRange(1, 12).Draw(t, "size"))
		ring := rapid.Custom(func(t *rapid.T) []hexbid.Point {
			points := make([]hexbid.Point, rapid.IntRange(3, 60).Draw(t, "vertices"))
			for i := range points {
				points[i] = hexbid.Point{Lat: 30 + 0.1*float64(at.Draw(t, "lat")), Lng: 120 + 0.1*float64(at.Draw(t, "lng"))}
			}
			return append(points, points[0])
		})
		polygon := hexbid.Polygon(rapid.SliceOfN(ring, 1, 3).Draw(t, "rings"))
		p := compilePolygon(polygon)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range 100 {
			q := hardQuery(r, polygon)
			if got, want := p.contains(q), slowContains(polygon, q); got != want {
				t.Fatalf("%v of %v: %v, a ray says %v", q, polygon, got, want)
			}
		}
	})
}

func TestBoxesMeetTheEdgesThatTheyMeetOneByOne(t *testing.T) {
	r := rand.New(rand.NewPCG(45, 46))
	met := 0
	for name, outline := range intricate {
		p := compilePolygon(outline(400))
		for range 2000 {
			e := p.edges[r.IntN(len(p.edges))]
			size := 10 * math.Exp(-12*r.Float64())
			b := box{south: e.lat1 + 3*size*r.NormFloat64(), west: e.lng1 + 3*size*r.NormFloat64()}
			b.north, b.east = b.south+size, b.west+size
			want := false
			for i := range p.edges {
				want = want || p.edges[i].meets(&b)
			}
			steps := 1_000_000
			if got := p.edgeMeets(&b, &steps); got != want && steps > 1_000_000-mostSteps {
				t.Fatalf("%s: an edge meets %+v: %v, one by one %v", name, b, got, want)
			}
			met += oneIf(want)
		}
	}
	if met < 1000 || met > 15_000 {
		t.Errorf("%d boxes are met: too few of one kind", met)
	}
}

func BenchmarkContainsIntricate(b *testing.B) {
	for name, outline := range intricate {
		b.Run(name, func(b *testing.B) {
			polygon := outline(hexbid.MaxVertices)
			p := compilePolygon(polygon)
			r := rand.New(rand.NewPCG(47, 48))
			points := make([]hexbid.Point, 4096)
			for i := range points {
				points[i] = hexbid.Point{Lat: p.south + r.Float64()*(p.north-p.south), Lng: p.west + r.Float64()*(p.east-p.west)}
			}
			i := 0
			for b.Loop() {
				p.contains(points[i&4095])
				i++
			}
		})
	}
}

func BenchmarkCompileIntricate(b *testing.B) {
	for name, outline := range intricate {
		b.Run(name, func(b *testing.B) {
			polygon := outline(hexbid.MaxVertices)
			for b.Loop() {
				compilePolygon(polygon)
			}
		})
	}
}
