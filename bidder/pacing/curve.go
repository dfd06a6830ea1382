package pacing

import (
	"math"
	"time"
)

// hoursAssumed are the shares of a day's searches by hour of local time, in per cent, until they are learned. People
// sleep, eat at noon and in the evening, and look around before they do. This is an assumption: the same that the
// simulator's people follow.
var hoursAssumed = [24]float64{1.2, 0.7, 0.4, 0.3, 0.3, 0.6, 1.6, 3.2, 4.4, 4.5, 5.0, 6.6, 7.2, 5.8, 5.0, 5.0, 5.2, 6.2,
	7.6, 7.8, 7.2, 6.3, 5.0, 2.9}

const (
	quartersADay  = 96
	quartersAWeek = 7 * quartersADay
)

// assumed returns the assumed rate of searches in a quarter hour of the day, on a line between the middles of hours.
// Its mean over the day is 1.
func assumed(quarter int) float64 {
	middle := (float64(quarter)+0.5)/4 - 0.5
	from := int(math.Floor(middle))
	part := middle - float64(from)
	a, b := hoursAssumed[(from+24)%24], hoursAssumed[(from+25)%24]
	return (a + part*(b-a)) * 24 / assumedSum
}

var assumedSum = func() (sum float64) {
	for _, h := range hoursAssumed {
		sum += h
	}
	return sum
}()

// Curve learns how many searches come in each quarter hour of the local week. People live by their local clocks, so
// campaigns of other zones read the curve at their own local time.
//
// A quarter hour of the week leans on the same quarter hour of all days, and that one on the assumption, until it has
// been watched itself. What was seen fades by half in fourteen days.
type Curve struct {
	week [quartersAWeek]watched
	day  [quartersADay]watched
	aged int32 // the date of the last fading, days since 1970
}

// watched is what was seen in a quarter hour, over all its occurrences.
type watched struct {
	searches float32
	quarters float32 // how many quarter hours were watched, and parts of them
}

// halfLifeDays is the half-life of what was seen.
const halfLifeDays = 14

// Observe takes in the searches of a time that ends at a local instant. The time lies in one quarter hour, or nearly.
func (c *Curve) Observe(local time.Time, searches float64, of time.Duration) {
	c.fade(dateOf(local))
	quarter := float32(of.Seconds() / Quarter.Seconds())
	for _, w := range [...]*watched{&c.week[quarterOfWeek(local)], &c.day[quarterOfDay(local)]} {
		w.searches += float32(searches)
		w.quarters += quarter
	}
}

// fade lets what was seen fade, once a day.
func (c *Curve) fade(date int32) {
	days := date - c.aged
	if c.aged == 0 || days <= 0 {
		c.aged = max(c.aged, date)
		return
	}
	keep := float32(math.Exp2(-float64(days) / halfLifeDays))
	for _, all := range [...][]watched{c.week[:], c.day[:]} {
		for i := range all {
			all[i].searches *= keep
			all[i].quarters *= keep
		}
	}
	c.aged = date
}

func quarterOfDay(local time.Time) int { return local.Hour()*4 + local.Minute()/15 }

// quarterOfWeek counts from Monday's first quarter hour.
func quarterOfWeek(local time.Time) int {
	return (int(local.Weekday())+6)%7*quartersADay + quarterOfDay(local)
}

// Shape is what a curve says at a moment: the rate of searches in each quarter hour of the week. It is immutable.
type Shape [quartersAWeek]float64

// at returns the rate at a local instant.
func (s *Shape) at(local time.Time) float64 { return s[quarterOfWeek(local)] }

// Each estimate leans on the one behind it by leastQuarters quarter hours, or by what has leastSearches searches.
const (
	leastQuarters = 1
	leastSearches = 100
)

// rate returns the rate of what was watched, leaning on a rate that is expected.
func (w watched) rate(expected float64) float64 {
	lean := max(leastQuarters, leastSearches/expected)
	return (float64(w.searches) + lean*expected) / (float64(w.quarters) + lean)
}

// Shape returns the curve as it is learned by now.
func (c *Curve) Shape() *Shape {
	level := c.level()
	s := new(Shape)
	for q := range s {
		day := q % quartersADay
		s[q] = c.week[q].rate(c.day[day].rate(level * assumed(day)))
	}
	return s
}

// level is the mean number of searches in a quarter hour, judged by those that were watched.
func (c *Curve) level() float64 {
	seen, expected := 0.0, 0.0
	for q, w := range c.day {
		seen += float64(w.searches)
		expected += float64(w.quarters) * assumed(q)
	}
	if seen <= 0 || expected <= 0 {
		return 1
	}
	return seen / expected
}
