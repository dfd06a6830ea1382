// Package capacity finds the highest rate at which a server keeps an objective, and how its throughput grows with
// concurrency. It decides by measures and makes no calls itself: its caller passes in a probe that makes them. So the
// tests prove the same search against queues whose capacity is known.
package capacity

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/load"
)

// Condition compares a measure with a bound, as "p99<5ms".
type Condition struct {
	Measure string
	Op      string // < <= > >=
	Bound   float64
	text    string
}

// String returns the condition as it was written.
func (c *Condition) String() string { return c.text }

// Kind says what the values of a measure are.
type Kind uint8

// The kinds, and how a bound of each is written.
const (
	Span   Kind = iota // 5ms
	Share              // 0.1% or 0.001
	Number             // 1000
)

// measures are the measures that a condition may name, apart from times.
var measures = map[string]Kind{
	"errors": Share, "dropped": Share, "answered": Share, "fill": Share, "skipped": Share,
	"asked": Number, "reached": Number, "price": Number, "generator_busy": Share,
}

var families = []string{"", "service_", "server_", "lag_"}

func kindOf(measure string) (k Kind, known bool) {
	if k, known := measures[measure]; known {
		return k, true
	}
	for _, family := range families {
		base, of := strings.CutPrefix(measure, family)
		if of && (base == "mean" || base == "max" || slices.ContainsFunc(load.Percentiles,
			func(p float64) bool { return load.PercentileName(p) == base })) {
			return Span, true
		}
	}
	return 0, false
}

// KindOf returns the kind of a measure. An unknown measure counts as a time.
func KindOf(measure string) Kind {
	k, _ := kindOf(measure)
	return k
}

// IsMeasure reports whether a measure has that name.
func IsMeasure(name string) bool {
	_, known := kindOf(name)
	return known
}

// Names lists the measures for people.
const Names = "p50, p75, p90, p95, p99, p99.9, p99.99, mean and max, also after service_, server_ and lag_; errors, " +
	"dropped, answered, fill, skipped and generator_busy (shares); asked and reached (a second); price"

// ParseConditions reads conditions separated by commas. Its error is Invalid and names the field.
func ParseConditions(field, text string) (conditions []Condition, err error) {
	for part := range strings.SplitSeq(text, ",") {
		c, err := parseCondition(strings.TrimSpace(part))
		if err != nil {
			return nil, hexbid.Invalidf(field, "%q: %s", part, err)
		}
		conditions = append(conditions, c)
	}
	return conditions, nil
}

func parseCondition(text string) (Condition, error) {
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return Condition{}, fmt.Errorf("it has neither < nor >: write it like p99<5ms")
	}
	c := Condition{Measure: strings.TrimSpace(text[:at]), Op: text[at : at+1], text: text}
	bound := text[at+1:]
	if rest, equal := strings.CutPrefix(bound, "="); equal {
		c.Op, bound = c.Op+"=", rest
	}
	k, known := kindOf(c.Measure)
	if !known {
		return c, fmt.Errorf("there is no measure %q: the measures are %s", c.Measure, Names)
	}
	var err error
	c.Bound, err = parseBound(k, strings.TrimSpace(bound))
	return c, err
}

func parseBound(k Kind, text string) (float64, error) {
	switch k {
	case Span:
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%q is not a length of time: write it like 5ms, 800us or 1.5s", text)
		}
		return d.Seconds(), nil
	case Share:
		digits, percent := strings.CutSuffix(text, "%")
		v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if percent {
			v /= 100
		}
		if err != nil || !(v >= 0 && v <= 1) {
			return 0, fmt.Errorf("%q is not a share: write it like 0.1%% or 0.001", text)
		}
		return v, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0) {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return v, nil
}

// Holds reports whether a condition holds. It returns an error when the measure is missing.
func (c *Condition) Holds(m load.Measures) (bool, error) {
	v, measured := m[c.Measure]
	if !measured {
		return false, fmt.Errorf("%s: %s was not measured", c.text, c.Measure)
	}
	switch c.Op {
	case "<":
		return v < c.Bound, nil
	case "<=":
		return v <= c.Bound, nil
	case ">":
		return v > c.Bound, nil
	}
	return v >= c.Bound, nil
}

// Format writes a measure for people.
func Format(measure string, v float64) string {
	switch KindOf(measure) {
	case Span:
		return FormatSeconds(v)
	case Share:
		return fmt.Sprintf("%.3g %%", 100*v)
	}
	return fmt.Sprintf("%.4g", v)
}

// FormatSeconds writes a time with three digits.
func FormatSeconds(s float64) string {
	switch {
	case s >= 1:
		return fmt.Sprintf("%.3g s", s)
	case s >= 1e-3:
		return fmt.Sprintf("%.3g ms", 1e3*s)
	}
	return fmt.Sprintf("%.3g µs", 1e6*s)
}
