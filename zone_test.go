package hexbid

import (
	"strings"
	"testing"
)

// TestAZoneIsGivenByName: a name that means a different zone on each machine is refused, also when it is asked for
// again.
func TestAZoneIsGivenByName(t *testing.T) {
	for range 2 {
		for _, name := range []string{"", "Local", "Mars/Olympus", "asia"} {
			zone, err := TimeZone("--zone", name)
			if zone != nil || KindOf(err) != Invalid || !strings.HasPrefix(err.Error(), "--zone") ||
				!strings.Contains(err.Error(), DefaultTimeZone) {
				t.Errorf("%q: %v, %v", name, zone, err)
			}
		}
		for _, name := range []string{DefaultTimeZone, "UTC", "Asia/Kathmandu"} {
			if zone, err := TimeZone("--zone", name); err != nil || zone.String() != name {
				t.Errorf("%q: %v, %v", name, zone, err)
			}
		}
	}
}
