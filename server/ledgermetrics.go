package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger"
)

// turnMetrics are how long the ledger's turns take: whoever reports an event waits for some of them.
type turnMetrics struct {
	exchange *exchange.Exchange
	seconds  *prometheus.Desc
}

func (m *metrics) observeTurns(e *exchange.Exchange) {
	m.registry.MustRegister(&turnMetrics{e, prometheus.NewDesc("hexbid_ledger_turn_seconds",
		"Turns of the ledger's two goroutines, by what they did. The owner was judging a request, ticking (what time "+
			"brings), settling rows of totals, checkpointing rows of accounts, or telling watchers; the writer was writing "+
			"a batch until it was synced, or answering its callers.", []string{"work"}, nil)})
}

// Describe implements prometheus.Collector.
func (t *turnMetrics) Describe(to chan<- *prometheus.Desc) { to <- t.seconds }

// Collect implements prometheus.Collector.
func (t *turnMetrics) Collect(to chan<- prometheus.Metric) {
	for work := range ledger.WorkCount {
		turns := t.exchange.LedgerTurns(work)
		var count uint64
		buckets := map[float64]uint64{}
		for i, n := range turns.Counts {
			if count += n; i < ledger.TurnBuckets-1 { // the last bucket is for longer turns too
				buckets[ledger.TurnUpTo(i).Seconds()] = count
			}
		}
		to <- prometheus.MustNewConstHistogram(t.seconds, count, turns.Took.Seconds(), buckets, work.String())
	}
}
