package exchange

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
)

// viewers knows what viewers have seen of capped campaigns, so that searches leave out what a viewer may not see any
// more. It only saves impressions that would bill nothing: the ledger counts exactly, by itself.
//
// A filter in memory says who has no history, which is most viewers of most markets. A cache has the histories of those
// who came lately. What neither knows is read from the journal by a bounded number of goroutines. A search waits for
// its reading a moment; a reading that takes longer goes on and fills the cache.
type viewers struct {
	read     historyReader
	patience time.Duration // of a search; 0 waits for as long as its context lasts
	cache    *ristretto.Cache[uint64, *remembered]
	shards   [256]viewerShard
	awards   recentAwards
	readers  chan struct{} // has an element for each goroutine that reads
	log      *slog.Logger
	follow   context.Context // of readers: ends when the exchange closes
	running  sync.WaitGroup

	filter  atomic.Pointer[frequency.Filter] // nil until all rows were seen once
	filling atomic.Pointer[frequency.Filter] // the next one, while rows are scanned

	answered [historySources]atomic.Uint64
}

// historyReader reads what a viewer has seen from the journal, nil if that is too much.
type historyReader func(ctx context.Context, viewer [16]byte) (*frequency.History, error)

// viewerShard guards the viewers whose pseudonym begins with its number.
type viewerShard struct {
	mu      sync.Mutex // guards reading, and orders changes of the cache
	reading map[[16]byte]*reading
}

// reading is a viewer's history on its way from the journal.
type reading struct {
	done    chan struct{} // closed when history and source are there
	history *frequency.History
	source  historySource
	stale   bool // an impression was recorded meanwhile: the cache does not take the history
}

// remembered is a history in the cache. Histories are found by half a pseudonym, so it has the whole one.
type remembered struct {
	viewer  [16]byte
	history *frequency.History
}

// historySource is where the answer to a search came from.
type historySource int

const (
	fromFilter historySource = iota
	fromCache
	fromJournal
	fromEmpty // the journal has no row: the filter was wrong, or is not there yet
	tooLate   // the reading was not there in time
	tooMany   // too many readings were under way
	tooLong   // the viewer has more rows than a history holds
	notRead   // the journal could not be read
	historySources
)

// mostReaders bounds the goroutines that read histories. Beyond it a search does without.
const mostReaders = 64

// rememberedBytes is what the cache uses for each history beyond what the history says.
const rememberedBytes = 280

// newViewers makes an empty cache. Readings end with the context.
func newViewers(ctx context.Context, config *Config) (*viewers, error) {
	v := &viewers{follow: ctx, log: config.Log, patience: config.Histories.Budget,
		readers: make(chan struct{}, mostReaders),
		read: func(ctx context.Context, viewer [16]byte) (h *frequency.History, err error) {
			return readHistory(ctx, config.Ledger, viewer)
		}}
	if config.Manual {
		v.patience = 0 // virtual time does not pass while the disk works
	}
	var err error
	v.cache, err = ristretto.NewCache(&ristretto.Config[uint64, *remembered]{
		NumCounters: max(10*config.Histories.CacheBytes/rememberedBytes, 1000), MaxCost: config.Histories.CacheBytes,
		BufferItems: 64})
	if err != nil {
		return nil, fmt.Errorf("cache of histories: %w", err)
	}
	for i := range v.shards {
		v.shards[i].reading = map[[16]byte]*reading{}
	}
	v.awards.keepFor = config.ClickExpiry
	return v, nil
}

