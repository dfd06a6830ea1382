package geoindex

import (
	"math"

	"github.com/uber/h3-go/v4"

	"github.com/hexbid/hexbid"
)

// Position holds what a search needs to know of its point, computed once. It belongs to one search. It remembers the
// results of polygon tests, because many campaigns may share a polygon.
type Position struct {
	Point   hexbid.Point
	Vec     Vec
	Cell    Cell // Finest
	Regions RegionSet

	tested [8]testedPolygon
	next   uint8 // of tested, to overwrite

	closest     [4]closestIn
	nextClosest uint8 // of closest, to overwrite
}

// closestIn is the remembered distance to the nearest site of one tree.
type closestIn struct {
	tree   *Tree
	chord2 float64
}

// ClosestIn returns the squared chord to the nearest site of a tree, infinite when the tree is empty. It remembers the
// result, because many campaigns may target the same places.
func (at *Position) ClosestIn(t *Tree) float64 {
	for i := range at.closest {
		if c := &at.closest[i]; c.tree == t && t != nil {
			return c.chord2
		}
	}
	_, chord2 := t.Closest(at.Vec)
	at.closest[at.nextClosest%uint8(len(at.closest))] = closestIn{t, chord2}
	at.nextClosest++
	return chord2
}

type testedPolygon struct {
	polygon *polygon
	inside  bool
}

// in says whether the position is in a polygon, testing it once.
func (at *Position) in(p *polygon) bool {
	for i := range at.tested {
		if at.tested[i].polygon == p {
			return at.tested[i].inside
		}
	}
	t := &at.tested[at.next%uint8(len(at.tested))]
	t.polygon, t.inside = p, p.contains(at.Point)
	at.next++
	return t.inside
}

// Locate finds the position of a point.
func Locate(p hexbid.Point) Position {
	v := VecOf(p)
	return Position{Point: p, Vec: v, Cell: CellAt(v), Regions: RegionsOver(p)}
}

// Area is a compiled union of shapes less a union of excluded ones.
type Area struct {
	in, out shapes
}

type shapes struct {
	discs      []disc
	cells      []Cell
	regions    []RegionID
	polygons   []*polygon
	everywhere bool
}

// AsDisc is the one disc that is all of the area, rounded as discs are, and false when it is not so.
func (a *Area) AsDisc() (Disc, bool) {
	if len(a.in.discs) != 1 || a.in.everywhere || len(a.in.cells)+len(a.in.regions)+len(a.in.polygons) > 0 ||
		!a.out.isEmpty() {
		return Disc{}, false
	}
	d := &a.in.discs[0]
	return Disc{d.center, float32(d.chord2), 0}, true
}

// disc is a circle of an area.
type disc struct {
	center Vec
	chord2 float64 // squared chord of the radius
	angle  float64 // radius in radians
}

func (d *disc) contains(at *Position) bool { return d.center.Chord2(at.Vec) <= d.chord2 }

func (d *disc) missedByM(at *Position) float64 {
	return MetresOfChord2(d.center.Chord2(at.Vec)) - MetresOfChord2(d.chord2)
}

// CompileArea compiles the area that a campaign buys, without the discs around its program's places: those change
// whenever a place does. Equal polygons are shared through the interner, which may be nil. The error names a cell or
// an adcode that does not exist.
func CompileArea(in, out *hexbid.Area, shared *Interner) (*Area, error) {
	var a Area
	var err error
	if a.in, err = compileShapes("campaign.area", in, shared); err != nil {
		return nil, err
	}
	if a.out, err = compileShapes("campaign.excluded_area", out, shared); err != nil {
		return nil, err
	}
	return &a, nil
}

func compileShapes(field string, area *hexbid.Area, shared *Interner) (s shapes, err error) {
	s.everywhere = area.Everywhere
	for _, c := range area.Circles {
		s.discs = append(s.discs, newDisc(VecOf(c.Center), c.RadiusM))
	}
	for _, c := range area.Cells {
		if !h3.Cell(c).IsValid() {
			return s, hexbid.Invalidf(field+".h3_cells",
				"%q is not an H3 cell: use a hexadecimal index such as 89309ab36abffff", Cell(c))
		}
		s.cells = append(s.cells, Cell(c))
	}
	for _, p := range area.Polygons {
		s.polygons = append(s.polygons, shared.polygon(p))
	}
	for _, code := range area.Regions {
		id, err := RegionByCode(code)
		if err != nil {
			return s, hexbid.Invalidf(field+".regions", "%v", err)
		}
		s.regions = append(s.regions, id)
	}
	return s, nil
}

func newDisc(center Vec, radiusM float64) disc {
	return disc{center, Chord2OfM(radiusM), radiusM / hexbid.EarthRadiusM}
}

// Contains is the exact test of membership.
func (a *Area) Contains(at *Position) bool { return a.in.contain(at) && !a.out.contain(at) }

func (s *shapes) contain(at *Position) bool {
	if s.everywhere {
		return true
	}
	for i := range s.discs {
		if s.discs[i].contains(at) {
			return true
		}
	}
	for _, id := range s.regions {
		if at.Regions.Has(id) {
			return true
		}
	}
	for _, c := range s.cells {
		if c.Contains(at.Cell) {
			return true
		}
	}
	for _, p := range s.polygons {
		if at.in(p) {
			return true
		}
	}
	return false
}

// Includes says whether the position is in an included shape.
func (a *Area) Includes(at *Position) bool { return a.in.contain(at) }

// Excludes says whether the position is in an excluded shape.
func (a *Area) Excludes(at *Position) bool { return a.out.contain(at) }

// MissedByM is the distance in metres from a position outside the included
// shapes to the nearest of them; it is infinite when there is none.
func (a *Area) MissedByM(at *Position) float64 {
	missed := math.Inf(1)
	for i := range a.in.discs {
		missed = min(missed, a.in.discs[i].missedByM(at))
	}
	for _, id := range a.in.regions {
		missed = min(missed, id.Region().outline.distanceM(at.Point))
	}
	for _, p := range a.in.polygons {
		missed = min(missed, p.distanceM(at.Point))
	}
	for _, c := range a.in.cells {
		missed = min(missed, c.distanceM(at.Point))
	}
	return missed
}

// distanceM is the distance in metres from a point to the cell's edges.
func (c Cell) distanceM(p hexbid.Point) float64 {
	boundary, err := h3.Cell(c).Boundary()
	if err != nil {
		return math.Inf(1)
	}
	nearest := math.Inf(1)
	for i, b := range boundary {
		a := boundary[(i+len(boundary)-1)%len(boundary)]
		side := edge{a.Lat, a.Lng, b.Lat, b.Lng}
		nearest = min(nearest, side.distanceM(p))
	}
	return nearest
}
