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
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// openOn opens an exchange on a store, with a limit of entries.
func openOn(t testing.TB, s store.Store, limit int64) *Exchange {
	t.Helper()
	config := DefaultConfig()
	config.Clock, config.Log, config.AdvertiserQuota.Entries = func() time.Time { return now },
		slog.New(slog.DiscardHandler), limit
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
	wantRefused(t, err, "campaign.area", "960", "1040", "at most 1000", "10 approved places", "advertiser.quota.entries",
		"delete campaigns")
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
		c.Keywords = append(c.Keywords, hexbid.Keyword{Text: fmt.Sprintf("coffee shop %04d", len(c.Keywords)),
			Match: hexbid.MatchBroad})
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

func (f *failing) Commit(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	if f.fails.Load() {
		return nil, hexbid.Errorf(hexbid.Unavailable, "", "no room")
	}
	return f.Store.Commit(ctx, groups)
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
	if _, err := e.Update(ctx, spreadPlace(7).Name, store.AnyVersion, false,
		func(r hexbid.Resource) (hexbid.Resource, error) {
			moved := *r.(*hexbid.Place)
			moved.Point.Lng++
			return &moved, nil
		}); err != nil {
		t.Errorf("a place of a full program cannot move: %v", err)
	}
}

// TestTheCountsAreThoseOfWhatIsStored puts and deletes at random, and then adds up what
// is stored: places, approved places times campaigns, and what campaigns have themselves.
func TestTheCountsAreThoseOfWhatIsStored(t *testing.T) {
	const limit = 1000
	e := openOn(t, store.NewMemory(), limit)
	rapid.Check(t, func(rt *rapid.T) {
		clearAdvertiser(rt, e)
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			r := drawCounted(rt)
			switch rapid.SampledFrom([]string{"delete", "upload", "upload", "check", "hide", "approve"}).Draw(rt, "act") {
			case "delete":
				_ = e.Delete(ctx, r.Metadata().Name, store.AnyVersion, false)
			case "upload":
				e.Import(ctx, []hexbid.Resource{r, drawCounted(rt)}, false)
			case "check":
				e.Import(ctx, []hexbid.Resource{r, drawCounted(rt)}, true)
			case "hide":
				_, _ = e.Review(ctx, r.Metadata().Name, store.AnyVersion, hexbid.Hidden)
			case "approve":
				_, _ = e.Review(ctx, r.Metadata().Name, store.AnyVersion, hexbid.Approved)
			}
		}
		checkCounts(rt, e, limit)
	})
}

// clearAdvertiser leaves two programs of an advertiser, and nothing else.
func clearAdvertiser(t rapid.TB, e *Exchange) {
	for _, kind := range []hexbid.ResourceKind{hexbid.KindCampaign, hexbid.KindPlace} {
		for _, name := range namesOf(t, e, kind) {
			if err := e.Delete(ctx, name, store.AnyVersion, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 2 {
		for _, o := range e.Import(ctx,
			[]hexbid.Resource{&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A"},
				&hexbid.Program{Meta: hexbid.Meta{Name: fmt.Sprint(program, i)}, DisplayName: "P", Category: hexbid.Catering,
					Hosts: []hexbid.Host{hexbid.WeChat}}}, false) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
	}
}

func namesOf(t rapid.TB, e *Exchange, kind hexbid.ResourceKind) (names []string) {
	_, err := e.List(ctx, store.ListQuery{Kind: kind},
		func(r hexbid.Resource) bool { names = append(names, r.Metadata().Name); return true })
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// checkCounts adds up what is stored.
func checkCounts(t rapid.TB, e *Exchange, limit int64) {
	var entries int64
	want := map[store.CounterKey]int64{}
	for _, kind := range []hexbid.ResourceKind{hexbid.KindPlace, hexbid.KindCampaign} {
		for _, name := range namesOf(t, e, kind) {
			r, err := e.store.Get(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			switch v := r.Resource.(type) {
			case *hexbid.Place:
				of := strings.TrimSuffix(v.Name, v.Name[strings.Index(v.Name, "/places/"):])
				want[store.CounterKey{Owner: of, Counter: store.Places}]++
				if v.Review == hexbid.Approved {
					want[store.CounterKey{Owner: of, Counter: store.Approved}]++
				}
			case *hexbid.Campaign:
				_, cells, err := bidder.Derive(v)
				if err != nil {
					t.Fatal(err)
				}
				entries += int64(cells + len(v.Area.Circles))
				want[store.CounterKey{Owner: v.Program, Counter: store.Buyers}]++
				if v.Area.AroundPlacesM > 0 {
					want[store.CounterKey{Owner: v.Program, Counter: store.Around}]++
				}
			}
		}
	}
	for i := range 2 {
		of := fmt.Sprint(program, i)
		entries += 8 * want[store.CounterKey{Owner: of, Counter: store.Approved}] * want[store.CounterKey{Owner: of,
			Counter: store.Around}]
		for c := store.Places; c <= store.Buyers; c++ {
			checkCounter(t, e, of, c, want[store.CounterKey{Owner: of, Counter: c}])
		}
	}
	checkCounter(t, e, "advertisers/a", store.Entries, entries)
	if entries > limit {
		t.Fatalf("%d entries passed a limit of %d", entries, limit)
	}
}

func checkCounter(t rapid.TB, e *Exchange, owner string, c store.Counter, want int64) {
	if n, err := e.store.Counted(ctx, owner, c); err != nil || n != want {
		t.Fatalf("counter %d of %s: %d, %v; want %d", c, owner, n, err, want)
	}
}

// drawCounted draws a place or a campaign of one of two programs.
func drawCounted(t *rapid.T) hexbid.Resource {
	in := fmt.Sprint(program, rapid.IntRange(0, 1).Draw(t, "program"))
	if rapid.Bool().Draw(t, "place") {
		p := place(fmt.Sprint("l", rapid.IntRange(0, 7).Draw(t, "number")), hub)
		p.Name = strings.Replace(p.Name, program, in, 1)
		return p
	}
	c := campaign(fmt.Sprint("c", rapid.IntRange(0, 7).Draw(t, "number")))
	c.Program, c.Area.AroundPlacesM = in, rapid.SampledFrom([]float64{0, 500}).Draw(t, "radius")
	for i := range rapid.IntRange(0, 20).Draw(t, "circles") {
		c.Area.Circles = append(c.Area.Circles, hexbid.Circle{Center: hexbid.Point{Lat: 30, Lng: float64(i)}, RadiusM: 100})
	}
	if c.Area.IsEmpty() {
		c.Area.Everywhere = true
	}
	return c
}
