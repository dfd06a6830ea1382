package bidder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/store"
)

// watched is a store that tells what is kept in it, and whose feeds a test may change.
type watched struct {
	*store.Memory
	mu    sync.Mutex                     // guards kept
	kept  map[hexbid.UID]store.Derived   // by KeepDerived
	watch func(after uint64) *store.Feed // the store's own when nil
	scans atomic.Int32
}

func newWatched() *watched {
	return &watched{Memory: store.NewMemory(), kept: map[hexbid.UID]store.Derived{}}
}

func (w *watched) Scan(ctx context.Context, f func(store.Record, *store.Derived) error) (uint64, error) {
	w.scans.Add(1)
	return w.Memory.Scan(ctx, f)
}

func (w *watched) Watch(after uint64) *store.Feed {
	if w.watch != nil {
		return w.watch(after)
	}
	return w.Memory.Watch(after)
}

func (w *watched) KeepDerived(ctx context.Context, derived []store.Derived) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range derived {
		w.kept[d.UID] = d
	}
	return w.Memory.KeepDerived(ctx, derived)
}

// takeKept is what has been kept since the last call.
func (w *watched) takeKept() map[hexbid.UID]store.Derived {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.kept
	w.kept = map[hexbid.UID]store.Derived{}
	return kept
}

func supplied(i int) *hexbid.Campaign {
	return &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/a/campaigns/c%d", i)},
		Program: "advertisers/a/programs/p", Pricing: hexbid.CPC, Bid: 1_000_000,
		Area: hexbid.Area{Circles: []hexbid.Circle{{Center: hexbid.Point{Lat: 30, Lng: 120 + float64(i%1000)/1000},
			RadiusM: 300}}}}
}

// putOwner puts what campaigns need first.
func (w *watched) putOwner(t *testing.T) {
	advertiser := &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}}
	program := &hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/a/programs/p"}, Category: hexbid.Catering}
	mustCommit(t, w, []store.Step{
		{Put: &store.Record{Resource: advertiser}},
		{Put: &store.Record{Resource: program}},
	})
}

func newIndexer(t *testing.T) *Indexer {
	market := DefaultMarket()
	if err := market.Validate(); err != nil {
		t.Fatal(err)
	}
	return NewIndexer(&market, fixedClock, slog.New(slog.DiscardHandler))
}

// runs runs an indexer on a store until the test ends.
func runs(t *testing.T, x *Indexer, from Catalogue) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { x.Run(ctx, from) })
	t.Cleanup(func() { stop(); running.Wait() })
}

func waitFor(t *testing.T, x *Indexer, version uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := x.WaitFor(ctx, version); err != nil {
		t.Fatalf("version %d is not indexed: %v", version, err)
	}
}

