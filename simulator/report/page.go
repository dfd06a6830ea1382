package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/hexbid/hexbid/simulator/capacity"
	"github.com/hexbid/hexbid/simulator/load"
)

// Apache ECharts 5.6.0, the common build, Apache License 2.0; see NOTICE. It
// stands in every page, so that the page needs no network.
//
//go:embed assets/echarts.common.min.js
var echarts string

//go:embed page.html.tmpl
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"measure": capacity.Format,
	"seconds": capacity.FormatSeconds,
	"percent": func(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) },
	"rate":    func(v float64) string { return fmt.Sprintf("%.0f", v) },
}).Parse(pageText))

// view is what the template shows.
type view struct {
	*Run
	Library template.JS
	Charts  []chart
	Map     *hexMap
	Tiles   []tile
	Times   times
	Names   []string // of the measures that are no times, in order
}

// chart is a picture of the library's, by its options.
type chart struct {
	ID, Title, Says string
	Options         template.JS
}

// tile is one figure in large.
type tile struct{ Name, Value string }

// times are the measures of time in a table.
type times struct {
	Columns []string
	Rows    []struct {
		Name  string
		Cells []string
	}
}

// split parts the measures of time from the names of the others.
func (l *Load) split() (t times, others []string) {
	for _, p := range load.Percentiles {
		t.Columns = append(t.Columns, load.PercentileName(p))
	}
	t.Columns = append(t.Columns, "max", "mean")
	inTable := map[string]bool{}
	for _, row := range []struct{ prefix, name string }{{"", "response, from the plan"}, {"service_", "service, from the send"}, {"server_", "server's own"}, {"lag_", "generator's lag"}} {
		var cells []string
		for _, column := range t.Columns {
			name := row.prefix + column
			inTable[name] = true
			if v, measured := l.Measures[name]; measured {
				cells = append(cells, capacity.FormatSeconds(v))
			} else {
				cells = append(cells, "–")
			}
		}
		t.Rows = append(t.Rows, struct {
			Name  string
			Cells []string
		}{row.name, cells})
	}
	for name := range l.Measures {
		if !inTable[name] {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return t, others
}

// WritePage writes the page.
func (r *Run) WritePage(w io.Writer) error {
	v := view{Run: r, Library: template.JS(echarts)}
	if r.Load != nil {
		v.Tiles = r.Load.tiles()
		v.Times, v.Names = r.Load.split()
		var err error
		if v.Map, err = newMap(r.Load.Answers); err != nil {
			return err
		}
	}
	if r.Capacity != nil {
		v.Tiles = r.Capacity.tiles()
	}
	for _, picture := range r.pictures() {
		options, err := json.Marshal(picture.options())
		if err != nil {
			return fmt.Errorf("chart %q: %w", picture.title, err)
		}
		v.Charts = append(v.Charts, chart{ID: "chart" + fmt.Sprint(len(v.Charts)), Title: picture.title, Says: picture.says, Options: template.JS(options)})
	}
	return page.Execute(w, v)
}

func (l *Load) tiles() []tile {
	m := l.Measures
	all := []tile{{"asked a second", rate(m["asked"])}, {"answered a second", rate(m["reached"])}}
	for _, name := range []string{"p50", "p99", "p99.9", "service_p99", "server_p99", "errors", "dropped", "fill"} {
		if v, measured := m[name]; measured {
			all = append(all, tile{strings.ReplaceAll(name, "_", " "), capacity.Format(name, v)})
		}
	}
	if v, measured := m["price"]; measured {
		all = append(all, tile{"price of a click", fmt.Sprintf("%.2f", v)})
	}
	return all
}

func (c *Capacity) tiles() []tile {
	all := []tile{{"holds at", rate(c.Low) + " /s"}}
	if c.High > 0 {
		all = append(all, tile{"fails at", rate(c.High) + " /s"})
	}
	m := c.atLow()
	for _, name := range []string{"p50", "p99", "p99.9", "service_p99"} {
		if v, measured := m[name]; measured {
			all = append(all, tile{name + " there", capacity.Format(name, v)})
		}
	}
	if c.Law != nil {
		all = append(all, tile{"σ, waiting", fmt.Sprintf("%.3f", c.Law.Sigma)}, tile{"κ, agreeing", fmt.Sprintf("%.2g", c.Law.Kappa)})
	}
	return all
}

func rate(v float64) string { return fmt.Sprintf("%.0f", v) }
