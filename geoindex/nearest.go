package geoindex

import (
	"math"
	"slices"
)

// Site is one thing at one point that a Tree finds by distance.
type Site struct {
	Rank    uint64 // orders sites at equal distances
	Tie     uint64 // orders sites of equal distance and rank
	Note    uint64 // the caller's own
	Ordinal uint32 // of the thing
	Group   uint32 // of what it belongs to
}

// Marks are the properties of a site that a query may filter by.
type Marks struct {
	Tags uint64 // bits of which a query may need some
	Has  uint64 // bits of which a query may need all
}

func (m *Marks) add(other Marks) { m.Tags, m.Has = m.Tags|other.Tags, m.Has|other.Has }

// Tree holds sites in the hierarchy of H3 cells: a node of more than leafSites
// sites is split into its cell's children. A Tree is immutable; an Edit makes
// the next one and shares what it does not change.
//
// A node stores for each child a ball that holds the child's sites and the union of their marks. A search therefore
// skips a child that is too far away or cannot match without following a pointer. A leaf stores marks, points and
// sites in separate arrays, because a search reads only the marks of most sites, and only the points of most others.
type Tree struct{ root *node }

const leafSites = 64

// node is a cell of the hierarchy. The root stands above the 122 base cells and has one child for each once it is
// split.
type node struct {
	owner    *Edit // that may change the node in place
	res      int8  // -1 at the root
	children []child
	marks    []Marks // of a leaf's sites
	vecs     []Vec
	sites    []Site
}

type child struct {
	node   *node // nil when there is no site
	center Vec
	chord  float64 // straight distance from center that no site exceeds
	marks  Marks
}

// Edit builds the next Tree from the present one. One goroutine uses it.
type Edit struct {
	root    *node // nil once the change has ended
	visited int   // children and sites that deletions looked at
}

// Edit starts a change. The tree itself never changes. A nil tree is empty.
func (t *Tree) Edit() *Edit {
	e := &Edit{}
	if t == nil {
		e.root = &node{owner: e, res: -1}
	} else {
		e.root = e.own(t.root)
	}
	return e
}

// Tree ends the edit, which must not be used afterwards. New nodes keep pointing to the edit as their owner. The edit
// therefore drops its own pointer to the root: otherwise every such node would keep that whole tree in memory.
func (e *Edit) Tree() *Tree {
	t := &Tree{e.root}
	e.root = nil
	return t
}

// own returns n if this edit made it, and otherwise a copy that the edit may change.
func (e *Edit) own(n *node) *node {
	if n.owner == e {
		return n
	}
	return &node{owner: e, res: n.res, children: slices.Clone(n.children), marks: slices.Clone(n.marks),
		vecs: slices.Clone(n.vecs), sites: slices.Clone(n.sites)}
}

// Insert adds a site in the Finest cell over it.
func (e *Edit) Insert(s Site, v Vec, at Cell, marks Marks) {
	e.insert(e.root, &s, v, at, marks)
}

func (e *Edit) insert(n *node, s *Site, v Vec, at Cell, marks Marks) {
	if n.children == nil {
		n.marks, n.vecs, n.sites = append(n.marks, marks), append(n.vecs, v), append(n.sites, *s)
		if len(n.sites) > leafSites && n.res < Finest {
			e.splitLeaf(n)
		}
		return
	}
	c := &n.children[n.slot(at)]
	if c.node == nil {
		*c = child{node: &node{owner: e, res: n.res + 1}, center: at.Parent(int(n.res) + 1).Center()}
	}
	c.node = e.own(c.node)
	c.marks.add(marks)
	c.chord = max(c.chord, math.Sqrt(c.center.Chord2(v))+rounding)
	e.insert(c.node, s, v, at, marks)
}

// rounding bounds the error of a straight distance on the unit sphere: 64 nm.
const rounding = 1e-14

func (e *Edit) splitLeaf(n *node) {
	marks, vecs, sites, childCount := n.marks, n.vecs, n.sites, 7
	if n.res < 0 {
		childCount = baseCells
	}
	n.marks, n.vecs, n.sites, n.children = nil, nil, nil, make([]child, childCount)
	for i := range sites {
		e.insert(n, &sites[i], vecs[i], CellAt(vecs[i]), marks[i])
	}
}

// slot is the child that holds a cell.
func (n *node) slot(c Cell) int {
	if n.res < 0 {
		return int(c.baseCell())
	}
	return int(c.digit(int(n.res) + 1))
}

