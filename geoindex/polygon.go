package geoindex

import (
	"math"

	"github.com/hexbid/hexbid"
)

// polygon is a set of rings whose edges are straight in longitude and latitude;
// a point is inside when a ray to the east crosses an odd number of edges.
// Edges are listed by bands of latitude, so that a test looks at few of them.
type polygon struct {
	south, west, north, east float64
	bandHeight               float64
	bands                    [][]edge
	edges                    []edge
}

type edge struct{ lat1, lng1, lat2, lng2 float64 }

// newPolygon takes rings of [longitude, latitude] as GeoJSON writes them.
func newPolygon(rings [][][2]float64) polygon {
	p := polygon{south: 90, west: 180, north: -90, east: -180}
	for _, ring := range rings {
		for i, b := range ring {
			a := ring[(i+len(ring)-1)%len(ring)] // closes a ring that is left open, too
			p.edges = append(p.edges, edge{a[1], a[0], b[1], b[0]})
			p.south, p.north = min(p.south, a[1]), max(p.north, a[1])
			p.west, p.east = min(p.west, a[0]), max(p.east, a[0])
		}
	}
	const edgesPerBand = 8
	p.bands = make([][]edge, len(p.edges)/edgesPerBand+1)
	p.bandHeight = (p.north - p.south) / float64(len(p.bands))
	for _, e := range p.edges {
		for b := p.band(min(e.lat1, e.lat2)); b <= p.band(max(e.lat1, e.lat2)); b++ {
			p.bands[b] = append(p.bands[b], e)
		}
	}
	return p
}

func (p *polygon) band(lat float64) int {
	return max(0, min(int((lat-p.south)/p.bandHeight), len(p.bands)-1))
}

func (p *polygon) contains(q hexbid.Point) bool {
	if q.Lat < p.south || q.Lat > p.north || q.Lng < p.west || q.Lng > p.east {
		return false
	}
	inside := false
	for _, e := range p.bands[p.band(q.Lat)] {
		if e.crossedBy(q) {
			inside = !inside
		}
	}
	return inside
}

// crossedBy says whether a ray from q to the east crosses the edge. An edge
// owns its southern end only, so that a ray through a vertex counts once.
func (e *edge) crossedBy(q hexbid.Point) bool {
	return (e.lat1 > q.Lat) != (e.lat2 > q.Lat) &&
		q.Lng < (e.lng2-e.lng1)*(q.Lat-e.lat1)/(e.lat2-e.lat1)+e.lng1
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
	const metresPerDegree = hexbid.EarthRadiusM * radians
	east := metresPerDegree * math.Cos(q.Lat*radians)
	ax, ay := math.Remainder(e.lng1-q.Lng, 360)*east, (e.lat1-q.Lat)*metresPerDegree
	bx, by := math.Remainder(e.lng2-q.Lng, 360)*east, (e.lat2-q.Lat)*metresPerDegree
	dx, dy := bx-ax, by-ay
	along := 0.0
	if length2 := dx*dx + dy*dy; length2 > 0 {
		along = max(0, min(1, -(ax*dx+ay*dy)/length2))
	}
	return math.Hypot(ax+along*dx, ay+along*dy)
}
