package geoindex

import (
	"cmp"
	"slices"

	"github.com/uber/h3-go/v4"
)

// roots finds which of many shapes may meet a cell, so that a covering does not
// compare each cell with each shape. Every shape is rooted in the few cells,
// about its size, that hold it. A shape may meet a cell if one of its roots is
// the cell, an ancestor of it or a descendant.
type roots struct {
	shapes      []bounded
	worldwide   []int32  // those too large for roots of their own
	sorted      []rooted // by position
	resolutions uint16   // of roots, as bits
	seen        []uint32 // by shape: the last question that found it
	questions   uint32
}

type rooted struct {
	at    Cell // its position
	res   int8
	shape int32
}

// position orders cells of all resolutions. A cell comes right after all of its descendants, because H3 fills unused
// digits with the highest value.
func (c Cell) position() Cell { return c &^ (15 << 52) }

// firstPosition is at or before the position of every descendant of the cell.
func (c Cell) firstPosition() Cell { return c.position() &^ (digitsMask >> (3 * uint(c.Resolution()))) }

func newRoots(shapes []bounded) *roots {
	if len(shapes) == 0 {
		return &roots{}
	}
	const neighbourhood = 7 // cells, of most
	r := &roots{shapes: shapes, seen: make([]uint32, len(shapes)), sorted: make([]rooted, 0, neighbourhood*len(shapes))}
	for i, s := range shapes {
		cells := rootsOf(s)
		if cells == nil {
			r.worldwide = append(r.worldwide, int32(i))
		}
		for _, c := range cells {
			r.sorted = append(r.sorted, rooted{c.position(), int8(c.Resolution()), int32(i)})
			r.resolutions |= 1 << c.Resolution()
		}
	}
	slices.SortFunc(r.sorted, func(a, b rooted) int {
		return cmp.Or(cmp.Compare(a.at, b.at),
			cmp.Compare(a.shape, b.shape))
	})
	return r
}

// rootsOf returns cells that together hold a shape: the cell over its middle that is at least twice as large, and the
// neighbours of that cell. A shape larger than the cells of the coarsest level has no roots.
func rootsOf(s bounded) []Cell {
	if c, ok := s.(Cell); ok {
		return []Cell{c}
	}
	center, angle := s.bounds()
	level := levelFor(2 * angle)
	if planarCircumradius[level] < 2*angle {
		return nil
	}
	disk, err := h3.GridDisk(h3.Cell(CellAt(center).Parent(level)), 1)
	if err != nil {
		return nil
	}
	cells := make([]Cell, 0, len(disk))
	for _, c := range disk {
		if c != 0 {
			cells = append(cells, Cell(c))
		}
	}
	return cells
}

// tops returns the roots that have no other root above them, in order of position. Together they hold every shape.
func (r *roots) tops() (cells []Cell) {
	if len(r.worldwide) > 0 {
		return BaseCells()
	}
	for i := len(r.sorted) - 1; i >= 0; i-- {
		s := &r.sorted[i]
		if len(cells) > 0 && s.at >= cells[len(cells)-1].firstPosition() {
			continue // of the one before, or below it
		}
		cells = append(cells, s.at|Cell(s.res)<<52)
	}
	return cells
}

// over lists the shapes that may meet a cell, each once. It subtracts the number of roots that it looks at from steps,
// even below zero; the caller checks.
func (r *roots) over(c Cell, steps *int) []int32 {
	r.questions++
	found := slices.Clone(r.worldwide)
	*steps -= len(found)
	res := c.Resolution()
	for above := range res {
		if r.resolutions>>above&1 == 1 {
			at := c.Parent(above).position()
			found = r.collect(found, at, at, steps)
		}
	}
	return r.collect(found, c.firstPosition(), c.position(), steps)
}

// collect adds the shapes with a root from one position to another.
func (r *roots) collect(found []int32, from, to Cell, steps *int) []int32 {
	i, _ := slices.BinarySearchFunc(r.sorted, from, func(s rooted, at Cell) int { return cmp.Compare(s.at, at) })
	for ; i < len(r.sorted) && r.sorted[i].at <= to; i++ {
		*steps--
		if shape := r.sorted[i].shape; r.seen[shape] != r.questions {
			r.seen[shape] = r.questions
			found = append(found, shape)
		}
	}
	return found
}
