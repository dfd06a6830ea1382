package geoindex

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hexbid/hexbid"
)

// TestWhereaboutsNeverSayThatAPointIsFartherThanItIs looks at points near and far from positions all over cells: at
// pentagons, poles, the antimeridian and edges of cells.
func TestWhereaboutsNeverSayThatAPointIsFartherThanItIs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	byDigits := 0
	for range 200_000 {
		at := Locate(hardPoint(r))
		res := r.IntN(Finest + 1)
		cell := at.Cell.Parent(res)
		byDigits += checkWhereabouts(t, &at, cell, pointAround(r, &at, cell))
	}
	if byDigits < 20_000 {
		t.Errorf("only %d were told by digits", byDigits)
	}
}

func viewpointIn(at *Position, res int) Viewpoint {
	outlook := at.Outlook()
	return outlook.In(res)
}

// pointAround draws a point around a position, up to many radii of a cell away or anywhere.
func pointAround(r *rand.Rand, at *Position, cell Cell) hexbid.Point {
	if r.IntN(8) == 0 {
		return hardPoint(r)
	}
	spread := cell.Cap().Angle / radians * math.Pow(10, 2*r.Float64()-1)
	p := hexbid.Point{Lat: at.Point.Lat + spread*r.NormFloat64(),
		Lng: at.Point.Lng + spread*r.NormFloat64()/max(0.01, math.Cos(at.Point.Lat*radians))}
	return hexbid.Point{Lat: min(90, max(-90, p.Lat)), Lng: math.Remainder(p.Lng, 360)}
}

// checkWhereabouts compares what a position in a cell reads with the truth. It returns 1 if digits told it.
func checkWhereabouts(t *testing.T, at *Position, cell Cell, of hexbid.Point) (byDigits int) {
	t.Helper()
	v := VecOf(of)
	about, view := cell.Whereabouts(SpotOf(v)), viewpointIn(at, cell.Resolution())
	least, truth := view.LeastChord2(about), v.Chord2(at.Vec)
	if least > truth {
		t.Fatalf("%v in %v reads that %v is %.9g m away: it is %.9g", at.Point, cell, of, MetresOfChord2(least),
			MetresOfChord2(truth))
	}
	if about&hasDigits == 0 {
		return 0
	}
	step := spotAngle * float64(uint64(1)<<digitShifts[cell.Resolution()])
	if away := math.Sqrt(truth) * 0.98; math.Abs(at.Point.Lat) < 70 && math.Sqrt(least) < away-1.5*step {
		t.Fatalf("%v in %v reads that %v is %.0f m away: it is %.0f", at.Point, cell, of, MetresOfChord2(least),
			MetresOfChord2(truth))
	}
	return 1
}

// TestPointsAroundACellAreToldByDigits, as far as shops are from the edges of areas that such cells cover.
func TestPointsAroundACellAreToldByDigits(t *testing.T) {
	at := Locate(hexbid.Point{Lat: 31.2304, Lng: 121.4737})
	for res, km := range map[int]float64{3: 100, 5: 18, 7: 5, 9: 3} {
		center := at.Cell.Parent(res).Center().Point()
		for range 100 {
			center.Lat += km / 100 * 1000 / hexbid.DegreeM
			if at.Cell.Parent(res).Whereabouts(SpotOf(VecOf(center)))&hasDigits == 0 {
				t.Errorf("resolution %d: %v", res, center)
			}
		}
	}
}

func TestWhereaboutsOfNoPointAndOfPointsFarAway(t *testing.T) {
	at := Locate(hexbid.Point{Lat: 31.2304, Lng: 121.4737})
	view := viewpointIn(&at, 7)
	if got := view.LeastChord2(NoPoint); !math.IsInf(got, 1) {
		t.Errorf("no point is %g away", got)
	}
	if got := view.LeastChord2(0); got != 0 {
		t.Errorf("a point that nothing tells of is at least %g away", got)
	}
	for _, far := range []hexbid.Point{{Lat: 39.9, Lng: 116.4}, {Lat: -31.2, Lng: -58.5}, {Lat: 31.3, Lng: 121.7}} {
		v := VecOf(far)
		about := at.Cell.Parent(7).Whereabouts(SpotOf(v))
		least, truth := MetresOfChord2(view.LeastChord2(about)), MetresOfChord2(v.Chord2(at.Vec))
		if about&hasDigits != 0 || least > truth || least < 0.8*truth {
			t.Errorf("%v: at least %.0f m of %.0f", far, least, truth)
		}
	}
}

func TestASpotIsWithinACentimetreOrTwo(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		v := VecOf(hardPoint(r))
		if off := MetresOfChord2(SpotOf(v).Vec().Chord2(v)); off > 0.02 {
			t.Fatalf("%v is %g m from its spot", v.Point(), off)
		}
	}
}
