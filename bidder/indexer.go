package bidder

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/targeting"
)

// Indexer builds snapshots from the changes of a store. Load once, then Run in
// one goroutine; everything else may be called from anywhere.
type Indexer struct {
	market *Market
	clock  func() time.Time
	log    *slog.Logger

	published atomic.Pointer[Snapshot]
	stale     chan struct{} // a reader noticed that the quarter hour is over
	handIns   chan handIn   // the door: it has no room, so that whoever waits may still leave
	ended     chan struct{} // closed when Run returns

	waiting sync.Mutex    // guards advance
	advance chan struct{} // closed and replaced at every publication

	// Below: owned by the goroutine of Load and Run.
	next Snapshot // what the next publication has of plain fields

	campaigns   pagedWriter[campaign]
	details     pagedWriter[detail]
	specifics   rareWriter[specifics]
	programs    pagedWriter[program]
	places      pagedWriter[place]
	advertisers pagedWriter[hexbid.UID]
	lists       tableWriter[posting, tail]
	words       wordWriter
	siteEdit    *geoindex.Edit

	edits     editLog // of lists, since the last publication
	keysByRes [otherKeys + 1]int

	ordinals    struct{ campaigns, programs, places, advertisers ordinals }
	campaignOf  *sharedUIDs // snapshots look up in it too
	placeOf     uidMap
	byName      map[nameKey]uint32 // programs and advertisers, which others name
	live        liveStates
	kept        pagedWriter[kept]    // by campaign; never frozen
	surrounds   rareWriter[surround] // of kept; never frozen
	coverings   coverings            // by campaign, but for its surround's
	unpacked    []geoindex.Posting   // the one last read
	accounts    pagedWriter[account] // by advertiser; never frozen
	rules       ruleSet
	interner    geoindex.Interner
	off         map[uint32]time.Time // campaigns that are still posted, though off since
	publishedAt time.Time

	surroundBy  map[surroundKey]uint32 // numbers of surrounds
	surroundsOf map[uint32]*surround   // the first by program
	deserted    []uint32               // numbers of surrounds that a last member has left
	trees       rareWriter[geoindex.Tree]

	// What waits for the next publication, so that what changes many times in
	// between is worked out once.
	changedOwners   map[uint32]struct{}       // advertisers that were paused or are on again
	changedPrograms map[uint32]struct{}       // whose campaigns and sites have their old gates and tags
	moved           map[hexbid.UID]movedPlace // places that surrounds have not followed
	waitingPosts    []uint32                  // campaigns to be posted
	treeEdits       map[uint32]*geoindex.Edit // by program

	covered int // discs around places, since the start
}

// NewIndexer makes an indexer with an empty snapshot. The market must be
// valid.
func NewIndexer(market *Market, clock func() time.Time, log *slog.Logger) *Indexer {
	x := &Indexer{
		market: market, clock: clock, log: log,
		stale: make(chan struct{}, 1), handIns: make(chan handIn), ended: make(chan struct{}), advance: make(chan struct{}),
		words: newWordWriter(), live: newLiveStates(),
		campaignOf: &sharedUIDs{uids: newUIDMap()}, placeOf: newUIDMap(), byName: map[nameKey]uint32{}, off: map[uint32]time.Time{},
		surroundBy: map[surroundKey]uint32{}, surroundsOf: map[uint32]*surround{},
		moved: map[hexbid.UID]movedPlace{}, treeEdits: map[uint32]*geoindex.Edit{},
		changedOwners: map[uint32]struct{}{}, changedPrograms: map[uint32]struct{}{},
	}
	x.next = Snapshot{quarter: clock().Truncate(targeting.Quarter), market: market, reserves: compileReserves(market.Reserves), campaignOf: x.campaignOf}
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
		if len(x.waitingPosts) >= mostWaiting {
			x.settle()
		}
		return x.put(&r)
	})
	if err != nil {
		return nil, fmt.Errorf("indexing the catalogue: %w", err)
	}
	x.next.Version = version
	x.live.open()
	x.publish()
	x.log.Info("indexed the catalogue", "version", version, "campaigns", x.next.Campaigns, "programs", x.next.Programs,
		"places", x.next.Places, "took", time.Since(started).Round(time.Millisecond))
	return feed, nil
}

const (
	// publishEvery spaces publications under load: each costs some hundred
	// kilobytes however little has changed. An idle indexer publishes at once.
	publishEvery = 2 * time.Millisecond
	// mostEdits bounds the memory of edits: half a gigabyte, and as much again while
	// they are sorted.
	mostEdits = 1 << 24
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
		taken = append(taken, x.take(call))
	case <-x.stale: // publishing turns the page
	case <-tick:
		if turned, unposted := x.turnQuarter(), x.unpostOff(); !turned && !unposted {
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

// turnQuarter reads all schedules ahead for the present quarter hour; it says
// whether it is another.
func (x *Indexer) turnQuarter() bool {
	quarter := x.clock().Truncate(targeting.Quarter)
	if quarter.Equal(x.next.quarter) {
		return false
	}
	x.next.quarter = quarter
	for i := range x.ordinals.campaigns.next {
		if x.details.at(i).specifics != 0 && x.campaigns.at(i).uid != 0 {
			x.setState(i)
		}
	}
	return true
}

// settle works out what waits for the publication.
func (x *Indexer) settle() {
	x.dropDeserted()
	x.followOwners()
	x.followPrograms()
	x.followMoves()
	x.postWaiting()
	x.setTrees()
}

// publish makes a snapshot of the present state and lets waiters look. Every
// publication is of the present quarter hour, so that a run of changes, however long,
// does not hold up the next one.
func (x *Indexer) publish() {
	x.turnQuarter()
	x.settle()
	x.applyEdits()
	if x.siteEdit != nil {
		x.next.sites, x.siteEdit = x.siteEdit.Tree(), nil
	}
	x.next.publication++
	s := x.next
	s.campaigns, s.details, s.specifics = x.campaigns.freeze(), x.details.freeze(), rare[specifics]{x.specifics.freeze()}
	s.programs, s.places, s.advertisers = x.programs.freeze(), x.places.freeze(), x.advertisers.freeze()
	s.trees = rare[geoindex.Tree]{x.trees.freeze()}
	s.lists, s.words = x.lists.freeze(), x.words.publish()
	for res, n := range x.keysByRes {
		if n > 0 {
			s.resolutions |= 1 << res
		}
	}
	x.published.Store(&s)
	x.publishedAt = time.Now()
	x.waiting.Lock()
	defer x.waiting.Unlock()
	close(x.advance)
	x.advance = make(chan struct{})
}

// otherKeys stands for regions and everywhere where keys are told by resolution.
const otherKeys = geoindex.Finest + 1

// listAt is the list of a key, perhaps an empty one.
func (x *Indexer) listAt(key uint64) *list {
	head, tail := x.lists.get(key)
	return &list{head, tail}
}

// setLists puts changed lists in their place, and counts the keys in use.
func (x *Indexer) setLists(changed []change[posting, tail]) {
	for i := range changed {
		c := &changed[i]
		res, ok := geoindex.Key(c.key &^ withKeywords).CellResolution()
		if !ok {
			res = otherKeys
		}
		if !c.isNew {
			x.keysByRes[res]--
		}
		if !c.drops() {
			x.keysByRes[res]++
		}
	}
	x.lists.apply(changed)
}
