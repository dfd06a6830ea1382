package bidder

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Indexer builds snapshots from the changes of a store. Call Load once, then Run in one goroutine. Every other method
// may be called from any goroutine.
type Indexer struct {
	clock     func() time.Time // the index uses it too; Run may replace the index while callers ask for the time
	published atomic.Pointer[Snapshot]
	wanted    chan struct{} // signals that a publication is due though nothing has arrived
	gate      Gate
	handIns   chan handIn   // the door, without a buffer, so that a caller who waits may still give up
	ended     chan struct{} // closed when Run returns

	waiting sync.Mutex    // guards advance
	advance chan struct{} // closed and replaced at every publication

	*index             // of Load and Run's goroutine alone
	next        *index // the index that takes the present one's place when its version passes the gate; or nil
	publishedAt time.Time
	nextPortion <-chan time.Time // says when a portion of the campaigns that move in portions is due; nil without any
}

// Gate waits until searches may see the changes of the catalogue up to a version. Its error is the context's. It lets
// versions through in order, so a version that has passed keeps passing. Hand-ins do not go through the gate.
type Gate func(ctx context.Context, version uint64) error

// NewIndexer makes an indexer with an empty snapshot. The market must be
// valid.
func NewIndexer(market *Market, clock func() time.Time, log *slog.Logger) *Indexer {
	open := func(context.Context, uint64) error { return nil }
	x := &Indexer{clock: clock, gate: open, wanted: make(chan struct{}, 1), handIns: make(chan handIn),
		ended: make(chan struct{}), advance: make(chan struct{}),
		index: newIndex(market, clock, log, newLiveStates(), newBalances())}
	x.publish()
	return x
}

// GateBy sets the gate that changes go through. Without one they go through at once. Call it before Load.
func (x *Indexer) GateBy(gate Gate) { x.gate = gate }

// Snapshot returns the market as last published.
func (x *Indexer) Snapshot() *Snapshot { return x.published.Load() }

// Load indexes every record of a store, with progress in the log. Run goes on from
// there. A record that cannot be indexed is logged and left out.
func (x *Indexer) Load(ctx context.Context, from Catalogue) error {
	started := time.Now()
	err := x.load(ctx, from)
	if err == nil {
		err = x.gate(ctx, x.version)
	}
	if err != nil {
		return fmt.Errorf("indexing the catalogue: %w", err)
	}
	x.publish()
	x.logLoaded(started)
	return nil
}

const (
	// publishEvery spaces publications under load, because each allocates some hundred kilobytes however little has
	// changed. An idle indexer publishes at once.
	publishEvery = 2 * time.Millisecond
	// mostWaiting bounds the campaigns that wait to be posted while a catalogue is
	// loaded.
	mostWaiting = 1 << 12
	// mostChangesABatch bounds how long a publication waits for further changes.
	mostChangesABatch = 4096
)

// Run follows a store from the version where Load ended until the context ends. The feed may end earlier, because
// changes are missing or the log of changes cannot be read. Run then indexes the whole catalogue anew.
func (x *Indexer) Run(ctx context.Context, from Catalogue) {
	defer close(x.ended)
	for {
		err := x.follow(ctx, from)
		if ctx.Err() != nil {
			return
		}
		x.log.Error("the log of changes does not lead on from the index: indexing the catalogue anew, "+
			"searches go on with the present index", "version", x.version, "error", err)
		for x.loadAnew(ctx, from) != nil && ctx.Err() == nil {
			pause(ctx, tryAgainAfter)
		}
	}
}

// tryAgainAfter spaces the attempts to index a catalogue that cannot be read.
const tryAgainAfter = time.Second

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// loadAnew indexes the catalogue again beside the present index, and switches to the new index once it is whole and its
// version has passed the gate. Until then both are in memory. Hand-ins wait until the new index is whole. It takes over
// all states handed in.
func (x *Indexer) loadAnew(ctx context.Context, from Catalogue) error {
	started := time.Now()
	fresh := newIndex(x.latestMarket(), x.clock, x.log, x.live.reopened(), x.reopenedBalances())
	fresh.programs = x.programs.reopened()
	if err := fresh.load(ctx, from); err != nil {
		x.log.Error("the catalogue cannot be indexed anew", "error", err)
		return err
	}
	x.next = fresh
	err := x.goOnUntilPassed(ctx, fresh.version)
	if x.next = nil; err != nil {
		return err
	}
	fresh.publications = x.publications
	x.index = fresh
	x.publish()
	x.spacePortions(0)
	x.logLoaded(started)
	return nil
}

