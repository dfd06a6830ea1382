package load

import (
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Measures are figures by name: times in seconds, shares of 1, rates a second. "p99" belongs to the response time,
// "service_p99" and "lag_p99" to the service time and the lag.
type Measures map[string]float64

// Percentiles are the percentiles that have a measure.
var Percentiles = []float64{50, 75, 90, 95, 99, 99.9, 99.99}

// PercentileName returns "p99.9" for 99.9.
func PercentileName(percentile float64) string {
	return "p" + strconv.FormatFloat(percentile, 'g', -1, 64)
}

// AddTimes adds the percentiles, the mean and the maximum of a histogram. For an empty histogram it adds nothing, so
// its measures are missing rather than 0.
func (m Measures) AddTimes(prefix string, h *hdrhistogram.Histogram) {
	if h.TotalCount() == 0 {
		return
	}
	for _, p := range Percentiles {
		m[prefix+PercentileName(p)] = time.Duration(h.ValueAtPercentile(p)).Seconds()
	}
	m[prefix+"mean"], m[prefix+"max"] = h.Mean()/float64(time.Second), time.Duration(h.Max()).Seconds()
}

// Measures returns the measures of the run.
func (r *Report) Measures() Measures {
	m := Measures{}
	m.AddTimes("", r.Response)
	m.AddTimes("service_", r.Service)
	m.AddTimes("lag_", r.Lag)
	m["generator_busy"] = r.GeneratorBusy
	if planned := float64(r.Planned()); planned > 0 {
		m["asked"], m["reached"] = r.AskedPerSecond(), r.ReachedPerSecond()
		m["errors"], m["dropped"], m["answered"] = float64(r.Errors())/planned, float64(r.Dropped)/planned,
			float64(r.Answered)/planned
	}
	return m
}
