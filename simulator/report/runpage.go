package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/capacity"
	"github.com/hexbid/hexbid/simulator/load"
)

// CompareWith makes the page show an older run beside this one. It returns an Invalid error for a run of another kind.
func (r *Run) CompareWith(old *Run) error {
	if old.Kind != r.Kind {
		return hexbid.Invalidf("compare", "it is a run of %q, this is one of %q: compare runs of one kind", old.Kind, r.Kind)
	}
	r.compared = old
	return nil
}

// WritePage writes the page.
func (r *Run) WritePage(w io.Writer) error {
	p := &page{Title: "Hexbid " + r.Kind, Verdict: r.Verdict(), Gates: r.Gates, Warnings: r.warnings(),
		Says: fmt.Sprintf("hexbid simulate %s, %s, %.0f s against %s", r.Kind, r.Started.Format("2006-01-02 15:04:05 MST"),
			r.Seconds, r.Server)}
	pictures := r.pictures()
	var before load.Measures
	if old := r.compared; old != nil {
		p.Compared = fmt.Sprintf("the run of %s, %s. %s", old.Started.Format("2006-01-02 15:04:05 MST"),
			old.Command, old.Verdict())
		pictures, before = overlaid(pictures, old.pictures()), old.figures()
	}
	p.Tiles = tiles(r.figures(), before, r.tileNames(), r.comparable)
	p.Tables = r.tables()
	if r.Load != nil {
		var err error
		if p.Map, err = newMap(r.Load.Answers); err != nil {
			return err
		}
	}
	return p.write(w, pictures)
}

// comparable reports whether a measure of the run and of the baseline can be judged.
func (r *Run) comparable(measure string) bool {
	return r.compared != nil && r.unjudged(measure) == "" && r.compared.unjudged(measure) == ""
}

// pictures returns the pictures of the run.
func (r *Run) pictures() (all []*picture) {
	if r.Load != nil {
		all = append(all, r.Load.pictures()...)
	}
	if r.Capacity != nil {
		all = append(all, r.Capacity.pictures()...)
	}
	return all
}

func (r *Run) warnings() (all []string) {
	if r.Interrupted {
		all = append(all, "Interrupted: the figures cover the time until then.")
	}
	return all
}

// figures returns the measures of the run and the figures that only its page names.
func (r *Run) figures() load.Measures {
	m := load.Measures{}
	for name, v := range r.measures() {
		m[name] = v
	}
	if l := r.Load; l != nil && l.Vitals != nil {
		for i := range l.Vitals.Stretches {
			s := &l.Vitals.Stretches[i]
			m["server's CPU, cores"] = max(m["server's CPU, cores"], s.CPU)
		}
	}
	if c := r.Capacity; c != nil {
		m["holds at"], m["fails at"] = c.Low, c.High
		if c.Law != nil {
			m["σ, waiting"], m["κ, agreeing"] = c.Law.Sigma, c.Law.Kappa
		}
	}
	return m
}

// named is a figure for a tile.
type named struct {
	name, says string
	direction  int // 1 where more is better, -1 where less is better, 0 where neither is
}

func (r *Run) tileNames() []named {
	if r.Capacity != nil {
		return []named{{"holds at", "a second holds", 1}, {"fails at", "a second fails", 1}, {"p50", "p50 there", -1},
			{"p99", "p99 there", -1}, {"p99.9", "p99.9 there", -1},
			{"service_p99", "service p99 there", -1}, {"σ, waiting", "σ, waiting", -1}, {"κ, agreeing", "κ, agreeing", -1}}
	}
	return []named{{"asked", "asked a second", 0}, {"reached", "answered a second", 1}, {"p50", "p50", -1},
		{"p99", "p99", -1}, {"p99.9", "p99.9", -1}, {"service_p99", "service p99", -1},
		{"server_p99", "server's own p99", -1}, {"errors", "errors", -1}, {"dropped", "dropped", -1},
		{"fill", "fill rate", 1}, {"price", "price of a click", 0}, {"server's CPU, cores", "server's CPU, most cores", -1}}
}

// tiles returns the figures that were measured, beside those of a baseline if there is one.
func tiles(now, before load.Measures, which []named, comparable func(measure string) bool) (all []tile) {
	for _, n := range which {
		v, measured := now[n.name]
		if !measured || n.name == "fails at" && v == 0 {
			continue
		}
		t := tile{Name: n.says, Value: capacity.Format(n.name, v)}
		if !capacity.IsMeasure(n.name) {
			t.Value = fmt.Sprintf("%.3g", v)
			if math.Abs(v) >= 100 {
				t.Value = fmt.Sprintf("%.0f", v)
			}
		}
		if old, known := before[n.name]; known {
			if !comparable(n.name) {
				n.direction = 0
			}
			t.Was = n.beside(v, old)
		}
		all = append(all, t)
	}
	return all
}

// same is the share by which a figure may differ without being called better or worse.
const same = 0.02

