package geoindex

import (
	"cmp"
	"slices"

	"github.com/uber/h3-go/v4"
)

// Key is where a campaign is posted: an H3 cell, a shipped region, or
// Everywhere. A search looks under every key over its point.
type Key uint64

// Everywhere is the key over every point.
const Everywhere Key = 1 << 63

const regionKey Key = 1 << 62

// KeyOfRegion is a region's key.
func KeyOfRegion(id RegionID) Key { return regionKey | Key(id) }

// KeyOfCell is a cell's key.
func KeyOfCell(c Cell) Key { return Key(c) }

// CellResolution is the resolution of a cell's key, and false for other keys.
func (k Key) CellResolution() (int, bool) {
	return Cell(k).Resolution(), k&(Everywhere|regionKey) == 0
}

// Posting is one key of a covering, with what is known of the children of its
// cell, a bit for each by its digit. Points under a child that is not touched
// are outside the area; under a full one all are inside; for the rest the exact
// test decides. So a posting tells as much as seven of the next resolution.
//
// Keys that are not cells, and cells of the finest resolution, have one child,
// of digit 0: themselves.
type Posting struct {
	Key           Key
	Touched, Full uint8
}

const everyChild uint8 = 1<<7 - 1

func wholePosting(k Key, full bool) Posting {
	if full {
		return Posting{k, everyChild, everyChild}
	}
	return Posting{k, everyChild, 0}
}

// ChildSlot is the digit of the child of a key's cell that holds the position.
func (at *Position) ChildSlot(k Key) uint {
	if res, ok := k.CellResolution(); ok && res < Finest {
		return uint(at.Cell.digit(res + 1))
	}
	return 0
}

// CellBudget is the most cells that the covering of n discs and polygons takes,
// unless more of the 842 cells of resolution 1 than that lie across their edges,
// as with shapes of thousands of kilometres. A disc takes half of it on average.
func CellBudget(shapes int) int { return 4 + 16*shapes }

// Cover finds keys such that every point of the area lies under at least one.
// A whole region, a whole cell and the whole world are posted as they are;
// discs and polygons are covered by at most CellBudget cells.
func (a *Area) Cover() []Posting {
	if a.in.everywhere {
		return []Posting{wholePosting(Everywhere, a.out.isEmpty())}
	}
	var postings []Posting
	for _, id := range a.in.regions {
		postings = append(postings, wholePosting(KeyOfRegion(id), a.out.isEmpty()))
	}
	for _, c := range a.in.cells {
		if relation := a.out.relationTo(c, c.Cap()); relation != inside {
			postings = append(postings, wholePosting(KeyOfCell(c), relation == outside))
		}
	}
	return merged(append(postings, a.coverShapes()...))
}

func (s *shapes) isEmpty() bool {
	return !s.everywhere && len(s.discs) == 0 && len(s.cells) == 0 && len(s.regions) == 0 && len(s.polygons) == 0
}

// merged sorts postings by key and makes one of those of the same.
func merged(postings []Posting) []Posting {
	slices.SortFunc(postings, func(a, b Posting) int { return cmp.Compare(a.Key, b.Key) })
	kept := postings[:0]
	for _, p := range postings {
		if last := len(kept) - 1; last >= 0 && kept[last].Key == p.Key {
			kept[last].Touched |= p.Touched
			kept[last].Full |= p.Full
		} else {
			kept = append(kept, p)
		}
	}
	return kept
}

// relation of a cell to a shape.
type relation uint8

const (
	outside relation = iota // no point of the cell is in the shape
	partly
	inside // every point of the cell is in the shape
)

// relationTo bounds the cell's members by its cap. It may say partly where
// inside or outside would be true, never the other way round.
func (s *shapes) relationTo(c Cell, limit Cap) relation {
	best := outside
	for i := range s.discs {
		best = max(best, s.discs[i].relationTo(limit))
	}
	for _, p := range s.polygons {
		best = max(best, p.relationTo(limit))
	}
	for _, id := range s.regions {
		best = max(best, id.Region().outline.relationTo(limit))
	}
	for _, d := range s.cells {
		switch {
		case d.Contains(c):
			return inside
		case c.Contains(d):
			best = max(best, partly)
		}
	}
	return best
}

func (d *disc) relationTo(limit Cap) relation {
	apart := angleBetween(d.center, limit.Center)
	switch {
	case apart > d.angle+limit.Angle:
		return outside
	case apart+limit.Angle <= d.angle:
		return inside
	}
	return partly
}

// bounded is a shape that a covering goes around: a disc or a polygon.
type bounded interface {
	relationTo(Cap) relation
	reach() float64 // its radius, or about that, in radians
}

func (d *disc) reach() float64 { return d.angle }

func (p *polygon) reach() float64 { return max(p.north-p.south, p.east-p.west) / 2 * radians }

// Coverings use every other resolution, from the coarsest level: the fewer they
// are, the fewer lists a search looks at, and a posting tells of the children
// between.
const (
	coarsestLevel = 1
	levelStep     = 2
)

// levelFor is the finest level whose cells are no smaller than an angle.
func levelFor(angle float64) int {
	level := Finest
	for level > coarsestLevel && planarCircumradius[level] < angle {
		level -= levelStep
	}
	return level
}

func (s *shapes) bounded() []bounded {
	var all []bounded
	for i := range s.discs {
		all = append(all, &s.discs[i])
	}
	for _, p := range s.polygons {
		all = append(all, p)
	}
	return all
}

// candidate is a cell of the covering in the making, with the shapes that it is
// partly in; those that it is outside of cannot matter to its children.
type candidate struct {
	cell   Cell
	shapes []bounded
}

