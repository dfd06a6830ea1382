package geoindex

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hexbid/hexbid"
)

// under says whether a position lies under a posting of a covering, and
// whether under a full one.
func under(postings []Posting, at *Position) (some, full bool) {
	for _, p := range postings {
		holds := p.Key == Everywhere
		if res, ok := p.Key.CellResolution(); ok {
			holds = KeyOfCell(at.Cell.Parent(res)) == p.Key
		}
		for _, id := range at.Regions.All() {
			holds = holds || KeyOfRegion(id) == p.Key
		}
		slot := at.ChildSlot(p.Key)
		some = some || holds && p.Touched>>slot&1 == 1
		full = full || holds && p.Full>>slot&1 == 1
	}
	return some, full
}

// randomArea draws a union of shapes around a hard point, and what is cut out
// of it.
func randomArea(r *rand.Rand) (center hexbid.Point, radiusM float64, in, out hexbid.Area) {
	center = hardPoint(r)
	radiusM = math.Min(hexbid.MaxCircleM, hexbid.MinCircleM*math.Exp(r.Float64()*math.Log(1e6)))
	in.Circles = []hexbid.Circle{{Center: center, RadiusM: radiusM}}
	if r.IntN(3) == 0 {
		for range r.IntN(6) {
			in.Circles = append(in.Circles, hexbid.Circle{Center: near(r, center, radiusM), RadiusM: radiusM * r.Float64()})
			in.Circles[len(in.Circles)-1].RadiusM = max(hexbid.MinCircleM, in.Circles[len(in.Circles)-1].RadiusM)
		}
	}
	if r.IntN(4) == 0 {
		in.Cells = append(in.Cells, uint64(CellAt(VecOf(near(r, center, radiusM))).Parent(r.IntN(Finest+1))))
	}
	if r.IntN(3) == 0 {
		in.Polygons = append(in.Polygons, star(r, near(r, center, radiusM), radiusM))
	}
	if r.IntN(6) == 0 {
		out.Polygons = append(out.Polygons, star(r, near(r, center, radiusM), radiusM/2))
	}
	if r.IntN(3) == 0 {
		out.Circles = append(out.Circles, hexbid.Circle{Center: near(r, center, radiusM),
			RadiusM: max(hexbid.MinCircleM, radiusM*r.Float64())})
	}
	if r.IntN(5) == 0 {
		out.Cells = append(out.Cells, uint64(CellAt(VecOf(near(r, center, radiusM))).Parent(r.IntN(Finest+1))))
	}
	if r.IntN(8) == 0 {
		out.Regions = []string{"330000"}
	}
	return center, radiusM, in, out
}

// star draws a polygon around a point, with a hole, clipped to the map.
func star(r *rand.Rand, center hexbid.Point, radiusM float64) hexbid.Polygon {
	deg := min(40, radiusM/111_000)
	ring := func(scale float64) (ring []hexbid.Point) {
		n := 3 + r.IntN(12)
		for i := range n {
			sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
			reach := deg * scale * (0.4 + 0.6*r.Float64())
			ring = append(ring, hexbid.Point{Lat: max(-90, min(90, center.Lat+reach*sin)),
				Lng: max(-180, min(180, center.Lng+reach*cos))})
		}
		return append(ring, ring[0])
	}
	p := hexbid.Polygon{ring(1)}
	if r.IntN(3) == 0 {
		p = append(p, ring(0.3))
	}
	return p
}

// near draws a point within about 1.2 radii, many of them at the very edge.
func near(r *rand.Rand, center hexbid.Point, radiusM float64) hexbid.Point {
	distance := radiusM * 1.2 * math.Sqrt(r.Float64())
	if r.IntN(2) == 0 {
		distance = radiusM * (1 + 1e-6*r.NormFloat64())
	}
	return destination(center, distance, 2*math.Pi*r.Float64())
}

func destination(from hexbid.Point, metres, bearing float64) hexbid.Point {
	v := VecOf(from)
	pole := Vec{0, 0, 1}
	if math.Abs(v.Z) > 0.999999 {
		pole = Vec{1, 0, 0}
	}
	east := pole.cross(v)
	east = east.scaled(1 / math.Sqrt(east.dot(east)))
	north := v.cross(east)
	sin, cos := math.Sincos(bearing)
	sinA, cosA := math.Sincos(metres / hexbid.EarthRadiusM)
	return v.scaled(cosA).plus(north.scaled(cos * sinA)).plus(east.scaled(sin * sinA)).Point()
}

