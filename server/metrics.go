package server

import (
	"path"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/store"
)

// metrics holds what an operator watches. docs/operators.md explains each.
type metrics struct {
	registry  *prometheus.Registry
	calls     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	answered  [classCount]prometheus.Observer // from the arrival of a call's headers
	auction   prometheus.Histogram
	skipped   prometheus.Counter
	sponsored prometheus.Counter
	slots     prometheus.Counter
	nearby    prometheus.Counter
	cut       *prometheus.CounterVec // nearby lists that ended early
	events    eventMetrics
	fill      fill
}

// fill counts sponsored slots, for answers; prometheus gives its counters back only as a scrape.
type fill struct{ requested, filled atomic.Int64 }

func newMetrics(registry *prometheus.Registry) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		registry: registry,
		events:   newEventMetrics(registry),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hexbid_calls_total",
			Help: "Calls answered, by method and gRPC code."}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "hexbid_call_seconds",
			Help:    "Time from a request's arrival to its encoded answer, by method.",
			Buckets: prometheus.ExponentialBuckets(25e-6, 2, 18)}, []string{"method"}),
		auction: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "hexbid_auction_seconds",
			Help: "Time of retrieval and auction.", Buckets: prometheus.ExponentialBuckets(1e-6, 2, 16)}),
		skipped: counter("hexbid_sponsored_skipped_total",
			"Searches without an auction: out of time, or out of billing for too long."),
		sponsored: counter("hexbid_sponsored_results_total", "Sponsored results returned."),
		slots: counter("hexbid_sponsored_slots_total",
			"Sponsored slots asked for on first pages; results over slots is the fill rate."),
		nearby: counter("hexbid_nearby_results_total", "Nearby results returned."),
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hexbid_nearby_incomplete_total",
			Help: "Nearby lists that ended early, by reason: time (their budget) or results (as many as all pages may have)."},
			[]string{"reason"}),
	}
	answered := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "hexbid_answered_seconds",
		Help: "Time from the arrival of a call's headers to its encoded answer, of calls that were let in, by class. " +
			"It includes the wait for a core, and the time that the caller took to send the request.",
		Buckets: prometheus.ExponentialBuckets(50e-6, 1.25, 56)}, []string{"class"})
	for i := range m.answered {
		m.answered[i] = answered.WithLabelValues(classWords[i])
	}
	registry.MustRegister(m.calls, m.seconds, answered, m.auction, m.skipped, m.sponsored, m.slots, m.nearby, m.cut,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) call(method string, at time.Time, err error) {
	name := path.Base(method)
	m.calls.WithLabelValues(name, status.Code(err).String()).Inc()
	m.seconds.WithLabelValues(name).Observe(time.Since(at).Seconds())
}

func (m *metrics) search(slots int, r *exchange.Response) {
	m.slots.Add(float64(slots))
	m.sponsored.Add(float64(len(r.Sponsored)))
	m.fill.requested.Add(int64(slots))
	m.fill.filled.Add(int64(len(r.Sponsored)))
	m.nearby.Add(float64(len(r.Nearby)))
	if r.SponsoredSkipped {
		m.skipped.Inc()
	}
	switch r.NearbyEnd {
	case exchange.NearbyOutOfTime:
		m.cut.WithLabelValues("time").Inc()
	case exchange.NearbyAtMost:
		m.cut.WithLabelValues("results").Inc()
	}
	if r.AuctionTook > 0 {
		m.auction.Observe(r.AuctionTook.Seconds())
	}
}

func (m *metrics) gauge(name, help string, labels prometheus.Labels, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help,
		ConstLabels: labels}, value))
}

func (m *metrics) counter(name, help string, labels prometheus.Labels, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help,
		ConstLabels: labels}, value))
}

// measure registers a gauge without labels.
func (m *metrics) measure(name, help string, value func() float64) { m.gauge(name, help, nil, value) }

