package geoindex

import (
	"math"

	"github.com/uber/h3-go/v4"

	"github.com/hexbid/hexbid"
)

// Position is all that a search needs to know of a point, found once.
type Position struct {
	Point   hexbid.Point
	Vec     Vec
	Cell    Cell // Finest
	Regions RegionSet
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
	everywhere bool
}

type disc struct {
	center Vec
	chord2 float64
	angle  float64 // radius in radians
}

// CompileArea compiles the area that a campaign buys. Places are the approved
// places of its program, for shapes around places. The error is of a cell or
// an adcode that does not exist.
func CompileArea(in, out *hexbid.Area, places []hexbid.Point) (*Area, error) {
	var a Area
	var err error
	if a.in, err = compileShapes("campaign.area", in, places); err != nil {
		return nil, err
	}
	if a.out, err = compileShapes("campaign.excluded_area", out, places); err != nil {
		return nil, err
	}
	return &a, nil
}

func compileShapes(field string, area *hexbid.Area, places []hexbid.Point) (s shapes, err error) {
	s.everywhere = area.Everywhere
	for _, c := range area.Circles {
		s.discs = append(s.discs, newDisc(c.Center, c.RadiusM))
	}
	if area.AroundPlacesM > 0 {
		for _, p := range places {
			s.discs = append(s.discs, newDisc(p, area.AroundPlacesM))
		}
	}
	for _, c := range area.Cells {
		if !h3.Cell(c).IsValid() {
			return s, hexbid.Invalidf(field+".h3_cells", "%q is not an H3 cell: use a hexadecimal index such as 89309ab36abffff", Cell(c))
		}
		s.cells = append(s.cells, Cell(c))
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

func newDisc(center hexbid.Point, radiusM float64) disc {
	return disc{VecOf(center), Chord2OfM(radiusM), radiusM / hexbid.EarthRadiusM}
}

// Contains is the exact test of membership.
func (a *Area) Contains(at *Position) bool { return a.in.contain(at) && !a.out.contain(at) }

func (s *shapes) contain(at *Position) bool {
	if s.everywhere {
		return true
	}
	for i := range s.discs {
		if s.discs[i].center.Chord2(at.Vec) <= s.discs[i].chord2 {
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
	return false
}

// Excludes says whether the position is in an excluded shape.
func (a *Area) Excludes(at *Position) bool { return a.out.contain(at) }

// MissedByM is the distance in metres from a position outside the included
// shapes to the nearest of them; it is infinite when there is none.
func (a *Area) MissedByM(at *Position) float64 {
	missed := math.Inf(1)
	for _, d := range a.in.discs {
		missed = min(missed, MetresOfChord2(d.center.Chord2(at.Vec))-d.angle*hexbid.EarthRadiusM)
	}
	for _, id := range a.in.regions {
		missed = min(missed, id.Region().outline.distanceM(at.Point))
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
