package hexbid

import (
	"strings"
	"testing"
)

// comb has long teeth that do not cross: every edge overlaps every other along
// one axis, none along the other.
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

// TestACombIsCheckedAlongTheAxisThatSortsItsTeeth fails when the sweep takes
// the other: it would run into its bound on comparisons.
func TestACombIsCheckedAlongTheAxisThatSortsItsTeeth(t *testing.T) {
	for _, turned := range []bool{false, true} {
		ring := comb(49_000, turned)
		if err := validatePolygons("area", []Polygon{{ring}}); err != nil {
			t.Errorf("turned %v: %v", turned, err)
		}
		ring[20_000], ring[20_002] = ring[20_002], ring[20_000] // one tooth across its neighbour
		if err := validatePolygons("area", []Polygon{{ring}}); err == nil || !strings.Contains(err.Error(), "crosses itself") {
			t.Errorf("turned %v, with a crossing: %v", turned, err)
		}
	}
}
