package geoindex

import (
	"math"

	"github.com/hexbid/hexbid"
)

const radians = math.Pi / 180

// Vec is a point of the unit sphere: x towards (0°, 0°), y towards (0°, 90°E),
// z towards the north pole.
type Vec struct{ X, Y, Z float64 }

// VecOf places a point on the unit sphere.
func VecOf(p hexbid.Point) Vec {
	if math.Abs(p.Lat) == 90 { // at a pole every longitude is the same point
		return Vec{0, 0, p.Lat / 90}
	}
	sinLat, cosLat := math.Sincos(p.Lat * radians)
	sinLng, cosLng := math.Sincos(p.Lng * radians)
	return Vec{cosLng * cosLat, sinLng * cosLat, sinLat}
}

// Point is the point in degrees.
func (v Vec) Point() hexbid.Point {
	return hexbid.Point{Lat: math.Atan2(v.Z, math.Hypot(v.X, v.Y)) / radians, Lng: math.Atan2(v.Y, v.X) / radians}
}

func (v Vec) dot(w Vec) float64 { return v.X*w.X + v.Y*w.Y + v.Z*w.Z }

func (v Vec) cross(w Vec) Vec {
	return Vec{v.Y*w.Z - v.Z*w.Y, v.Z*w.X - v.X*w.Z, v.X*w.Y - v.Y*w.X}
}

func (v Vec) scaled(by float64) Vec { return Vec{v.X * by, v.Y * by, v.Z * by} }

func (v Vec) plus(w Vec) Vec { return Vec{v.X + w.X, v.Y + w.Y, v.Z + w.Z} }

// Chord2 is the square of the straight distance between two points of the
// unit sphere. It orders as the great-circle distance does and keeps its
// precision at short ones.
func (v Vec) Chord2(w Vec) float64 {
	x, y, z := v.X-w.X, v.Y-w.Y, v.Z-w.Z
	return x*x + y*y + z*z
}

// Chord2OfM is the squared chord of a great-circle distance in metres, up to
// half the circumference.
func Chord2OfM(metres float64) float64 {
	s := 2 * math.Sin(min(metres/hexbid.EarthRadiusM, math.Pi)/2)
	return s * s
}

// MetresOfChord2 is the great-circle distance in metres of a squared chord.
func MetresOfChord2(chord2 float64) float64 {
	return 2 * hexbid.EarthRadiusM * math.Asin(min(math.Sqrt(chord2)/2, 1))
}

// angleBetween is the angle between two points of the unit sphere in radians.
func angleBetween(v, w Vec) float64 {
	return 2 * math.Asin(min(math.Sqrt(v.Chord2(w))/2, 1))
}
