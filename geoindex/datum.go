package geoindex

import (
	"math"

	"github.com/hexbid/hexbid"
)

// Chinese maps shift WGS-84 by a published but unofficial formula (GCJ-02),
// and Baidu shifts that again (BD-09). The constants and polynomials are those
// of eviltransform and gcoord, which agree with map providers within a metre.
const (
	krasovskyA  = 6378245.0              // semi-major axis in metres
	krasovskyE2 = 0.00669342162296594323 // first eccentricity squared
	baiduPi     = math.Pi * 3000 / 180
)

// ToWGS84 converts a pair written in a datum.
func ToWGS84(datum hexbid.Datum, p hexbid.Point) hexbid.Point {
	switch datum {
	case hexbid.GCJ02:
		return invert(gcjOfWGS, p)
	case hexbid.BD09:
		return invert(gcjOfWGS, invert(bdOfGCJ, p))
	}
	return p
}

// FromWGS84 writes a point in a datum.
func FromWGS84(datum hexbid.Datum, p hexbid.Point) hexbid.Point {
	switch datum {
	case hexbid.GCJ02:
		return gcjOfWGS(p)
	case hexbid.BD09:
		return bdOfGCJ(gcjOfWGS(p))
	}
	return p
}

// invert solves shift(q) = p by fixed-point iteration: the shifts are small and
// smooth, so that each round gains two decimals or more.
func invert(shift func(hexbid.Point) hexbid.Point, p hexbid.Point) hexbid.Point {
	q := p
	for range 10 {
		image := shift(q)
		q.Lat += p.Lat - image.Lat
		q.Lng += p.Lng - image.Lng
	}
	if math.Abs(q.Lat) > 90 || math.Abs(q.Lng) > 180 {
		return p // at the rim of the map, where Baidu's constant shift leads off it
	}
	return q
}

// shiftedByChina is the box in which GCJ-02 differs from WGS-84.
func shiftedByChina(p hexbid.Point) bool {
	return p.Lng >= 72.004 && p.Lng <= 137.8347 && p.Lat >= 0.8293 && p.Lat <= 55.8271
}

func gcjOfWGS(p hexbid.Point) hexbid.Point {
	if !shiftedByChina(p) {
		return p
	}
	x, y := p.Lng-105, p.Lat-35
	waves := 20*math.Sin(6*x*math.Pi) + 20*math.Sin(2*x*math.Pi)
	north := -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*math.Sqrt(math.Abs(x)) +
		(waves+20*math.Sin(y*math.Pi)+40*math.Sin(y/3*math.Pi)+160*math.Sin(y/12*math.Pi)+320*math.Sin(y*math.Pi/30))*2/3
	east := 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*math.Sqrt(math.Abs(x)) +
		(waves+20*math.Sin(x*math.Pi)+40*math.Sin(x/3*math.Pi)+150*math.Sin(x/12*math.Pi)+300*math.Sin(x/30*math.Pi))*2/3
	sin, cos := math.Sincos(p.Lat * radians)
	w2 := 1 - krasovskyE2*sin*sin
	w := math.Sqrt(w2)
	return hexbid.Point{
		Lat: p.Lat + north/radians/(krasovskyA*(1-krasovskyE2)/(w2*w)),
		Lng: p.Lng + east/radians/(krasovskyA/w*cos),
	}
}

func bdOfGCJ(p hexbid.Point) hexbid.Point {
	r := math.Hypot(p.Lng, p.Lat) + 0.00002*math.Sin(p.Lat*baiduPi)
	theta := math.Atan2(p.Lat, p.Lng) + 0.000003*math.Cos(p.Lng*baiduPi)
	sin, cos := math.Sincos(theta)
	return hexbid.Point{Lat: r*sin + 0.006, Lng: r*cos + 0.0065}
}
