package exchange

import (
	"time"

	"github.com/hexbid/hexbid/bidder/pacing"
)

// traffic learns the curve of a market's searches, and makes the days that follow from it.
type traffic struct {
	zone     *time.Location // of the curve's local week
	curve    *pacing.Curve
	shape    *pacing.Shape
	shaped   time.Time // when the curve was last looked at
	days     map[dayOf]*pacing.Day
	observed time.Time
	searches int64 // by then
	unkept   bool
	kept     time.Time
}

// dayOf is what a day follows from, beside the curve.
type dayOf struct {
	zone       *time.Location
	hours      weekHours
	start, end int64 // Unix nanoseconds; 0 for unbounded
	date       int32
}

const (
	// observeEvery spaces the looks at the number of searches. A longer time than mostObserved lies in several quarter
	// hours, or the process stood still, so nothing is learned from it.
	observeEvery = 10 * time.Second
	mostObserved = 5 * time.Minute
	shapeEvery   = time.Hour
	curveKept    = 5 * time.Minute
	mostDays     = 20_000 // made between two looks at the curve; with another one, all are made anew
)

func newTraffic(zone *time.Location) traffic {
	c := new(pacing.Curve)
	return traffic{zone: zone, curve: c, shape: c.Shape(), days: map[dayOf]*pacing.Day{}}
}

// observe takes in how many searches there were since the start. It reports whether the shape was looked at anew.
func (t *traffic) observe(now time.Time, searches int64) (shaped bool) {
	of := now.Sub(t.observed)
	if of >= 0 && of < observeEvery && !t.observed.IsZero() {
		return false
	}
	if !t.observed.IsZero() && of > 0 && of <= mostObserved {
		t.curve.Observe(now.Add(-of/2).In(t.zone), float64(searches-t.searches), of)
		t.unkept = true
	}
	t.observed, t.searches = now, searches
	if since := now.Sub(t.shaped); since >= shapeEvery || since < 0 {
		t.shape, t.shaped = t.curve.Shape(), now
		clear(t.days)
		return true
	}
	return false
}

// day returns a date of a campaign's.
func (t *traffic) day(of *pacedTerms, date int32) *pacing.Day {
	start, end := of.flight(date)
	key := dayOf{zone: of.zone, hours: of.hours, start: nanos(start), end: nanos(end), date: date}
	if d := t.days[key]; d != nil {
		return d
	}
	if len(t.days) >= mostDays {
		clear(t.days)
	}
	d := pacing.NewDay(t.shape, date, &pacing.Service{Zone: of.zone, Start: start, End: end,
		InHours: func(at time.Time) bool { return of.hours.has(at.In(of.zone)) }})
	t.days[key] = d
	return d
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
