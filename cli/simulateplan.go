package cli

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/plan"
	"github.com/hexbid/hexbid/simulator/report"
)

type simulatePlanCommand struct {
	Capacity    string `help:"run.json of hexbid simulate capacity; its figures override those of the flags." placeholder:"FILE"`
	Unconfirmed bool   `help:"Accept a run that was interrupted or has no verdict."`
	Out         string `help:"Folder for the artifact: plan.json and plan.html, a page with the regions, what changes the answer most, and costs." placeholder:"DIR"`
	plan.Inputs `embed:""`
	outputFlags `embed:""`
}

// Help returns the text of --help.
func (*simulatePlanCommand) Help() string {
	return `The defaults are the published 450 million daily users and 7 million mini-programs of the largest market. The rest are assumptions. The plan shows each with its source. Change one with a flag or in a file:

  hexbid simulate plan --capacity capacity1/run.json --out plan1
  hexbid simulate plan --per-second 9000 --measured-cores 2 --daily-users 2e6 --regions 1 --largest-share 1
  hexbid --config business.yaml simulate plan

with business.yaml as

  daily-users: 2e6
  node-price: 310`
}

// Run makes a plan and prints it.
func (c *simulatePlanCommand) Run(s *session) error {
	in := c.Inputs
	var notes []string
	if c.Capacity != "" {
		r, err := report.Read(c.Capacity)
		if err != nil {
			return fmt.Errorf("--capacity: %w", err)
		}
		if notes, err = useCapacity(&in, r, c.Unconfirmed); err != nil {
			return err
		}
	}
	p, err := plan.Make(in)
	if err != nil {
		return err
	}
	p.Warnings = append(notes, p.Warnings...)
	if c.Out != "" {
		if err := report.WritePlan(c.Out, p, commandLine(s.args), figure); err != nil {
			return err
		}
		fmt.Fprintf(s.Stderr, "Wrote %s/plan.html and plan.json\n", strings.TrimSuffix(c.Out, "/"))
	}
	if c.Output == "json" {
		return report.WritePlanJSON(s.Stdout, p)
	}
	printPlan(s.Stdout, p)
	return nil
}

// unconfirmed says why the capacity of a run was not confirmed. It returns "" when the capacity was confirmed.
func unconfirmed(r *report.Run) string {
	switch {
	case r.Interrupted:
		return "the run was interrupted: what it had found was not confirmed"
	case r.Capacity.NoVerdict != "":
		return "the run has no verdict: " + r.Capacity.NoVerdict
	case r.Capacity.High == 0:
		return "the run has no upper end"
	}
	return ""
}

// useCapacity takes over the measured figures of a run. It returns what a reader must know about them as warnings. It
// returns an Invalid error for a run without a capacity, and for an unconfirmed one unless accept is set.
func useCapacity(in *plan.Inputs, r *report.Run, accept bool) (warnings []string, err error) {
	c := r.Capacity
	if c == nil || c.Low <= 0 {
		return nil, hexbid.Invalidf("--capacity",
			"it is a run of %q without a capacity: give run.json of hexbid simulate capacity", r.Kind)
	}
	doubt := unconfirmed(r)
	if doubt != "" && !accept {
		return nil, hexbid.Invalidf("--capacity", "%s: measure again, or accept it with --unconfirmed", doubt)
	}
	in.PerSecond, in.MeasuredCores, in.ResponseBytes, in.RequestBytes = c.Low, c.ServerCores,
		c.ResponseBytes, c.RequestBytes
	if c.ServerCores == 0 {
		in.MeasuredCores = r.Machine.Cores
		warnings = append(warnings, fmt.Sprintf("the server was not pinned: the plan assumes that it did its %.0f searches "+
			"a second on all %d cores, which it shared with the generator", c.Low, r.Machine.Cores))
	}
	warnings = append(warnings, "the rate is that of the market that was measured: a larger one is slower, so measure "+
		"one of the size that you plan for")
	if doubt != "" {
		warnings = append(warnings, doubt+"; the plan takes its lower end as it is")
	}
	return warnings, nil
}

func printPlan(w io.Writer, p *plan.Plan) {
	var t table
	t.add("WHAT", "NEEDED", "", "BECAUSE")
	for _, f := range p.Figures {
		t.add(f.Name, figure(f.Value), f.Unit, f.Because)
	}
	t.print(w)
	for _, warning := range p.Warnings {
		fmt.Fprintln(w, "Warning:", warning)
	}
	fmt.Fprintln(w, "Assumptions, each a flag:")
	var a table
	for _, x := range p.Assumptions {
		a.add(x.Flag, figure(x.Value), x.Meaning, "["+x.Source+"]")
	}
	a.print(w)
}

// figure writes a number of any size for people, and a whole number with separators.
func figure(v float64) string {
	switch {
	case v != math.Trunc(v) && math.Abs(v) < 100:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case math.Abs(v) >= 1e15:
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
