package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/hexbid/hexbid/simulator/verify"
)

func printChecks(w io.Writer, checks []verify.Check) {
	var t table
	t.add("VERDICT", "CHECK", "EXPECTED", "MEASURED", "TOLERANCE", "SOURCE")
	for i := range checks {
		c := &checks[i]
		verdict, tolerance := "ok", fmt.Sprintf("%.3g %%", 100*c.Tolerance)
		if !c.OK() {
			verdict = "MISSED"
		}
		if c.Expected == 0 {
			tolerance = c.Format(c.Tolerance)
		}
		t.add(verdict, c.Name, c.Format(c.Expected), c.Format(c.Measured), tolerance, c.Source)
	}
	t.print(w)
}

func printChecksJSON(w io.Writer, checks []verify.Check) error {
	type judged struct {
		verify.Check
		OK bool `json:"ok"`
	}
	all := make([]judged, len(checks))
	for i := range checks {
		all[i] = judged{checks[i], checks[i].OK()}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(all)
}