func TestCoveringHasNoFalseNegativeAndNoFalseFull(t *testing.T) {
	areas := 4000
	if testing.Short() {
		areas = 400
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range areas {
		center, radiusM, in, out := randomArea(r)
		area, err := CompileArea(&in, &out, nil)
		if err != nil {
			t.Fatal(err)
		}
		postings := area.Cover()
		if budget := CellBudget(len(in.Circles)+len(in.Polygons)) + len(in.Cells); len(postings) > budget && radiusM < 1e6 {
			t.Fatalf("%d cells for %d circles, over the budget of %d", len(postings), len(in.Circles), budget)
		}
		packed := PackCovering(nil, postings)
		if unpacked, err := UnpackCovering(nil, packed); err != nil || !slices.Equal(unpacked, postings) {
			t.Fatalf("%v packed and unpacked: %v, %v", postings, unpacked, err)
		}
		for range 60 {
			at := Locate(near(r, center, radiusM))
			some, full := under(postings, &at)
			member := area.Contains(&at)
			if member && !some {
				t.Fatalf("%+v is in %+v less %+v but under no posting", at.Point, in, out)
			}
			if full && !member {
				t.Fatalf("%+v is under a full posting but not in %+v less %+v", at.Point, in, out)
			}
		}
	}
}

func TestContainsAgreesWithDistance(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 50_000 {
		center := hardPoint(r)
		radiusM := math.Min(hexbid.MaxCircleM, hexbid.MinCircleM*math.Exp(r.Float64()*math.Log(1e6)))
		area, _ := CompileArea(&hexbid.Area{Circles: []hexbid.Circle{{Center: center,
			RadiusM: radiusM}}}, &hexbid.Area{}, nil)
		at := Locate(near(r, center, radiusM))
		d := center.DistanceM(at.Point)
		if math.Abs(d-radiusM) > 1e-6+radiusM*1e-12 && area.Contains(&at) != (d <= radiusM) {
			t.Fatalf("%v is %.9f m from the centre of a circle of %.9f m: Contains says %v", at.Point, d, radiusM,
				area.Contains(&at))
		}
	}
}

func TestACoveringOfATypicalDiscIsSmallAndTight(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	const n, points = 2000, 40
	cells, members, tested, needless := 0, 0, 0, 0
	for range n {
		c := hexbid.Circle{Center: randomPoint(r), RadiusM: 2000 * math.Exp(0.8*r.NormFloat64())}
		area, _ := CompileArea(&hexbid.Area{Circles: []hexbid.Circle{c}}, &hexbid.Area{}, nil)
		postings := area.Cover()
		cells += len(postings)
		for range points {
			at := Locate(destination(c.Center, 2*c.RadiusM*math.Sqrt(r.Float64()), 2*math.Pi*r.Float64()))
			some, full := under(postings, &at)
			member := area.Contains(&at)
			members += oneIf(member)
			tested += oneIf(some && !full)
			needless += oneIf(some && !member)
		}
	}
	t.Logf("%.1f cells a disc; of its visitors %.0f %% take the exact test, and for each of them %.2f others do in vain",
		float64(cells)/n, 100*float64(tested-needless)/float64(members), float64(needless)/float64(members))
	if cells > n*10 || needless > members*11/10 {
		t.Errorf("%d cells for %d discs, %d needless tests for %d members", cells, n, needless, members)
	}
}

func BenchmarkCover(b *testing.B) {
	r := rand.New(rand.NewPCG(11, 12))
	circle := hexbid.Circle{Center: randomPoint(r), RadiusM: 2000}
	for b.Loop() {
		area, _ := CompileArea(&hexbid.Area{Circles: []hexbid.Circle{circle}}, &hexbid.Area{}, nil)
		area.Cover()
	}
}

func FuzzCoverHoldsTheDisc(f *testing.F) {
	f.Add(90.0, 180.0, 3000.0, uint64(1))
	f.Add(-2.3, -5.2, 1e7, uint64(2))
	f.Fuzz(func(t *testing.T, lat, lng, radiusM float64, seed uint64) {
		center := hexbid.Point{Lat: lat, Lng: lng}
		if center.Validate("") != nil || !(radiusM >= hexbid.MinCircleM && radiusM <= hexbid.MaxCircleM) {
			t.Skip()
		}
		area, err := CompileArea(&hexbid.Area{Circles: []hexbid.Circle{{Center: center,
			RadiusM: radiusM}}}, &hexbid.Area{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		postings := area.Cover()
		r := rand.New(rand.NewPCG(seed, 0))
		for range 20 {
			at := Locate(near(r, center, radiusM))
			some, full := under(postings, &at)
			if member := area.Contains(&at); member && !some || full && !member {
				t.Fatalf("%+v: member %v, under a posting %v, a full one %v", at.Point, member, some, full)
			}
		}
	})
}

func FuzzUnpackCovering(f *testing.F) {
	f.Add(PackCovering(nil, []Posting{wholePosting(Everywhere, true), {KeyOfRegion(7), 1, 0},
		{0x89309ab36abffff, 0x55, 0x11}}))
	f.Add([]byte{0xff, 1, 2})
	f.Fuzz(func(t *testing.T, packed []byte) {
		postings, err := UnpackCovering(nil, packed)
		if err != nil {
			return
		}
		again, err := UnpackCovering(nil, PackCovering(nil, postings))
		if err != nil || !slices.Equal(again, postings) {
			t.Fatalf("%x: %v, again %v, %v", packed, postings, again, err)
		}
	})
}
