package geoindex

import (
	"math"
	"slices"

	"github.com/hexbid/hexbid"
)

// polygon is a set of rings whose edges are straight in longitude and latitude;
// a point is inside when a ray to the east crosses an odd number of edges.
// slabs finds those edges, and runs finds the edges that meet a box.
//
// A point at longitude 180 is taken at -180: the same place, on one side of
// the edge of the map.
type polygon struct {
	box
	edges []edge // those of no length left out
	slabs slabs
	runs  [][]box // see boundRuns
}

type edge struct{ lat1, lng1, lat2, lng2 float64 }

// compilePolygon compiles rings, of one polygon or of several that do not overlap. It
// closes a ring that is left open.
func compilePolygon(rings hexbid.Polygon) *polygon {
	p := &polygon{box: box{south: 90, west: 180, north: -90, east: -180}}
	for _, ring := range rings {
		for i, b := range ring {
			a := ring[(i+len(ring)-1)%len(ring)]
			if a != b {
				p.edges = append(p.edges, edge{a.Lat, a.Lng, b.Lat, b.Lng})
			}
			p.south, p.north = min(p.south, a.Lat), max(p.north, a.Lat)
			p.west, p.east = min(p.west, a.Lng), max(p.east, a.Lng)
		}
	}
	p.edges = slices.Clip(p.edges)
	p.slabs = newSlabs(p.edges, p.south, p.north)
	p.runs = boundRuns(p.edges)
	return p
}

func (p *polygon) contains(q hexbid.Point) bool {
	if q.Lng == 180 {
		q.Lng = -180
	}
	if q.Lat < p.south || q.Lat >= p.north || q.Lng < p.west || q.Lng > p.east {
		return false // at the northern end no edge is crossed: each owns its southern end only
	}
	return p.slabs.crossings(p.edges, q)%2 == 1
}

// crossedBy says whether a ray from q to the east crosses the edge. An edge
// owns its southern end only, so that a ray through a vertex counts once.
func (e *edge) crossedBy(q hexbid.Point) bool {
	return (e.lat1 > q.Lat) != (e.lat2 > q.Lat) &&
		q.Lng < e.lngAt(q.Lat)
}

// lngAt is the longitude at which the edge crosses a latitude.
func (e *edge) lngAt(lat float64) float64 {
	return (e.lng2-e.lng1)*(lat-e.lat1)/(e.lat2-e.lat1) + e.lng1
}

// distanceM is the distance in metres from q to the nearest edge, on the plane
// that touches the sphere at q: good within some hundred kilometres.
func (p *polygon) distanceM(q hexbid.Point) float64 {
	nearest := math.Inf(1)
	for i := range p.edges {
		nearest = min(nearest, p.edges[i].distanceM(q))
	}
	return nearest
}

func (e *edge) distanceM(q hexbid.Point) float64 {
	east := hexbid.DegreeM * math.Cos(q.Lat*radians)
	ax, ay := math.Remainder(e.lng1-q.Lng, 360)*east, (e.lat1-q.Lat)*hexbid.DegreeM
	bx, by := math.Remainder(e.lng2-q.Lng, 360)*east, (e.lat2-q.Lat)*hexbid.DegreeM
	dx, dy := bx-ax, by-ay
	along := 0.0
	if length2 := dx*dx + dy*dy; length2 > 0 {
		along = max(0, min(1, -(ax*dx+ay*dy)/length2))
	}
	return math.Hypot(ax+along*dx, ay+along*dy)
}
