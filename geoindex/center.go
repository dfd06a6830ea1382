package geoindex

import "math"

// This file finds the centre of a cell: CellAt backwards. The digits are turned
// from the base cell's orientation into a face's, unfolded into a position on
// the plane that touches the face, and projected onto the sphere.

// placing is one of the places where a base cell stands on a face's plane.
type placing struct {
	face  uint8
	at    axial
	leads uint8 // the leading digits, as bits, of the cells that it is true for
	turns uint8 // counter-clockwise, from the face's orientation into theirs
	twice bool  // two wedges of the plane fold onto this one of a pentagon
}

// placings inverts faceBaseCells and what cellOnFace does with it. A base cell
// near an edge of the icosahedron stands on the planes of several faces, each
// true on its own side of the edge.
var placings = func() (of [128][]placing) {
	for face := range uint8(20) {
		for i := range 3 {
			for j := range 3 {
				for k := range 3 {
					if min(i, j, k) == 0 {
						base := faceBaseCells[int(face)*27+i*9+j*3+k]
						of[base.baseCell] = append(of[base.baseCell], base.placings(face, axial{i - k, j - k})...)
					}
				}
			}
		}
	}
	return of
}()

// placings are those of one base cell at one place. How far a pentagon's
// digits turn depends on the first of them.
func (b baseCellRotation) placings(face uint8, at axial) []placing {
	clockwise, pentagonal := pentagonClockwise(b.baseCell)
	if !pentagonal {
		return []placing{{face, at, 0x7f, b.turns, false}}
	}
	all := []placing{{face, at, 1, 0, false}} // the pentagons themselves
	for lead := Cell(1); lead < 7; lead++ {
		turned, turns := lead, uint8(0)
		turn := func(times uint8) {
			for range times {
				turned, turns = turnedCCW[turned], (turns+1)%6
			}
		}
		if lead == kAxis {
			if clockwise[0] == int(face) || clockwise[1] == int(face) {
				turn(5)
			} else {
				turn(1)
			}
		}
		for range b.turns {
			if turn(1); turned == kAxis {
				turn(1)
			}
		}
		one := placing{face, at, 1 << turned, turns, false}
		for i := range all {
			if all[i].leads == one.leads {
				all[i].twice, one.twice = true, true
			}
		}
		all = append(all, one)
	}
	return all
}

// stepOf is the step from a cell's centre child to the child of a digit, whose
// bits are its i, j and k.
var stepOf = [8]axial{0: {0, 0}, 1: {-1, -1}, 2: {0, 1}, 3: {-1, 0}, 4: {1, 0}, 5: {0, -1}, 6: {1, 1}}

// turnedSteps are the steps of digits that were turned so many times
// counter-clockwise into the base cell's orientation.
var turnedSteps = func() (steps [6][8]axial) {
	steps[0] = stepOf
	for turns := 1; turns < 6; turns++ {
		for digit, before := range steps[turns-1] {
			steps[turns][turnedCCW[digit]] = before
		}
	}
	return steps
}()

// planeAxes are the directions of x and y on each face's plane, for even and
// for odd resolutions.
var planeAxes = [2][20]faceAxes{axesOfFaces(0, 1), axesOfFaces(classIIIRotation, 1)}

// planeUnit is the distance on a face's plane between neighbouring cells.
var planeUnit = func() (unit [Finest + 1]float64) {
	for res := range unit {
		unit[res] = gnomonicUnit * math.Pow(7, -float64(res)/2)
	}
	return unit
}()

// Center is the cell's centre.
func (c Cell) Center() Vec {
	v, _ := c.centerOnFace()
	return v
}

// centerOnFace also gives the cosine of the angle to the nearest face's centre.
func (c Cell) centerOnFace() (center Vec, cosFace float64) {
	lead := uint8(1) << c.leadingDigit()
	places := placings[c.baseCell()]
	for i := range places {
		p := &places[i]
		if p.leads&lead == 0 {
			continue
		}
		center = c.centerAs(p)
		_, cosFace = nearestFace(center)
		// A centre on an edge is true on both sides, whatever rounding says.
		if center.dot(faceCenters[p.face]) > cosFace-1e-12 && (!p.twice || CellAt(center).Parent(c.Resolution()) == c) {
			break
		}
	}
	return center, cosFace
}

// centerAs is the centre as one face's plane has it.
func (c Cell) centerAs(p *placing) Vec {
	at, res := p.at, c.Resolution()
	steps := &turnedSteps[p.turns]
	for r := 1; r <= res; r++ {
		if r%2 == 1 {
			at = axial{2*at.i + at.j, 3*at.j - at.i}
		} else {
			at = axial{3*at.i - at.j, at.i + 2*at.j}
		}
		step := steps[c.digit(r)]
		at.i, at.j = at.i+step.i, at.j+step.j
	}
	const sin60 = 0.86602540378443864676
	axes, unit := &planeAxes[res%2][p.face], planeUnit[res]
	x, y := unit*(float64(at.i)-float64(at.j)/2), unit*sin60*float64(at.j)
	v := faceCenters[p.face].plus(axes.x.scaled(x)).plus(axes.y.scaled(y))
	return v.scaled(1 / math.Sqrt(v.dot(v)))
}

// nearestFace is the face whose centre is nearest, and the cosine of the angle
// to it.
func nearestFace(v Vec) (face int, cos float64) {
	cos = -2
	for f := range faceCenters {
		if d := v.dot(faceCenters[f]); d > cos {
			face, cos = f, d
		}
	}
	return face, cos
}
