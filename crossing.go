package hexbid

import (
	"cmp"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// This file finds edges of a polygon that cross, by the sweep line of Shamos and Hoey ("Geometric intersection
// problems", 1976). A vertical line moves east over the polygon. An ordered tree holds the edges that the line meets,
// from south to north. Two edges that cross are neighbours in that order just before they do. So only neighbours are
// compared, and n edges take O(n log n) comparisons however they lie. The sweep visits points on one meridian from
// south to north, as if the line leaned a little, so edges that run due north need no special case.
//
// Two edges cross when they share a point that is inside both and they are not parallel. Edges that meet at an end of
// one of them touch, and edges on one line overlap; neither is a crossing. So a ring may return to one of its vertices
// or edges, and may run along an edge twice.

// gridPoint is a point in units of 2⁻⁵⁴ degrees (six picometres). A coordinate of a quarter of a degree or more lies
// exactly on that grid. Differences fit in 64 bits and products of two differences in 126, so no comparison is rounded.
// Rounded comparisons could contradict each other, and the sweep would lose its order.
type gridPoint struct{ lng, lat int64 }

func onGrid(p Point) gridPoint {
	const perDegree = 1 << 54
	return gridPoint{int64(math.RoundToEven(p.Lng * perDegree)), int64(math.RoundToEven(p.Lat * perDegree))}
}

// compare orders points as the sweep visits them.
func (p gridPoint) compare(q gridPoint) int {
	if p.lng != q.lng {
		return cmp.Compare(p.lng, q.lng)
	}
	return cmp.Compare(p.lat, q.lat)
}

// side returns 1 when c lies to the left of the line from a to b, -1 to the right, and 0 on the line.
func side(a, b, c gridPoint) int {
	high1, low1 := product(b.lng-a.lng, c.lat-a.lat)
	high2, low2 := product(b.lat-a.lat, c.lng-a.lng)
	if high1 != high2 {
		return cmp.Compare(high1, high2)
	}
	return cmp.Compare(low1, low2)
}

// product returns the product of two numbers in 128 bits.
func product(x, y int64) (high int64, low uint64) {
	unsigned, low := bits.Mul64(uint64(x), uint64(y))
	return int64(unsigned) - x>>63&y - y>>63&x, low
}

// sweptEdge is an edge of the polygon, from the end that the sweep visits first, and its node in the tree of edges
// under the line. The tree is a treap: a binary tree in order of latitude. Random priorities keep it balanced in
// whatever order edges are inserted.
type sweptEdge struct {
	from, to            gridPoint
	south, north, above int32 // children and parent in the tree
	before, after       int32 // neighbours in order
	priority            uint32
	ring                int32
}

// none stands for no edge.
const none int32 = -1

// sweep is the state of one run over a polygon.
type sweep struct {
	edges       []sweptEdge
	root        int32
	comparisons int // of two edges: the measure of the work
}

// crossing is two edges that cross, and where.
type crossing struct {
	at       Point
	sameRing bool
}

// findCrossing looks for two edges of a polygon that cross. It also returns how many pairs of edges it compared. Rings
// must be closed.
func findCrossing(p Polygon) (found *crossing, comparisons int) {
	s := sweep{root: none}
	visits := s.load(p)
	slices.SortFunc(visits, func(a, b visit) int { return a.at.compare(b.at) })
	for first := 0; first < len(visits); {
		last := first + 1
		for last < len(visits) && visits[last].at == visits[first].at {
			last++
		}
		if a, b := s.visit(visits[first:last]); a != none {
			return s.crossingOf(a, b), s.comparisons
		}
		first = last
	}
	return nil, s.comparisons
}

// visit is a vertex at which the sweep stops, with the edges that meet there.
type visit struct {
	at    gridPoint
	edges [2]int32 // none stands for an edge of no length
}

// load stores the edges of a polygon and returns the vertices to visit.
func (s *sweep) load(p Polygon) (visits []visit) {
	for ring, points := range p {
		first, before := len(visits), none
		for i := 1; i < len(points); i++ {
			from, to := onGrid(points[i-1]), onGrid(points[i])
			edge := none
			if order := from.compare(to); order != 0 {
				edge = int32(len(s.edges))
				if order > 0 {
					s.edges = append(s.edges, sweptEdge{from: to, to: from})
				} else {
					s.edges = append(s.edges, sweptEdge{from: from, to: to})
				}
				s.edges[edge].ring, s.edges[edge].priority = int32(ring), rand.Uint32()
			}
			visits = append(visits, visit{from, [2]int32{before, edge}})
			before = edge
		}
		if first < len(visits) {
			visits[first].edges[0] = before
		}
	}
	return visits
}

// visit removes the edges that end at a point and inserts those that begin there. Either makes edges neighbours that
// were not; visit returns the first such pair that crosses.
func (s *sweep) visit(here []visit) (a, b int32) {
	for _, v := range here {
		for _, e := range v.edges {
			if e != none && s.edges[e].to == v.at {
				before, after := s.edges[e].before, s.edges[e].after
				s.remove(e)
				if s.cross(before, after) {
					return before, after
				}
			}
		}
	}
	for _, v := range here {
		for _, e := range v.edges {
			if e != none && s.edges[e].from == v.at {
				s.insert(e)
				if before := s.edges[e].before; s.cross(before, e) {
					return before, e
				}
				if after := s.edges[e].after; s.cross(e, after) {
					return e, after
				}
			}
		}
	}
	return none, none
}

// cross reports whether two edges share a point that is inside both, and are not parallel.
func (s *sweep) cross(a, b int32) bool {
	if a == none || b == none {
		return false
	}
	s.comparisons++
	return s.edges[a].crosses(&s.edges[b])
}

func (e *sweptEdge) crosses(f *sweptEdge) bool {
	return side(e.from, e.to, f.from)*side(e.from, e.to, f.to) < 0 &&
		side(f.from, f.to, e.from)*side(f.from, f.to, e.to) < 0
}

// isNorthOf reports whether an edge that begins under the line lies north of one that is in the tree already. If it
// begins on that edge its other end decides. Of two edges on one line the one with the larger number counts as the
// northern.
func (s *sweep) isNorthOf(e, other int32) bool {
	s.comparisons++
	begins, there := &s.edges[e], &s.edges[other]
	if at := side(there.from, there.to, begins.from); at != 0 {
		return at > 0
	}
	if toward := side(there.from, there.to, begins.to); toward != 0 {
		return toward > 0
	}
	return e > other
}

// crossingOf returns where two edges cross, up to rounding.
func (s *sweep) crossingOf(a, b int32) *crossing {
	e, f := &s.edges[a], &s.edges[b]
	dx, dy := float64(e.to.lng-e.from.lng), float64(e.to.lat-e.from.lat)
	fx, fy := float64(f.to.lng-f.from.lng), float64(f.to.lat-f.from.lat)
	along := (float64(f.from.lng-e.from.lng)*fy - float64(f.from.lat-e.from.lat)*fx) / (dx*fy - dy*fx)
	const degrees = 1.0 / (1 << 54)
	at := Point{Lng: (float64(e.from.lng) + along*dx) * degrees, Lat: (float64(e.from.lat) + along*dy) * degrees}
	return &crossing{at, e.ring == f.ring}
}
