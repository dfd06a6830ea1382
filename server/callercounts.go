package server

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hexbid/hexbid/access"
)

// callerCounts counts the credentials that calls brought, and logs a sample of those that were refused. Neither holds a
// credential.
type callerCounts struct {
	of     [access.RefusalCount]atomic.Int64
	logged atomic.Int64 // Unix nanoseconds of the last line
	since  atomic.Int64 // refusals since then
}

// sampleEvery spaces the lines about refused credentials.
const sampleEvery = time.Second

func (n *callerCounts) count(r access.Refusal, c *claims, log *slog.Logger) {
	n.of[r].Add(1)
	if r == access.NotRefused {
		return
	}
	since, now, before := n.since.Add(1), time.Now().UnixNano(), n.logged.Load()
	if now-before < int64(sampleEvery) || !n.logged.CompareAndSwap(before, now) {
		return
	}
	n.since.Add(-since)
	log.Warn("credentials were refused", "latest", r, "from", c.address, "refused", since)
}

// watchCallers registers counters of credentials.
func (m *metrics) watchCallers(n *callerCounts) {
	for r := range n.of {
		m.counter("hexbid_credentials_total",
			"Calls that brought a credential, or needed one, by why it was refused (none: it was accepted).",
			prometheus.Labels{"refused": access.Refusal(r).String()}, func() float64 { return float64(n.of[r].Load()) })
	}
}
