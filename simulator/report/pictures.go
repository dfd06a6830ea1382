package report

import (
	"math"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
)

// picture is a chart of lines or points over two axes.
type picture struct {
	title, says string
	x, y        axis
	curves      []curve
}

type axis struct {
	name string
	log  bool
}

type curve struct {
	name   string
	points [][2]float64
	dots   bool // points without a line
}

// options are the library's for the picture.
func (p *picture) options() map[string]any {
	line := charts.NewLine()
	line.SetGlobalOptions(
		charts.WithXAxisOpts(opts.XAxis{Name: p.x.name, Type: p.x.kind(), NameLocation: "middle", NameGap: 28, Min: p.x.least(), SplitLine: &opts.SplitLine{Show: opts.Bool(true)}}),
		charts.WithYAxisOpts(opts.YAxis{Name: p.y.name, Type: p.y.kind(), Min: p.y.least()}),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true), Trigger: "axis"}),
		charts.WithLegendOpts(opts.Legend{Show: opts.Bool(true), Top: "0"}),
		charts.WithGridOpts(opts.Grid{Left: "56", Right: "20", Top: "56", Bottom: "48"}),
		charts.WithAnimation(false),
	)
	for _, c := range p.curves {
		var values []opts.LineData
		for _, xy := range c.points {
			if p.x.shows(xy[0]) && p.y.shows(xy[1]) {
				values = append(values, opts.LineData{Value: []float64{round(xy[0]), round(xy[1])}})
			}
		}
		style := []charts.SeriesOpts{charts.WithLineChartOpts(opts.LineChart{ShowSymbol: opts.Bool(c.dots), SymbolSize: 7})}
		if c.dots {
			style = append(style, charts.WithLineStyleOpts(opts.LineStyle{Width: 0.001, Opacity: opts.Float(0)}))
		}
		line.AddSeries(c.name, values, style...)
	}
	line.Validate()
	return line.JSON()
}

func (a *axis) kind() string {
	if a.log {
		return "log"
	}
	return "value"
}

// least is where an axis starts: one of logarithms at the data.
func (a *axis) least() any {
	if a.log {
		return nil
	}
	return 0
}

func (a *axis) shows(v float64) bool { return !a.log || v > 0 }

// round to five digits, for shorter pages.
func round(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) {
		return v
	}
	scale := math.Pow(10, 4-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

const milli = 1e3 // a second in milliseconds

// pictures of the run.
func (r *Run) pictures() (all []*picture) {
	if r.Load != nil {
		all = append(all, r.Load.spectrumPicture(), r.Load.ratePicture(), r.Load.timePicture())
	}
	if r.Capacity != nil {
		all = append(all, r.Capacity.latencyPicture())
		if r.Capacity.Law != nil {
			all = append(all, r.Capacity.lawPicture())
		}
	}
	return all
}

func (l *Load) spectrumPicture() *picture {
	response, service := curve{name: "response time"}, curve{name: "service time"}
	for _, s := range l.Spectrum {
		x := 100 / (100 - s.Percentile)
		response.points = append(response.points, [2]float64{x, s.Response * milli})
		service.points = append(service.points, [2]float64{x, s.Service * milli})
	}
	return &picture{"Latency spectrum", "One call in so many takes at least so long. The response time counts from the planned send, the service time from the actual one.",
		axis{"one call in", true}, axis{"ms", true}, []curve{response, service}}
}

func (l *Load) ratePicture() *picture {
	asked, reached := curve{name: "asked"}, curve{name: "answered"}
	for _, m := range l.Moments {
		asked.points = append(asked.points, [2]float64{m.Start, m.Asked})
		reached.points = append(reached.points, [2]float64{m.Start, m.Reached})
	}
	return &picture{"Rate over time", "Searches a second, the warm-up included.", axis{name: "s"}, axis{name: "a second"}, []curve{asked, reached}}
}

func (l *Load) timePicture() *picture {
	curves := []curve{{name: "p50"}, {name: "p99"}, {name: "p99.9"}}
	for _, m := range l.Moments {
		for i, v := range []float64{m.P50, m.P99, m.P999} {
			curves[i].points = append(curves[i].points, [2]float64{m.Start, v * milli})
		}
	}
	return &picture{"Latency over time", "Response times of the calls that ended in each second.", axis{name: "s"}, axis{"ms", true}, curves}
}

func (c *Capacity) latencyPicture() *picture {
	curves := []curve{{name: "p50", dots: true}, {name: "p99", dots: true}, {name: "p99.9", dots: true}}
	for _, t := range c.Tries {
		for i, name := range []string{"p50", "p99", "p99.9"} {
			curves[i].points = append(curves[i].points, [2]float64{t.PerSecond, t.Measures[name] * milli})
		}
	}
	return &picture{"Latency against rate", "Response times of each rate that was tried.", axis{name: "searches a second asked"}, axis{"ms", true}, curves}
}

func (c *Capacity) lawPicture() *picture {
	measured, law := curve{name: "measured", dots: true}, curve{name: "scalability law"}
	most := 0.0
	for _, p := range c.Loads {
		measured.points = append(measured.points, [2]float64{p.Callers, p.PerSecond})
		most = max(most, p.Callers)
	}
	for n := 1.0; n <= most*1.5; n *= 1.08 {
		law.points = append(law.points, [2]float64{n, c.Law.At(n)})
	}
	return &picture{"Throughput against concurrency", "Closed loops: callers who each wait for their answer.", axis{"callers", true}, axis{name: "a second"}, []curve{law, measured}}
}
