package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger/traffic"
)

// eventMetrics count what clients report and what becomes of it.
type eventMetrics struct {
	answered *prometheus.CounterVec // by kind and outcome
	repeated prometheus.Counter
	charged  prometheus.Counter
	seconds  prometheus.Histogram
	sizes    prometheus.Histogram
}

func newEventMetrics(registry *prometheus.Registry) eventMetrics {
	m := eventMetrics{
		answered: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hexbid_events_total",
			Help: "Events answered for the first time, by kind and outcome."}, []string{"kind", "outcome"}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{Name: "hexbid_events_repeated_total",
			Help: "Events that got their first answer again."}),
		charged: prometheus.NewCounter(prometheus.CounterOpts{Name: "hexbid_charged_micros_total",
			Help: "Micros charged."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "hexbid_events_ack_seconds",
			Help:    "Time from the arrival of a call or batch of events until all that it is answered is on disk.",
			Buckets: prometheus.ExponentialBuckets(100e-6, 2, 16)}),
		sizes: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "hexbid_events_a_call",
			Help: "Events in a call or batch.", Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}}),
	}
	registry.MustRegister(m.answered, m.repeated, m.charged, m.seconds, m.sizes)
	return m
}

// count counts the events of a call and their answers.
func (m *eventMetrics) count(events []hexbid.Event, results []hexbid.EventResult, arrived time.Time) {
	var answers [hexbid.EventKindCount][hexbid.EventOutcomeCount]int
	repeated, charged := 0, hexbid.Money(0)
	for i := range results {
		if results[i].Repeated {
			repeated++
			continue
		}
		answers[events[i].Kind][results[i].Outcome]++
		charged += results[i].Charged
	}
	for kind := range answers {
		for outcome, n := range answers[kind] {
			if n > 0 {
				m.answered.WithLabelValues(hexbid.EventKind(kind).String(), hexbid.EventOutcome(outcome).String()).Add(float64(n))
			}
		}
	}
	m.repeated.Add(float64(repeated))
	m.charged.Add(float64(charged))
	m.seconds.Observe(time.Since(arrived).Seconds())
	m.sizes.Observe(float64(len(events)))
}

// followLedger registers the gauge of a ledger.
func (m *metrics) followLedger(l Fallible) {
	m.measure("hexbid_ledger_failed",
		"1 when the ledger acknowledges nothing: its disk refuses, a file is damaged, or the machine's clock is wrong.",
		func() float64 {
			if l.Failure() != nil {
				return 1
			}
			return 0
		})
}

// observeMoney registers what an exchange counts of over-delivery and of alerts.
func (m *metrics) observeMoney(e *exchange.Exchange) {
	m.counter("hexbid_over_delivery_micros_total",
		"Micros of events that were shown free, because a budget or a balance did not pay for them.", nil,
		func() float64 { return float64(e.OverDelivery()) })
	for reason := range traffic.ReasonCount {
		m.counter("hexbid_events_filtered_total", "Events filtered as invalid traffic since the start, by reason.",
			prometheus.Labels{"reason": reason.String()}, func() float64 { return float64(e.Filtered()[reason.String()]) })
	}
	for alert := hexbid.AlertType(1); alert < hexbid.AlertTypeCount; alert++ {
		of := prometheus.Labels{"type": alert.String()}
		m.gauge("hexbid_alerts", "Alerts in force, by type.", of,
			func() float64 { return float64(e.Alerts().InForce[alert]) })
		m.counter("hexbid_alerts_total", "Alerts raised, by type.", of,
			func() float64 { return float64(e.Alerts().Raised[alert]) })
	}
}

// observeViewers registers what searches asked of viewers' histories.
func (m *metrics) observeViewers(e *exchange.Exchange) {
	for source := range e.ViewerStats().Answers {
		m.counter("hexbid_viewer_histories_total", "Searches that asked what their viewer has seen of capped campaigns, by "+
			"where the answer came from: filter, cache, journal, or empty for a viewer without a history that the filter did "+
			"not know of; or by why there was none, so that capped campaigns sat out: late, busy, long (too many rows), unread.",
			prometheus.Labels{"answer": source}, func() float64 { return float64(e.ViewerStats().Answers[source]) })
	}
	m.measure("hexbid_viewer_filter_false_positive_ratio",
		"Estimated share of viewers without a history whom the filter takes for others; 1 until it is filled.",
		func() float64 { return e.ViewerStats().FalsePositives })
	m.measure("hexbid_capped_awards_outstanding",
		"Awards of capped campaigns that count as impressions until theirs is recorded.",
		func() float64 { return float64(e.ViewerStats().AwardsOut) })
}

// observeAwardsOut registers what is known of the awards that are still out, from which over-delivery comes.
func (m *metrics) observeAwardsOut(e *exchange.Exchange) {
	m.measure("hexbid_outstanding_micros", "Expected cost in micros of awards whose events are still to come.",
		func() float64 { return float64(e.AwardsOut().Expected) })
	m.measure("hexbid_outstanding_events", "Clicks and impressions to be paid for that are expected of those awards.",
		func() float64 { return e.AwardsOut().Events })
	m.counter("hexbid_awards_spilled_total",
		"Awards that were counted for a group of campaigns, because searches left more than there was room for.", nil,
		func() float64 { return float64(e.AwardsOut().Spilled) })
}
