package bidder

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Indexer builds snapshots from the changes of a store. Load once, then Run in
// one goroutine; everything else may be called from anywhere.
type Indexer struct {
	clock     func() time.Time // also the index's, which Run may replace while callers ask for the time
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
	x := &Indexer{clock: clock, stale: make(chan struct{}, 1), handIns: make(chan handIn), ended: make(chan struct{}),
		advance: make(chan struct{}), index: newIndex(market, clock, log, newLiveStates())}
	x.publish()
	return x
}

// Snapshot is the market as last published.
func (x *Indexer) Snapshot() *Snapshot { return x.published.Load() }

// Load indexes every record of a store, with progress in the log. Run goes on from
// there. A record that cannot be indexed is logged and left out.
func (x *Indexer) Load(ctx context.Context, from Catalogue) error {
	if err := x.load(ctx, from); err != nil {
		return fmt.Errorf("indexing the catalogue: %w", err)
	}
	x.publish()
	return nil
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

// Run follows a store from where Load has ended, until the context ends. When the feed
// ends before, for a gap or because the log of changes cannot be read, it indexes the
// catalogue anew.
func (x *Indexer) Run(ctx context.Context, from Catalogue) {
	defer close(x.ended)
	for {
		err := x.follow(ctx, from)
		if ctx.Err() != nil {
			return
		}
		x.log.Error("the log of changes does not lead on from what is indexed: indexing the catalogue anew, searches go on "+
			"as of then",
			"version", x.version, "error", err)
		for x.loadAnew(ctx, from) != nil && ctx.Err() == nil {
			pause(ctx, tryAgainAfter)
		}
	}
}

// tryAgainAfter spaces the tries to index a catalogue that cannot be read.
const tryAgainAfter = time.Second

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// loadAnew indexes the catalogue beside what is indexed, and takes the new index when it
// is whole. Both are in memory until then, and hand-ins wait. What was handed in stays.
func (x *Indexer) loadAnew(ctx context.Context, from Catalogue) error {
	fresh := newIndex(x.market, x.clock, x.log, x.live.reopened())
	fresh.publications = x.publications
	if err := fresh.load(ctx, from); err != nil {
		x.log.Error("the catalogue cannot be indexed anew", "error", err)
		return err
	}
	x.index = fresh
	x.publish()
	return nil
}

// follow applies what comes in after the version that is indexed, publishes once, and
// turns the schedules of the next quarter hour when the last is over. It ends with the
// context or with the feed; the error tells why.
func (x *Indexer) follow(ctx context.Context, from Catalogue) error {
	ctx, stop := context.WithCancel(ctx)
	var supplying sync.WaitGroup
	defer supplying.Wait()
	defer stop()
	updates, after := make(chan *update), x.version
	var ended error
	supplying.Go(func() {
		defer close(updates)
		s := supply{catalogue: from, log: x.log}
		ended = s.run(ctx, func(ctx context.Context, send func(*parcel) error) error { return s.follow(ctx, after, send) },
			handOn(ctx, updates))
	})
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for x.turn(updates, tick.C) {
	}
	return ended
}

// handOn sends the updates of parcels one by one.
func handOn(ctx context.Context, to chan<- *update) func(*parcel) error {
	return func(p *parcel) error {
		for i := range p.updates {
			select {
			case to <- &p.updates[i]:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
}

// turn waits for something to do, does it with what else comes in, and publishes once.
// It says whether there may be more.
func (x *Indexer) turn(updates <-chan *update, tick <-chan time.Time) (more bool) {
	var taken []handIn
	select {
	case u, ok := <-updates:
		if !ok {
			return false
		}
		x.apply(u)
	case call := <-x.handIns:
		taken = append(taken, x.takeCall(call))
	case <-x.stale: // publishing turns the page
	case <-tick:
		if turned, unposted := x.turnQuarter(), x.postings.unpostOff(x.clock()); !turned && !unposted {
			return true
		}
	}
	x.gather(updates)
	taken = x.takeWaiting(taken)
	x.publish()
	for _, call := range taken {
		close(call.inForce)
	}
	return true
}

// gather applies what else comes in until it is time to publish. Hand-ins wait at the
// door meanwhile.
func (x *Indexer) gather(updates <-chan *update) {
	wait := time.NewTimer(publishEvery - time.Since(x.publishedAt))
	defer wait.Stop()
	for range mostChangesABatch {
		select {
		case u, ok := <-updates:
			if !ok {
				return
			}
			x.apply(u)
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