// follow registers the gauges of a store on disk.
func (m *metrics) follow(d store.Durable) {
	m.measure("hexbid_catalogue_failed",
		"1 when the catalogue takes no more writes: its disk refuses, a file is damaged or the folder gone.", func() float64 {
			if d.Failure() != nil {
				return 1
			}
			return 0
		})
	m.measure("hexbid_catalogue_losses", "Losses of acknowledged writes that were accepted.",
		func() float64 { return float64(len(d.Losses())) })
}

// watch registers gauges of what the limits bound.
func (m *metrics) watch(s *Server) {
	for i := searching; i < classCount; i++ {
		g, of := &s.gates[i], prometheus.Labels{"class": classWords[i]}
		m.gauge("hexbid_working", "Requests that are worked on, by class.", of,
			func() float64 { return float64(g.working.Load()) })
		m.counter("hexbid_refused_total", "Requests refused because as many of their class were worked on as may be.", of,
			func() float64 { return float64(g.refused.Load()) })
	}
	for kind, word := range quotaWords {
		m.counter("hexbid_quota_refused_total", "Calls refused because their caller's quota was used: calls a second "+
			"(calls), calls open at once (in_flight) or rows a day (rows).", prometheus.Labels{"quota": word},
			func() float64 { return float64(s.quotas.refused[kind].Load()) })
	}
	m.measure("hexbid_calls_limit", "Calls that may be under way at once, as the wait for a core permits at present.",
		func() float64 { return float64(s.pressure.limit.Load()) })
	m.measure("hexbid_calls_under_way", "Calls that wait for a core, and searches and reads that are worked on.",
		func() float64 { return float64(s.pressure.underWay.Load()) })
	m.measure("hexbid_core_wait_seconds", "Mean wait for a core of the calls that began in the last window of 25 ms.",
		func() float64 { return time.Duration(s.pressure.wait.Load()).Seconds() })
	m.watchPort("grpc", s.connections)
	m.watchPort("http", s.webs)
}

// watchPort registers gauges of the connections of a port.
func (m *metrics) watchPort(port string, c *connections) {
	of := prometheus.Labels{"port": port}
	for why, word := range closingWords {
		m.counter("hexbid_connections_closed_total", "Connections closed to keep to the limits, by port and reason.",
			prometheus.Labels{"port": port, "reason": word}, func() float64 { return float64(c.closed[why].Load()) })
	}
	m.gauge("hexbid_connections", "Connections that are open, by port.", of, func() float64 { return float64(c.count()) })
	m.gauge("hexbid_waiting_calls", "Calls whose request has not arrived, by port.", of,
		func() float64 { return float64(c.calls.Load()) })
	m.gauge("hexbid_waiting_bytes",
		"Bytes of requests that have not arrived whole, and of answers that callers have not taken, by port.", of,
		func() float64 { return float64(c.bytes.Load()) })
}

// observe registers the gauges of an exchange.
func (m *metrics) observe(e *exchange.Exchange) {
	m.measure("hexbid_campaigns", "Campaigns in the catalogue.", func() float64 { return float64(e.Size().Campaigns) })
	m.measure("hexbid_programs", "Programs in the catalogue.", func() float64 { return float64(e.Size().Programs) })
	m.measure("hexbid_places", "Approved places.", func() float64 { return float64(e.Size().Places) })
	m.measure("hexbid_campaigns_returning", "Campaigns that serve again and that searches do not find yet.",
		func() float64 { return float64(e.Size().Returning) })
	m.measure("hexbid_catalogue_version", "Version of the catalogue that is searchable.",
		func() float64 { return float64(e.Size().Version) })
	m.measure("hexbid_display_cache_hit_ratio", "Display records found in the cache.", e.CacheHitRatio)
	m.observeMoney(e)
	m.observeAwardsOut(e)
	m.observeViewers(e)
	m.observeQuality(e)
	m.observeTurns(e)
}
