package cli

import (
	"strconv"
	"time"
)

// clock says what the times of a file count from. All times of a file must count from the same: next to a time of day a
// number such as "12.5" would lie decades away.
type clock uint8

const (
	unknownClock clock = iota
	numberClock        // seconds from any start, or some unit since the Unix epoch
	calendarClock
)

// Units of numbers since the Unix epoch. The size of a number tells its unit: from 1973 to 2255 no two units overlap.
var epochUnits = []struct {
	least, most float64
	unit        time.Duration
}{{0, 9e9, time.Second}, {1e11, 9e12, time.Millisecond}, {1e14, 9e15, time.Microsecond}, {1e17, 9e18, time.Nanosecond}}

// calendars are the forms of times with a date. The forms without a zone come last.
var calendars = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05 Z07:00",
	"2006-01-02 15:04:05 -0700"}

var localCalendars = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006/01/02 15:04:05", "2006/1/2 15:04:05",
	"2006-01-02 15:04", "2006/1/2 15:04"}

// instant reads the time of a row. Errors are recorded with the row.
func (file *requestFile) instant(f *requestFields) time.Duration {
	text := f.of["time"]
	at, clock := readClock(text, file.zone)
	switch {
	case clock == unknownClock:
		f.fail("time", "%q is neither a number of seconds, as 12.5, nor milliseconds since 1970, nor a time as 2008-10-23 "+
			"05:53:05 or 2026-10-01T12:00:00+08:00", text)
	case file.clock == unknownClock:
		file.clock = clock
	case clock != file.clock:
		f.fail("time", "%q is a date where the rows before have numbers, or the reverse", text)
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
	for _, form := range localCalendars { // every form accepts a fraction of a second
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

// inRange reports whether a time is near enough. A time.Duration holds 292 years, which is more than any two times in
// range are apart.
func inRange(t time.Time) bool { return t.Year() >= 1900 && t.Year() < 2190 }
