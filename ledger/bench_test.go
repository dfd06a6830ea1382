package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	pebbledb "github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
	"github.com/hexbid/hexbid/ledger/pebble"
)

// taped is a journal that keeps what is committed, so that the same bytes can be written without a ledger.
type taped struct {
	journal.Journal
	batches []journal.Batch
	off     bool
	killed  atomic.Bool // nothing more is written
}

func (t *taped) Commit(ctx context.Context, b *journal.Batch) error {
	if !t.off && (len(b.Records) > 0 || len(b.Rows) > 0) {
		t.batches = append(t.batches, *b)
	}
	if t.killed.Load() {
		return errDisk
	}
	return t.Journal.Commit(ctx, b)
}

// onDisk opens a ledger on the real disk, with campaigns that can pay for everything.
func onDisk(b testing.TB, campaigns int) (*ledger.Ledger, *taped) {
	j, err := pebble.Open(pebble.Options{Dir: b.TempDir(), Currency: "CNY", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	tape := &taped{Journal: j}
	l, err := ledger.Open(ctx, ledger.Options{Journal: tape, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = l.Close()
		_ = j.Close()
	})
	payers(b, l, campaigns)
	return l, tape
}

// payers sets terms of campaigns that can pay for everything.
func payers(b testing.TB, l *ledger.Ledger, campaigns int) {
	for from := 0; from < campaigns; from += ledger.MaxTerms {
		var terms []fold.Terms
		for i := from; i < min(campaigns, from+ledger.MaxTerms); i++ {
			t := filled(fold.Terms{DailyBudget: 1 << 50})
			t.Campaign, t.Advertiser = hexbid.UID(1+i), hexbid.UID(1+i%1000)
			terms = append(terms, t)
		}
		if err := l.SetTerms(ctx, 1, terms, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// clicks are events of as many tokens, shared among callers by calls of some size.
func clicks(n, campaigns, size int) [][]ledger.Event {
	b := &bank{Bank: &ledgertest.Bank{Clock: ledgertest.NewClock(time.Now())}}
	var calls [][]ledger.Event
	for len(calls)*size < n {
		call := make([]ledger.Event, size)
		for i := range call {
			call[i] = b.event(hexbid.Click, hexbid.CPC, yuan)
			a := call[i].Award
			a.Campaign = hexbid.UID(1 + int(call[i].Name.Sequence)*7919%campaigns)
			a.Advertiser = hexbid.UID(1 + (int(a.Campaign)-1)%1000)
			a.RequestID, a.Basis.Next = "0f1e2d3c4b5a69788796a5b4c3d2e1f0", 37_000_000_000
		}
		calls = append(calls, call)
	}
	return calls
}

// BenchmarkDurableEvents measures charged clicks that are on disk when they are answered, and then writes the same
// batches to Pebble itself, each with one sync. "ratio" is the ledger's rate over that of Pebble. One iteration is one
// event.
func BenchmarkDurableEvents(b *testing.B) {
	for _, c := range []struct{ callers, size int }{{1, 1}, {64, 1}, {1000, 1}, {16, 100}, {16, 1000}} {
		b.Run(fmt.Sprintf("callers=%d/size=%d", c.callers, c.size), func(b *testing.B) {
			const campaigns = 10_000
			l, tape := onDisk(b, campaigns)
			calls := clicks(b.N, campaigns, c.size)
			tape.batches = nil
			runtime.GC()
			b.ResetTimer()
			began := time.Now()
			latency := report(b, l, calls, c.callers)
			took := time.Since(began)
			b.StopTimer()
			events := len(calls) * c.size
			tape.off = true
			raw := replayRaw(b, tape.batches)
			b.ReportMetric(float64(events)/took.Seconds(), "events/s")
			b.ReportMetric(raw.Seconds()/took.Seconds(), "ratio")
			b.ReportMetric(float64(latency.ValueAtQuantile(99))/1000, "p99-ms")
			b.ReportMetric(float64(events)/float64(len(tape.batches)), "events/batch")
		})
	}
}

// report has callers make calls as fast as they are answered, and returns the latencies in microseconds.
func report(b testing.TB, l *ledger.Ledger, calls [][]ledger.Event, callers int) *hdrhistogram.Histogram {
	var next atomic.Int64
	var all sync.WaitGroup
	var mu sync.Mutex
	latency := hdrhistogram.New(1, 60_000_000, 3)
	for range callers {
		all.Go(func() {
			own := hdrhistogram.New(1, 60_000_000, 3)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(calls) {
					break
				}
				began := time.Now()
				answers, err := l.Record(ctx, calls[i])
				if err != nil || answers[0].Outcome != hexbid.EventCharged {
					b.Error(answers, err)
					return
				}
				_ = own.RecordValue(time.Since(began).Microseconds())
			}
			mu.Lock()
			defer mu.Unlock()
			latency.Merge(own)
		})
	}
	all.Wait()
	return latency
}

// replayRaw writes batches to a fresh Pebble and returns how long that took.
func replayRaw(b testing.TB, batches []journal.Batch) time.Duration {
	db, err := pebbledb.Open(b.TempDir(), &pebbledb.Options{Logger: quiet{}})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	runtime.GC()
	began := time.Now()
	for i := range batches {
		batch, next := db.NewBatch(), batches[i].After
		for _, record := range batches[i].Records {
			next++
			_ = batch.Set(append([]byte{byte(journal.Records)}, fold.RecordKey(next)...), record, nil)
		}
		for _, row := range batches[i].Rows {
			key := append([]byte{byte(row.Table)}, row.Key...)
			if row.Value == nil {
				_ = batch.Delete(key, nil)
			} else {
				_ = batch.Set(key, row.Value, nil)
			}
		}
		if err := batch.Commit(pebbledb.Sync); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began)
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// BenchmarkAtHalfLoad offers single events at half of a rate that 64 callers reach, at planned instants, and measures
// the time from each instant to the answer.
func BenchmarkAtHalfLoad(b *testing.B) {
	const campaigns = 10_000
	l, tape := onDisk(b, campaigns)
	tape.off = true
	warm := clicks(20_000, campaigns, 10)
	began := time.Now()
	report(b, l, warm, 64)
	gap := 2 * time.Since(began) / time.Duration(len(warm))
	calls := clicks(10*b.N, campaigns, 10)
	for i := range calls {
		for k := range calls[i] {
			calls[i][k].Name.Issuer[0]++ // others than the warm-up's
		}
	}
	latencies := make([]int64, b.N)
	var all sync.WaitGroup
	b.ResetTimer()
	start := time.Now()
	for i := range b.N {
		planned := start.Add(time.Duration(i) * gap)
		time.Sleep(time.Until(planned))
		all.Go(func() {
			if _, err := l.Record(ctx, calls[i]); err != nil {
				b.Error(err)
			}
			latencies[i] = time.Since(planned).Microseconds()
		})
	}
	all.Wait()
	slices.Sort(latencies)
	b.ReportMetric(float64(latencies[len(latencies)*99/100])/1000, "p99-ms")
	b.ReportMetric(10/gap.Seconds(), "events/s")
}

// BenchmarkOpen opens a ledger on disk with a history of ten million events, by fifty thousand campaigns, the last of
// them after the last checkpoint. Making it takes minutes. HEXBID_OPEN_EVENTS says another number.
func BenchmarkOpen(b *testing.B) {
	events := 10_000_000
	if text := os.Getenv("HEXBID_OPEN_EVENTS"); text != "" {
		events, _ = strconv.Atoi(text)
	}
	dir := b.TempDir()
	last := makeHistory(b, dir, events)
	b.ResetTimer()
	for range b.N {
		j := openDisk(b, dir)
		l, err := ledger.Open(ctx, ledger.Options{Journal: j, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if s, err := l.Campaign(ctx, 1); err != nil || s.AsOf < last {
			b.Fatal(s.AsOf, last, err)
		}
		_ = l.Close()
		_ = j.Close()
		b.StartTimer()
	}
}

func openDisk(b testing.TB, dir string) *pebble.Journal {
	j, err := pebble.Open(pebble.Options{Dir: dir, Currency: "CNY", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	return j
}

// makeHistory records events and ends without a last checkpoint, as a kill does. It returns the last record.
func makeHistory(b testing.TB, dir string, events int) uint64 {
	const campaigns = 50_000
	j := openDisk(b, dir)
	defer j.Close()
	tape := &taped{Journal: j, off: true}
	l, err := ledger.Open(ctx, ledger.Options{Journal: tape, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	payers(b, l, campaigns)
	for made := 0; made < events; {
		part := min(events-made, 500_000)
		calls := clicks(part, campaigns, 1000)
		for i := range calls {
			for k := range calls[i] {
				calls[i][k].Name.Sequence += uint64(made)
			}
		}
		report(b, l, calls, 4)
		made += part
	}
	v, err := j.View()
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	tape.killed.Store(true)
	_ = l.Close()
	return v.Last()
}
