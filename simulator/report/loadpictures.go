package report

import (
	"maps"
	"slices"

	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/vitals"
)

var (
	ofMoments  = axis{Name: "since the start", Unit: "moment"}
	ofResponse = axis{Name: "response time", Unit: "seconds", Log: true}
)

// pictures returns the pictures of a load, in the order of the page.
func (l *Load) pictures() []*picture {
	all := []*picture{l.timePicture(), l.ratePicture(), l.failuresPicture(), l.inFlightPicture(), l.spectrumPicture()}
	if heat := l.heatPicture(); len(heat.Heat) > 0 { // older programs recorded no latencies
		all = append([]*picture{heat}, all...)
	}
	if l.Vitals == nil || len(l.Vitals.Stretches) == 0 {
		return append(all, noVitals())
	}
	return append(all, vitalsPictures(l.Vitals)...)
}

// mostColumns is the most columns of a heat map. More would be narrower than a pixel or two.
const mostColumns = 120

func (l *Load) heatPicture() *picture {
	p := &picture{ID: "heat", Title: "Latency heat map",
		Says: "How many calls a second took how long, from the planned send, over the run. The lines are p50 and p99.",
		X:    ofMoments, Y: ofResponse}
	together := (len(l.Moments) + mostColumns - 1) / mostColumns
	for moments := range slices.Chunk(l.Moments, max(1, together)) {
		p.Heat = append(p.Heat, column(moments)...)
	}
	p.Curves = l.quantiles(p, quantile{"p50", func(m *Moment) float64 { return m.P50 }},
		quantile{"p99", func(m *Moment) float64 { return m.P99 }})
	for i := range p.Curves {
		p.Curves[i].Tone = "quiet"
	}
	return p
}

// column returns the cells of one column, which combines some moments.
func column(moments []Moment) (cells []cell) {
	first, last := &moments[0], &moments[len(moments)-1]
	end := last.Start + last.Lasts
	var calls load.Latencies
	for i := range moments {
		for bucket, n := range moments[i].Latencies {
			calls[bucket] += n
		}
	}
	for bucket, n := range calls {
		if n > 0 {
			cells = append(cells, cell{round(first.Start), round(end), round(load.BucketStart(bucket)),
				round(load.BucketStart(bucket + 1)), round(float64(n) / (end - first.Start))})
		}
	}
	return cells
}

// quantile is a percentile of moments.
type quantile struct {
	name string
	of   func(*Moment) float64
}

func (l *Load) quantiles(p *picture, which ...quantile) (curves []curve) {
	for _, q := range which {
		c := curve{Name: q.name}
		for i := range l.Moments {
			c.add(p, l.Moments[i].middle(), q.of(&l.Moments[i]))
		}
		curves = append(curves, c)
	}
	return curves
}

func (m *Moment) middle() float64 { return m.Start + m.Lasts/2 }

func (l *Load) timePicture() *picture {
	p := &picture{ID: "time", Title: "Latency over time",
		Says: "Percentiles of the response times of the calls that ended in each second.", X: ofMoments, Y: ofResponse}
	p.Curves = l.quantiles(p, quantile{"p50", func(m *Moment) float64 { return m.P50 }},
		quantile{"p99", func(m *Moment) float64 { return m.P99 }},
		quantile{"p99.9", func(m *Moment) float64 { return m.P999 }})
	return p
}

func (l *Load) ratePicture() *picture {
	p := &picture{ID: "rate", Title: "Rate over time",
		Says: "Searches a second that were planned, and that were answered.", X: ofMoments,
		Y: axis{Name: "searches a second", Unit: "rate"}}
	p.Curves = l.quantiles(p, quantile{"asked", func(m *Moment) float64 { return m.Asked }},
		quantile{"answered", func(m *Moment) float64 { return m.Reached }})
	p.Bands = l.warmUp()
	return p
}

// warmUp returns a band over the warm-up, which does not count.
func (l *Load) warmUp() []band {
	if l.WarmUp <= 0 {
		return nil
	}
	return []band{{Name: "warm-up", Axis: "x", To: l.WarmUp, Faint: true}}
}

func (l *Load) failuresPicture() *picture {
	p := &picture{ID: "failures", Title: "Errors and drops",
		Says: "Calls a second that failed, by gRPC code, and that were dropped because too many were under way.",
		X:    ofMoments, Y: axis{Name: "calls a second", Unit: "rate"}}
	which := []quantile{{"dropped", func(m *Moment) float64 { return float64(m.Dropped) / m.Lasts }}}
	seen := map[string]bool{}
	for i := range l.Moments {
		for code := range l.Moments[i].Codes {
			seen[code] = true
		}
	}
	for _, code := range slices.Sorted(maps.Keys(seen)) {
		which = append(which, quantile{code, func(m *Moment) float64 { return float64(m.Codes[code]) / m.Lasts }})
	}
	if len(seen) == 0 {
		which = append(which, quantile{"failed", func(m *Moment) float64 { return float64(m.Failed) / m.Lasts }})
	}
	p.Curves = l.quantiles(p, which...)
	return p
}

