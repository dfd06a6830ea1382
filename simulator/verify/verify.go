// Package verify proves the instrument. Queueing theory and published figures say what the load generator and the
// search for a capacity must measure, and the package compares. Most checks run in virtual time, through the plans, the
// recorder and the search of a real run. Only the calls and their answers are a model.
package verify

import (
	"context"
	"fmt"
	"math"

	"github.com/hexbid/hexbid/simulator/capacity"
)

// Check is one figure and its expected value.
type Check struct {
	Name      string  `json:"name"`
	Expected  float64 `json:"expected"`
	Measured  float64 `json:"measured"`
	Tolerance float64 `json:"tolerance"` // relative to the expected value; absolute where that is 0
	Unit      string  `json:"unit"`      // s, /s, or empty
	Source    string  `json:"source"`
}

// OK reports whether the figure is within its tolerance.
func (c *Check) OK() bool {
	off := math.Abs(c.Measured - c.Expected)
	if c.Expected != 0 {
		off /= math.Abs(c.Expected)
	}
	return off <= c.Tolerance // false for NaN
}

// All makes every check. Equal seeds give equal figures, except for the checks in real time. An error comes from the
// machine or from an ended context, never from a check that misses.
func All(ctx context.Context, seed uint64) ([]Check, error) {
	checks, err := inVirtualTime(ctx, seed)
	if err != nil {
		return nil, err
	}
	made, err := inRealTime(ctx)
	return append(checks, made...), err
}

// inVirtualTime makes the checks that do not read the clock. They judge the instrument alone, however busy the machine
// is.
func inVirtualTime(ctx context.Context, seed uint64) ([]Check, error) {
	checks := queues(seed)
	checks = append(checks, arrivals(seed)...)
	checks = append(checks, omission(seed)...)
	for _, more := range []func(context.Context, uint64) ([]Check, error){objective, stalls, scalability} {
		made, err := more(ctx, seed)
		if err != nil {
			return nil, err
		}
		checks = append(checks, made...)
	}
	return checks, nil
}

// Format writes a figure of the check for people.
func (c *Check) Format(v float64) string {
	switch c.Unit {
	case "s":
		return capacity.FormatSeconds(v)
	case "/s":
		return fmt.Sprintf("%.4g/s", v)
	}
	return fmt.Sprintf("%.4g", v)
}
