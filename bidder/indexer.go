package bidder

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid/store"
)

// Indexer builds snapshots from the changes of a store. Load once, then Run in
// one goroutine; everything else may be called from anywhere.
type Indexer struct {
	published atomic.Pointer[Snapshot]
	stale     chan struct{} // a reader noticed that the quarter hour is over
	handIns   chan handIn   // the door: it has no room, so that whoever waits may still leave
	ended     chan struct{} // closed when Run returns

	waiting sync.Mutex    // guards advance
	advance chan struct{} // closed and replaced at every publication

	*index      // of Load and Run's goroutine alone
	publishedAt time.Time
}

// NewIndexer makes an indexer with an empty snapshot. The market must be
// valid.
func NewIndexer(market *Market, clock func() time.Time, log *slog.Logger) *Indexer {
	x := &Indexer{stale: make(chan struct{}, 1), handIns: make(chan handIn), ended: make(chan struct{}), advance: make(chan struct{}),
		index: newIndex(market, clock, log, newLiveStates())}
	x.publish()
	return x
}

// Snapshot is the market as last published.
func (x *Indexer) Snapshot() *Snapshot { return x.published.Load() }

// Load indexes every record of a store, with progress in the log, and returns
// the feed to Run on.
func (x *Indexer) Load(ctx context.Context, s store.Store) (*store.Feed, error) {
	feed := s.Watch()
	started, reported, n := time.Now(), time.Now(), 0
	version, err := s.Scan(ctx, func(r store.Record) error {
		if n++; n%1000 == 0 && time.Since(reported) > time.Second {
			reported = time.Now()
			x.log.Info("indexing the catalogue", "records", n)
		}
		if len(x.postings.waiting) >= mostWaiting {
			x.postAhead()
		}
		return x.put(&r)
	})
	if err != nil {
		return nil, fmt.Errorf("indexing the catalogue: %w", err)
	}
	x.version = version
	x.live.open()
	x.publish()
	x.log.Info("indexed the catalogue", "version", version, "campaigns", x.records.size.campaigns, "programs", x.records.size.programs,
		"places", x.records.size.places, "took", time.Since(started).Round(time.Millisecond))
	return feed, nil
}

const (
	// publishEvery spaces publications under load: each costs some hundred
	// kilobytes however little has changed. An idle indexer publishes at once.
	publishEvery = 2 * time.Millisecond
	// mostWaiting bounds the campaigns that wait to be posted while a catalogue is
	// loaded.
	mostWaiting = 1 << 12
	// mostChangesABatch bounds how long a publication waits for further changes.
	mostChangesABatch = 4096
)

// Run follows a feed until the context ends: it applies what has come in,
// publishes once, and turns the schedules of the next quarter hour when the
// last is over.
func (x *Indexer) Run(ctx context.Context, feed *store.Feed) {
	defer close(x.ended)
	changes := make(chan store.Change)
	var follow sync.WaitGroup
	follow.Go(func() {
		for {
			change, err := feed.Next(ctx)
			if err != nil {
				close(changes)
				return
			}
			changes <- change
		}
	})
	defer follow.Wait()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for x.turn(changes, tick.C) {
	}
}

// turn waits for something to do, does it with what else comes in, and publishes once.
// It says whether there may be more.
func (x *Indexer) turn(changes <-chan store.Change, tick <-chan time.Time) (more bool) {
	var taken []handIn
	select {
	case change, ok := <-changes:
		if !ok {
			return false
		}
		x.apply(&change)
	case call := <-x.handIns:
		taken = append(taken, x.takeCall(call))
	case <-x.stale: // publishing turns the page
	case <-tick:
		if turned, unposted := x.turnQuarter(), x.postings.unpostOff(x.clock()); !turned && !unposted {
			return true
		}
	}
	x.gather(changes)
	taken = x.takeWaiting(taken)
	x.publish()
	for _, call := range taken {
		close(call.inForce)
	}
	return true
}

// gather applies what else comes in until it is time to publish. Hand-ins wait at the
// door meanwhile.
func (x *Indexer) gather(changes <-chan store.Change) {
	wait := time.NewTimer(publishEvery - time.Since(x.publishedAt))
	defer wait.Stop()
	for range mostChangesABatch {
		select {
		case change, ok := <-changes:
			if !ok {
				return
			}
			x.apply(&change)
		case <-wait.C:
			return
		}
	}
}

// WaitFor waits until a version is searchable. Its error is the context's.
func (x *Indexer) WaitFor(ctx context.Context, version uint64) error {
	return x.await(ctx, func() bool { return x.Snapshot().Version >= version })
}

// SnapshotNow is the market as last published and the indexer's clock, once the
// one holds what is scheduled at the other: at once and without a lock, but for a
// clock that jumps. The clock is read last, so that a quarter hour that turns
// meanwhile does not leave the instant behind. The error is the context's.
func (x *Indexer) SnapshotNow(ctx context.Context) (s *Snapshot, now time.Time, err error) {
	holds := func() bool {
		s, now = x.Snapshot(), x.clock()
		if !s.Covers(now) {
			x.noteStale()
		}
		return s.Holds(now)
	}
	if holds() {
		return s, now, nil
	}
	return s, now, x.await(ctx, holds)
}

// await waits for a publication that is enough.
func (x *Indexer) await(ctx context.Context, enough func() bool) error {
	for {
		x.waiting.Lock()
		advanced := x.advance
		x.waiting.Unlock()
		if enough() {
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// noteStale tells the indexer that a reader's instant is not covered by the
// snapshot's quarter hour.
func (x *Indexer) noteStale() {
	select {
	case x.stale <- struct{}{}:
	default: // noted already
	}
}

// publish makes a snapshot of the present state and lets waiters look.
func (x *Indexer) publish() {
	x.published.Store(x.publication())
	x.publishedAt = time.Now()
	x.waiting.Lock()
	defer x.waiting.Unlock()
	close(x.advance)
	x.advance = make(chan struct{})
}
