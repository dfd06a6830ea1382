package geoindex

// A covering uses every other resolution, starting at the coarsest level. A search looks up one list for each
// resolution in use, so fewer resolutions mean fewer lookups. The bits of a posting describe the resolution between
// two levels.
const (
	coarsestLevel = 1
	levelStep     = 2
)

// levelFor returns the finest level whose cells are at least as large as an angle.
func levelFor(angle float64) int {
	level := Finest
	for level > coarsestLevel && planarCircumradius[level] < angle {
		level -= levelStep
	}
	return level
}

// These constants bound the steps of a covering. Hundreds of shapes that overlap everywhere use the steps up. The
// remaining cells then stay coarse, and their postings claim no full child, so the exact test decides there.
const (
	stepsOfCovering = 20_000
	stepsOfShape    = 1_000
)

// mostChildren is the number of children of a cell that is no pentagon.
const mostChildren = 7

// covering builds a covering. It holds the cells that lie partly in the included shapes minus the excluded ones and
// still wait to be split.
type covering struct {
	in, out *roots
	budget  int // of cells
	finest  int // level of cells
	steps   int // left

	queue  [Finest + 1][]partial // by resolution
	queued int
	done   []Posting
	looked footprint // of the cell looked at
}

// partial is a cell with the included and the excluded shapes that cross it. The other shapes lie outside the cell and
// therefore outside its children, so the children need not be compared with them.
type partial struct {
	cell    Cell
	in, out []int32
}

func newCovering(a *Area) *covering {
	in, out := a.in.bounded(), a.out.bounded()
	for _, c := range a.out.cells {
		out = append(out, c)
	}
	for _, id := range a.out.regions {
		out = append(out, id.Region().outline)
	}
	c := &covering{in: newRoots(in), out: newRoots(out), budget: CellBudget(len(in)), finest: coarsestLevel}
	for _, shape := range in {
		_, angle := shape.bounds()
		c.finest = max(c.finest, levelFor(angle/3))
	}
	c.steps = stepsOfCovering + stepsOfShape*(len(in)+len(out)+len(a.in.cells))
	return c
}

// bounded lists the shapes that a covering compares cells with.
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

// lookAt works out the footprint of a cell.
func (c *covering) lookAt(cell Cell) {
	c.steps -= stepsOfFootprint
	c.looked = footprint{cell: cell, limit: cell.Cap()}
}

// relationTo returns the relation of the present cell to the union of some shapes. It also returns the shapes that
// cross the cell, or one shape that holds it.
func (c *covering) relationTo(shapes []bounded, some []int32) (best relation, matter []int32) {
	for i, shape := range some {
		if c.steps--; c.steps < 0 {
			return partly, some
		}
		switch shapes[shape].relationTo(&c.looked, &c.steps) {
		case inside:
			return inside, some[i : i+1]
		case partly:
			best = partly
			if len(matter) == i { // all so far matter: no copy
				matter = some[: i+1 : i+1]
			} else {
				matter = append(matter, shape)
			}
		}
	}
	return best, matter
}

// classify finds the relation of a cell to the area, and the shapes that matter
// to its children when it is partly in it.
func (c *covering) classify(cell Cell, in, out []int32) (relation, partial) {
	c.lookAt(cell)
	best, in := c.relationTo(c.in.shapes, in)
	if best == outside {
		return outside, partial{}
	}
	switch excluded, out := c.relationTo(c.out.shapes, out); excluded {
	case inside:
		return outside, partial{}
	case partly:
		return partly, partial{cell, in, out}
	}
	return best, partial{cell, in, nil}
}

// coverShapes splits the coarsest cell that is partly in the area into cells of
// the next level, as long as the budget allows (the scheme of S2's region
// coverer) and cells are not much smaller than the shapes. What it learns of the
// children of a cell that it leaves whole goes into the posting.
func (c *covering) coverShapes() {
	for _, top := range c.in.tops() {
		c.start(top)
	}
	for res := range c.queue {
		for len(c.queue[res]) > 0 { // splitting adds to finer ones alone
			last := len(c.queue[res]) - 1
			current := c.queue[res][last]
			c.queue[res] = c.queue[res][:last]
			c.queued--
			c.split(current)
		}
	}
}

