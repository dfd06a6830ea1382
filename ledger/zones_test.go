package ledger

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestADateIsKnownUntilItChanges compares what dayIn says of a span of stamps with the date at stamps within it. Zones
// are those that move their clocks by half an hour, by a whole day, at midnight, and never.
func TestADateIsKnownUntilItChanges(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	longer := 0
	for _, name := range []string{"UTC", "Asia/Shanghai", "America/Los_Angeles", "Australia/Lord_Howe", "Pacific/Apia",
		"America/Sao_Paulo", "Asia/Beirut", "Pacific/Kiritimati", "Asia/Kathmandu"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 20_000 {
			stamp := random.Int64N(time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
			d := dayIn(zone, stamp)
			if d.from != stamp || d.until <= stamp || d.date != dateIn(zone, stamp) {
				t.Fatalf("%s at %d: %+v", name, stamp, d)
			}
			for _, within := range []int64{d.until - 1, stamp + random.Int64N(d.until-stamp)} {
				if got := dateIn(zone, within); got != d.date {
					t.Fatalf("%s: %+v, but at %d it is %d", name, d, within, got)
				}
			}
			if d.until-stamp > time.Hour.Microseconds() {
				longer++
			}
		}
	}
	if longer < 100_000 {
		t.Errorf("only %d dates are known for more than an hour", longer)
	}
}
