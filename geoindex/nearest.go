package geoindex

import "math"

// Site is one thing at one point that a Tree finds by distance.
type Site struct {
	Vec     Vec
	Cell    Cell   // Finest, over Vec
	Rank    uint64 // orders sites at equal distances
	Tie     uint64 // orders sites of equal distance and rank
	Tags    uint64 // bits of which a query may need some
	Has     uint64 // bits of which a query may need all
	Ordinal uint32 // of the thing
	Group   uint32 // of what it belongs to
}

// Tree holds sites in the hierarchy of H3 cells: a node of more than leafSites
// sites is split into its cell's children. A Tree is immutable; an Edit makes
// the next one and shares what it does not change.
//
// A node knows a ball that holds its sites and the union of their bits, so
// that a search passes over what is too far or cannot match.
type Tree struct {
	root node
}

const leafSites = 24

// node is a cell of the hierarchy. The root stands above the 122 base cells
// and has one child for each.
type node struct {
	center   Vec
	chord    float64 // straight distance from center to the farthest site possible
	tags     uint64
	has      uint64
	owner    *Edit // that may change the node in place
	children []*node
	sites    []Site // of a leaf
	res      int8   // -1 at the root
}

// Len counts the sites.
func (t *Tree) Len() int { return t.root.len() }

func (n *node) len() int {
	count := len(n.sites)
	for _, child := range n.children {
		if child != nil {
			count += child.len()
		}
	}
	return count
}

// Edit is a change of a Tree in the making; it is used by one goroutine.
type Edit struct{ root *node }

// Edit starts a change. The tree itself never changes. A nil tree is empty.
func (t *Tree) Edit() *Edit {
	e := &Edit{}
	root := node{chord: 2, res: -1}
	if t != nil {
		root = t.root
	}
	root.owner = nil
	e.root = e.own(&root)
	return e
}

// Tree ends the change. The Edit must not be used after.
func (e *Edit) Tree() *Tree { return &Tree{root: *e.root} }

// own gives a node that this edit may change: itself, or a copy.
func (e *Edit) own(n *node) *node {
	if n.owner == e {
		return n
	}
	c := *n
	c.owner = e
	c.children = append([]*node(nil), n.children...)
	c.sites = append([]Site(nil), n.sites...)
	return &c
}

// Insert adds a site.
func (e *Edit) Insert(s Site) { e.insert(e.root, s) }

func (e *Edit) insert(n *node, s Site) {
	n.tags, n.has = n.tags|s.Tags, n.has|s.Has
	if n.res >= 0 && n.children == nil {
		n.sites = append(n.sites, s)
		if len(n.sites) > leafSites && n.res < Finest {
			e.splitLeaf(n)
		}
		return
	}
	if n.children == nil {
		n.children = make([]*node, 122)
	}
	slot := n.slot(s.Cell)
	child := n.children[slot]
	if child == nil {
		child = newLeaf(s.Cell.Parent(int(n.res)+1), e)
	}
	child = e.own(child)
	n.children[slot] = child
	e.insert(child, s)
}

func newLeaf(c Cell, owner *Edit) *node {
	limit := c.Cap()
	return &node{center: limit.Center, chord: 2 * math.Sin(min(limit.Angle, math.Pi)/2), owner: owner, res: int8(c.Resolution())}
}

func (e *Edit) splitLeaf(n *node) {
	sites := n.sites
	n.sites, n.children = nil, make([]*node, 7)
	for _, s := range sites {
		e.insert(n, s)
	}
}

// slot is the child that holds a cell.
func (n *node) slot(c Cell) int {
	if n.res < 0 {
		return int(c.baseCell())
	}
	return int(c.digit(int(n.res) + 1))
}

// Delete removes the site of an ordinal; it says whether it was there. Nodes
// that become empty are dropped; small ones are not merged, for another site
// is likely to come.
func (e *Edit) Delete(ordinal uint32, c Cell) bool { return e.delete(e.root, ordinal, c) }