// Delete removes the site of an ordinal and reports whether it was there. Nodes that become empty are dropped. Small
// nodes are not merged, because another site is likely to arrive.
func (e *Edit) Delete(ordinal uint32, at Cell) bool { return e.delete(e.root, ordinal, at) }

func (e *Edit) delete(n *node, ordinal uint32, at Cell) bool {
	e.visited += len(n.sites) + len(n.children)
	if n.children == nil {
		i := slices.IndexFunc(n.sites, func(s Site) bool { return s.Ordinal == ordinal })
		if i < 0 {
			return false
		}
		n.marks, n.vecs, n.sites = slices.Delete(n.marks, i, i+1), slices.Delete(n.vecs, i, i+1),
			slices.Delete(n.sites, i, i+1)
		return true
	}
	c := &n.children[n.slot(at)]
	if c.node == nil {
		return false
	}
	c.node = e.own(c.node)
	if !e.delete(c.node, ordinal, at) {
		return false
	}
	if c.marks = c.node.allMarks(); e.isEmpty(c.node) {
		*c = child{}
	}
	return true
}

// isEmpty reports whether a node has no site. Delete drops an empty child at once, so a node without children is
// empty.
func (e *Edit) isEmpty(n *node) bool {
	e.visited += len(n.children)
	return len(n.sites) == 0 && !slices.ContainsFunc(n.children, func(c child) bool { return c.node != nil })
}

func (n *node) allMarks() (all Marks) {
	for _, m := range n.marks {
		all.add(m)
	}
	for i := range n.children {
		all.add(n.children[i].marks)
	}
	return all
}

// Closest returns the site nearest to a point and its squared chord, or nil and infinity when the tree is empty. Among
// sites at equal distance the lowest rank wins, then the lowest Tie. Closest allocates nothing. It descends into the
// nearest ball first and skips every branch whose ball lies beyond the best site found so far.
func (t *Tree) Closest(from Vec) (*Site, float64) {
	c := t.closest(from)
	return c.site, c.chord2
}

func (t *Tree) closest(from Vec) closest {
	c := closest{from: from, chord2: math.Inf(1)}
	if t != nil {
		c.search(t.root)
	}
	return c
}

// closest is the nearest site found so far.
type closest struct {
	from    Vec
	site    *Site
	chord2  float64
	visited int // children and sites looked at
}

func (c *closest) search(n *node) {
	c.visited += len(n.sites) + len(n.children)
	for i := range n.vecs {
		chord2 := n.vecs[i].Chord2(c.from)
		if s := &n.sites[i]; chord2 < c.chord2 || chord2 == c.chord2 && (c.site == nil || s.precedes(c.site)) {
			c.site, c.chord2 = s, chord2
		}
	}
	first, least := -1, math.Inf(1)
	for i := range n.children {
		if bound := n.children[i].bound(c.from); bound < least {
			first, least = i, bound
		}
	}
	if first < 0 || least > c.chord2 {
		return
	}
	c.search(n.children[first].node)
	for i := range n.children {
		if bound := n.children[i].bound(c.from); i != first && bound < math.Inf(1) && bound <= c.chord2 {
			c.search(n.children[i].node)
		}
	}
}

// bound returns a lower bound of the squared chord to any site of the child, by the triangle inequality on straight
// distances. It is infinite when the child has no site.
func (c *child) bound(from Vec) float64 {
	if c.node == nil {
		return math.Inf(1)
	}
	gap := max(0, math.Sqrt(c.center.Chord2(from))-c.chord)
	return gap * gap
}

// precedes orders sites at equal distances.
func (s *Site) precedes(other *Site) bool {
	if s.Rank != other.Rank {
		return s.Rank < other.Rank
	}
	return s.Tie < other.Tie
}

// Nearest walks the sites of a tree in order of distance. The nodes that it has met wait in a heap. The nearest of
// them is the horizon: no unseen site is nearer than the horizon. Sites of an opened leaf stay unsorted until the
// horizon lies beyond them. Most walks end before that, so most sites are never sorted. The zero value is ready for
// Start. Reuse a Nearest: it allocates only to grow.
type Nearest struct {
	from    Vec
	max     float64 // squared chord
	need    Need
	met     []*node   // nodes of the walk so far
	ahead   []waiting // a heap of nodes to open
	beyond  []waiting // sites that are not nearer than the horizon
	near    []waiting // a heap of those that are
	pauseAt int       // steps
	// Steps counts the work since Start: each node, site or waiting entry that was
	// looked at.
	Steps int
}

// waiting is a met node, or one of its sites, with a lower bound of its distance.
type waiting struct {
	chord2 float64
	node   int32
	site   int32 // -1 for the node itself
}

