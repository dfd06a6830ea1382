package benchmarks

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"sort"
	"strconv"
	"testing"
	"time"

	"github.com/hexbid/hexbid/bidder"
)

// quantiles times each call over distinct queries, in turn.
func quantiles(b *testing.B, queries int, call func(i int)) {
	took := make([]time.Duration, 0, 1<<21)
	i := 0
	for b.Loop() {
		start := time.Now()
		call(i % queries)
		if len(took) < cap(took) {
			took = append(took, time.Since(start))
		}
		i++
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
}

func sizes() []int {
	if n, err := strconv.Atoi(os.Getenv("HEXBID_BENCH_CAMPAIGNS")); err == nil {
		return []int{n}
	}
	return []int{10_000, 100_000, 1_000_000}
}

func BenchmarkEngine(b *testing.B) {
	for _, live := range []bool{false, true} {
		for _, campaigns := range sizes() {
			w, err := NewWorkload(1, live)
			if err != nil {
				b.Fatal(err)
			}
			m, err := NewMarket(w, campaigns)
			if err != nil {
				b.Fatal(err)
			}
			name := map[bool]string{false: "plain", true: "live"}[live]
			if live {
				if err := m.Adjust(); err != nil {
					b.Fatal(err)
				}
				time.Sleep(8 * time.Second)
			}
			s := m.Indexer.Snapshot()
			queries := make([]bidder.Query, 20_000)
			now := time.Now()
			for i := range queries {
				queries[i] = bidder.NewQuery(w.Request(i, 10, 20), fmt.Sprint(i), now)
			}
			var scratch bidder.Scratch
			for range 1 {
				b.Run(fmt.Sprintf("auction/%s/%d", name, campaigns), func(b *testing.B) {
					b.ReportAllocs()
					var blocks, tested, scored, n int
					quantiles(b, len(queries), func(i int) {
						s.Search(&queries[i], &scratch)
						blocks, tested, scored, n = blocks+scratch.Sifted, tested+scratch.Tested, scored+scratch.Scored, n+1
					})
					b.ReportMetric(float64(blocks)/float64(n), "sifted")
					b.ReportMetric(float64(tested)/float64(n), "tested")
					b.ReportMetric(float64(scored)/float64(n), "scored")
					b.ReportMetric(float64(m.HeapBytes)/float64(campaigns), "heap-B/campaign")
					b.ReportMetric(m.Took.Seconds(), "s-to-index")
				})
			}
			b.Run(fmt.Sprintf("query+auction/%s/%d", name, campaigns), func(b *testing.B) {
				requests := queries
				_ = requests
				reqs := make([]int, 0)
				_ = reqs
				rs := make([]any, 0)
				_ = rs
				quantiles(b, len(queries), func(i int) {
					r := w.Request(i, 10, 20)
					q := bidder.NewQuery(r, "x", now)
					s.Search(&q, &scratch)
				})
			})
			b.Run(fmt.Sprintf("nearby/%s/%d", name, campaigns), func(b *testing.B) {
				b.ReportAllocs()
				quantiles(b, len(queries), func(i int) { s.Nearby(&queries[i], nil, nil, &scratch) })
			})
			m.Close()
		}
	}
}

func TestHeap(t *testing.T) {
	w, _ := NewWorkload(1, false)
	m, _ := NewMarket(w, 300_000)
	f, _ := os.Create("/tmp/heap.prof")
	pprof.WriteHeapProfile(f)
	f.Close()
	t.Log(m.HeapBytes/300_000, m.Took)
	runtime.KeepAlive(m)
}
