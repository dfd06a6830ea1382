package pacing

import (
	"sort"
	"time"
)

// Quarter is the resolution of curves and of hours of service. Every zone in use begins its hours, and changes its
// offset, on a quarter hour.
const Quarter = 15 * time.Minute

// Service says when a campaign serves.
type Service struct {
	Zone       *time.Location
	Start, End time.Time            // of its flight; zero for unbounded, End excluded
	InHours    func(time.Time) bool // in the quarter hour that begins at an instant; nil for always
}

// Day is how the traffic of one local date spreads over the hours in which a campaign serves. It is immutable.
type Day struct {
	edges []edge // by instant; between two of them traffic is even
}

// edge is an instant, and the share of the day's traffic that is left from it on.
type edge struct {
	at   int64 // Unix milliseconds
	left float64
}

// NewDay returns the day of a date, in days since 1970, in the zone of a service. A date has the hours that its zone
// gives it: 23 or 25 where clocks change. Its parts are the quarter hours whose local date it is.
func NewDay(shape *Shape, date int32, of *Service) *Day {
	noon := time.Unix(int64(date)*24*3600+12*3600, 0).UTC()
	d, sum := new(Day), 0.0
	for from := noon.Add(-28 * time.Hour); from.Before(noon.Add(28 * time.Hour)); from = from.Add(Quarter) {
		local := from.In(of.Zone)
		if dateOf(local) != date || of.InHours != nil && !of.InHours(from) {
			continue
		}
		if opens, closes := of.within(from); opens < closes {
			weight := shape.at(local) * float64(closes-opens) / float64(Quarter.Milliseconds())
			d.edges = append(d.edges, edge{opens, sum}, edge{closes, sum + weight})
			sum += weight
		}
	}
	for i := range d.edges {
		d.edges[i].left = 1 - d.edges[i].left/sum
	}
	return d
}

// dateOf returns the date that a clock shows, in days since 1970.
func dateOf(local time.Time) int32 {
	_, offset := local.Zone()
	return int32((local.Unix() + int64(offset)) / (24 * 3600))
}

// within returns the part of a quarter hour that lies in the flight.
func (s *Service) within(from time.Time) (opens, closes int64) {
	opens, closes = from.UnixMilli(), from.Add(Quarter).UnixMilli()
	if !s.Start.IsZero() {
		opens = max(opens, s.Start.UnixMilli())
	}
	if !s.End.IsZero() {
		closes = min(closes, s.End.UnixMilli())
	}
	return opens, closes
}

// Left returns the share of the day's traffic from an instant, in Unix milliseconds, to its end. It is 0 all day when
// the campaign does not serve on it.
func (d *Day) Left(at int64) float64 {
	i := sort.Search(len(d.edges), func(i int) bool { return d.edges[i].at > at })
	switch {
	case len(d.edges) == 0 || i == len(d.edges):
		return 0
	case i == 0:
		return 1
	}
	a, b := &d.edges[i-1], &d.edges[i]
	return a.left + (b.left-a.left)*float64(at-a.at)/float64(b.at-a.at)
}

// passedBefore returns the share of the day's traffic in the time up to an instant.
func (d *Day) passedBefore(at int64, of time.Duration) float64 {
	return max(d.Left(at-of.Milliseconds())-d.Left(at), 0)
}

// Begins returns the first instant of the day at which the campaign serves, in Unix milliseconds, and Ends the one
// after the last. Both are 0 when there is none.
func (d *Day) Begins() int64 {
	if len(d.edges) == 0 {
		return 0
	}
	return d.edges[0].at
}

// Ends is documented with Begins.
func (d *Day) Ends() int64 {
	if len(d.edges) == 0 {
		return 0
	}
	return d.edges[len(d.edges)-1].at
}
