package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// openOn opens an exchange on a store, with a limit of entries.
func openOn(t testing.TB, s store.Store, limit int64) *Exchange {
	t.Helper()
	config := DefaultConfig()
	config.Clock, config.Log, config.AdvertiserEntries = func() time.Time { return now }, slog.New(slog.DiscardHandler), limit
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(ctx, config, s, keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func spreadPlace(i int) *hexbid.Place {
	return place(fmt.Sprint("l", i), hexbid.Point{Lat: 30 + float64(i)/1000, Lng: 120})
}

// fillToTheLimit leaves 960 of 1000 entries in use: twelve campaigns around ten places.
func fillToTheLimit(t testing.TB, e *Exchange) {
	var all []hexbid.Resource
	for i := range 10 {
		all = append(all, spreadPlace(i))
	}
	for i := range 12 {
		all = append(all, campaign(fmt.Sprint("c", i)))
	}
	fill(t, e, all...)
}

// wantRefused checks that an error is of a limit, names a field and has some words.
func wantRefused(t testing.TB, err error, field string, words ...string) {
	t.Helper()
	var refusal *hexbid.Error
	if !errors.As(err, &refusal) || refusal.Kind != hexbid.Exhausted || refusal.Field != field {
		t.Fatalf("got %v, want a limit to be reached at %s", err, field)
	}
	for _, word := range words {
		if !strings.Contains(refusal.Detail, word) {
			t.Errorf("%q does not say %q", refusal.Detail, word)
		}
	}
}

func TestACampaignAboveItsAdvertisersEntriesIsRefused(t *testing.T) {
	e := openOn(t, store.NewMemory(), 1000)
	fillToTheLimit(t, e)
	_, err := e.Create(ctx, campaign("more"), false)
	wantRefused(t, err, "campaign.area", "960", "1040", "at most 1000", "10 approved places", "--advertiser-entries", "delete campaigns")
	_, err = e.Create(ctx, campaign("more"), true)
	wantRefused(t, err, "campaign.area")

	polygon := campaign("polygon")
	polygon.Area = hexbid.Area{Polygons: []hexbid.Polygon{{ring(100)}}}
	_, err = e.Create(ctx, polygon, false)
	wantRefused(t, err, "campaign.area", "coarser")

	circle := campaign("circle")
	circle.Area = hexbid.Area{Circles: []hexbid.Circle{{Center: hub, RadiusM: 1000}}}
	if _, err := e.Create(ctx, circle, false); err != nil {
		t.Errorf("a circle, of which the entries are left: %v", err)
	}
	if err := e.Delete(ctx, campaign("c0").Name, store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	if _, err = e.Create(ctx, campaign("more"), false); err != nil {
		t.Errorf("in the place of one that was deleted: %v", err)
	}
}

func TestKeywordsTakeEntries(t *testing.T) {
	e := openOn(t, store.NewMemory(), 1000)
	fill(t, e)
	c := campaign("words")
	for range 200 { // of 16 bytes each: 3 entries
		c.Keywords = append(c.Keywords, hexbid.Keyword{Text: fmt.Sprintf("coffee shop %04d", len(c.Keywords)), Match: hexbid.MatchBroad})
	}
	if _, err := e.Create(ctx, c, false); err != nil {
		t.Fatalf("600 entries of keywords: %v", err)
	}
	more := *c
	more.Name = campaign("more").Name
	_, err := e.Create(ctx, &more, false)
	wantRefused(t, err, "campaign.area", "at most 1000", "fewer keywords")
}

func ring(vertices int) (r []hexbid.Point) {
	for i := range vertices / 2 {
		r = append(r, hexbid.Point{Lat: 30, Lng: 120 + float64(i)/1000})
	}
	for i := range vertices / 2 {
		r = append(r, hexbid.Point{Lat: 30.01, Lng: 120 + float64(vertices/2-i)/1000})
	}
	return append(r, r[0])
}

func TestAPlaceAboveItsAdvertisersEntriesIsRefused(t *testing.T) {
	e := openOn(t, store.NewMemory(), 1000)
	fillToTheLimit(t, e)
	_, err := e.Create(ctx, spreadPlace(10), false)
	wantRefused(t, err, "place.review_state", "add 96", "12 campaigns", program, "960", "at most 1000")

	hidden := spreadPlace(0).Name
	if _, err := e.Review(ctx, hidden, store.AnyVersion, hexbid.Hidden); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Create(ctx, spreadPlace(10), false); err != nil {
		t.Fatalf("a hidden place takes no entries: %v", err)
	}
	_, err = e.Review(ctx, hidden, store.AnyVersion, hexbid.Approved)
	wantRefused(t, err, "place.review_state")
	if _, err := e.Review(ctx, spreadPlace(10).Name, store.AnyVersion, hexbid.Hidden); err != nil {
		t.Fatal(err)
	}
	if _, err = e.Review(ctx, hidden, store.AnyVersion, hexbid.Approved); err != nil {
		t.Errorf("in the place of one that was hidden: %v", err)
	}
}

func TestRowsAboveTheEntriesAreRefusedAndTheirNeighboursAreNot(t *testing.T) {
	for _, validateOnly := range []bool{false, true} {
		e := openOn(t, store.NewMemory(), 1000)
		fillToTheLimit(t, e)
		circle := campaign("circle")
		circle.Area = hexbid.Area{Circles: []hexbid.Circle{{Center: hub, RadiusM: 1000}}}
		fewer := campaign("c0") // gives 80 entries back
		fewer.Area = hexbid.Area{Regions: []string{"330100"}}
		rows := []hexbid.Resource{campaign("more"), spreadPlace(10), fewer, campaign("more"), circle, campaign("yet-more")}
		outcomes := e.Import(ctx, rows, validateOnly)
		wantRefused(t, outcomes[0].Err, "campaign.area")
		wantRefused(t, outcomes[1].Err, "place.review_state")
		wantRefused(t, outcomes[5].Err, "campaign.area")
		for _, i := range []int{2, 3, 4} {
			if outcomes[i].Err != nil {
				t.Errorf("row %d: %v", i, outcomes[i].Err)
			}
		}
	}
}

func TestWritersAtOnceDoNotPassTheLimit(t *testing.T) {
	e := openOn(t, store.NewMemory(), 1000)
	fillToTheLimit(t, e)
	for i := range 12 {
		if err := e.Delete(ctx, campaign(fmt.Sprint("c", i)).Name, store.AnyVersion, false); err != nil {
			t.Fatal(err)
		}
	}
	var accepted atomic.Int32
	var writers sync.WaitGroup
	for i := range 40 {
		writers.Go(func() {
			c := campaign(fmt.Sprint("at once ", i))
			c.Name = strings.ReplaceAll(c.Name, " ", "-")
			if i%2 == 0 {
				if _, err := e.Create(ctx, c, false); err == nil {
					accepted.Add(1)
				}
			} else if e.Import(ctx, []hexbid.Resource{c}, false)[0].Err == nil {
				accepted.Add(1)
			}
		})
	}
	writers.Wait()
	if n := accepted.Load(); n != 12 {
		t.Errorf("%d campaigns of 80 entries were accepted, want 12 of 1000 entries", n)
	}
}

func TestWhatIsStoredIsNeverRefused(t *testing.T) {
	s := store.NewMemory()
	fillToTheLimit(t, openOn(t, s, 2000))
	_, err := openOn(t, s, 2000).Create(ctx, campaign("more"), false)
	if err != nil {
		t.Fatal(err)
	}
	e := openOn(t, s, 1000) // is above its limit now
	if n := e.Size().Campaigns; n != 13 {
		t.Fatalf("%d campaigns were loaded, want 13", n)
	}
	_, err = e.Create(ctx, spreadPlace(10), false)
	wantRefused(t, err, "place.review_state", "1040")
	renamed := campaign("more")
	renamed.DisplayName = "another"
	if o := e.Import(ctx, []hexbid.Resource{renamed}, false); o[0].Err != nil {
		t.Errorf("a change that takes no more entries: %v", o[0].Err)
	}
	if err := e.Delete(ctx, spreadPlace(0).Name, store.AnyVersion, false); err != nil {
		t.Errorf("a change that takes fewer: %v", err)
	}
}

// failing is a store that stores nothing when told.
type failing struct {
	store.Store
	fails atomic.Bool
	lists atomic.Int32
}

func (f *failing) Commit(ctx context.Context, ops []store.Op) (store.Change, error) {
	if f.fails.Load() {
		return store.Change{}, hexbid.Errorf(hexbid.Unavailable, "", "no room")
	}
	return f.Store.Commit(ctx, ops)
}

func (f *failing) List(ctx context.Context, q store.ListQuery, visit func(store.Record) bool) (string, error) {
	f.lists.Add(1)
	return f.Store.List(ctx, q, visit)
}

func TestWhatIsNotStoredIsNotCounted(t *testing.T) {
	s := &failing{Store: store.NewMemory()}
	e := openOn(t, s, 1000)
	fillToTheLimit(t, e)
	if err := e.Delete(ctx, campaign("c0").Name, store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	s.fails.Store(true)
	for range 5 {
		if _, err := e.Create(ctx, campaign("more"), false); hexbid.KindOf(err) != hexbid.Unavailable {
			t.Fatal(err)
		}
		e.Import(ctx, []hexbid.Resource{campaign("more")}, false)
	}
	s.fails.Store(false)
	if _, err := e.Create(ctx, campaign("more"), false); err != nil {
		t.Error(err)
	}
}

func TestServingReadsNoPlaces(t *testing.T) {
	s := &failing{Store: store.NewMemory()}
	e := openOn(t, s, 1000)
	fillToTheLimit(t, e)
	before, serving := s.lists.Load(), mustServing(e)
	for i := range 12 {
		if on, why := serving(campaign(fmt.Sprint("c", i))); !on {
			t.Errorf("campaign %d does not serve: %s", i, why)
		}
	}
	for i := range 10 {
		if err := e.Delete(ctx, spreadPlace(i).Name, store.AnyVersion, false); err != nil {
			t.Fatal(err)
		}
	}
	if on, why := mustServing(e)(campaign("c0")); on || !strings.Contains(why, "none is approved") {
		t.Errorf("without places it serves: %v, %q", on, why)
	}
	if n := s.lists.Load() - before; n != 0 {
		t.Errorf("%d lists were read", n)
	}
}

func TestAProgramHasAtMost20000Places(t *testing.T) {
	e := openOn(t, store.NewMemory(), 1_000_000)
	fill(t, e)
	for i := 0; i < MaxPlaces; i += 4000 {
		var rows []hexbid.Resource
		for j := range 4000 {
			rows = append(rows, spreadPlace(i+j))
		}
		for _, o := range e.Import(ctx, rows, false) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
	}
	_, err := e.Create(ctx, spreadPlace(MaxPlaces), false)
	wantRefused(t, err, "name", "20000 places already", "at most 20000", "several programs")
	if _, err := e.Update(ctx, spreadPlace(7).Name, store.AnyVersion, false, func(r hexbid.Resource) (hexbid.Resource, error) {
		moved := *r.(*hexbid.Place)
		moved.Point.Lng++
		return &moved, nil
	}); err != nil {
		t.Errorf("a place of a full program cannot move: %v", err)
	}
}

// TestTheCountsAreThoseOfAFreshScan: however records come, change and go.
func TestTheCountsAreThoseOfAFreshScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := store.NewMemory()
		e := &Exchange{config: DefaultConfig(), store: s, usage: newUsage(400)}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			name, record := drawRecord(t)
			if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
				_, _ = e.commitOne(ctx, store.Op{Delete: name, IfVersion: store.AnyVersion}, false)
			} else {
				_, _ = e.commitOne(ctx, store.Op{Put: record, IfVersion: store.AnyVersion}, rapid.Bool().Draw(t, "validate only"))
			}
		}
		fresh := newUsage(400)
		fresh.seed = e.usage.seed
		if _, err := (counting{s, fresh}).Scan(ctx, func(store.Record) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(fresh.entries, fresh.programs) != fmt.Sprint(e.usage.entries, e.usage.programs) {
			t.Fatalf("%v %v, of a fresh scan %v %v", e.usage.entries, e.usage.programs, fresh.entries, fresh.programs)
		}
		for _, n := range fresh.entries {
			if n > 400 {
				t.Fatalf("%d entries passed a limit of 400", n)
			}
		}
	})
}

func drawRecord(t *rapid.T) (name string, r *store.Record) {
	in := fmt.Sprintf("advertisers/a/programs/p%d", rapid.IntRange(0, 1).Draw(t, "program"))
	if rapid.Bool().Draw(t, "place") {
		p := place(fmt.Sprint("l", rapid.IntRange(0, 7).Draw(t, "number")), hub)
		p.Name = strings.Replace(p.Name, program, in, 1)
		p.Review = rapid.SampledFrom([]hexbid.ReviewState{hexbid.Approved, hexbid.Hidden}).Draw(t, "review")
		return p.Name, &store.Record{Resource: p}
	}
	c := campaign(fmt.Sprint("c", rapid.IntRange(0, 7).Draw(t, "number")))
	c.Program, c.Area.AroundPlacesM = in, rapid.SampledFrom([]float64{0, 500}).Draw(t, "radius")
	for range rapid.IntRange(0, 5).Draw(t, "circles") {
		c.Area.Circles = append(c.Area.Circles, hexbid.Circle{Center: hub, RadiusM: 100})
	}
	record := &store.Record{Resource: c}
	_ = cover(record, c)
	return c.Name, record
}
