package cli

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// dayNames are the names of days in files, by the day's number in the contract.
var dayNames = []string{1: "mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// nextDay returns the next day. Monday follows Sunday.
func nextDay(day int) int { return day%7 + 1 }

// parseHours reads a run such as "mon-fri 11-14" and "sat,sun 0-24". A run without days is for every day. A run whose
// end is not after its start goes past midnight and belongs to the day that it begins on: "fri 22-2" ends on Saturday.
func parseHours(run string) (all []*pb.WeeklyHours, err error) {
	words := strings.Fields(strings.ToLower(run))
	if len(words) == 1 {
		words = []string{"mon-sun", words[0]}
	}
	if len(words) != 2 {
		return nil, wrongHours(run)
	}
	days, err := parseDays(words[0])
	from, to, ok := strings.Cut(words[1], "-")
	start, err1 := parseWhole(from)
	end, err2 := parseWhole(to)
	if err != nil || !ok || err1 != nil || err2 != nil || start < 0 || start > 23 || end < 0 || end > 24 || start == end {
		return nil, wrongHours(run)
	}
	for _, day := range days {
		all = append(all, hoursFrom(day, start, end)...)
	}
	return all, nil
}

func wrongHours(run string) error {
	return fmt.Errorf("%q is not a run of hours: write it as mon-fri 11-14, as 9-18 for every day, or as fri 22-2 to go "+
		"past midnight", hexbid.Shorten(run))
}

// hoursFrom returns a run that begins on a day. A run past midnight has two parts.
func hoursFrom(day int, start, end int32) []*pb.WeeklyHours {
	if end > start {
		return []*pb.WeeklyHours{{Day: pb.DayOfWeek(day), StartHour: start, EndHour: end}}
	}
	parts := []*pb.WeeklyHours{{Day: pb.DayOfWeek(day), StartHour: start, EndHour: 24}}
	if end > 0 {
		parts = append(parts, &pb.WeeklyHours{Day: pb.DayOfWeek(nextDay(day)), StartHour: 0, EndHour: end})
	}
	return parts
}

// hoursNodes writes equal hours on consecutive days as one run.
func hoursNodes(hours []*pb.WeeklyHours) (runs []*yaml.Node) {
	for i := 0; i < len(hours); {
		last := i
		for last+1 < len(hours) && last-i < 6 && follows(hours[last], hours[last+1]) {
			last++
		}
		days := dayName(hours[i].GetDay())
		if last > i {
			days += "-" + dayName(hours[last].GetDay())
		}
		runs = append(runs, textNode(fmt.Sprintf("%s %d-%d", days, hours[i].GetStartHour(), hours[i].GetEndHour())))
		i = last + 1
	}
	return runs
}

func follows(a, b *pb.WeeklyHours) bool {
	return a.GetStartHour() == b.GetStartHour() && a.GetEndHour() == b.GetEndHour() &&
		int(b.GetDay()) == nextDay(int(a.GetDay()))
}

func dayName(day pb.DayOfWeek) string {
	if day < 1 || int(day) >= len(dayNames) {
		return fmt.Sprint(int(day))
	}
	return dayNames[day]
}

// parseDays reads "mon", "mon-fri" and "sat,sun". A range may go past Sunday.
func parseDays(s string) (days []int, err error) {
	for _, part := range strings.Split(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, last := slices.Index(dayNames, from), slices.Index(dayNames, to)
		if first < 1 || last < 1 {
			return nil, fmt.Errorf("%q is not a day", part)
		}
		for day := first; ; day = nextDay(day) {
			days = append(days, day)
			if day == last {
				break
			}
		}
	}
	return days, nil
}
