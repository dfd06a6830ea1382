package hexbid

import (
	"cmp"
	"math"
	"slices"
)

// Polygon is an outer ring and its holes, as GeoJSON has them (RFC 7946): every
// ring closed, edges straight in longitude and latitude.
type Polygon [][]Point

// MaxVertices is the most vertices that the polygons of an area have in all.
const MaxVertices = 50_000

// validatePolygons refuses rings that bound nothing or do not say what they
// bound.
func validatePolygons(field string, polygons []Polygon) error {
	vertices := 0
	for _, p := range polygons {
		if len(p) == 0 {
			return Invalidf(field, "has a polygon without a ring: give an outer ring of at least four positions")
		}
		for _, ring := range p {
			vertices += len(ring)
			if vertices > MaxVertices {
				return Invalidf(field, "has more than %d vertices: simplify the outline, or split it over campaigns", MaxVertices)
			}
			if err := validateRing(field, ring); err != nil {
				return err
			}
		}
	}
	return nil
}

func validateRing(field string, ring []Point) error {
	if len(ring) < 4 {
		return Invalidf(field, "has a ring of %d positions: a ring needs at least four, the last equal to the first", len(ring))
	}
	if first, last := ring[0], ring[len(ring)-1]; first != last {
		return Invalidf(field, "has an open ring: it begins at %v, %v and ends at %v, %v; repeat the first position at the end",
			first.Lng, first.Lat, last.Lng, last.Lat)
	}
	for i, p := range ring {
		if err := p.Validate(field); err != nil {
			return err
		}
		if i > 0 && math.Abs(p.Lng-ring[i-1].Lng) > 180 && math.Abs(p.Lat) != 90 {
			return Invalidf(field, "has an edge from longitude %v to %v, more than half the globe: split the polygon at the antimeridian (RFC 7946, 3.1.9)",
				ring[i-1].Lng, p.Lng)
		}
	}
	if RingArea(ring) == 0 {
		return Invalidf(field, "has a ring of zero area around %v, %v", ring[0].Lng, ring[0].Lat)
	}
	if at, crosses := selfCrossing(ring); crosses {
		return Invalidf(field, "has a ring that crosses itself near %v, %v, or is too intricate to tell: untangle it, simplify it or make it two", at.Lng, at.Lat)
	}
	return nil
}

// RingArea is the signed area of a ring in square degrees, positive when it
// runs counter-clockwise (the shoelace formula).
func RingArea(ring []Point) float64 {
	area := 0.0
	origin := ring[0] // near it little is lost to cancellation
	for i := 1; i < len(ring); i++ {
		a, b := ring[i-1], ring[i]
		area += (a.Lng-origin.Lng)*(b.Lat-origin.Lat) - (b.Lng-origin.Lng)*(a.Lat-origin.Lat)
	}
	return area / 2
}

// span is an edge's reach along the axis of the sweep.
type span struct {
	from, to float64
	edge     int
}

// mostComparisons bounds the sweep on an outline made to be slow; a comb of
// 50,000 vertices needs far less.
const mostComparisons = 100_000_000

// selfCrossing finds two edges of a ring that cross at a point inside both, by
// a sweep over the edges that overlap along one axis: the one along which edges
// reach less far. A ring that is too intricate to be checked counts as crossing.
func selfCrossing(ring []Point) (Point, bool) {
	reachLat, reachLng := 0.0, 0.0
	for i := 1; i < len(ring); i++ {
		reachLat += math.Abs(ring[i].Lat - ring[i-1].Lat)
		reachLng += math.Abs(ring[i].Lng - ring[i-1].Lng)
	}
	along := func(p Point) float64 { return p.Lat }
	if reachLng < reachLat {
		along = func(p Point) float64 { return p.Lng }
	}
	spans := make([]span, len(ring)-1)
	for i := range spans {
		a, b := along(ring[i]), along(ring[i+1])
		spans[i] = span{min(a, b), max(a, b), i}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var active []span
	compared := 0
	for _, s := range spans {
		active = slices.DeleteFunc(active, func(a span) bool { return a.to < s.from })
		if compared += len(active); compared > mostComparisons {
			return ring[s.edge], true
		}
		for _, other := range active {
			if edgesCross(ring[s.edge], ring[s.edge+1], ring[other.edge], ring[other.edge+1]) {
				return ring[s.edge], true
			}
		}
		active = append(active, s)
	}
	return Point{}, false
}

// edgesCross says whether two segments cross at a point that is inside both.
// Touching ends do not count.
func edgesCross(a, b, c, d Point) bool {
	if max(a.Lng, b.Lng) < min(c.Lng, d.Lng) || max(c.Lng, d.Lng) < min(a.Lng, b.Lng) {
		return false
	}
	side := func(p, q, r Point) float64 { return (q.Lng-p.Lng)*(r.Lat-p.Lat) - (q.Lat-p.Lat)*(r.Lng-p.Lng) }
	return side(a, b, c)*side(a, b, d) < 0 && side(c, d, a)*side(c, d, b) < 0
}
