package cli

import (
	"fmt"
	"strings"
	"testing"
)

// TestARunOfHoursNamesItsDays tries the ways in which files may write days, past Sunday and past midnight too.
func TestARunOfHoursNamesItsDays(t *testing.T) {
	for run, want := range map[string]string{
		"mon 9-18": "1:9-18", "Sat,Sun 0-24": "6:0-24 7:0-24", "fri-mon 1-2": "5:1-2 6:1-2 7:1-2 1:1-2",
		"sun 22-2": "7:22-24 1:0-2", "wed 22-0": "3:22-24", "8-9": "1:8-9 2:8-9 3:8-9 4:8-9 5:8-9 6:8-9 7:8-9",
	} {
		hours, err := parseHours(run)
		var got []string
		for _, h := range hours {
			got = append(got, fmt.Sprintf("%d:%d-%d", h.GetDay(), h.GetStartHour(), h.GetEndHour()))
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v; want %q", run, got, err, want)
		}
	}
	for _, run := range []string{"", "monday 9-18", "-mon 9-18", "mon- 9-18", ", 9-18", "mon, 9-18", "mon 9", "mon 9-25",
		"mon 24-1", "mon -1-2", "mon 9-9", "mon 9-10 x", "1 9-10"} {
		if hours, err := parseHours(run); err == nil {
			t.Errorf("%q: read as %v", run, hours)
		}
	}
}
