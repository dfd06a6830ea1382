package geoindex

import "math"

// Spot is a point by its latitude and longitude in steps of 2⁻³² of a circle, which is nine millimetres. Longitudes go
// round: the antimeridian is a number as any other.
type Spot struct{ lat, lng uint32 }

const (
	spotsAround = 1 << 32                 // steps of a circle
	spotAngle   = 2 * math.Pi / (1 << 32) // radians of a step
)

// SpotOf returns the spot of a point of the unit sphere.
func SpotOf(v Vec) Spot {
	p := v.Point()
	return Spot{spotSteps(p.Lat), spotSteps(p.Lng)}
}

func spotSteps(degrees float64) uint32 { return uint32(int64(math.Floor(degrees / 360 * spotsAround))) }

// Vec returns the spot's point of the unit sphere.
func (s Spot) Vec() Vec {
	sinLat, cosLat := math.Sincos(float64(int32(s.lat)) * spotAngle)
	sinLng, cosLng := math.Sincos(float64(int32(s.lng)) * spotAngle)
	return Vec{cosLng * cosLat, sinLng * cosLat, sinLat}
}

// Whereabouts tells in WhereaboutsBits about where a point is, to all who are in one cell: how near it may be.
//
// With the highest bit set, the others are the last digits of the point's latitude and longitude, in steps that suit
// the cell. Leading digits are missing. Whoever is in the cell knows them, because the point is within half of what the
// last digits count. Without the highest bit, the others are the first bits of a 32-bit float after its sign: the least
// straight distance to the point from anywhere in the cell. So 0 tells nothing, and NoPoint is infinitely far.
type Whereabouts uint16

const (
	digitBits = 6
	digitMask = 1<<digitBits - 1
	hasDigits = 1 << (2 * digitBits)
	// WhereaboutsBits are in use; those above are the caller's.
	WhereaboutsBits = 2*digitBits + 1
	// NoPoint tells that there is no point.
	NoPoint = Whereabouts(0x7f800000 >> leastChordShift)

	leastChordShift = 31 - 2*digitBits
)

// digitShifts has, by resolution, the number of bits of a spot below the last digit of whereabouts in a cell. Steps are
// an eighth of a cell's radius or so, and at least 150 metres, because small areas may be far from their shop. A cell
// that is too large for digits has 0.
var digitShifts = [Finest + 1]uint8{0, 0, 0, 20, 19, 17, 16, 15, 14, 14, 14, 14, 14, 14, 14, 14}

// digitReach is the largest difference of coordinates that digits tell from one in the other direction, less what the
// rounding of both points may add.
func digitReach(shift uint8) float64 { return float64(uint64(digitMask/2-1) << shift) }

// Whereabouts returns the whereabouts of a spot for those in a cell.
func (c Cell) Whereabouts(of Spot) Whereabouts {
	at, bounds := of.Vec(), c.Cap()
	angle := angleBetween(bounds.Center, at)
	if shift := digitShifts[c.Resolution()]; shift > 0 && isWithin(digitReach(shift)*spotAngle, angle+bounds.Angle, at) {
		return hasDigits | Whereabouts(of.lat>>shift&digitMask)<<digitBits | Whereabouts(of.lng>>shift&digitMask)
	}
	least := 2 * math.Sin(max(0, angle-bounds.Angle)/2)
	return Whereabouts(math.Float32bits(float32(least*(1-1e-6))) >> leastChordShift)
}

// isWithin reports whether all points within an angle of a place differ from it by at most the reach in latitude and in
// longitude. It may say no of some. On a sphere sin(Δlng/2) ≤ sin(angle/2)/cos(lat), with the cosine of the latitude
// farther from the equator.
func isWithin(reach, angle float64, place Vec) bool {
	cosLat := math.Sqrt(max(0, 1-place.Z*place.Z)) - angle
	if angle > reach || cosLat <= 0 {
		return false
	}
	half := angle / 2 / cosLat
	return half < 0.5 && 2.1*half <= reach // the arcsine of up to a half is at most 1.05 times as much
}

// Outlook is a position from which whereabouts are read, in any of the cells over it.
type Outlook struct {
	at     Spot
	cosLat float64
}

// Outlook returns the outlook from the position.
func (at *Position) Outlook() Outlook {
	return Outlook{Spot{spotSteps(at.Point.Lat), spotSteps(at.Point.Lng)},
		math.Sqrt(at.Vec.X*at.Vec.X + at.Vec.Y*at.Vec.Y)}
}

// Viewpoint is an outlook in one cell.
type Viewpoint struct {
	at         Spot
	lat2, lng2 float64 // squared chords of a step, at least
	shift      uint8   // bits of a coordinate below the last digit
	above      uint8   // bits of a coordinate above the digits
}

// In returns the viewpoint in the cell of a resolution.
func (o *Outlook) In(res int) Viewpoint {
	shift := digitShifts[res]
	farther := max(0, o.cosLat-float64(uint64(1)<<(shift+digitBits-1))*spotAngle)
	const chord2 = 0.999 * spotAngle * spotAngle // a chord is shorter than its arc
	return Viewpoint{o.at, chord2, chord2 * o.cosLat * farther, shift, 32 - digitBits - shift}
}

// LeastChord2 returns a squared chord that the point is at least away, infinite for NoPoint.
func (v *Viewpoint) LeastChord2(w Whereabouts) float64 {
	if w&hasDigits == 0 {
		least := float64(math.Float32frombits(uint32(w) << leastChordShift))
		return least * least
	}
	lat, lng := v.stepsTo(uint32(w>>digitBits), v.at.lat), v.stepsTo(uint32(w), v.at.lng)
	return v.lat2*lat*lat + v.lng2*lng*lng
}

// stepsTo returns the least steps from a coordinate to one with some last digits. Both coordinates were rounded down.
func (v *Viewpoint) stepsTo(digits, from uint32) float64 {
	begins := int32((digits<<(v.shift&31)-from)<<(v.above&31)) >> (v.above & 31)
	return float64(max(begins-2, -1-begins-int32(1)<<(v.shift&31), 0))
}