func (l *Load) inFlightPicture() *picture {
	p := &picture{ID: "inflight", Title: "Calls in flight",
		Says: "The most calls under way at once in each second, as the generator saw it.", X: ofMoments,
		Y: axis{Name: "calls", Unit: "count"}}
	p.Curves = l.quantiles(p, quantile{"in flight", func(m *Moment) float64 { return float64(m.MostInFlight) }})
	return p
}

func (l *Load) spectrumPicture() *picture {
	p := &picture{ID: "spectrum", Title: "Latency spectrum",
		Says: "One call in so many took at least so long: response time from the planned send, service time from the " +
			"actual one.",
		X: axis{Name: "one call in", Unit: "count", Log: true}, Y: axis{Name: "time", Unit: "seconds", Log: true}}
	response, service := curve{Name: "response time"}, curve{Name: "service time"}
	for _, s := range l.Spectrum {
		x := 100 / (100 - s.Percentile)
		response.add(p, x, s.Response)
		service.add(p, x, s.Service)
	}
	p.Curves = []curve{response, service}
	return p
}

func noVitals() *picture {
	return &picture{ID: "cpu", Title: "The server's own figures",
		Says: "CPU, memory, collector pauses and refusals, beside what clients saw.",
		Advice: "Not measured: no /metrics was read. A server on 127.0.0.1:7600 is asked at 127.0.0.1:7601; for another " +
			"give its address with --metrics http://HOST:PORT/metrics. " +
			"It must be reachable from the generator."}
}

// vital is a figure of a stretch.
type vital struct {
	name string
	of   func(*vitals.Stretch) float64
}

// vitalsPictures shows the server's own figures on the same time axis.
func vitalsPictures(v *vitals.Vitals) []*picture {
	all := []*picture{
		drawn(v, &picture{ID: "cpu", Title: "The server's CPU", Says: "Cores that its process kept busy.",
			Y: axis{Name: "cores", Unit: "count"}}, vital{"CPU", func(s *vitals.Stretch) float64 { return s.CPU }}),
		drawn(v, &picture{ID: "memory", Title: "The server's memory",
			Says: "Memory that its process holds, and its heap as it fills and is collected.",
			Y:    axis{Name: "memory", Unit: "bytes"}},
			vital{"resident", func(s *vitals.Stretch) float64 { return s.ResidentBytes }},
			vital{"heap", func(s *vitals.Stretch) float64 { return s.HeapBytes }}),
		drawn(v, &picture{ID: "pauses", Title: "The server's collector pauses",
			Says: "How long in each second the garbage collector stopped everything.",
			Y:    axis{Name: "paused in a second", Unit: "seconds"}},
			vital{"paused", func(s *vitals.Stretch) float64 { return s.Pauses }}),
	}
	admitted := byName(v, "calls ", func(s *vitals.Stretch) map[string]float64 { return s.Calls })
	admitted = append(admitted, byName(v, "refused: ", func(s *vitals.Stretch) map[string]float64 { return s.Refused })...)
	all = append(all, drawn(v, &picture{ID: "calls", Title: "The server's answers",
		Says: "Calls a second that it answered, by gRPC code, and those that it refused, by class.",
		Y:    axis{Name: "calls a second", Unit: "rate"}}, admitted...))
	if working := byName(v, "", func(s *vitals.Stretch) map[string]float64 { return s.Working }); len(working) > 0 {
		all = append(all, drawn(v, &picture{ID: "working", Title: "What the server worked on",
			Says: "Calls that it worked on when it was asked, by class.", Y: axis{Name: "calls", Unit: "count"}}, working...))
	}
	return all
}

// drawn returns a picture with some figures of the stretches.
func drawn(v *vitals.Vitals, p *picture, which ...vital) *picture {
	p.X = ofMoments
	for _, f := range which {
		c := curve{Name: f.name}
		for i := range v.Stretches {
			s := &v.Stretches[i]
			c.add(p, s.Start+s.Lasts/2, f.of(s))
		}
		p.Curves = append(p.Curves, c)
	}
	return p
}

// byName returns figures that have names. It leaves out those that are always 0.
func byName(v *vitals.Vitals, prefix string, of func(*vitals.Stretch) map[string]float64) (all []vital) {
	seen := map[string]bool{}
	for i := range v.Stretches {
		for name, value := range of(&v.Stretches[i]) {
			seen[name] = seen[name] || value > 0
		}
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if seen[name] {
			all = append(all, vital{prefix + name, func(s *vitals.Stretch) float64 { return of(s)[name] }})
		}
	}
	return all
}