// goOnUntilPassed keeps the present index going, without changes of the catalogue, until a version passes the gate. The
// gate may stay shut for hours. Searches need the schedules of the present quarter hour all the same, and hand-ins go
// to both indexes. Its error is the context's.
func (x *Indexer) goOnUntilPassed(ctx context.Context, version uint64) error {
	passed := make(chan error, 1)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	waiting.Go(func() {
		passed <- x.gate(ctx, version)
		x.want()
	})
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-passed:
			return err
		default:
			x.turn(nil, tick.C)
		}
	}
}

// follow applies the changes after the indexed version, publishing once for each batch. It also publishes when a
// quarter hour ends, to evaluate the schedules of the next one. It returns when the context or the feed ends, with the
// error that says why.
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
			handOn(ctx, x.gate, updates))
	})
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for x.turn(updates, tick.C) {
	}
	return ended
}

// handOn sends the updates of parcels one by one, each when it has passed the gate.
func handOn(ctx context.Context, gate Gate, to chan<- *update) func(*parcel) error {
	return func(p *parcel) error {
		for i := range p.updates {
			if err := gate(ctx, p.updates[i].version); err != nil {
				return err
			}
			select {
			case to <- &p.updates[i]:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
}

// turn waits for work, does it together with whatever else has arrived, and publishes once. It reports whether the feed
// goes on.
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
	case <-x.wanted:
	case <-x.nextPortion:
		x.nextPortion = nil
		x.postings.portion()
	case <-tick:
		if x.postings.findOff(x.clock()); !x.turnQuarter() {
			x.spacePortions(0)
			return true
		}
	}
	x.gather(updates)
	taken = x.takeWaiting(taken)
	began := time.Now()
	x.publish()
	x.spacePortions(time.Since(began))
	if x.balances.owes() || x.programs.owes() {
		x.want()
	}
	for _, call := range taken {
		close(call.inForce)
	}
	return true
}

// longestRest bounds the pause between portions on a machine that gives the indexer little time.
const longestRest = 20 * time.Millisecond

// spacePortions sets when the next portion is due, after a publication that took so long. The indexer rests as long as
// it has worked, so that searches and other changes hardly notice.
func (x *Indexer) spacePortions(took time.Duration) {
	if x.nextPortion == nil && x.postings.movesInPortions() {
		x.nextPortion = time.After(min(max(publishEvery, took), longestRest))
	}
}

// gather applies further updates until it is time to publish. Hand-ins wait at the door meanwhile.
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

// WaitFor blocks until searches see a version. Its error is the context's.
func (x *Indexer) WaitFor(ctx context.Context, version uint64) error {
	return x.await(ctx, func() bool { return x.Snapshot().Version >= version })
}

// WaitForReturns blocks until all campaigns that serve again are in the lists. Its error is the context's.
func (x *Indexer) WaitForReturns(ctx context.Context) error {
	return x.await(ctx, func() bool { return x.Snapshot().Returning == 0 })
}

// SnapshotNow returns the last published snapshot and the time on the indexer's clock. The snapshot covers the
// schedules at that time. SnapshotNow returns at once and takes no lock, except when the clock jumps. It reads the
// clock last, so that a quarter hour that ends meanwhile is noticed. The error is the context's.
func (x *Indexer) SnapshotNow(ctx context.Context) (s *Snapshot, now time.Time, err error) {
	holds := func() bool {
		s, now = x.Snapshot(), x.clock()
		if !s.Covers(now) {
			x.want() // publishing evaluates the schedules of the present quarter hour
		}
		return s.Holds(now)
	}
	if holds() {
		return s, now, nil
	}
	return s, now, x.await(ctx, holds)
}

// await blocks until a publication after which enough returns true.
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

// want asks the indexer for a publication.
func (x *Indexer) want() {
	select {
	case x.wanted <- struct{}{}:
	default: // wanted already
	}
}

// publish publishes a snapshot of the present state and wakes the waiters.
func (x *Indexer) publish() {
	x.published.Store(x.publication())
	x.publishedAt = time.Now()
	x.waiting.Lock()
	defer x.waiting.Unlock()
	close(x.advance)
	x.advance = make(chan struct{})
}
