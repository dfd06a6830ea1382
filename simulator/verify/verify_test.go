package verify

import (
	"math"
	"testing"
)

func TestTheInstrumentMeasuresWhatItMust(t *testing.T) {
	checks, err := inVirtualTime(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range checks {
		c := &checks[i]
		t.Logf("%-70s %12s %12s  ±%g %v", c.Name, c.Format(c.Expected), c.Format(c.Measured), c.Tolerance, c.OK())
		if !c.OK() {
			t.Errorf("%s: %s, expected %s", c.Name, c.Format(c.Measured), c.Format(c.Expected))
		}
	}
}

// TestAStandstillShowsInRealTime holds on any machine: a busy machine only lengthens the time from the planned send.
func TestAStandstillShowsInRealTime(t *testing.T) {
	checks, err := inRealTime(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := &checks[0]; c.Measured < c.Expected*(1-c.Tolerance) {
		t.Errorf("%s: %s, expected at least %s", c.Name, c.Format(c.Measured), c.Format(c.Expected))
	}
}

func TestACheckMissesWhatIsOff(t *testing.T) {
	for _, c := range []Check{{Expected: 1, Measured: 1.2, Tolerance: 0.1}, {Expected: 0, Measured: 1.1, Tolerance: 1},
		{Expected: 1, Measured: math.NaN(), Tolerance: 1}} {
		if c.OK() {
			t.Errorf("%+v passes", c)
		}
	}
}
