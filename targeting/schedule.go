package targeting

import (
	"math"
	"time"

	"github.com/hexbid/hexbid"
)

// Schedule is a campaign's flight and hours of the week.
type Schedule struct {
	start, end int64 // Unix nanoseconds; end is excluded
	hours      WeekHours
	everyHour  bool
	zone       *time.Location
}

// CompileSchedule compiles the schedule of a valid campaign. Its error names an unknown time zone.
func CompileSchedule(c *hexbid.Campaign) (Schedule, error) {
	zone, err := c.Location()
	if err != nil {
		return Schedule{}, err
	}
	s := Schedule{start: math.MinInt64, end: math.MaxInt64, everyHour: len(c.Hours) == 0, zone: zone}
	if !c.Start.IsZero() {
		s.start = c.Start.UnixNano()
	}
	if !c.End.IsZero() {
		s.end = c.End.UnixNano()
	}
	for _, h := range c.Hours {
		for hour := h.Start; hour < h.End; hour++ {
			bit := hourOfWeek(h.Day, hour)
			s.hours[bit/64] |= 1 << (bit % 64)
		}
	}
	return s, nil
}

// hourOfWeek numbers the hours of a week from Monday's first, which is 0. Days are numbered as in hexbid.WeeklyHours.
func hourOfWeek(day, hour int) int { return (day-1)*24 + hour }

// AlwaysOn is the schedule of a campaign without flight and hours.
var AlwaysOn = Schedule{start: math.MinInt64, end: math.MaxInt64, everyHour: true, zone: time.UTC}

// IsAlwaysOn reports whether the schedule serves at every instant.
func (s *Schedule) IsAlwaysOn() bool {
	return s.everyHour && s.start == math.MinInt64 && s.end == math.MaxInt64
}

// Flight returns start and end, 0 for unbounded: Unix nanoseconds, the end excluded.
func (s *Schedule) Flight() (start, end int64) {
	if s.start != math.MinInt64 {
		start = s.start
	}
	if s.end != math.MaxInt64 {
		end = s.end
	}
	return start, end
}

// WeekHours has a bit for each hour of the week, from Monday's first.
type WeekHours [3]uint64

// Hours returns the hours of the week in which the campaign serves, all of them without hours of service.
func (s *Schedule) Hours() WeekHours {
	if s.everyHour {
		return WeekHours{^uint64(0), ^uint64(0), ^uint64(0)}
	}
	return s.hours
}

// Has reports whether a local instant is in one of the hours.
func (w *WeekHours) Has(local time.Time) bool {
	day := (int(local.Weekday())+6)%7 + 1 // Go counts from Sunday, which is 0
	bit := hourOfWeek(day, local.Hour())
	return w[bit/64]>>(bit%64)&1 == 1
}

// InFlight reports whether an instant lies between start and end.
func (s *Schedule) InFlight(at time.Time) bool {
	t := at.UnixNano()
	return t >= s.start && t < s.end
}

// InHours reports whether the campaign serves in the hour of the week that an instant falls into, in its own zone.
func (s *Schedule) InHours(at time.Time) bool {
	return s.everyHour || s.hours.Has(at.In(s.zone))
}

// On reports whether the campaign serves at an instant.
func (s *Schedule) On(at time.Time) bool { return s.InFlight(at) && s.InHours(at) }

// Quarter is the span that the index reads schedules ahead for. Every zone in use begins its hours, and changes its
// offset, on a quarter hour.
const Quarter = 15 * time.Minute

// DuringQuarter reports whether the campaign serves at some instant of the quarter hour that begins at from, and
// whether it serves at all of them.
func (s *Schedule) DuringQuarter(from time.Time) (some, all bool) {
	if !s.InHours(from) {
		return false, false
	}
	first, last := from.UnixNano(), from.Add(Quarter).UnixNano()
	some = s.start < last && s.end > first
	return some, s.start <= first && s.end >= last
}
