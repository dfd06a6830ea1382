package hexbid

import "math"

// Polygon is an outer ring and its holes, as in GeoJSON (RFC 7946). Every ring is closed. Edges are straight in
// longitude and latitude.
type Polygon [][]Point

// MaxVertices is the most vertices that the polygons of one area may have together.
const MaxVertices = 50_000

// Vertices returns the number of positions in the area's polygons.
func (a *Area) Vertices() (n int) {
	for _, polygon := range a.Polygons {
		for _, ring := range polygon {
			n += len(ring)
		}
	}
	return n
}

// validatePolygons refuses rings that are too short, open, without an area, or that cross, and too many vertices.
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
		if err := validateCrossings(field, p); err != nil {
			return err
		}
	}
	return nil
}

func validateRing(field string, ring []Point) error {
	if len(ring) < 4 {
		return Invalidf(field, "has a ring of %d positions: a ring needs at least four, the last equal to the first",
			len(ring))
	}
	if first, last := ring[0], ring[len(ring)-1]; first != last {
		return Invalidf(field, "has an open ring: it begins at %v, %v and ends at %v, %v; repeat the first position at "+
			"the end",
			first.Lng, first.Lat, last.Lng, last.Lat)
	}
	for i, p := range ring {
		if err := p.Validate(field); err != nil {
			return err
		}
		if i > 0 && math.Abs(p.Lng-ring[i-1].Lng) > 180 && math.Abs(p.Lat) != 90 {
			return Invalidf(field, "has an edge from longitude %v to %v, more than half the globe: split the polygon at the "+
				"antimeridian (RFC 7946, 3.1.9)",
				ring[i-1].Lng, p.Lng)
		}
	}
	if RingArea(ring) == 0 {
		return Invalidf(field, "has a ring of zero area around %v, %v", ring[0].Lng, ring[0].Lat)
	}
	return nil
}

// validateCrossings refuses edges that cross, because such rings do not bound the area that their author sees.
func validateCrossings(field string, p Polygon) error {
	found, _ := findCrossing(p)
	switch {
	case found == nil:
		return nil
	case found.sameRing:
		return Invalidf(field, "has a ring that crosses itself near %v, %v: untangle it, or make it two",
			found.at.Lng, found.at.Lat)
	}
	return Invalidf(field, "has two rings that cross near %v, %v: keep holes inside their outer ring, and make other "+
		"outlines polygons of their own",
		found.at.Lng, found.at.Lat)
}

// RingArea returns the signed area of a ring in square degrees, by the shoelace formula. It is positive when the ring
// runs counter-clockwise.
func RingArea(ring []Point) float64 {
	area := 0.0
	origin := ring[0] // differences from a point of the ring lose few digits to cancellation
	for i := 1; i < len(ring); i++ {
		a, b := ring[i-1], ring[i]
		area += (a.Lng-origin.Lng)*(b.Lat-origin.Lat) - (b.Lng-origin.Lng)*(a.Lat-origin.Lat)
	}
	return area / 2
}
