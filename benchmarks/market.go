package benchmarks

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/store"
)

// Market is an indexed workload: what bidder holds of it and no nouns.
type Market struct {
	*Workload
	Indexer   *bidder.Indexer
	Campaigns int
	HeapBytes uint64 // after two collections, the indexer's own state included
	Took      time.Duration

	stop context.CancelFunc
	done chan struct{}
}

// generated is a store that makes its records while it is scanned.
type generated struct {
	store.Store
	tape *store.Tape
	each func(func(hexbid.Resource) error) error
}

func (g *generated) Watch() *store.Feed { return g.tape.Feed() }

func (g *generated) Scan(_ context.Context, f func(store.Record) error) (uint64, error) {
	uid := hexbid.UID(0)
	return 1, g.each(func(r hexbid.Resource) error {
		uid++
		meta := r.Metadata()
		meta.UID, meta.Version = uid, 1
		return f(store.Record{Resource: r})
	})
}

// NewMarket indexes so many campaigns, and runs its indexer until Close.
func NewMarket(w *Workload, campaigns int) (*Market, error) {
	owners := (campaigns + CampaignsAnOwner - 1) / CampaignsAnOwner
	return indexed(w, campaigns, func(f func(hexbid.Resource) error) error {
		for kind := range 3 {
			for i := range owners {
				advertiser, program, place := w.Owner(i)
				if err := f([]hexbid.Resource{advertiser, program, place}[kind]); err != nil {
					return err
				}
			}
		}
		for i := range campaigns {
			if err := f(w.Campaign(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// uidOf is the uid of campaign i in a market of NewMarket.
func (m *Market) uidOf(i int) hexbid.UID {
	owners := (m.Campaigns + CampaignsAnOwner - 1) / CampaignsAnOwner
	return hexbid.UID(3*owners + i + 1)
}

func indexed(w *Workload, campaigns int, each func(func(hexbid.Resource) error) error) (*Market, error) {
	before := heap()
	started := time.Now()
	rules := bidder.DefaultMarket()
	for c := range rules.PriorPPM {
		rules.PriorPPM[c] = 1_000_000 // all factors 1
	}
	x := bidder.NewIndexer(&rules, time.Now, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	feed, err := x.Load(ctx, &generated{tape: store.NewTape(), each: each})
	if err != nil {
		stop()
		return nil, fmt.Errorf("indexing the workload: %w", err)
	}
	m := &Market{Workload: w, Indexer: x, Campaigns: campaigns, Took: time.Since(started), stop: stop, done: make(chan struct{})}
	m.HeapBytes = heap() - before
	go func() { defer close(m.done); x.Run(ctx, feed) }()
	return m, nil
}

// Close ends the indexer.
func (m *Market) Close() {
	m.stop()
	<-m.done
}

// Adjust spreads multipliers and qualities fourfold and leaves 5 % without
// budget.
func (m *Market) Adjust() error {
	const batch = 50_000
	for first := 0; first < m.Campaigns; first += batch {
		var some []bidder.Adjustment
		for i := first; i < min(first+batch, m.Campaigns); i++ {
			r := m.rand(changeStream, i)
			some = append(some, bidder.Adjustment{Campaign: m.uidOf(i), PacingPPM: 250_000 + r.Int64N(750_001), QualityPPM: 10_000 + r.Int64N(30_001), Spent: r.IntN(20) == 0})
		}
		if err := m.Indexer.Adjust(context.Background(), some); err != nil {
			return fmt.Errorf("adjusting the workload: %w", err)
		}
	}
	return nil
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
