package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/simulator/traffic"
)

func cellAt(lat, lng float64, answers int) traffic.Cell {
	return traffic.Cell{Cell: geoindex.CellAt(geoindex.VecOf(hexbid.Point{Lat: lat, Lng: lng})).Parent(7).String(),
		Counts: traffic.Counts{Answers: answers}}
}

// TestTheMapIsFittedToNearlyAllRequests: a single request in Ürümqi is counted, but does not shrink Hangzhou to a dot.
func TestTheMapIsFittedToNearlyAllRequests(t *testing.T) {
	s := &traffic.Summary{Resolution: 7}
	for i := range 20 {
		s.Cells = append(s.Cells, cellAt(30.2+0.01*float64(i), 120.1+0.01*float64(i), 100))
	}
	s.Cells = append(s.Cells, cellAt(43.8, 87.6, 1))
	m, err := newMap(s)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(m.Layers[0].Hexagons); n != 20 || !strings.Contains(m.Says, "1 of 2001, in 1 cells, lie outside") {
		t.Errorf("%d cells; %s", n, m.Says)
	}
	names := ""
	for _, o := range m.Outlines {
		names += o.Name
		if !strings.HasPrefix(string(o.Path), `d="M`) || !strings.Contains(string(o.Path), "Z") {
			t.Errorf("an outline without a path: %s", o.Path)
		}
	}
	if !strings.Contains(names, "Hangzhou") {
		t.Errorf("outlines of %q", names)
	}
}

// TestTheScaleIsTrue: the bar has as many pixels as its length has at the map's scale.
func TestTheScaleIsTrue(t *testing.T) {
	f := fit([]placed{{Cell: &traffic.Cell{Counts: traffic.Counts{Answers: 1}}, center: hexbid.Point{Lat: 30, Lng: 120},
		outline: []hexbid.Point{{Lat: 29.5, Lng: 119.5}, {Lat: 30.5, Lng: 120.5}}}})
	var left, top, pixels, metres float64
	bar := f.scaleBar()
	if _, err := fmt.Sscanf(string(bar.Path), `d="M%f %fv6h%fv-6"`, &left, &top, &pixels); err != nil {
		t.Fatalf("%s: %v", bar.Path, err)
	}
	if _, err := fmt.Sscanf(bar.Says, "%f km", &metres); err != nil {
		t.Fatal(err)
	}
	metres *= 1000
	x, y := f.xy(hexbid.Point{Lat: 30, Lng: 120})
	_, y2 := f.xy(hexbid.Point{Lat: 30 + metres/hexbid.DegreeM, Lng: 120})
	if off := (y - y2) / pixels; off < 0.99 || off > 1.01 || pixels > mapWidth/4+0.1 || x < 0 {
		t.Errorf("%s is %v pixels, and %v northwards", bar.Says, pixels, y-y2)
	}
}
