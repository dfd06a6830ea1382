package audit

import (
	"runtime"
	"testing"
	"time"

	"github.com/hexbid/hexbid/ledger"
)

// BenchmarkVerify verifies a journal of 100,000 events of six campaigns, some hours long.
func BenchmarkVerify(b *testing.B) {
	m := openMarket(b, 1, func(o *ledger.Options) { o.CheckpointRecords = 200_000 })
	for range 100 {
		events := make([]ledger.Event, 1000)
		for i := range events {
			events[i] = m.event()
		}
		if _, err := m.Record(ctx, events); err != nil {
			b.Fatal(err)
		}
		m.Clock.Pass(5 * time.Minute)
	}
	c := m.shut()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var records uint64
	for b.Loop() {
		r := c.verify(b, Options{Known: c.tail()})
		if !r.OK() {
			b.Fatal(faultsOf(r))
		}
		records = r.Records
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(records), "us/record")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/float64(records), "B-allocated/record")
}
