package geoindex

import (
	"cmp"
	"slices"
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
	postings, _ := a.cover()
	return postings
}

// cover also tells the steps that it took.
func (a *Area) cover() (postings []Posting, steps int) {
	if a.in.everywhere {
		return []Posting{wholePosting(Everywhere, a.out.isEmpty())}, 0
	}
	for _, id := range a.in.regions {
		postings = append(postings, wholePosting(KeyOfRegion(id), a.out.isEmpty()))
	}
	c := newCovering(a)
	most := c.steps
	c.coverShapes()
	for _, cell := range a.in.cells {
		c.postCell(cell)
	}
	return merged(append(postings, c.done...)), most - c.steps
}

// CoverDisc finds cells such that every point within a radius in metres of a point
// lies under at least one.
func CoverDisc(center Vec, radiusM float64) []Posting {
	return (&Area{in: shapes{discs: []disc{newDisc(center, radiusM)}}}).Cover()
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
