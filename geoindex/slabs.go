package geoindex

import (
	"cmp"
	"slices"

	"github.com/hexbid/hexbid"
)

// slabs finds the edges that a ray to the east crosses. It cuts the latitudes of
// an outline into slabs with a few vertices each:
//
//   - an edge that ends inside a slab is listed with that slab, as ending;
//   - an edge that runs right across a slab is listed so. Such edges lie side by
//     side there, for edges do not cross: their list is in order of longitude and
//     is searched by halving.
//
// Where edges run across so many slabs that this takes more than entriesPerEdge,
// they are listed with the nodes of a binary tree over the slabs instead (a segment
// tree, Bentley 1977): an edge with the few nodes that make up the slabs that it
// runs across. A test then looks at all nodes above its slab.
//
// So the memory is linear in the edges, and a test takes O(log² n) steps, however
// the outline winds.
type slabs struct {
	cuts    []float64 // latitudes between slabs; slab i ends below cuts[i]
	guide   guide     // into cuts
	tree    bool      // edges are listed with nodes above the slabs, too
	ending  lists     // by slab
	across  lists     // by node: the root is 1, slab i is node slabs + i
	tangled []bool    // by node: edges cross there, so its list has no order; nil for none
}

const (
	// fewEnds is the number of vertices inside a slab to begin with. Outlines that
	// would take more than entriesPerEdge get higher slabs.
	fewEnds        = 8
	entriesPerEdge = 16
	// shortList is the length of a list up to which halving does not pay.
	shortList = 8
	// nearby is the distance in degrees below which rounding may give the wrong order of a point and an edge, or
	// of two edges. It is a tenth of a micrometre, ten times the rounding error.
	nearby = 1e-12
	// mostNearby bounds the edges on either side of a point that are looked at
	// one by one because they are nearby.
	mostNearby = 64
)

func newSlabs(edges []edge, south, north float64) slabs {
	lats := make([]float64, 0, len(edges))
	for i := range edges {
		lats = append(lats, edges[i].lat1)
	}
	slices.Sort(lats)
	s := slabs{cuts: cutsBetween(lats, fewEnds)}
	s.guide = newGuide(s.cuts, south, north)
	s.tree = s.runAcross(edges) > entriesPerEdge*len(edges)
	for most := fewEnds; !s.fill(edges, south, north); {
		most *= 2
		s.cuts = cutsBetween(lats, most)
		s.guide = newGuide(s.cuts, south, north)
	}
	s.order(edges, south, north)
	return s
}

// cutsBetween cuts sorted latitudes into slabs with at most a given number of them inside each. A longer run of equal
// latitudes becomes a cut of its own, so no edge ends inside a slab there.
func cutsBetween(lats []float64, most int) (cuts []float64) {
	inside := 0
	for first := 0; first < len(lats); {
		last := first + 1
		for last < len(lats) && lats[last] == lats[first] {
			last++
		}
		if inside += last - first; inside > most {
			if lats[first] > lats[0] && last < len(lats) {
				cuts = append(cuts, lats[first])
			}
			inside = 0
		}
		first = last
	}
	return slices.Clip(cuts)
}

func (s *slabs) count() int { return len(s.cuts) + 1 }

// guide finds the neighbourhood of a latitude among the cuts. It divides their range into even parts and stores the
// number of cuts before each part.
type guide struct {
	south, perDegree float64
	before           []int32
}

func newGuide(cuts []float64, south, north float64) guide {
	parts := len(cuts) + 1
	g := guide{south: south, perDegree: float64(parts) / (north - south), before: make([]int32, parts+1)}
	for _, cut := range cuts {
		g.before[g.part(cut)+1]++
	}
	for i := range parts {
		g.before[i+1] += g.before[i]
	}
	return g
}

func (g *guide) part(lat float64) int {
	return max(0, min(int((lat-g.south)*g.perDegree), len(g.before)-2))
}