func (e *Edit) delete(n *node, ordinal uint32, c Cell) bool {
	if n.children == nil {
		for i := range n.sites {
			if n.sites[i].Ordinal == ordinal {
				n.sites = append(n.sites[:i], n.sites[i+1:]...)
				n.gatherBits()
				return true
			}
		}
		return false
	}
	slot := n.slot(c)
	if n.children[slot] == nil {
		return false
	}
	child := e.own(n.children[slot])
	if !e.delete(child, ordinal, c) {
		return false
	}
	n.children[slot] = child
	if child.tags == 0 && child.len() == 0 {
		n.children[slot] = nil
	}
	n.gatherBits()
	return true
}

func (n *node) gatherBits() {
	n.tags, n.has = 0, 0
	for i := range n.sites {
		n.tags, n.has = n.tags|n.sites[i].Tags, n.has|n.sites[i].Has
	}
	for _, child := range n.children {
		if child != nil {
			n.tags, n.has = n.tags|child.tags, n.has|child.has
		}
	}
}

// Nearest walks the sites of a tree by distance: best first, with nodes and
// sites in one heap. Its zero value is ready for Start; it allocates only to
// grow its heap, so keep it.
type Nearest struct {
	from    Vec
	max     float64 // squared chord
	need    Need
	heap    []waiting
	Visited int // nodes and sites looked at since Start
}

// waiting is a node, or a site of a node, that is at least so far away.
type waiting struct {
	chord2 float64
	node   *node
	site   *Site // nil for a node
}

// Need is what the bits of a site must be: its tags must meet every mask of
// Some, and it must have All.
type Need struct {
	Some []uint64
	All  uint64
}

func (n *Need) metBy(tags, has uint64) bool {
	if has&n.All != n.All {
		return false
	}
	for _, mask := range n.Some {
		if tags&mask == 0 {
			return false
		}
	}
	return true
}

// Start begins a walk: sites within a squared chord that meet the need,
// nearest first, ties by rank, then Tie.
func (w *Nearest) Start(t *Tree, from Vec, maxChord2 float64, need Need) {
	w.from, w.max, w.need, w.Visited = from, maxChord2, need, 0
	clear(w.heap)
	w.heap = w.heap[:0]
	if t != nil && need.metBy(t.root.tags, t.root.has) {
		w.push(waiting{node: &t.root})
	}
}

// Next returns the next site and its squared chord; nil at the end.
func (w *Nearest) Next() (*Site, float64) {
	for len(w.heap) > 0 {
		top := w.pop()
		if top.site != nil {
			return top.site, top.chord2
		}
		w.open(top.node)
	}
	return nil, 0
}

// open pushes what a node holds.
func (w *Nearest) open(n *node) {
	w.Visited += len(n.sites) + len(n.children)
	for i := range n.sites {
		s := &n.sites[i]
		if chord2 := s.Vec.Chord2(w.from); chord2 <= w.max && w.need.metBy(s.Tags, s.Has) {
			w.push(waiting{chord2: chord2, site: s})
		}
	}
	for _, child := range n.children {
		if child == nil || !w.need.metBy(child.tags, child.has) {
			continue
		}
		// The triangle inequality on straight distances bounds every site of
		// the child from below.
		gap := max(0, math.Sqrt(child.center.Chord2(w.from))-child.chord)
		if chord2 := gap * gap; chord2 <= w.max {
			w.push(waiting{chord2: chord2, node: child})
		}
	}
}

// before orders the heap: nearer first; at equal distances nodes, which may
// hold a site of lower rank, before sites.
func (a *waiting) before(b *waiting) bool {
	if a.chord2 != b.chord2 {
		return a.chord2 < b.chord2
	}
	if a.site == nil || b.site == nil {
		return b.site != nil
	}
	if a.site.Rank != b.site.Rank {
		return a.site.Rank < b.site.Rank
	}
	return a.site.Tie < b.site.Tie
}

func (w *Nearest) push(x waiting) {
	w.heap = append(w.heap, x)
	h, i := w.heap, len(w.heap)-1
	for i > 0 {
		parent := (i - 1) / 2
		if !h[i].before(&h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (w *Nearest) pop() waiting {
	h := w.heap
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h[last] = waiting{}
	h = h[:last]
	w.heap = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h[child].before(&h[least]) {
				least = child
			}
		}
		if least == i {
			return top
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