// readHistory reads what a viewer has seen from the ledger's journal.
func readHistory(ctx context.Context, l *ledger.Ledger, viewer [16]byte) (*frequency.History, error) {
	found := make(chan *frequency.History, 1) // the reading may go on after the context has ended
	err := l.ReadSynced(ctx, func(view journal.View) error {
		h, err := ledger.ReadHistory(view, viewer)
		found <- h
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-found, nil
}

func (v *viewers) shardOf(viewer *[16]byte) *viewerShard { return &v.shards[viewer[15]] }

func cacheKey(viewer *[16]byte) uint64 { return binary.BigEndian.Uint64(viewer[:]) }

// history returns what a viewer has seen at an instant of the ledger's time, and the awards that may become impressions
// of theirs. It returns nil if that is not known in time.
func (v *viewers) history(ctx context.Context, viewer [16]byte, now time.Time) *frequency.History {
	h, source := v.look(ctx, viewer, v.patience)
	v.answered[source].Add(1)
	if h == nil {
		return nil
	}
	return v.awards.over(h, viewer, now)
}

// known is history for a caller who waits.
func (v *viewers) known(ctx context.Context, viewer [16]byte, now time.Time) *frequency.History {
	h, _ := v.look(ctx, viewer, 0)
	if h == nil {
		return nil
	}
	return v.awards.over(h, viewer, now)
}

// look finds a history where it is nearest.
func (v *viewers) look(ctx context.Context, viewer [16]byte,
	patience time.Duration) (*frequency.History, historySource) {
	if f := v.filter.Load(); f != nil && !f.MayHold(&viewer) {
		return frequency.None, fromFilter
	}
	if r, there := v.cache.Get(cacheKey(&viewer)); there && r.viewer == viewer {
		if r.history == nil {
			return nil, tooLong
		}
		return r.history, fromCache
	}
	r := v.begin(viewer)
	if r == nil {
		return nil, tooMany
	}
	return r.wait(ctx, patience)
}

// begin joins the reading of a viewer's history, or begins one. It returns nil when too many are under way.
func (v *viewers) begin(viewer [16]byte) *reading {
	s := v.shardOf(&viewer)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.reading[viewer]; r != nil {
		return r
	}
	select {
	case v.readers <- struct{}{}:
	default:
		return nil
	}
	r := &reading{done: make(chan struct{})}
	s.reading[viewer] = r
	v.running.Go(func() { v.finish(s, viewer, r) })
	return r
}

// finish reads a history, and puts it into the cache.
func (v *viewers) finish(s *viewerShard, viewer [16]byte, r *reading) {
	h, err := v.read(v.follow, viewer)
	<-v.readers
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reading, viewer)
	if err != nil && v.follow.Err() == nil {
		v.log.Warn("what a viewer has seen cannot be read: capped campaigns do without this search", "error", err)
	}
	if err == nil && !r.stale {
		v.remember(viewer, h)
	}
	r.history, r.source = h, sourceOf(h, err)
	close(r.done)
}

// remember puts a history into the cache. The caller holds the shard's lock. A viewer with too many rows is remembered
// too, or each of their searches would read them.
func (v *viewers) remember(viewer [16]byte, h *frequency.History) {
	cost := int64(rememberedBytes)
	if h != nil {
		cost += h.Bytes()
	}
	v.cache.Set(cacheKey(&viewer), &remembered{viewer, h}, cost)
}

// wait waits for a reading, at most so long; 0 is for as long as the context lasts.
func (r *reading) wait(ctx context.Context, patience time.Duration) (*frequency.History, historySource) {
	var over <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-r.done:
	case <-over:
		return nil, tooLate
	case <-ctx.Done():
		return nil, tooLate
	}
	return r.history, r.source
}

// sourceOf tells the outcomes of a reading apart.
func sourceOf(h *frequency.History, err error) historySource {
	switch {
	case err != nil:
		return notRead
	case h == nil:
		return tooLong
	case h.Subjects() == 0:
		return fromEmpty
	}
	return fromJournal
}

// happened takes in an event that was recorded. An impression that counts towards a cap enters its viewer's history.
func (v *viewers) happened(e *ledger.Event, counted int64) {
	if !e.Award.HasViewer || counted == 0 {
		return
	}
	viewer := e.Award.Viewer
	for _, f := range []*frequency.Filter{v.filling.Load(), v.filter.Load()} {
		if f != nil {
			f.Add(&viewer)
		}
	}
	impression := impressionOf(&e.Caps, e.Award.Campaign, e.Award.Advertiser, counted)
	v.change(viewer, func(h *frequency.History) *frequency.History { return h.With(impression) })
	v.awards.seen(viewer, e.Award.Campaign, e.Award.IssuedAt)
}

// impressionOf returns an impression as it counts towards caps.
func impressionOf(caps *frequency.Caps, campaign, advertiser hexbid.UID, at int64) frequency.Impression {
	i := frequency.Impression{At: at, Campaign: campaign, Advertiser: advertiser}
	if caps.Campaign.Impressions == 0 {
		i.Campaign = 0
	}
	if caps.Advertiser.Impressions == 0 {
		i.Advertiser = 0
	}
	return i
}

// forget drops what is known of a viewer whose rows were erased.
func (v *viewers) forget(viewer [16]byte) {
	v.change(viewer, nil)
	v.awards.forget(viewer)
}

// change changes a history in the cache; a nil function drops it. What is being read meanwhile does not enter the
// cache. A history that waits to enter it is deleted, because the cache puts and deletes in order.
func (v *viewers) change(viewer [16]byte, to func(*frequency.History) *frequency.History) {
	s := v.shardOf(&viewer)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.reading[viewer]; r != nil {
		r.stale = true
	}
	r, there := v.cache.Get(cacheKey(&viewer))
	switch {
	case to == nil || !there || r.viewer != viewer:
		v.cache.Del(cacheKey(&viewer))
	case r.history != nil:
		v.remember(viewer, to(r.history))
	}
}

// close waits for readers, whose context has ended.
func (v *viewers) close() {
	v.running.Wait()
	v.cache.Close()
}
