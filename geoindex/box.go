package geoindex

import (
	"math"
	"slices"
)

// box is a rectangle in latitude and longitude.
type box struct{ south, west, north, east float64 }

// boxes bounds a cap by latitude and longitude: a cap over a pole takes every
// longitude, one over the antimeridian two boxes.
func (c *Cap) boxes() (boxes [2]box, n int) {
	at, reach := c.Center.Point(), c.Angle/radians+1e-9
	b := box{at.Lat - reach, -180, at.Lat + reach, 180}
	if b.south < -90 || b.north > 90 {
		b.south, b.north = max(b.south, -90), min(b.north, 90)
		return [2]box{b}, 1
	}
	wide := math.Asin(min(1, math.Sin(min(c.Angle, math.Pi/2))/math.Cos(at.Lat*radians)))/radians + 1e-9
	b.west, b.east = at.Lng-wide, at.Lng+wide
	switch {
	case b.west < -180:
		return [2]box{{b.south, b.west + 360, b.north, 180}, {b.south, -180, b.north, b.east}}, 2
	case b.east > 180:
		return [2]box{{b.south, b.west, b.north, 180}, {b.south, -180, b.north, b.east - 360}}, 2
	}
	return [2]box{b}, 1
}

// boundRuns bounds runs of eight consecutive edges by a box each, runs of eight
// such boxes by one, and so on up to a single box. Edges that follow each other
// in a ring lie close together, so a box elsewhere is seldom compared with any.
func boundRuns(edges []edge) (levels [][]box) {
	level := make([]box, len(edges))
	for i, e := range edges {
		level[i] = box{min(e.lat1, e.lat2), min(e.lng1, e.lng2), max(e.lat1, e.lat2), max(e.lng1, e.lng2)}
	}
	for len(level) > 1 {
		above := make([]box, 0, (len(level)+runLength-1)/runLength)
		for run := range slices.Chunk(level, runLength) {
			b := run[0]
			for _, o := range run[1:] {
				b = box{min(b.south, o.south), min(b.west, o.west), max(b.north, o.north), max(b.east, o.east)}
			}
			above = append(above, b)
		}
		levels, level = append(levels, above), above
	}
	return levels
}

const runLength = 8

func (b *box) overlaps(o *box) bool {
	return b.south <= o.north && b.north >= o.south && b.west <= o.east && b.east >= o.west
}

// mostSteps bounds the boxes and edges that one box is compared with. Outlines
// whose edges run past it in great numbers reach it; others take some tens.
const mostSteps = 1000

// edgeMeets says whether some edge meets a box. It takes steps from a budget,
// and says so too when those of the budget or mostSteps are used up.
func (p *polygon) edgeMeets(b *box, steps *int) bool {
	if !p.overlaps(b) {
		return false
	}
	left := min(*steps, mostSteps)
	before := left
	met := p.runMeets(len(p.runs), 0, b, &left)
	*steps -= before - left
	return met
}

// runMeets looks at a run of boxes of a level, level 0 being the edges.
func (p *polygon) runMeets(level, run int, b *box, left *int) bool {
	if level == 0 {
		for i := run * runLength; i < min((run+1)*runLength, len(p.edges)); i++ {
			if *left--; *left < 0 || p.edges[i].meets(b) {
				return true
			}
		}
		return false
	}
	below := p.runs[level-1]
	for i := run * runLength; i < min((run+1)*runLength, len(below)); i++ {
		if *left--; *left < 0 || below[i].overlaps(b) && p.runMeets(level-1, i, b, left) {
			return true
		}
	}
	return false
}

// meets says whether a segment meets a box: their extents overlap, and the
// box's corners are not all on one side of the segment's line.
func (e *edge) meets(b *box) bool {
	if min(e.lat1, e.lat2) > b.north || max(e.lat1, e.lat2) < b.south || min(e.lng1, e.lng2) > b.east ||
		max(e.lng1, e.lng2) < b.west {
		return false
	}
	dx, dy := e.lng2-e.lng1, e.lat2-e.lat1
	side := func(lng, lat float64) float64 { return dx*(lat-e.lat1) - dy*(lng-e.lng1) }
	sw, se, nw, ne := side(b.west, b.south), side(b.east, b.south), side(b.west, b.north), side(b.east, b.north)
	return !(sw > 0 && se > 0 && nw > 0 && ne > 0) && !(sw < 0 && se < 0 && nw < 0 && ne < 0)
}