func TestACoveringIsWorkedOutOnceAndKept(t *testing.T) {
	w, x := newWatched(), newIndexer(t)
	w.putOwner(t)
	var steps []store.Step
	for i := range 1000 {
		step := store.Step{Put: &store.Record{Resource: supplied(i)}}
		if i%2 == 0 {
			step.Derived, _, _ = Derive(supplied(i)) // as whoever writes has worked it out
		}
		steps = append(steps, step)
	}
	mustCommit(t, w, steps)
	if err := x.Load(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	if kept := w.takeKept(); len(kept) != 500 {
		t.Errorf("%d coverings were worked out by the first start, want the 500 that nobody had", len(kept))
	}
	again := newIndexer(t)
	if err := again.Load(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	if kept := w.takeKept(); len(kept) != 0 {
		t.Errorf("%d coverings were worked out by the second start", len(kept))
	}
	for i := range x.records.all() {
		if !slices.Equal(x.postings.coverings.at(i), again.postings.coverings.at(i)) || len(x.postings.coverings.at(i)) == 0 {
			t.Fatalf("campaign %d has another covering", i)
		}
	}
}

func TestACoveringThatDoesNotHoldIsWorkedOutAgain(t *testing.T) {
	w := newWatched()
	w.putOwner(t)
	mustCommit(t, w, []store.Step{{Put: &store.Record{Resource: supplied(1)}}})
	r, err := w.Get(context.Background(), supplied(1).Name)
	if err != nil {
		t.Fatal(err)
	}
	right, _, _ := Derive(supplied(1))
	right.UID, right.Version = r.Meta().UID, r.Meta().Version
	for name, change := range map[string]func(*store.Derived){
		"made by another version": func(d *store.Derived) { d.By++ },
		"of another area":         func(d *store.Derived) { d.Inputs++ },
		"cut off":                 func(d *store.Derived) { d.Value = d.Value[:len(d.Value)-1] },
	} {
		wrong := *right
		change(&wrong)
		if err := w.Memory.KeepDerived(context.Background(), []store.Derived{wrong}); err != nil {
			t.Fatal(err)
		}
		x := newIndexer(t)
		if err := x.Load(context.Background(), w); err != nil {
			t.Fatal(err)
		}
		kept := w.takeKept()
		if d := kept[right.UID]; !slices.Equal(d.Value, right.Value) || d.Inputs != right.Inputs || d.By != right.By ||
			!slices.Equal(x.postings.coverings.at(0), right.Value) {
			t.Errorf("%s: kept %+v", name, kept)
		}
	}
}

func TestChangesComeInOrderWhateverHasToBeWorkedOut(t *testing.T) {
	w, x := newWatched(), newIndexer(t)
	w.putOwner(t)
	if err := x.Load(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	runs(t, x, w)
	var last store.Change
	for i := range 400 { // one name again and again, with a wide area and a small one in turns
		c := supplied(1)
		c.Bid += hexbid.Money(i)
		if i%7 == 0 {
			for j := range 300 {
				c.Area.Circles = append(c.Area.Circles, hexbid.Circle{Center: hexbid.Point{Lat: float64(j % 80), Lng: float64(j)},
					RadiusM: 9000})
			}
		}
		last = mustCommit(t, w, []store.Step{{Put: &store.Record{Resource: c}, IfVersion: store.AnyVersion}})
	}
	waitFor(t, x, last.Version)
	uid := last.Puts[0].Meta().UID
	i, _ := x.Snapshot().ordinalOf(uid)
	if c := x.Snapshot().campaigns.at(i); c.bid != supplied(1).Bid+399 {
		t.Errorf("the bid is %s, not that of the last change", c.bid.Micros())
	}
}

// TestAStalledIndexTakesABoundedPartOfTheChanges counts what is on its way into an index
// that takes nothing.
func TestAStalledIndexTakesABoundedPartOfTheChanges(t *testing.T) {
	const changes = 40_000
	w := newWatched()
	w.putOwner(t)
	for first := 0; first < changes; first += 1000 {
		var groups []store.Group
		for i := range 1000 {
			groups = append(groups, store.Group{Steps: []store.Step{{Put: &store.Record{Resource: supplied(first + i)}}}})
		}
		if _, err := w.Commit(context.Background(), groups); err != nil {
			t.Fatal(err)
		}
	}
	var read, taken atomic.Int64
	s := supply{catalogue: w, log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	err := s.run(ctx, func(ctx context.Context, send func(*parcel) error) error {
		return s.follow(ctx, 0, func(p *parcel) error {
			read.Add(int64(len(p.updates)))
			return send(p)
		})
	}, func(p *parcel) error {
		taken.Add(int64(len(p.updates)))
		for len(s.ordered) < cap(s.ordered) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return errors.New("it has seen enough")
	})
	if err == nil || taken.Load() == 0 || ctx.Err() != nil {
		t.Fatalf("%v, %d taken", err, taken.Load())
	}
	if most := int64((2*parcelsAhead + 20) * fullParcel); read.Load() > most {
		t.Errorf("%d of %d changes are on their way, want at most %d", read.Load(), changes, most)
	}
}

func TestAGapInTheLogIsCrossedByIndexingAnew(t *testing.T) {
	w, x := newWatched(), newIndexer(t)
	w.putOwner(t)
	var first store.Change
	for i := range 10 {
		first = mustCommit(t, w, []store.Step{{Put: &store.Record{Resource: supplied(i)}}})
	}
	if err := x.Load(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	watches := 0
	w.watch = func(after uint64) *store.Feed {
		if watches++; watches == 1 { // of a log that begins later
			return store.NewTape(after+1000, nil).Feed(after)
		}
		return w.Memory.Watch(after)
	}
	mustCommit(t, w, []store.Step{{Delete: supplied(3).Name, IfVersion: store.AnyVersion}})
	changed := supplied(4)
	changed.Bid = 7_000_000
	missed := mustCommit(t, w, []store.Step{{Put: &store.Record{Resource: changed}, IfVersion: store.AnyVersion},
		{Put: &store.Record{Resource: supplied(10)}}})
	runs(t, x, w)
	waitFor(t, x, missed.Version) // what the log did not show
	next := mustCommit(t, w, []store.Step{{Put: &store.Record{Resource: supplied(11)}}})
	waitFor(t, x, next.Version) // and the feed goes on
	s := x.Snapshot()
	if s.Campaigns != 11 || w.scans.Load() != 2 {
		t.Errorf("%d campaigns after %d scans", s.Campaigns, w.scans.Load())
	}
	if i, there := s.ordinalOf(missed.Puts[0].Meta().UID); !there || s.campaigns.at(i).bid != 7_000_000 {
		t.Error("a change that the log did not show is missing")
	}
	if _, there := s.ordinalOf(first.Puts[0].Meta().UID); !there {
		t.Error("a campaign of before is missing")
	}
}

// TestAnIndexThatFellBehindMissesNothing lets more changes come than a tape holds, before
// an index follows: with a log that has them all, and with one that has dropped most.
func TestAnIndexThatFellBehindMissesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		retention store.Retention
		scans     int32
	}{
		"and goes on from the log":     {store.DefaultRetention, 1},
		"and scans, for the log's gap": {store.Retention{Age: time.Hour, Bytes: 10_000}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w, x := newWatched(), newIndexer(t)
			w.Memory = store.NewMemoryKeeping(c.retention)
			w.putOwner(t)
			if err := x.Load(context.Background(), w); err != nil {
				t.Fatal(err)
			}
			for i := range 3000 {
				mustCommit(t, w, []store.Step{{Put: &store.Record{Resource: supplied(i)}}})
				if i%3 == 0 {
					changed := supplied(i)
					changed.Bid++
					mustCommit(t, w, []store.Step{{Put: &store.Record{Resource: changed}, IfVersion: store.AnyVersion}})
				}
				if i%5 == 0 {
					mustCommit(t, w, []store.Step{{Delete: supplied(i).Name, IfVersion: store.AnyVersion}})
				}
			}
			runs(t, x, w)
			waitFor(t, x, w.Version())
			if n := w.scans.Load(); n != c.scans {
				t.Errorf("%d scans, want %d", n, c.scans)
			}
			fresh := newIndexer(t)
			if err := fresh.Load(context.Background(), w); err != nil {
				t.Fatal(err)
			}
			if got, want := bidsOf(x), bidsOf(fresh); len(want) != 2400 || !maps.Equal(got, want) {
				t.Errorf("%d campaigns, of a fresh index %d; or their bids differ", len(got), len(want))
			}
		})
	}
}

// bidsOf are the bids and versions of campaigns by uid.
func bidsOf(x *Indexer) map[hexbid.UID][2]int64 {
	s, bids := x.Snapshot(), map[hexbid.UID][2]int64{}
	for uid := range hexbid.UID(10_000) {
		if i, there := s.ordinalOf(uid); there {
			bids[uid] = [2]int64{int64(s.campaigns.at(i).bid), int64(s.details.at(i).version)}
		}
	}
	return bids
}

func TestWhatWasHandedInOutlivesIndexingAnew(t *testing.T) {
	w, x := newWatched(), newIndexer(t)
	w.putOwner(t)
	put := mustCommit(t, w, []store.Step{{Put: &store.Record{Resource: supplied(0)}},
		{Put: &store.Record{Resource: supplied(1)}}})
	if err := x.Load(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	tape := store.NewTape(put.Version, nil)
	watches := 0
	w.watch = func(after uint64) *store.Feed {
		if watches++; watches == 1 {
			return tape.Feed(after)
		}
		return w.Memory.Watch(after)
	}
	runs(t, x, w)
	uid, coming := put.Puts[0].Meta().UID, put.Puts[1].Meta().UID+1
	x.handInAll(t, []stated{{campaign: uid, pacingPPM: auction.PPM / 2, heldOutPPM: 400_000, qualityPPM: 77, spent: true},
		{campaign: coming, pacingPPM: auction.PPM / 4, qualityPPM: 78, exploredPPM: 117}})
	owner, err := w.Get(context.Background(), "advertisers/a")
	if err != nil {
		t.Fatal(err)
	}
	balance := func(none bool) {
		if err := x.HandInAdvertisers(context.Background(),
			[]AdvertiserUpdate{{Advertiser: owner.Meta().UID, NoBalance: none}}); err != nil {
			t.Fatal(err)
		}
	}
	balance(true)
	tape.Close(hexbid.Errorf(hexbid.DataLoss, "data", "a file is damaged"))
	next := mustCommit(t, w, []store.Step{{Put: &store.Record{Resource: supplied(2)}}})
	waitFor(t, x, next.Version)
	for campaign, want := range map[hexbid.UID]LiveState{uid: {PacingPPM: auction.PPM / 2, ParticipationPPM: 600_000,
		QualityPPM: 77, ExploredPPM: 77, BudgetSpent: true, NoBalance: true}, coming: {PacingPPM: auction.PPM / 4,
		ParticipationPPM: auction.PPM, QualityPPM: 78, ExploredPPM: 114, NoBalance: true}} {
		if state, there := x.Snapshot().LiveState(campaign); !there || state != want {
			t.Errorf("campaign %d: %+v, %v; want %+v", campaign, state, there, want)
		}
	}
	x.handInAll(t, []stated{{campaign: uid, pacingPPM: auction.PPM, qualityPPM: 79}})
	balance(false)
	if state, _ := x.Snapshot().LiveState(uid); state != (LiveState{PacingPPM: auction.PPM, ParticipationPPM: auction.PPM,
		QualityPPM: 79, ExploredPPM: 79}) {
		t.Errorf("handed in afterwards: %+v", state)
	}
}

// gateOf is a gate that a test opens.
type gateOf struct {
	mu     sync.Mutex // guards the fields below
	upTo   uint64
	opened chan struct{}
}

func (g *gateOf) pass(ctx context.Context, version uint64) error {
	for {
		g.mu.Lock()
		passed, opened := version <= g.upTo, g.opened
		g.mu.Unlock()
		if passed {
			return nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (g *gateOf) open(upTo uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.upTo = upTo
	close(g.opened)
	g.opened = make(chan struct{})
}

// TestSearchesSeeNoChangeBeforeItPassesTheGate, and hand-ins do not wait for it. When the feed ends meanwhile, the
// index is loaded anew, and goes on as it is until the gate opens.
func TestSearchesSeeNoChangeBeforeItPassesTheGate(t *testing.T) {
	for name, ends := range map[string]bool{"the feed goes on": false, "the index is loaded anew": true} {
		t.Run(name, func(t *testing.T) {
			w := newWatched()
			w.putOwner(t)
			first := mustCommit(t, w, []store.Step{{Put: &store.Record{Resource: supplied(0)}}})
			var clock atomic.Int64
			clock.Store(testStart.UnixNano())
			market := DefaultMarket()
			x := NewIndexer(&market, func() time.Time { return time.Unix(0, clock.Load()) }, slog.New(slog.DiscardHandler))
			gate := &gateOf{upTo: first.Version, opened: make(chan struct{})}
			x.GateBy(gate.pass)
			if err := x.Load(context.Background(), w); err != nil {
				t.Fatal(err)
			}
			tape := store.NewTape(first.Version, nil)
			watches := 0
			w.watch = func(after uint64) *store.Feed {
				if watches++; watches == 1 && ends {
					return tape.Feed(after)
				}
				return w.Memory.Watch(after)
			}
			runs(t, x, w)
			second := mustCommit(t, w, []store.Step{{Put: &store.Record{Resource: supplied(1)}}})
			tape.Close(hexbid.Errorf(hexbid.DataLoss, "data", "a file is damaged"))
			uid := first.Puts[0].Meta().UID
			for round := range 3 { // into other quarter hours
				clock.Store(testStart.Add(time.Duration(round) * time.Hour).UnixNano())
				if _, _, err := x.SnapshotNow(context.Background()); err != nil {
					t.Fatal(err)
				}
				x.handInAll(t, []stated{{campaign: uid, pacingPPM: int64(round), qualityPPM: 77}})
				live, _ := x.Snapshot().LiveState(uid)
				if live.PacingPPM != int64(round) || x.Snapshot().Version != first.Version {
					t.Fatalf("round %d: %+v at version %d, which should be %d", round, live, x.Snapshot().Version, first.Version)
				}
			}
			gate.open(second.Version)
			waitFor(t, x, second.Version)
			if live, _ := x.Snapshot().LiveState(uid); live.PacingPPM != 2 || x.Snapshot().Campaigns != 2 {
				t.Errorf("afterwards %+v, %d campaigns", live, x.Snapshot().Campaigns)
			}
		})
	}
}
