package geoindex

import "math"

// This file finds the Finest cell over a point without calling into C: the
// algorithm of H3's latLngToCell (Uber, Apache License 2.0), with its
// trigonometry folded into one projection a face. h3-go is the oracle of its
// tests.

// A face's hexagons are laid on the plane that touches its centre. axes holds
// the plane's x and y directions, turned for the odd resolution Finest and
// scaled so that one unit is the distance between neighbouring Finest cells:
// the gnomonic image of v is (v·x, v·y) / (v·centre).
type faceAxes struct{ x, y Vec }

var finestAxes = axesOfFaces(classIIIRotation, gnomonicUnit*math.Pow(7, -Finest/2.0))

// classIIIRotation is the turn of the grids of odd resolutions: asin(√(3/28)).
const classIIIRotation = 0.333473172251832115336090755351601070065900389

// axesOfFaces are the axes of every face, turned, and scaled to a unit.
func axesOfFaces(turned, unit float64) (axes [20]faceAxes) {
	for f, center := range faceCenters {
		pole := Vec{0, 0, 1}
		north := pole.plus(center.scaled(-pole.dot(center)))
		north = north.scaled(1 / math.Sqrt(north.dot(north)))
		east := north.cross(center)
		// H3 measures θ counter-clockwise from the i axis, whose azimuth is
		// clockwise from north.
		sin, cos := math.Sincos(faceAxisAzimuths[f] - turned)
		axes[f].x = north.scaled(cos).plus(east.scaled(sin)).scaled(1 / unit)
		axes[f].y = north.scaled(sin).plus(east.scaled(-cos)).scaled(1 / unit)
	}
	return axes
}

// axial is a hexagon's position along H3's i and j axes, which lie 120° apart;
// the third axis, k = -i - j, is implied.
type axial struct{ i, j int }

// Digits of the hierarchy: the digit's bits are its i, j and k.
const (
	kAxis  = 1
	ikAxis = 5
)

// CellAt is the Finest cell over a point of the unit sphere.
func CellAt(v Vec) Cell {
	face, nearest := nearestFace(v)
	axes := &finestAxes[face]
	return cellOnFace(face, hexAt(v.dot(axes.x)/nearest, v.dot(axes.y)/nearest))
}

// cellOnFace builds the index from the finest digit up, then turns it into the
// base cell's own orientation.
//
// The hierarchy has aperture 7: a parent's hexagon is turned by ±19.1°, the
// sign alternating with the resolution.
func cellOnFace(face int, at axial) Cell {
	c := cellMode | Cell(Finest)<<52
	for res := Finest; res > 0; res-- {
		var parent, center axial
		if res%2 == 1 { // counter-clockwise
			parent = axial{roundSeventh(3*at.i - at.j), roundSeventh(at.i + 2*at.j)}
			center = axial{2*parent.i + parent.j, 3*parent.j - parent.i}
		} else {
			parent = axial{roundSeventh(2*at.i + at.j), roundSeventh(3*at.j - at.i)}
			center = axial{3*parent.i - parent.j, parent.i + 2*parent.j}
		}
		c |= digitOf[(at.i-center.i+1)*3+at.j-center.j+1] << digitShift(res)
		at = parent
	}
	base := faceBaseCells[face*27+at.faceIndex()]
	c |= Cell(base.baseCell) << 45
	clockwise, pentagonal := pentagonClockwise(base.baseCell)
	if !pentagonal {
		return c.rotatedCCW(base.turns)
	}
	if c.leadingDigit() == kAxis { // the digit that pentagons lack
		if clockwise[0] == face || clockwise[1] == face {
			c = c.rotatedCW()
		} else {
			c = c.rotatedCCW(1)
		}
	}
	for range base.turns {
		c = c.pentagonRotatedCCW()
	}
	return c
}

func pentagonClockwise(baseCell uint8) ([2]int, bool) {
	if !isPentagonalBase[baseCell] {
		return [2]int{}, false
	}
	return pentagonClockwiseFaces[baseCell], true
}

var isPentagonalBase = func() (is [128]bool) {
	for base := range pentagonClockwiseFaces {
		is[base] = true
	}
	return is
}()

// hexAt finds the hexagon over a point of the plane (DGGRID's quantisation).
func hexAt(x, y float64) axial {
	const rsin60 = 1.1547005383792515290182975610039149112953
	x2 := math.Abs(y) * rsin60
	x1 := math.Abs(x) + x2/2
	m1, m2 := int(x1), int(x2)
	di, dj := roundHex(x1-float64(m1), x2-float64(m2))
	i, j := m1+di, m2+dj
	if x < 0 { // fold across the axes
		if j%2 == 0 {
			i -= 2 * (i - j/2)
		} else {
			i -= 2*(i-(j+1)/2) + 1
		}
	}
	if y < 0 {
		i -= (2*j + 1) / 2
		j = -j
	}
	return axial{i, j}
}

// roundHex rounds the fractions of a position in the ij system to the nearest
// hexagon's centre.
func roundHex(r1, r2 float64) (di, dj int) {
	switch {
	case r1 < 1.0/3:
		return 0, oneIf(r2 >= (1+r1)/2)
	case r1 < 0.5:
		return oneIf(1-r1 <= r2 && r2 < 2*r1), oneIf(r2 >= 1-r1)
	case r1 < 2.0/3:
		return oneIf(!(2*r1-1 < r2 && r2 < 1-r1)), oneIf(r2 >= 1-r1)
	default:
		return 1, oneIf(r2 >= r1/2)
	}
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// digitOf is the digit of a step between neighbours, at (i+1)*3 + j+1; two of
// the nine are no step.
var digitOf = [9]Cell{kAxis, 3, 7, ikAxis, 0, 2, 7, 4, 6}

// faceIndex is the place in faceBaseCells: i*9 + j*3 + k with none negative
// and one 0.
func (a axial) faceIndex() int {
	m := min(a.i, a.j, 0)
	return (a.i-m)*9 + (a.j-m)*3 - m
}

// roundSeventh is n/7 to the nearest integer; sevenths never tie. The bias
// keeps the dividend positive, so that the division is one multiplication.
func roundSeventh(n int) int {
	const bias = 1 << 32
	return int(uint64(n+3+7*bias)/7) - bias
}

var (
	turnedCCW = [8]Cell{0, ikAxis, 3, kAxis, 6, 4, 2, 7}
	turnedCW  = [8]Cell{0, 3, 6, 2, ikAxis, kAxis, 4, 7}
)

func (c Cell) rotatedCCW(turns uint8) Cell {
	for range turns {
		c = c.mapDigits(&turnedCCW)
	}
	return c
}

func (c Cell) rotatedCW() Cell { return c.mapDigits(&turnedCW) }

func (c Cell) mapDigits(table *[8]Cell) Cell {
	out := c &^ digitsMask
	for shift := uint(0); shift < 45; shift += 3 {
		out |= table[c>>shift&7] << shift
	}
	return out
}

// pentagonRotatedCCW turns and skips over the digit that pentagons lack.
func (c Cell) pentagonRotatedCCW() Cell {
	c = c.rotatedCCW(1)
	if c.leadingDigit() == kAxis {
		c = c.rotatedCCW(1)
	}
	return c
}
