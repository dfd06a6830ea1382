package geoindex

import (
	"math"
	"unsafe"

	"github.com/hexbid/hexbid"
)

// polygon is a set of rings whose edges are straight in longitude and latitude;
// a point is inside when a ray to the east crosses an odd number of edges.
// Edges are listed by bands of latitude, so that a test looks at few of them.
//
// A point at longitude 180 is taken at -180: the same place, on one side of
// the edge of the map.
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

// bytes is the memory that the polygon holds.
func (p *polygon) bytes() int {
	n := int(unsafe.Sizeof(*p)) + cap(p.edges)*int(unsafe.Sizeof(edge{})) + cap(p.bands)*int(unsafe.Sizeof(p.bands[0]))
	for _, band := range p.bands {
		n += cap(band) * int(unsafe.Sizeof(edge{}))
	}
	return n
}

func (p *polygon) band(lat float64) int {
	return max(0, min(int((lat-p.south)/p.bandHeight), len(p.bands)-1))
}

func (p *polygon) contains(q hexbid.Point) bool {
	if q.Lng == 180 {
		q.Lng = -180
	}
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

// compilePolygon compiles one of a campaign's polygons.
func compilePolygon(p hexbid.Polygon) *polygon {
	rings := make([][][2]float64, len(p))
	for i, ring := range p {
		for _, v := range ring {
			rings[i] = append(rings[i], [2]float64{v.Lng, v.Lat})
		}
	}
	compiled := newPolygon(rings)
	return &compiled
}

// box is a rectangle in latitude and longitude.
type box struct{ south, west, north, east float64 }

// relationTo bounds a cap by one box, or two at the antimeridian. Where no edge
// meets a box, all of it is inside or all outside, as its middle is.
func (p *polygon) relationTo(limit Cap) relation {
	boxes, n := limit.boxes()
	some, all := false, true
	for _, b := range boxes[:n] {
		if p.edgeMeets(&b) {
			return partly
		}
		in := p.contains(hexbid.Point{Lat: (b.south + b.north) / 2, Lng: (b.west + b.east) / 2})
		some, all = some || in, all && in
	}
	switch {
	case all:
		return inside
	case some:
		return partly
	}
	return outside
}

// boxes bounds a cap by latitude and longitude: a cap over a pole takes every
// longitude, one over the antimeridian two boxes.
func (c *Cap) boxes() (boxes [2]box, n int) {
	at, reach := c.Center.Point(), c.Angle/radians+1e-9
	b := box{at.Lat - reach, -180, at.Lat + reach, 180}
	if b.south < -90 || b.north > 90 {
		b.south, b.north = max(b.south, -90), min(b.north, 90)
		return [2]box{b}, 1
	}
	wide := math.Asin(min(1, math.Sin(min(c.Angle, math.Pi/2))/math.Cos(at.Lat*radians)))/radians + 1e-9
	b.west, b.east = at.Lng-wide, at.Lng+wide
	switch {
	case b.west < -180:
		return [2]box{{b.south, b.west + 360, b.north, 180}, {b.south, -180, b.north, b.east}}, 2
	case b.east > 180:
		return [2]box{{b.south, b.west, b.north, 180}, {b.south, -180, b.north, b.east - 360}}, 2
	}
	return [2]box{b}, 1
}

// edgeMeets says whether some edge meets a box.
func (p *polygon) edgeMeets(b *box) bool {
	if b.south > p.north || b.north < p.south || b.west > p.east || b.east < p.west {
		return false
	}
	for band := p.band(b.south); band <= p.band(b.north); band++ {
		for i := range p.bands[band] {
			if p.bands[band][i].meets(b) {
				return true
			}
		}
	}
	return false
}

// meets says whether a segment meets a box: their extents overlap, and the
// box's corners are not all on one side of the segment's line.
func (e *edge) meets(b *box) bool {
	if min(e.lat1, e.lat2) > b.north || max(e.lat1, e.lat2) < b.south || min(e.lng1, e.lng2) > b.east || max(e.lng1, e.lng2) < b.west {
		return false
	}
	dx, dy := e.lng2-e.lng1, e.lat2-e.lat1
	side := func(lng, lat float64) float64 { return dx*(lat-e.lat1) - dy*(lng-e.lng1) }
	sw, se, nw, ne := side(b.west, b.south), side(b.east, b.south), side(b.west, b.north), side(b.east, b.north)
	return !(sw > 0 && se > 0 && nw > 0 && ne > 0) && !(sw < 0 && se < 0 && nw < 0 && ne < 0)
}