// start takes in a top cell, or the children of one that is coarser than any level.
func (c *covering) start(top Cell) {
	cells := []Cell{top}
	if top.Resolution() < coarsestLevel {
		cells = top.Children(nil)
	}
	if c.steps <= 0 {
		c.postWhole(cells, false)
		return
	}
	relation, at := c.classify(top, c.in.over(top, &c.steps), c.out.over(top, &c.steps))
	switch {
	case relation == inside:
		c.postWhole(cells, true)
	case relation == partly && cells[0] == top:
		c.push(at)
	case relation == partly:
		for _, child := range cells {
			switch relation, at := c.classify(child, at.in, at.out); relation {
			case inside:
				c.done = append(c.done, wholePosting(KeyOfCell(child), true))
			case partly:
				c.push(at)
			}
		}
	}
}

func (c *covering) postWhole(cells []Cell, full bool) {
	for _, cell := range cells {
		c.done = append(c.done, wholePosting(KeyOfCell(cell), full))
	}
}

// postCell posts a cell that the area names, unless it is excluded.
func (c *covering) postCell(cell Cell) {
	excluded := partly
	if c.steps > 0 {
		c.lookAt(cell)
		excluded, _ = c.relationTo(c.out.shapes, c.out.over(cell, &c.steps))
	}
	if excluded != inside {
		c.done = append(c.done, wholePosting(KeyOfCell(cell), excluded == outside))
	}
}

func (c *covering) push(at partial) {
	res := at.cell.Resolution()
	c.queue[res] = append(c.queue[res], at)
	c.queued++
}

// split replaces a cell by its grandchildren, or posts it.
func (c *covering) split(current partial) {
	if c.steps <= 0 {
		c.postWhole([]Cell{current.cell}, false)
		return
	}
	part, children := c.children(current)
	if part.Touched == 0 { // its margin met the shape, it does not
		return
	}
	if len(children) == 0 || len(c.done)+c.queued+len(children) >= c.budget ||
		current.cell.Resolution()+levelStep > c.finest {
		c.done = append(c.done, part)
		return
	}
	full, inPart := c.grandchildren(children)
	if len(c.done)+c.queued+min(int(part.Full), 1)+len(full)+len(inPart) > c.budget {
		c.done = append(c.done, part)
		return
	}
	if part.Full != 0 { // one posting for all that are full
		c.done = append(c.done, Posting{part.Key, part.Full, part.Full})
	}
	c.done = append(c.done, full...)
	for _, at := range inPart {
		c.push(at)
	}
}

// children classifies the children of a cell: as marks of its own posting, and
// those that are partly in the area.
func (c *covering) children(from partial) (whole Posting, inPart []partial) {
	res := from.cell.Resolution()
	if res == Finest {
		return wholePosting(KeyOfCell(from.cell), false), nil
	}
	whole.Key = KeyOfCell(from.cell)
	inPart = make([]partial, 0, mostChildren)
	var cells [mostChildren]Cell
	for _, child := range from.cell.Children(cells[:0]) {
		bit := uint8(1) << child.digit(res+1)
		switch relation, at := c.classify(child, from.in, from.out); relation {
		case inside:
			whole.Touched, whole.Full = whole.Touched|bit, whole.Full|bit
		case partly:
			whole.Touched |= bit
			inPart = append(inPart, at)
		}
	}
	return whole, inPart
}

// grandchildren classifies the children of children that are partly in the area.
func (c *covering) grandchildren(children []partial) (full []Posting, inPart []partial) {
	inPart = make([]partial, 0, mostChildren*len(children))
	for _, child := range children {
		var cells [mostChildren]Cell
		for _, grandchild := range child.cell.Children(cells[:0]) {
			switch relation, at := c.classify(grandchild, child.in, child.out); relation {
			case inside:
				full = append(full, wholePosting(KeyOfCell(grandchild), true))
			case partly:
				inPart = append(inPart, at)
			}
		}
	}
	return full, inPart
}
