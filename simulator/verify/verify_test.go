package verify

import (
	"math"
	"testing"
)

func TestTheInstrumentMeasuresWhatItMust(t *testing.T) {
	checks, err := All(t.Context(), 1)
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

func TestACheckMissesWhatIsOff(t *testing.T) {
	for _, c := range []Check{{Expected: 1, Measured: 1.2, Tolerance: 0.1}, {Expected: 0, Measured: 1.1, Tolerance: 1}, {Expected: 1, Measured: math.NaN(), Tolerance: 1}} {
		if c.OK() {
			t.Errorf("%+v passes", c)
		}
	}
}