// coverShapes splits the coarsest cell that is partly in the union of discs and
// polygons into cells of the next level, as long as the budget allows (the scheme
// of S2's region coverer) and cells are not much smaller than the shapes. What
// it learns of the children of a cell that it leaves whole goes into the posting.
func (a *Area) coverShapes() []Posting {
	all := a.in.bounded()
	if len(all) == 0 {
		return nil
	}
	budget := CellBudget(len(all))
	finest := coarsestLevel
	for _, shape := range all {
		finest = max(finest, levelFor(shape.reach()/3))
	}
	var done []Posting
	queue := a.startCells(all, &done)
	for len(queue) > 0 {
		coarsest := 0
		for i := range queue {
			if queue[i].cell.Resolution() < queue[coarsest].cell.Resolution() {
				coarsest = i
			}
		}
		current := queue[coarsest]
		queue[coarsest] = queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		part, children := a.split(current)
		if part.Touched == 0 { // its margin met the shape, it does not
			continue
		}
		if len(children) == 0 || len(done)+len(queue)+len(children) >= budget || current.cell.Resolution()+levelStep > finest {
			done = append(done, part)
			continue
		}
		full, inPart := a.grandchildren(children)
		if len(done)+len(queue)+min(int(part.Full), 1)+len(full)+len(inPart) > budget {
			done = append(done, part)
			continue
		}
		if part.Full != 0 { // one posting for all that are full
			done = append(done, Posting{part.Key, part.Full, part.Full})
		}
		done, queue = append(done, full...), append(queue, inPart...)
	}
	return done
}

// startCells finds coarse cells that hold every shape: for each disc the cells
// around its centre that are no smaller than it, and all of the coarsest level
// when there is a polygon.
func (a *Area) startCells(all []bounded, done *[]Posting) []candidate {
	seen := map[Cell]bool{}
	var cells []Cell
	add := func(some []Cell) {
		for _, c := range some {
			if !seen[c] {
				seen[c] = true
				cells = append(cells, c)
			}
		}
	}
	for i := range a.in.discs {
		add(cellsAround(&a.in.discs[i]))
	}
	if len(a.in.polygons) > 0 {
		add(a.coarsestCells(all))
	}
	var queue []candidate
	for _, c := range cells {
		if hasAncestorIn(c, seen) {
			continue
		}
		switch relation, shapes := a.classify(c, all); relation {
		case inside:
			*done = append(*done, wholePosting(KeyOfCell(c), true))
		case partly:
			queue = append(queue, candidate{c, shapes})
		}
	}
	return queue
}

// cellsAround finds cells that hold a disc: one over its centre that is twice
// its size or more, and the neighbours of that one.
func cellsAround(d *disc) []Cell {
	level := levelFor(2 * d.angle)
	if planarCircumradius[level] < 2*d.angle {
		return childrenOf(BaseCells())
	}
	disk, err := h3.GridDisk(h3.Cell(CellAt(d.center).Parent(level)), 1)
	if err != nil {
		return childrenOf(BaseCells())
	}
	cells := make([]Cell, 0, len(disk))
	for _, c := range disk {
		if c != 0 {
			cells = append(cells, Cell(c))
		}
	}
	return cells
}

// coarsestCells are the cells of the coarsest level whose parents meet a shape.
func (a *Area) coarsestCells(all []bounded) []Cell {
	var met []Cell
	for _, base := range BaseCells() {
		if relation, _ := a.classify(base, all); relation != outside {
			met = append(met, base)
		}
	}
	return childrenOf(met)
}

func childrenOf(cells []Cell) (children []Cell) {
	for _, c := range cells {
		children = c.Children(children)
	}
	return children
}

func hasAncestorIn(c Cell, cells map[Cell]bool) bool {
	for res := range c.Resolution() {
		if cells[c.Parent(res)] {
			return true
		}
	}
	return false
}

// classify finds the relation of a cell to the union of shapes less what is
// excluded, and the shapes that it is partly in.
func (a *Area) classify(c Cell, shapes []bounded) (relation, []bounded) {
	limit := c.Cap()
	best := outside
	var partlyIn []bounded
	for _, s := range shapes {
		r := s.relationTo(limit)
		best = max(best, r)
		if r == partly {
			partlyIn = append(partlyIn, s)
		}
	}
	if best == outside {
		return outside, nil
	}
	switch a.out.relationTo(c, limit) {
	case inside:
		return outside, nil
	case partly:
		if best == inside { // its children need the shapes that hold it
			return partly, shapes
		}
		return partly, partlyIn
	}
	return best, partlyIn
}

// split classifies the children of a cell: as marks of its own posting, and the
// grandchildren that are partly in the area as cells in its place.
func (a *Area) split(from candidate) (whole Posting, inPart []candidate) {
	res := from.cell.Resolution()
	if res == Finest {
		return wholePosting(KeyOfCell(from.cell), false), nil
	}
	whole.Key = KeyOfCell(from.cell)
	for _, child := range from.cell.Children(nil) {
		bit := uint8(1) << child.digit(res+1)
		switch relation, shapes := a.classify(child, from.shapes); relation {
		case inside:
			whole.Touched, whole.Full = whole.Touched|bit, whole.Full|bit
		case partly:
			whole.Touched |= bit
			inPart = append(inPart, candidate{child, shapes})
		}
	}
	return whole, inPart
}

// grandchildren splits children that are partly in the area.
func (a *Area) grandchildren(children []candidate) (full []Posting, inPart []candidate) {
	for _, child := range children {
		for _, grandchild := range child.cell.Children(nil) {
			switch relation, shapes := a.classify(grandchild, child.shapes); relation {
			case inside:
				full = append(full, wholePosting(KeyOfCell(grandchild), true))
			case partly:
				inPart = append(inPart, candidate{grandchild, shapes})
			}
		}
	}
	return full, inPart
}
