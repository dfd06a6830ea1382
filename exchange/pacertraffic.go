package exchange

import (
	"cmp"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/targeting"
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
	zone       string
	hours      targeting.WeekHours
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

// day returns a date of a campaign's, whose schedule is in a zone.
func (t *traffic) day(zone string, of *targeting.Schedule, date int32) *pacing.Day {
	key := dayOf{zone: zone, hours: of.Hours(), date: date}
	key.start, key.end = flightOn(of, date)
	if d := t.days[key]; d != nil {
		return d
	}
	if len(t.days) >= mostDays {
		clear(t.days)
	}
	d := pacing.NewDay(t.shape, date, key.service())
	t.days[key] = d
	return d
}

// flightOn returns the part of a campaign's flight that matters on a date: instants beyond the days around it are left
// out, so that campaigns with other flights share a day.
func flightOn(of *targeting.Schedule, date int32) (start, end int64) {
	day, wholeDay := int64(date)*24*int64(time.Hour), 24*int64(time.Hour)
	start, end = of.Flight()
	if start <= day-2*wholeDay {
		start = 0
	}
	if end >= day+3*wholeDay {
		end = 0
	}
	return start, end
}

// service returns when a campaign of the day serves. A zone that this machine does not know is UTC: the ledger knows no
// midnights of it either.
func (k dayOf) service() *pacing.Service {
	zone := time.UTC
	if known, err := hexbid.TimeZone("zone", cmp.Or(k.zone, hexbid.DefaultTimeZone)); err == nil {
		zone = known
	}
	s := &pacing.Service{Zone: zone, InHours: func(at time.Time) bool { return k.hours.Has(at.In(zone)) }}
	if k.start != 0 {
		s.Start = time.Unix(0, k.start)
	}
	if k.end != 0 {
		s.End = time.Unix(0, k.end)
	}
	return s
}