// slabOf is the slab of a latitude.
func (s *slabs) slabOf(lat float64) int {
	part := s.guide.part(lat)
	low, high := int(s.guide.before[part]), int(s.guide.before[part+1])
	for low < high {
		if middle := int(uint(low+high) >> 1); s.cuts[middle] <= lat {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// runAcross is the number of slabs that edges touch, summed over the edges.
func (s *slabs) runAcross(edges []edge) (n int) {
	for i := range edges {
		n += s.slabOf(max(edges[i].lat1, edges[i].lat2)) - s.slabOf(min(edges[i].lat1, edges[i].lat2)) + 1
	}
	return n
}

// fill lists the edges, unless that takes more than entriesPerEdge.
func (s *slabs) fill(edges []edge, south, north float64) bool {
	s.ending, s.across = newLists(s.count()), newLists(2*s.count())
	s.place(edges, south, north, (*lists).count)
	if s.ending.total()+s.across.total() > entriesPerEdge*len(edges) {
		return false
	}
	s.ending.allot()
	s.across.allot()
	s.place(edges, south, north, (*lists).put)
	s.ending.rewind()
	s.across.rewind()
	return true
}

// place lists each edge with the slabs that it ends inside and with the nodes that it runs across. An edge includes its
// southern latitude and excludes its northern one.
func (s *slabs) place(edges []edge, south, north float64, list func(to *lists, at int, edge int32)) {
	for i := range edges {
		low, high := min(edges[i].lat1, edges[i].lat2), max(edges[i].lat1, edges[i].lat2)
		if low == high {
			continue // no ray crosses it
		}
		first, last := s.slabOf(low), s.lastSlabBelow(high)
		from, to := first, last // those that it runs across
		if low != s.southOf(first, south) {
			list(&s.ending, first, int32(i))
			from++
		}
		if high == s.northOf(last, north) {
			to++
		} else if last != first || from == first {
			list(&s.ending, last, int32(i))
		}
		s.nodes(from, to, func(node int) { list(&s.across, node, int32(i)) })
	}
}

// nodes visits the tree nodes that make up the slabs in the half-open range [from, to).
func (s *slabs) nodes(from, to int, give func(node int)) {
	from, to = from+s.count(), to+s.count()
	for !s.tree && from < to {
		give(from)
		from++
	}
	for ; from < to; from, to = from/2, to/2 {
		if from%2 == 1 {
			give(from)
			from++
		}
		if to%2 == 1 {
			to--
			give(to)
		}
	}
}

// lastSlabBelow is the slab of the latitudes just below one.
func (s *slabs) lastSlabBelow(lat float64) int {
	slab, _ := slices.BinarySearch(s.cuts, lat)
	return slab
}

func (s *slabs) southOf(slab int, south float64) float64 {
	if slab == 0 {
		return south
	}
	return s.cuts[slab-1]
}

func (s *slabs) northOf(slab int, north float64) float64 {
	if slab == len(s.cuts) {
		return north
	}
	return s.cuts[slab]
}

// placed is an edge with its longitude in the middle of a node's slabs.
type placed struct {
	lng  float64
	edge int32
}

// order sorts the lists that are searched by halving.
func (s *slabs) order(edges []edge, south, north float64) {
	var sorted []placed
	for node := 1; node < 2*s.count(); node++ {
		list := s.across.at(node)
		if len(list) <= shortList {
			continue
		}
		first, last := node, node
		for first < s.count() {
			first, last = 2*first, 2*last+1
		}
		low, high := s.southOf(first-s.count(), south), s.northOf(last-s.count(), north)
		sorted = sorted[:0]
		for _, e := range list {
			sorted = append(sorted, placed{edges[e].lngAt(low + (high-low)/2), e})
		}
		slices.SortFunc(sorted, func(a, b placed) int {
			return cmp.Or(cmp.Compare(a.lng, b.lng), cmp.Compare(a.edge, b.edge))
		})
		for i := range sorted {
			list[i] = sorted[i].edge
		}
		if !inOrder(edges, list, low) || !inOrder(edges, list, high) {
			if s.tangled == nil {
				s.tangled = make([]bool, 2*s.count())
			}
			s.tangled[node] = true
		}
	}
}

// inOrder reports whether a list of edges runs from west to east at a latitude, rounding aside. A list in order at both
// ends of a slab is in order all through it, because edges do not cross.
func inOrder(edges []edge, list []int32, lat float64) bool {
	eastmost := edges[list[0]].lngAt(lat)
	for _, e := range list[1:] {
		lng := edges[e].lngAt(lat)
		if lng < eastmost-nearby {
			return false
		}
		eastmost = max(eastmost, lng)
	}
	return true
}

// above is the parent of a node that has edges listed, 0 for none.
func (s *slabs) above(node int) int {
	if s.tree {
		return node / 2
	}
	return 0
}

// crossings counts the edges that a ray from q to the east crosses. It rounds exactly as crossedBy on every edge would,
// unless more than mostNearby edges are nearby.
func (s *slabs) crossings(edges []edge, q hexbid.Point) int {
	slab := s.slabOf(q.Lat)
	n := 0
	for _, e := range s.ending.at(slab) {
		n += oneIf(edges[e].crossedBy(q))
	}
	for node := slab + s.count(); node > 0; node = s.above(node) {
		list := s.across.at(node)
		if len(list) <= shortList || s.tangled != nil && s.tangled[node] {
			for _, e := range list {
				n += oneIf(edges[e].crossedBy(q))
			}
			continue
		}
		n += crossingsInOrder(edges, list, q)
	}
	return n
}

// crossingsInOrder counts the edges east of q in a list that runs from west to east and crosses the latitude of q.
func crossingsInOrder(edges []edge, list []int32, q hexbid.Point) int {
	low, high := 0, len(list)
	for low < high {
		if middle := int(uint(low+high) >> 1); q.Lng < edges[list[middle]].lngAt(q.Lat) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	n := len(list) - low
	for _, e := range list[low:min(len(list), low+mostNearby)] {
		lng := edges[e].lngAt(q.Lat)
		if lng > q.Lng+2*nearby {
			break
		}
		n -= oneIf(q.Lng >= lng)
	}
	for i := low - 1; i >= max(0, low-mostNearby); i-- {
		lng := edges[list[i]].lngAt(q.Lat)
		if lng < q.Lng-2*nearby {
			break
		}
		n += oneIf(q.Lng < lng)
	}
	return n
}
