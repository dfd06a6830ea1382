package report

import (
	"fmt"

	"github.com/hexbid/hexbid/simulator/capacity"
)

// mostConditions is the most conditions that get a picture each.
const mostConditions = 4

var ofRate = axis{Name: "searches a second asked", Unit: "rate"}

// pictures returns the pictures of a search for a capacity, in the order of the page.
func (c *Capacity) pictures() (all []*picture) {
	conditions, err := capacity.ParseConditions("objective", c.Objective)
	if err != nil {
		conditions = nil // a newer program wrote it: show the rest
	}
	for i := range conditions[:min(len(conditions), mostConditions)] {
		all = append(all, c.objectivePicture(&conditions[i]))
	}
	all = append(all, c.orderPicture(), c.latencyPicture())
	if c.Law != nil {
		all = append(all, c.lawPicture())
	}
	return all
}

// interval draws the capacity as a band, or as a line when the upper end is missing.
func (c *Capacity) interval(p *picture, on string) {
	switch {
	case c.Low > 0 && c.High > 0:
		p.Bands = append(p.Bands, band{Name: fmt.Sprintf("capacity %.0f to %.0f /s", c.Low, c.High), Axis: on,
			From: round(c.Low), To: round(c.High)})
	case c.Low > 0:
		p.Lines = append(p.Lines, line{fmt.Sprintf("holds at %.0f /s", c.Low), on, round(c.Low)})
	}
}

// objectivePicture shows the measure of a condition at every rate that was tried.
func (c *Capacity) objectivePicture(condition *capacity.Condition) *picture {
	unit := unitOf(condition.Measure)
	p := &picture{ID: "objective " + condition.String(), Title: "The objective " + condition.String(),
		Says: "Each try is a point with its number, at its rate. The line is the objective. The band is the capacity: " +
			"below the band the objective holds, above it the objective fails, and inside it chance decides.",
		X: ofRate, Y: axis{Name: condition.Measure, Unit: unit, Log: unit == "seconds"}}
	p.Lines = []line{{condition.String(), "y", condition.Bound}}
	c.interval(p, "x")
	p.Curves = c.dots(p, func(i int, t *capacity.Try) (at [2]float64, known bool) {
		v, measured := t.Measures[condition.Measure]
		return [2]float64{t.PerSecond, v}, measured
	})
	return p
}

// unitOf returns the unit of a measure.
func unitOf(measure string) string {
	return [...]string{capacity.Span: "seconds", capacity.Share: "share",
		capacity.Number: "count"}[capacity.KindOf(measure)]
}

// orderPicture shows how the search went.
func (c *Capacity) orderPicture() *picture {
	p := &picture{ID: "order", Title: "The search, try by try",
		Says: "The rate of each try in order: a climb until the objective fails, then narrowing, then repeats at both ends.",
		X:    axis{Name: "try", Unit: "count"}, Y: axis{Name: "searches a second", Unit: "rate", Log: true}}
	c.interval(p, "y")
	path := curve{Name: "in order", Tone: "quiet"}
	for i := range c.Tries {
		path.add(p, float64(i+1), c.Tries[i].PerSecond)
	}
	p.Curves = append([]curve{path}, c.dots(p, func(i int, t *capacity.Try) ([2]float64, bool) {
		return [2]float64{float64(i + 1), t.PerSecond}, true
	})...)
	return p
}

// dots returns the tries as points, one curve for each verdict.
func (c *Capacity) dots(p *picture, at func(i int, t *capacity.Try) ([2]float64, bool)) []curve {
	curves := []curve{{Name: "held", Look: "dots", Tone: "good"}, {Name: "missed", Look: "dots", Tone: "bad"},
		{Name: "no verdict", Look: "dots", Tone: "unsure"}}
	for i := range c.Tries {
		t := &c.Tries[i]
		xy, known := at(i, t)
		if !known || !p.X.shows(xy[0]) || !p.Y.shows(xy[1]) {
			continue
		}
		verdict := &curves[1]
		switch {
		case t.Held:
			verdict = &curves[0]
		case t.Limited != "":
			verdict = &curves[2]
		}
		verdict.Points = append(verdict.Points, point{[2]float64{round(xy[0]), round(xy[1])}, fmt.Sprint(i + 1),
			saysTry(i, t)})
	}
	kept := curves[:0]
	for _, c := range curves {
		if len(c.Points) > 0 {
			kept = append(kept, c)
		}
	}
	return kept
}

// saysTry returns the text for a reader who points at a try.
func saysTry(i int, t *capacity.Try) string {
	says := fmt.Sprintf("Try %d, %s: %.0f a second, p50 %s, p99 %s\n", i+1, t.Phase, t.PerSecond,
		capacity.FormatSeconds(t.Measures["p50"]), capacity.FormatSeconds(t.Measures["p99"]))
	switch {
	case t.Held:
		says += "held"
	case t.Limited != "":
		says += "no verdict: " + t.Limited
	default:
		says += "missed: " + t.Missed
	}
	if t.Decision != "" {
		says += "\n" + t.Decision
	}
	return says
}

func (c *Capacity) latencyPicture() *picture {
	p := &picture{ID: "latency", Title: "Latency against rate",
		Says: "Response times at each rate that was tried, each try a point.", X: ofRate, Y: ofResponse}
	c.interval(p, "x")
	for _, name := range []string{"p50", "p99", "p99.9"} {
		dots := curve{Name: name, Look: "dots"}
		for _, t := range c.Tries {
			dots.add(p, t.PerSecond, t.Measures[name])
		}
		p.Curves = append(p.Curves, dots)
	}
	return p
}

func (c *Capacity) lawPicture() *picture {
	p := &picture{ID: "law", Title: "Throughput against concurrency",
		Says: "Closed loops: callers who each wait for their answer, and the scalability law fitted to them.",
		X:    axis{Name: "callers", Unit: "count", Log: true}, Y: axis{Name: "answers a second", Unit: "rate"}}
	measured, law := curve{Name: "measured", Look: "dots"}, curve{Name: "scalability law"}
	most := 0.0
	for _, l := range c.Loads {
		measured.add(p, l.Callers, l.PerSecond)
		most = max(most, l.Callers)
	}
	for n := 1.0; n <= most*1.5; n *= 1.08 {
		law.add(p, n, c.Law.At(n))
	}
	p.Curves = []curve{law, measured}
	return p
}
