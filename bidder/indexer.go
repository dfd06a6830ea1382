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
	market   *Market
	reserves []reserveRule
	clock    func() time.Time
	log      *slog.Logger

	published atomic.Pointer[Snapshot]
	stale     chan struct{} // a reader noticed that the quarter hour is over

	waiting sync.Mutex    // guards advanced
	advance chan struct{} // closed and replaced at every publication

	// Below: owned by the goroutine of Load and Run.
	version       uint64
	campaigns     pagedWriter[campaign]
	eligibility   pagedWriter[eligibility]
	programs      pagedWriter[program]
	places        pagedWriter[place]
	campaignNouns map[uint32]*store.Record
	programNouns  map[uint32]*hexbid.Program
	ordinals      struct{ campaigns, programs, places, advertisers ordinals }
	byName        map[string]uint32 // of any kind: names tell kinds apart
	advertisers   map[uint32]*advertiserState
	buyers        map[uint32]map[uint32]bool // campaigns by program
	rules         ruleSet
	interner      geoindex.Interner
	lists         directory
	keysByRes     [geoindex.Finest + 1]int
	edits         map[geoindex.Key]*listEdit
	postedUnder   map[uint32][]geoindex.Posting // by campaign
	sites         *geoindex.Tree
	siteEdit      *geoindex.Edit
	counts        struct{ campaigns, programs, places int }
	quarter       time.Time
}

type advertiserState struct {
	uid       hexbid.UID
	paused    bool
	campaigns map[uint32]bool
}

// NewIndexer makes an indexer with an empty snapshot. The market must be
// valid.
func NewIndexer(market *Market, clock func() time.Time, log *slog.Logger) *Indexer {
	x := &Indexer{
		market: market, reserves: compileReserves(market.Reserves), clock: clock, log: log,
		stale: make(chan struct{}, 1), advance: make(chan struct{}),
		campaignNouns: map[uint32]*store.Record{}, programNouns: map[uint32]*hexbid.Program{},
		byName: map[string]uint32{}, advertisers: map[uint32]*advertiserState{}, buyers: map[uint32]map[uint32]bool{},
		rules: ruleSet{}, edits: map[geoindex.Key]*listEdit{}, postedUnder: map[uint32][]geoindex.Posting{},
	}
	x.quarter = clock().Truncate(targeting.Quarter)
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
		return x.put(&r)
	})
	if err != nil {
		return nil, fmt.Errorf("indexing the catalogue: %w", err)
	}
	x.version = version
	x.publish()
	x.log.Info("indexed the catalogue", "version", version, "campaigns", x.counts.campaigns, "programs", x.counts.programs,
		"places", x.counts.places, "took", time.Since(started).Round(time.Millisecond))
	return feed, nil
}

// mostChangesABatch bounds how long a publication waits for further changes.
const mostChangesABatch = 512

// Run follows a feed until the context ends: it applies what has come in,
// publishes once, and turns the schedules of the next quarter hour when the
// last is over.
func (x *Indexer) Run(ctx context.Context, feed *store.Feed) {
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
	for {
		select {
		case change, ok := <-changes:
			if !ok {
				return
			}
			x.apply(&change)
			x.applyWaiting(changes)
			x.publish()
		case <-x.stale:
			x.turnQuarter()
		case <-tick.C:
			x.turnQuarter()
		}
	}
}

func (x *Indexer) applyWaiting(changes <-chan store.Change) {
	for range mostChangesABatch {
		select {
		case change, ok := <-changes:
			if !ok {
				return
			}
			x.apply(&change)
		default:
			return
		}
	}
}

// WaitFor waits until a version is searchable. Its error is the context's.
func (x *Indexer) WaitFor(ctx context.Context, version uint64) error {
	for {
		x.waiting.Lock()
		advanced := x.advance
		x.waiting.Unlock()
		if x.Snapshot().Version >= version {
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// NoteStale tells the indexer that a reader's instant is not covered by the
// snapshot's quarter hour.
func (x *Indexer) NoteStale() {
	select {
	case x.stale <- struct{}{}:
	default: // noted already
	}
}

// turnQuarter reads all schedules ahead for the present quarter hour.
func (x *Indexer) turnQuarter() {
	quarter := x.clock().Truncate(targeting.Quarter)
	if quarter.Equal(x.quarter) {
		return
	}
	x.quarter = quarter
	for i := range x.ordinals.campaigns.next {
		if x.campaigns.at(i).name != "" {
			x.setEligibility(i)
		}
	}
	x.publish()
}

// publish makes a snapshot of the present state and lets waiters look.
func (x *Indexer) publish() {
	x.applyListEdits()
	if x.siteEdit != nil {
		x.sites, x.siteEdit = x.siteEdit.Tree(), nil
	}
	s := &Snapshot{
		Version: x.version, Campaigns: x.counts.campaigns, Programs: x.counts.programs, Places: x.counts.places,
		quarter: x.quarter, campaigns: x.campaigns.freeze(), eligibility: x.eligibility.freeze(), programs: x.programs.freeze(),
		places: x.places.freeze(), lists: x.lists, sites: x.sites, market: x.market, reserves: x.reserves,
	}
	for res, n := range x.keysByRes {
		if n > 0 {
			s.resolutions |= 1 << res
		}
	}
	x.published.Store(s)
	x.waiting.Lock()
	defer x.waiting.Unlock()
	close(x.advance)
	x.advance = make(chan struct{})
}

func (x *Indexer) applyListEdits() {
	if len(x.edits) == 0 {
		return
	}
	changed := make(map[geoindex.Key]*list, len(x.edits))
	for key, e := range x.edits {
		before := x.lists.find(key)
		if before == nil {
			before = &list{}
		}
		after := before.edited(e)
		changed[key] = after
		if res, ok := key.CellResolution(); ok {
			x.keysByRes[res] += min(len(after.blocks), 1) - min(len(before.blocks), 1)
		}
	}
	x.lists = x.lists.with(changed)
	x.edits = map[geoindex.Key]*listEdit{}
}