// Need is the filter of a walk. The tags of a site must share a bit with every mask of Some, and its Has must include
// All.
type Need struct {
	Some []uint64
	All  uint64
}

func (n *Need) metBy(m *Marks) bool {
	if m.Has&n.All != n.All {
		return false
	}
	for _, mask := range n.Some {
		if m.Tags&mask == 0 {
			return false
		}
	}
	return true
}

// Start begins a walk over the sites that lie within a squared chord and meet the need, nearest first. Rank, then Tie,
// orders sites at equal distances.
func (w *Nearest) Start(t *Tree, from Vec, maxChord2 float64, need Need) {
	clear(w.met)
	*w = Nearest{from: from, max: maxChord2, need: need, met: w.met[:0], ahead: w.ahead[:0], beyond: w.beyond[:0],
		near: w.near[:0], pauseAt: math.MaxInt}
	if t != nil {
		w.meet(t.root, 0)
	}
}

// Allow lets the walk take about so many more steps before Next pauses. A walk without any Allow never pauses.
func (w *Nearest) Allow(steps int) { w.pauseAt = w.Steps + min(steps, math.MaxInt-w.Steps) }

// Paused reports whether Next returned nil because the walk used up its steps.
func (w *Nearest) Paused() bool { return w.Steps >= w.pauseAt }

// Next returns the next site and its squared chord, or nil at the end and at a pause.
func (w *Nearest) Next() (*Site, float64) {
	for !w.Paused() {
		if len(w.near) > 0 {
			w.Steps++
			top := w.pop(&w.near)
			return w.siteOf(top), top.chord2
		}
		if len(w.ahead) == 0 && len(w.beyond) == 0 {
			return nil, 0
		}
		if len(w.ahead) > 0 {
			w.open(w.pop(&w.ahead))
		}
		w.sift()
	}
	return nil, 0
}

// sift moves the sites that are nearer than the horizon into order. A site exactly at the horizon waits, because a node
// at the same distance may hold a site of lower rank.
func (w *Nearest) sift() {
	horizon := math.Inf(1)
	if len(w.ahead) > 0 {
		horizon = w.ahead[0].chord2
	}
	w.Steps += len(w.beyond)
	rest := w.beyond[:0]
	for _, x := range w.beyond {
		if x.chord2 < horizon {
			w.push(&w.near, x)
		} else {
			rest = append(rest, x)
		}
	}
	w.beyond = rest
}

// open replaces a waiting node by its children or its sites.
func (w *Nearest) open(x waiting) {
	n := w.met[x.node]
	w.Steps += len(n.sites) + len(n.children)
	for i := range n.marks {
		if !w.need.metBy(&n.marks[i]) {
			continue
		}
		if chord2 := n.vecs[i].Chord2(w.from); chord2 <= w.max {
			w.beyond = append(w.beyond, waiting{chord2, x.node, int32(i)})
		}
	}
	for i := range n.children {
		c := &n.children[i]
		if c.node == nil || !w.need.metBy(&c.marks) {
			continue
		}
		if bound := max(x.chord2, c.bound(w.from)); bound <= w.max { // what bounds the node bounds its child
			w.meet(c.node, bound)
		}
	}
}

func (w *Nearest) meet(n *node, chord2 float64) {
	w.met = append(w.met, n)
	w.push(&w.ahead, waiting{chord2, int32(len(w.met) - 1), -1})
}

func (w *Nearest) siteOf(x waiting) *Site { return &w.met[x.node].sites[x.site] }

// before orders a heap: nearer first, and sites at equal distances by rank.
func (w *Nearest) before(a, b waiting) bool {
	return a.chord2 < b.chord2 || a.chord2 == b.chord2 && w.precedes(a, b)
}

func (w *Nearest) precedes(a, b waiting) bool {
	if a.site < 0 {
		return false // in whichever order nodes are opened
	}
	return w.siteOf(a).precedes(w.siteOf(b))
}

func (w *Nearest) push(heap *[]waiting, x waiting) {
	h := append(*heap, x)
	*heap = h
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !w.before(x, h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = x
}

func (w *Nearest) pop(heap *[]waiting) waiting {
	h := *heap
	last := len(h) - 1
	top, x := h[0], h[last]
	h = h[:last]
	*heap = h
	i := 0
	for child := 1; child < last; child = 2*i + 1 {
		if child+1 < last && w.before(h[child+1], h[child]) {
			child++
		}
		if !w.before(h[child], x) {
			break
		}
		h[i] = h[child]
		i = child
	}
	if last > 0 {
		h[i] = x
	}
	return top
}
