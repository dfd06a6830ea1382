package geoindex

import (
	"fmt"
	"math"
	"strconv"

	"github.com/uber/h3-go/v4"

	"github.com/hexbid/hexbid"
)

// Cell is an H3 cell of resolution 0 to 15.
//
// Its 64 bits, from the top: a reserved bit, four bits of mode (1), three
// reserved, four of resolution, seven of base cell, then fifteen digits of
// three bits; digits beyond the resolution are 7.
type Cell uint64

// Finest is the finest resolution, whose cells measure about a metre.
//
// Membership in a cell is logical: a point is in cell c when c is among the
// ancestors of the Finest cell over the point. That hierarchy is exact. The
// cell computed directly at a coarse resolution is another cell for six to
// seven points in a hundred, so it is never used.
const Finest = 15

const (
	cellMode   = Cell(1) << 59
	digitsMask = Cell(1)<<45 - 1
)

// Resolution is 0 to 15.
func (c Cell) Resolution() int { return int(c >> 52 & 15) }

func (c Cell) baseCell() uint8 { return uint8(c >> 45 & 127) }

func digitShift(res int) uint { return uint(3 * (Finest - res)) }

func (c Cell) digit(res int) Cell { return c >> digitShift(res) & 7 }

func (c Cell) withDigit(res int, digit Cell) Cell {
	shift := digitShift(res)
	return c&^(7<<shift) | digit<<shift
}

// Parent is the ancestor at a resolution that is not finer than the cell's.
func (c Cell) Parent(res int) Cell {
	return c&^(15<<52) | Cell(res)<<52 | digitsMask>>(3*uint(res))
}

// Contains says whether d is c or one of its descendants.
func (c Cell) Contains(d Cell) bool {
	res := c.Resolution()
	return d.Resolution() >= res && d.Parent(res) == c
}

// Children appends the cells one resolution finer: seven, or six of a
// pentagon. A cell of resolution 15 has none.
func (c Cell) Children(to []Cell) []Cell {
	res := c.Resolution() + 1
	if res > Finest {
		return to
	}
	child := c&^(15<<52) | Cell(res)<<52
	pentagon := c.isPentagon()
	for digit := Cell(0); digit < 7; digit++ {
		if pentagon && digit == kAxis {
			continue
		}
		to = append(to, child.withDigit(res, digit))
	}
	return to
}

// isPentagon: a pentagon is a pentagonal base cell or its chain of centre
// children.
func (c Cell) isPentagon() bool {
	return isPentagonalBase[c.baseCell()] && c.leadingDigit() == 0
}

// leadingDigit is the first digit that is not 0, or 0.
func (c Cell) leadingDigit() Cell {
	for res := 1; res <= c.Resolution(); res++ {
		if d := c.digit(res); d != 0 {
			return d
		}
	}
	return 0
}

// String is H3's hexadecimal form.
func (c Cell) String() string { return strconv.FormatUint(uint64(c), 16) }

// ParseCell reads H3's hexadecimal form and refuses what is not a valid cell.
func ParseCell(s string) (Cell, error) {
	bits, err := strconv.ParseUint(s, 16, 64)
	if err != nil || !h3.Cell(bits).IsValid() {
		return 0, fmt.Errorf("%q is not an H3 cell: use a hexadecimal index such as 89309ab36abffff", s)
	}
	return Cell(bits), nil
}

// baseCells is the number of cells of resolution 0.
const baseCells = 122

// BaseCells are the 122 cells of resolution 0.
func BaseCells() []Cell {
	cells := make([]Cell, baseCells)
	for i := range cells {
		cells[i] = cellMode | Cell(i)<<45 | digitsMask
	}
	return cells
}

// Cap is the part of the sphere within Angle radians of Center.
type Cap struct {
	Center Vec
	Angle  float64
}

// capMargin widens a cell's circumradius to bound its logical descendants,
// which poke out of the cell: by 5.4 % of the circumradius as measured.
const capMargin = 1.10

// gnomonicUnit is the distance between the centres of neighbouring cells of
// resolution 0 on the plane that touches a face's centre.
const gnomonicUnit = 0.38196601125010500003

// Cap bounds every point whose Finest cell descends from c.
//
// On the plane that touches its face's centre a cell of resolution r is a
// hexagon of circumradius ρ = gnomonicUnit·7^(-r/2)/√3. The projection from
// the sphere shrinks no less than by cos θ, θ the angle to the face's centre,
// and θ is at least the centre's less ρ.
func (c Cell) Cap() Cap {
	center, cosFace := c.centerOnFace()
	rho := planarCircumradius[c.Resolution()]
	shrinks := 1.0 // cos(θ - ρ), 1 where θ < ρ
	if sinFace := math.Sqrt(max(0, 1-cosFace*cosFace)); sinFace > math.Sin(rho) {
		shrinks = cosFace*math.Cos(rho) + sinFace*math.Sin(rho)
	}
	return Cap{center, capMargin * rho * shrinks}
}

var planarCircumradius = func() (rho [Finest + 1]float64) {
	for res := range rho {
		rho[res] = gnomonicUnit / math.Sqrt(3) * math.Pow(7, -float64(res)/2)
	}
	return rho
}()

// Boundary is the outline of the cell in degrees, for maps: five to ten corners.
// It calls into H3's own library.
func (c Cell) Boundary() ([]hexbid.Point, error) {
	corners, err := h3.Cell(c).Boundary()
	if err != nil {
		return nil, fmt.Errorf("the outline of cell %s: %w", c, err)
	}
	outline := make([]hexbid.Point, len(corners))
	for i, corner := range corners {
		outline[i] = hexbid.Point{Lat: corner.Lat, Lng: corner.Lng}
	}
	return outline, nil
}
