package geoindex

import (
	"math"

	"github.com/hexbid/hexbid"
)

// relation of a cell to a shape.
type relation uint8

const (
	outside relation = iota // no point of the cell is in the shape
	partly
	inside // every point of the cell is in the shape
)

// bounded is a shape that a covering goes around or stays out of.
type bounded interface {
	// relationTo may answer partly where inside or outside would be true, never the reverse. It subtracts the
	// steps of its work from a budget.
	relationTo(f *footprint, steps *int) relation
	// bounds is a disc that holds the shape.
	bounds() (center Vec, angle float64)
}

// footprint bounds the members of a cell, for their comparison with shapes.
type footprint struct {
	cell  Cell
	limit Cap
	boxes [2]box // of the cap, once asked for
	n     int    // of boxes
}

// One step is the comparison of a cell with a disc, some 15 ns.
const (
	stepsOfFootprint = 8
	stepsOfBoxes     = 6
	stepsOfContains  = 6
)

func (d *disc) relationTo(f *footprint, _ *int) relation {
	apart := angleBetween(d.center, f.limit.Center)
	switch {
	case apart > d.angle+f.limit.Angle:
		return outside
	case apart+f.limit.Angle <= d.angle:
		return inside
	}
	return partly
}

func (d *disc) bounds() (Vec, float64) { return d.center, d.angle }

// relationTo of an excluded cell compares by descent, without rounding.
func (c Cell) relationTo(f *footprint, _ *int) relation {
	switch {
	case c.Contains(f.cell):
		return inside
	case f.cell.Contains(c):
		return partly
	}
	return outside
}

func (c Cell) bounds() (Vec, float64) {
	limit := c.Cap()
	return limit.Center, limit.Angle
}

// relationTo encloses the cell's cap in one box, or in two at the antimeridian. A box that no edge meets is entirely
// inside or entirely outside, so its middle decides for all of it.
func (p *polygon) relationTo(f *footprint, steps *int) relation {
	if f.n == 0 {
		f.boxes, f.n = f.limit.boxes()
		*steps -= stepsOfBoxes
	}
	some, all := false, true
	for i := range f.n {
		b := &f.boxes[i]
		if p.edgeMeets(b, steps) {
			return partly
		}
		*steps -= stepsOfContains
		in := p.contains(hexbid.Point{Lat: (b.south + b.north) / 2, Lng: (b.west + b.east) / 2})
		some, all = some || in, all && in
	}
	switch {
	case all:
		return inside
	case some:
		return partly
	}
	return outside
}

// bounds returns a disc around the polygon's box. In a box less than half the globe wide, a corner is the farthest
// point from the middle. For a wider box the disc is the whole globe.
func (p *polygon) bounds() (Vec, float64) {
	middle := VecOf(hexbid.Point{Lat: (p.south + p.north) / 2, Lng: (p.west + p.east) / 2})
	if p.east-p.west >= 180 {
		return middle, math.Pi
	}
	farthest := 0.0
	for _, lat := range [2]float64{p.south, p.north} {
		farthest = max(farthest, angleBetween(middle, VecOf(hexbid.Point{Lat: lat, Lng: p.west})))
	}
	return middle, farthest + 1e-9
}
