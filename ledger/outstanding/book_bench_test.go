package outstanding

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

// BenchmarkAMillionAwardsOut measures what awards of a large market cost while ever other campaigns win, and the memory
// of the book once a million are out.
func BenchmarkAMillionAwardsOut(b *testing.B) {
	for _, campaigns := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("campaigns=%d", campaigns), func(b *testing.B) {
			var before, after runtime.MemStats
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				book := New(30 * time.Minute)
				for i := range 1_000_000 {
					book.Advance(start + int64(i)/45) // 45,000 awards a second
					uid := hexbid.UID(1 + i*7%campaigns)
					book.Add(&Award{Campaign: uid, Advertiser: 2_000_000 + uid/5, Pricing: hexbid.CPC, Price: 1_000_000,
						Chance: 0.02})
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(book)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/award")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB/book")
			b.ReportMetric(float64(after.HeapObjects-before.HeapObjects), "objects/book")
		})
	}
}