// beside shows the value in the baseline, and whether the figure got better or worse.
func (n *named) beside(now, old float64) *was {
	written := fmt.Sprintf("%.4g", old)
	if capacity.IsMeasure(n.name) {
		written = capacity.Format(n.name, old)
	}
	if old == 0 {
		return &was{Says: "was " + written}
	}
	ratio := now / old
	w := &was{Says: fmt.Sprintf("× %.3g, was %s", ratio, written)}
	if n.direction != 0 && (ratio > 1+same || ratio < 1-same) {
		w.Class = "worse"
		if (ratio > 1) == (n.direction > 0) {
			w.Class = "better"
		}
	}
	return w
}

func (r *Run) tables() (all []dataTable) {
	if r.Capacity != nil {
		all = append(all, r.Capacity.table())
	}
	if r.Load != nil {
		if len(r.Load.Failures) > 0 {
			all = append(all, r.Load.failuresTable())
		}
		all = append(all, r.Load.measuresTable())
	}
	return append(all, r.howTable())
}

func (c *Capacity) table() dataTable {
	t := dataTable{Title: "Rates tried, in order", Head: []string{"try", "a second", "phase", "objective", "p50", "p99",
		"p99.9", "why", "what followed"}}
	for i := range c.Tries {
		try := &c.Tries[i]
		verdict, class := "held", "ok"
		if !try.Held {
			verdict, class = "missed", "miss"
		}
		row := texts(fmt.Sprint(i+1), fmt.Sprintf("%.0f", try.PerSecond), try.Phase, verdict,
			capacity.FormatSeconds(try.Measures["p50"]), capacity.FormatSeconds(try.Measures["p99"]),
			capacity.FormatSeconds(try.Measures["p99.9"]), strings.TrimSpace(try.Missed+" "+try.Limited), try.Decision)
		row[1].Class, row[3].Class, row[7].Class, row[8].Class = "number", class, "wide", "wide"
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (l *Load) failuresTable() dataTable {
	t := dataTable{Title: "Failures", Head: []string{"code", "calls", "the first said"}}
	for _, f := range l.Failures {
		t.Rows = append(t.Rows, []tableCell{{Text: f.Code}, {Text: fmt.Sprint(f.Calls)}, {Text: f.Message, Class: "wide"}})
	}
	return t
}

// measuresTable lists the times by percentile, and the other measures below them.
func (l *Load) measuresTable() dataTable {
	t := dataTable{Title: "Measures", Head: []string{""}}
	var columns []string
	for _, p := range load.Percentiles {
		columns = append(columns, load.PercentileName(p))
	}
	columns = append(columns, "max", "mean")
	t.Head = append(t.Head, columns...)
	inTable := map[string]bool{}
	for _, row := range []struct{ prefix, name string }{{"", "response, from the plan"},
		{"service_", "service, from the send"}, {"server_", "server's own"}, {"lag_", "generator's lag"}} {
		cells := texts(row.name)
		for _, column := range columns {
			name, text := row.prefix+column, "–"
			inTable[name] = true
			if v, measured := l.Measures[name]; measured {
				text = capacity.FormatSeconds(v)
			}
			cells = append(cells, tableCell{Text: text})
		}
		t.Rows = append(t.Rows, cells)
	}
	for name, v := range l.Measures {
		if !inTable[name] {
			t.Pairs = append(t.Pairs, tile{Name: name, Value: capacity.Format(name, v)})
		}
	}
	slices.SortFunc(t.Pairs, func(a, b tile) int { return strings.Compare(a.Name, b.Name) })
	return t
}

func (r *Run) howTable() dataTable {
	machine := fmt.Sprintf("%s, %d cores, %s", r.Machine.CPU, r.Machine.Cores, r.Machine.OS)
	if r.Machine.GeneratorCores != "" {
		machine += "; generator on cores " + r.Machine.GeneratorCores
	}
	if r.Machine.ServerCores != "" {
		machine += "; server on cores " + r.Machine.ServerCores
	}
	t := dataTable{Title: "How it was measured",
		Rows: [][]tableCell{{{Text: "command"}, {Text: r.Command, Class: "wide", Code: true}},
			texts("version", r.Version+", "+r.Machine.Go), {{Text: "machine"}, {Text: machine, Class: "wide"}},
			texts("seed", fmt.Sprint(r.Seed))}}
	note := func(name, text string) {
		t.Rows = append(t.Rows, []tableCell{{Text: name}, {Text: text, Class: "wide"}})
	}
	if l := r.Load; l != nil {
		note("curve", fmt.Sprintf("%s; %.0f s of warm-up; at most %d in flight", l.Curve, l.WarmUp, l.MaxInFlight))
		if l.Vitals != nil {
			says := "the server's own figures are of " + l.Vitals.URL + ", once a second"
			if l.Vitals.Missed > 0 {
				says += fmt.Sprintf("; %d readings failed, the last: %s", l.Vitals.Missed, l.Vitals.Said)
			}
			note("metrics", says)
		}
	}
	for _, text := range r.Notes {
		note("note", text)
	}
	return t
}
