package geoindex

import (
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

// Posting is one key of a covering. Every point under a full key is in the
// area; under another the exact test decides.
type Posting struct {
	Key  Key
	Full bool
}

// CellBudget is the most cells that the covering of n discs and polygons takes,
// unless more of the 122 base cells than that lie across their edges, as with
// shapes of thousands of kilometres.
func CellBudget(shapes int) int { return 9 + 7*shapes }

// Cover finds keys such that every point of the area lies under at least one.
// A whole region, a whole cell and the whole world are posted as they are;
// discs and polygons are covered by at most CellBudget cells.
func (a *Area) Cover() []Posting {
	if a.in.everywhere {
		return []Posting{{Everywhere, a.out.isEmpty()}}
	}
	var postings []Posting
	for _, id := range a.in.regions {
		postings = append(postings, Posting{KeyOfRegion(id), a.out.isEmpty()})
	}
	for _, c := range a.in.cells {
		if relation := a.out.relationTo(c, c.Cap()); relation != inside {
			postings = append(postings, Posting{KeyOfCell(c), relation == outside})
		}
	}
	return dedupe(append(postings, a.coverShapes()...))
}

func (s *shapes) isEmpty() bool {
	return !s.everywhere && len(s.discs) == 0 && len(s.cells) == 0 && len(s.regions) == 0 && len(s.polygons) == 0
}

func dedupe(postings []Posting) []Posting {
	slices.SortFunc(postings, func(a, b Posting) int {
		switch {
		case a.Key < b.Key || a.Key == b.Key && a.Full && !b.Full:
			return -1
		case a == b:
			return 0
		}
		return 1
	})
	return slices.CompactFunc(postings, func(a, b Posting) bool { return a.Key == b.Key })
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
type bounded interface{ relationTo(Cap) relation }

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
// polygons, as long as the budget allows (the scheme of S2's region coverer).
func (a *Area) coverShapes() []Posting {
	all := a.in.bounded()
	if len(all) == 0 {
		return nil
	}
	budget := CellBudget(len(all))
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
		queue = slices.Delete(queue, coarsest, coarsest+1)
		if len(done)+len(queue)+1 >= budget { // hardly a split would fit: stop paying for them
			done = append(done, Posting{KeyOfCell(current.cell), false})
			continue
		}
		full, partial := a.split(current)
		if current.cell.Resolution() == Finest || len(done)+len(queue)+len(full)+len(partial) > budget {
			done = append(done, Posting{KeyOfCell(current.cell), false})
			continue
		}
		done = append(done, full...)
		queue = append(queue, partial...)
	}
	return done
}

// startCells finds coarse cells that hold every shape: for each disc the cells
// around its centre that are no smaller than it, and every base cell when there
// is a polygon.
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
		add(BaseCells())
	}
	var queue []candidate
	for _, c := range cells {
		if hasAncestorIn(c, seen) {
			continue
		}
		switch relation, shapes := a.classify(c, all); relation {
		case inside:
			*done = append(*done, Posting{KeyOfCell(c), true})
		case partly:
			queue = append(queue, candidate{c, shapes})
		}
	}
	return queue
}

// cellsAround finds cells that hold a disc: one over its centre that is no
// smaller than it, and the neighbours of that one.
func cellsAround(d *disc) []Cell {
	res := Finest
	for res > 0 && planarCircumradius[res]*0.5 < d.angle {
		res--
	}
	if planarCircumradius[res]*0.5 < d.angle {
		return BaseCells()
	}
	disk, err := h3.GridDisk(h3.Cell(CellAt(d.center).Parent(res)), 1)
	if err != nil {
		return BaseCells()
	}
	cells := make([]Cell, 0, len(disk))
	for _, c := range disk {
		if c != 0 {
			cells = append(cells, Cell(c))
		}
	}
	return cells
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

func (a *Area) split(from candidate) (full []Posting, partial []candidate) {
	for _, child := range from.cell.Children(nil) {
		switch relation, shapes := a.classify(child, from.shapes); relation {
		case inside:
			full = append(full, Posting{KeyOfCell(child), true})
		case partly:
			partial = append(partial, candidate{child, shapes})
		}
	}
	return full, partial
}
