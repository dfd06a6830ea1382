package cli

import (
	"strconv"
	"time"
)

// clock is what the times of a file count from. A file has one: beside a time of
// day, "12.5" would lie decades away.
type clock uint8

const (
	unknownClock clock = iota
	numberClock        // seconds from anywhere, or since the Unix epoch in some unit
	calendarClock
)

// Units of numbers since the Unix epoch, told apart by size: between 1973 and 2255
// none is mistaken for another.
var epochUnits = []struct {
	least, most float64
	unit        time.Duration
}{{0, 9e9, time.Second}, {1e11, 9e12, time.Millisecond}, {1e14, 9e15, time.Microsecond}, {1e17, 9e18, time.Nanosecond}}

// calendars are the forms of times with a date. Those without a zone come last.
var calendars = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 -0700"}

var localCalendars = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006/01/02 15:04:05", "2006/1/2 15:04:05", "2006-01-02 15:04", "2006/1/2 15:04"}

// instant reads the time of a row. Its errors are the row's.
func (file *requestFile) instant(f *requestFields) time.Duration {
	text := f.of["time"]
	at, clock := readClock(text, file.zone)
	switch {
	case clock == unknownClock:
		f.fail("time", "%q is neither a number of seconds, as 12.5, nor milliseconds since 1970, nor a time as 2008-10-23 05:53:05 or 2026-10-01T12:00:00+08:00", text)
	case file.clock == unknownClock:
		file.clock = clock
	case clock != file.clock:
		f.fail("time", "%q is a date or a number, and the rows before have the other", text)
	}
	return at
}

func readClock(text string, zone *time.Location) (at time.Duration, c clock) {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		return readNumber(text, v)
	}
	for _, form := range calendars {
		if t, err := time.Parse(form, text); err == nil && inRange(t) {
			return time.Duration(t.UnixNano()), calendarClock
		}
	}
	for _, form := range localCalendars { // a fraction of a second is read in any form
		if t, err := time.ParseInLocation(form, text, zone); err == nil && inRange(t) {
			return time.Duration(t.UnixNano()), calendarClock
		}
	}
	return 0, unknownClock
}

func readNumber(text string, v float64) (at time.Duration, c clock) {
	for _, e := range epochUnits {
		if v >= e.least && v < e.most {
			if whole, err := strconv.ParseInt(text, 10, 64); err == nil { // a float would round nanoseconds
				return time.Duration(whole) * e.unit, numberClock
			}
			return time.Duration(v * float64(e.unit)), numberClock
		}
	}
	return 0, unknownClock
}

// inRange says whether the nanoseconds between a time and any other in range fit a
// time.Duration, which holds 292 years.
func inRange(t time.Time) bool { return t.Year() >= 1900 && t.Year() < 2190 }
