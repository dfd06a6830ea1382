package server

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hexbid/hexbid/exchange"
)

// qualityMetrics are how well clicks are predicted. One collector reads all of them at once, because each reading looks
// at every bin of predicted quality.
type qualityMetrics struct {
	exchange                                 *exchange.Exchange
	campaigns, programs, predicted, observed *prometheus.Desc
}

func (m *metrics) observeQuality(e *exchange.Exchange) {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	m.registry.MustRegister(&qualityMetrics{exchange: e,
		campaigns: describe("hexbid_quality_campaigns", "Campaigns whose quality is learned from impressions."),
		programs:  describe("hexbid_quality_programs", "Programs whose quality is learned from impressions."),
		predicted: describe("hexbid_quality_predicted_clicks",
			"Clicks predicted of the impressions of late, by decile of predicted quality; 1 is the lowest.", "decile"),
		observed: describe("hexbid_quality_observed_clicks", "Clicks that came on those impressions.", "decile")})
}

// Describe implements prometheus.Collector.
func (q *qualityMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{q.campaigns, q.programs, q.predicted, q.observed} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (q *qualityMetrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	now := q.exchange.Quality()
	gauge(q.campaigns, float64(now.Campaigns))
	gauge(q.programs, float64(now.Programs))
	for i, d := range now.Deciles {
		gauge(q.predicted, d.Predicted, fmt.Sprint(i+1))
		gauge(q.observed, d.Observed, fmt.Sprint(i+1))
	}
}
