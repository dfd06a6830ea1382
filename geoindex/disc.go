package geoindex

import "math"

// Disc is a circle on the sphere in 32 bytes. Its radius is rounded by a thirty-millionth at most: a tenth of a
// millimetre of two kilometres. It has room for one more point, its mark, of which it remembers about where it is. So
// whoever has loaded a disc knows how far its mark is without loading anything else.
type Disc struct {
	center Vec
	chord2 float32 // squared chord of the radius
	mark   mark
}

// NewDisc is the circle of a radius in metres around a point. It has no mark.
func NewDisc(center Vec, radiusM float64) Disc { return Disc{center, float32(Chord2OfM(radiusM)), 0} }

// Contains says whether a position is in the circle.
func (d *Disc) Contains(at *Position) bool { return d.center.Chord2(at.Vec) <= float64(d.chord2) }

// MissedByM is the distance in metres from a position outside to the circle.
func (d *Disc) MissedByM(at *Position) float64 {
	return MetresOfChord2(d.center.Chord2(at.Vec)) - MetresOfChord2(float64(d.chord2))
}

// mark is a point by its offset from a disc's center: from the lowest bit up its three coordinates in steps, markBits
// each and from 1, and the scale of the steps. 0 is no point.
type mark uint32

const (
	markBits   = 10
	markMask   = 1<<markBits - 1
	markMiddle = 1 << (markBits - 1) // the coordinate of no offset
	markReach  = markMiddle - 1      // steps
	// MarkScales is the number of scales.
	MarkScales = 4
)

// markSteps holds the step of each scale: some 12, 194, 3100 and 50,000 metres. The last reaches every point of the
// sphere.
var markSteps = [MarkScales]float64{0x1p-19, 0x1p-15, 0x1p-11, 0x1p-7}

// MarkError bounds how far a disc's mark is from the point that it stands for, as a straight distance, on a scale: half
// a step in each of three directions, and what computing with it may add.
func MarkError(scale int) float64 { return 0.8661 * markSteps[scale] }

// SetMark marks a point.
func (d *Disc) SetMark(at Vec) {
	away := at.plus(d.center.scaled(-1))
	farthest := max(math.Abs(away.X), math.Abs(away.Y), math.Abs(away.Z))
	scale := 0
	for scale < MarkScales-1 && farthest > markReach*markSteps[scale] {
		scale++
	}
	steps := func(x float64) mark { return mark(markMiddle + math.Round(x/markSteps[scale])) }
	d.mark = steps(away.X) | steps(away.Y)<<markBits | steps(away.Z)<<(2*markBits) | mark(scale)<<(3*markBits)
}

// ClearMark leaves the disc without a mark.
func (d *Disc) ClearMark() { d.mark = 0 }

// MarkChord2 returns about the squared chord from a point to the mark, and the scale by which MarkError says how
// exactly. Without a mark it returns false.
func (d *Disc) MarkChord2(from Vec) (chord2 float64, scale int, marked bool) {
	scale = int(d.mark >> (3 * markBits))
	step := markSteps[scale]
	x := d.center.X - from.X + float64(int(d.mark&markMask)-markMiddle)*step
	y := d.center.Y - from.Y + float64(int(d.mark>>markBits&markMask)-markMiddle)*step
	z := d.center.Z - from.Z + float64(int(d.mark>>(2*markBits)&markMask)-markMiddle)*step
	return x*x + y*y + z*z, scale, d.mark != 0
}
