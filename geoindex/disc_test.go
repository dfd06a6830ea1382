package geoindex

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

// TestADiscRemembersAboutWhereItsMarkIs, from next door to the other side of the earth, and nothing without one.
func TestADiscRemembersAboutWhereItsMarkIs(t *testing.T) {
	scales := [MarkScales]int{}
	rapid.Check(t, func(t *rapid.T) {
		point := func(name string) hexbid.Point {
			return hexbid.Point{Lat: rapid.Float64Range(-90, 90).Draw(t, name+" lat"),
				Lng: rapid.Float64Range(-180, 180).Draw(t, name+" lng")}
		}
		center, from := point("center"), VecOf(point("from"))
		at := point("mark")
		if awayDegrees := rapid.SampledFrom([]float64{0, 0.05, 0.7, 12}).Draw(t, "away"); awayDegrees > 0 {
			at = center
			at.Lat = max(-90, min(90, at.Lat+awayDegrees*rapid.Float64Range(-1, 1).Draw(t, "part")))
		}
		if rapid.Bool().Draw(t, "at the mark") {
			from = VecOf(at)
		}
		d := NewDisc(VecOf(center), 1000)
		if _, _, marked := d.MarkChord2(from); marked {
			t.Fatal("a new disc has a mark")
		}
		d.SetMark(VecOf(at))
		chord2, scale, marked := d.MarkChord2(from)
		if off := math.Abs(math.Sqrt(chord2) - math.Sqrt(VecOf(at).Chord2(from))); !marked || off > MarkError(scale) {
			t.Fatalf("a mark at %v is off by %g m of %g on scale %d", at, off*hexbid.EarthRadiusM,
				MarkError(scale)*hexbid.EarthRadiusM, scale)
		}
		if scale > 0 && VecOf(at).Chord2(VecOf(center)) < math.Pow(markReach*markSteps[scale-1], 2) {
			t.Fatalf("a mark %g m away is on scale %d", VecOf(at).Point().DistanceM(center), scale)
		}
		scales[scale]++
		if d.ClearMark(); d != NewDisc(VecOf(center), 1000) {
			t.Fatal("a cleared mark leaves something")
		}
	})
	for scale, n := range scales {
		if n == 0 {
			t.Errorf("nothing was tried on scale %d", scale)
		}
	}
}

// TestADiscRoundsItsRadiusByLittle: who is inside follows from the distance, but for a thirty-millionth of the radius.
func TestADiscRoundsItsRadiusByLittle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		radiusM := math.Pow(10, rapid.Float64Range(1, 6.6).Draw(t, "radius"))
		d := NewDisc(VecOf(hexbid.Point{Lat: 30, Lng: 120}), radiusM)
		for part, want := range map[float64]bool{1 - 4e-8: true, 1 + 4e-8: false} {
			at := Position{Vec: VecOf(hexbid.Point{Lat: 30 + radiusM*part/hexbid.DegreeM, Lng: 120})}
			if math.Abs(MetresOfChord2(d.center.Chord2(at.Vec))/radiusM-part) < 1e-8 && d.Contains(&at) != want {
				t.Fatalf("%g of a radius of %g m is inside: %v", part, radiusM, !want)
			}
		}
	})
}
