package hexbid

import (
	"strings"
	"testing"
)

func TestRingsThatCrossAreRefusedAndThoseThatTouchAreNot(t *testing.T) {
	square := func(west, south, size float64) []Point {
		return []Point{{south, west}, {south, west + size}, {south + size, west + size}, {south + size, west}, {south, west}}
	}
	for name, c := range map[string]struct {
		polygon Polygon
		word    string
	}{
		"a hole inside":                   {Polygon{square(0, 0, 10), square(4, 4, 2)}, ""},
		"a hole across its outer ring":    {Polygon{square(0, 0, 10), square(8, 8, 4)}, "two rings that cross near 8, 10"},
		"a hole that touches at a corner": {Polygon{square(0, 0, 10), {{0, 0}, {3, 1}, {1, 3}, {0, 0}}}, ""},
		"a hole along an edge":            {Polygon{square(0, 0, 10), square(4, 0, 2)}, ""},
		"a bow tie":                       {Polygon{{{0, 0}, {2, 2}, {2, 0}, {0, 2.5}, {0, 0}}}, "crosses itself near 1.1"},
		"a ring through its own vertex":   {Polygon{{{0, 0}, {2, 2}, {4, 4}, {5, 0}, {2, 2}, {0, 4}, {0, 0}}}, ""},
		"a spike":                         {Polygon{{{0, 0}, {0, 4}, {4, 4}, {4, 8}, {4, 4}, {4, 0}, {0, 0}}}, ""},
		"two polygons across each other":  {nil, ""},
	} {
		polygons := []Polygon{c.polygon}
		if c.polygon == nil {
			polygons = []Polygon{{square(0, 0, 4)}, {square(2, 2, 4)}}
		}
		err := validatePolygons("area", polygons)
		if (err == nil) != (c.word == "") || err != nil && !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v, want %q", name, err, c.word)
		}
	}
}
