package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/demo"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	ctx = hexbid.WithPrincipal(context.Background(), hexbid.Principal{Role: hexbid.System, ID: "tests",
		Origin: hexbid.InProcess})
	now = time.Date(2026, 11, 20, 4, 7, 30, 0, time.UTC)
	hub = hexbid.Point{Lat: 30.2553, Lng: 120.1640}
)

func open(t testing.TB, change func(*Config)) *Exchange {
	t.Helper()
	config := DefaultConfig()
	config.Clock, config.Log, config.AuctionBudget, config.Cards = func() time.Time { return now },
		slog.New(slog.DiscardHandler), time.Minute, plainCards{}
	if change != nil {
		change(&config)
	}
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(ctx, config, store.NewMemory(), keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// plainCards are lines that a test can read.
type plainCards struct{}

func (plainCards) Program(p *hexbid.Program) []byte {
	return fmt.Append(nil, p.Name, " title ", p.DisplayName)
}

func (plainCards) Place(l *hexbid.Place) []byte {
	return fmt.Append(nil, l.Name, " address ", l.Address)
}

func (plainCards) Campaign(c *hexbid.Campaign) []byte {
	return fmt.Append(nil, c.Name, " for ", c.Program, " title ", c.CreativeFor(hexbid.WeChat).Title)
}

const program = "advertisers/a/programs/p"

func campaign(id string) *hexbid.Campaign {
	return &hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a/campaigns/" + id}, DisplayName: "c", Program: program,
		Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 10_000_000, Pacing: hexbid.PaceASAP,
		Area: hexbid.Area{AroundPlacesM: 2000}}
}

func place(id string, p hexbid.Point) *hexbid.Place {
	return &hexbid.Place{Meta: hexbid.Meta{Name: program + "/places/" + id}, Point: p}
}

func fill(t testing.TB, e *Exchange, more ...hexbid.Resource) {
	t.Helper()
	all := append([]hexbid.Resource{
		&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A"},
		&hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "P", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}, Path: "index"},
	}, more...)
	for _, o := range e.Import(ctx, all, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
}

func at(p hexbid.Point) *hexbid.Request {
	return &hexbid.Request{Point: p, RadiusM: 3000, NearbyLimit: 20, Slots: 3, Host: hexbid.WeChat,
		Scene: hexbid.NearbyList, ClientID: "app", Viewer: hexbid.Viewer{Age: 30, UserKey: "someone"}}
}

// newUpload begins an upload of the tests' principal, who is admitted.
func newUpload(e *Exchange, validateOnly bool) *Upload {
	u, err := e.NewUpload(ctx, validateOnly)
	if err != nil {
		panic(err)
	}
	return u
}

// mustServing is Serving for the tests' principal, who is admitted.
func mustServing(e *Exchange) Serving {
	serving, err := e.Serving(ctx)
	if err != nil {
		panic(err)
	}
	return serving
}

func mustSearch(t testing.TB, e *Exchange, r *hexbid.Request) *Response {
	t.Helper()
	response, err := e.Search(ctx, r, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestATokenCarriesTheAwardAndNothingMore(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub), campaign("c"))
	response := mustSearch(t, e, at(hub))
	if len(response.Sponsored) != 1 || len(response.Nearby) != 0 {
		t.Fatalf("%d sponsored, %d nearby: want the one program, sponsored and not repeated", len(response.Sponsored),
			len(response.Nearby))
	}
	won := response.Sponsored[0]
	cards := Displayed{Program: []byte(program + " title P"), Place: []byte(program + "/places/l address "),
		Campaign: []byte("advertisers/a/campaigns/c for " + program + " title ")}
	if won.Place == 0 || won.DistanceM > 1e-3 || !reflect.DeepEqual(won.Cards, cards) {
		t.Errorf("sponsored %+v\n got %s\nwant %s", won, won.Cards, cards)
	}
	ring := e.keys.Ring()
	award, _, err := ring.OpenAward(won.Token)
	if err != nil {
		t.Fatal(err)
	}
	cell := geoindex.CellAt(geoindex.VecOf(hub)).Parent(7)
	want := token.Award{RequestID: response.RequestID, Campaign: won.Campaign, Advertiser: 1, Price: won.Price, Slot: 1,
		Host: hexbid.WeChat, Scene: hexbid.NearbyList, Cell: uint64(cell), MarketVersion: 1, ClientID: "app", HasViewer: true,
		Viewer: ring.Pseudonym("someone"), Basis: auction.Basis{Mechanism: hexbid.MechanismGSP,
			Pricing: hexbid.CPC, Bid: 1_000_000,
			MultiplierPPM: auction.PPM, QualityPPM: 30_000, Factors: []int64{1000}},
		Prediction: auction.PredictionOf(30_000),
		IssuedAt:   now, ClickExpiry: now.Add(30 * time.Minute)}
	want.IssuedAt, want.ClickExpiry = want.IssuedAt.Truncate(time.Millisecond), want.ClickExpiry.Truncate(time.Millisecond)
	if len(want.RequestID) != 32 || !reflect.DeepEqual(award, want) {
		t.Errorf("got  %+v\nwant %+v", award, want)
	}
	for _, anonymous := range []func(*hexbid.Request){
		func(r *hexbid.Request) { r.Personalization = hexbid.PersonalizationOff },
		func(r *hexbid.Request) { r.Viewer.Age = 13 },
		func(r *hexbid.Request) { r.Viewer.UserKey = "" },
	} {
		r := at(hub)
		anonymous(r)
		award, _, err := ring.OpenAward(mustSearch(t, e, r).Sponsored[0].Token)
		if err != nil || award.HasViewer || award.Viewer != [16]byte{} {
			t.Errorf("%+v: a token with a viewer: %+v, %v", r, award, err)
		}
	}
}

func TestNothingPersonalChangesAnAnswerWithoutPersonalisation(t *testing.T) {
	e := open(t, func(c *Config) { c.RequestID = func() string { return "the same" } })
	market, err := demo.Resources()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range e.Import(ctx, market, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	fill(t, e, place("l", hub), campaign("c"))
	answer := func(r *hexbid.Request) string {
		response := mustSearch(t, e, r)
		var out strings.Builder
		for _, s := range response.Sponsored {
			fmt.Fprintln(&out, s.Slot, s.Campaign, s.Price)
		}
		for _, n := range response.Nearby {
			fmt.Fprintln(&out, n.Place, n.DistanceM)
		}
		return out.String()
	}
	different := 0
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) *hexbid.Request {
			r := at(hexbid.Point{Lat: 30.25 + float64(rapid.IntRange(0, 20).Draw(t, "north"))/1000, Lng: 120.16})
			r.Slots = 10
			r.Viewer = hexbid.Viewer{UserKey: rapid.SampledFrom([]string{"", "u", "v"}).Draw(t, label+"user"),
				Age:        rapid.IntRange(-1, 80).Draw(t, label+"age"),
				Gender:     hexbid.Gender(rapid.IntRange(0, 2).Draw(t, label+"gender")),
				Credit:     hexbid.CreditBand(rapid.IntRange(0, 5).Draw(t, label+"credit")),
				HomeRegion: rapid.SampledFrom([]string{"", "330100", "110000"}).Draw(t, label+"home")}
			if rapid.Bool().Draw(t, label+"likes") {
				r.Viewer.Interests = []hexbid.Category{hexbid.Category(rapid.IntRange(1, 16).Draw(t, label+"interest"))}
			}
			return r
		}
		one, other := draw("one "), draw("other ")
		other.Point = one.Point
		if answer(one) != answer(other) {
			different++
		}
		one.Personalization = hexbid.PersonalizationOff
		if rapid.Bool().Draw(t, "a child") {
			other.Viewer.Age = rapid.IntRange(0, 13).Draw(t, "child's age")
		} else {
			other.Personalization = hexbid.PersonalizationOff
		}
		if a, b := answer(one), answer(other); a != b {
			t.Fatalf("%+v gets\n%s%+v gets\n%s", one.Viewer, a, other.Viewer, b)
		}
	})
	if different < 10 {
		t.Errorf("with personalisation only %d pairs of answers differ: the market proves nothing", different)
	}
}

func TestAnAuctionPastItsBudgetIsLeftOutWhole(t *testing.T) {
	e := open(t, func(c *Config) { c.AuctionBudget = time.Millisecond })
	fill(t, e, place("l", hub), campaign("c"))
	response, err := e.Search(ctx, at(hub), time.Now().Add(-time.Second))
	if err != nil || !response.SponsoredSkipped || len(response.Sponsored) != 0 {
		t.Fatalf("%+v, %v", response, err)
	}
	if len(response.Nearby) != 1 {
		t.Errorf("the nearby list has %d entries: it should be complete", len(response.Nearby))
	}
}

func TestACallersDeadlineIsHonoured(t *testing.T) {
	e := open(t, nil)
	past, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
	defer cancel()
	if _, err := e.Search(past, at(hub), time.Now()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
}

func TestAChangeIsSearchableWhenItsCallReturns(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub), campaign("c"))
	shows := func() bool { return len(mustSearch(t, e, at(hub)).Sponsored) == 1 }
	for range 50 {
		paused := *campaign("c")
		for _, state := range []hexbid.ServingState{hexbid.Paused, hexbid.Active} {
			paused.State = state
			next := paused
			if _, err := e.Update(ctx, next.Name, store.AnyVersion, false,
				func(hexbid.Resource) (hexbid.Resource, error) { return &next, nil }); err != nil {
				t.Fatal(err)
			}
			if shows() != (state == hexbid.Active) {
				t.Fatalf("after state %d it shows: %v", state, shows())
			}
		}
	}
	if err := e.Delete(ctx, campaign("c").Name, store.AnyVersion, false); err != nil || shows() {
		t.Errorf("after its deletion, %v, it shows: %v", err, shows())
	}
}

func TestCampaignsFollowThePlacesTheyGoAround(t *testing.T) {
	e := open(t, nil)
	fill(t, e, campaign("c"))
	far := hexbid.Point{Lat: 31.2304, Lng: 121.4737}
	shows := func(p hexbid.Point) bool { return len(mustSearch(t, e, at(p)).Sponsored) == 1 }
	shaped := campaign("c")
	shaped.Area.Polygons = []hexbid.Polygon{{}}
	if serving, why := mustServing(e)(shaped); !serving {
		t.Errorf("a campaign with a polygon beside its program's places does not serve: %s", why)
	}
	if serving, why := mustServing(e)(campaign("c")); serving || !strings.Contains(why, "none is approved") || shows(hub) {
		t.Errorf("without a place it serves: %v, %q", serving, why)
	}
	fill(t, e, place("l", hub))
	if !shows(hub) || shows(far) {
		t.Errorf("with a place here it shows here: %v, far away: %v", shows(hub), shows(far))
	}
	fill(t, e, place("l", far))
	if shows(hub) || !shows(far) {
		t.Errorf("moved far away it shows here: %v, far away: %v", shows(hub), shows(far))
	}
	if _, err := e.Review(ctx, program+"/places/l", store.AnyVersion, hexbid.Hidden); err != nil || shows(far) {
		t.Errorf("hidden, %v, it shows: %v", err, shows(far))
	}
	fill(t, e, place("l", hub)) // an importer does not overturn the operator
	if shows(hub) {
		t.Error("an import approved a hidden place")
	}
}

func TestAPauseOfTheAdvertiserPausesItsCampaigns(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub), campaign("c"))
	for _, o := range e.Import(ctx,
		[]hexbid.Resource{&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A",
			State: hexbid.Paused}}, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if n := len(mustSearch(t, e, at(hub)).Sponsored); n != 0 {
		t.Errorf("%d sponsored of a paused advertiser", n)
	}
	explained, err := e.Explain(ctx, campaign("c").Name, at(hub))
	if err != nil || explained.Reason != "the advertiser is paused" {
		t.Errorf("%+v, %v", explained, err)
	}
}

func TestASearchFarFromADemoIsToldWhereItIs(t *testing.T) {
	e := open(t, func(c *Config) { c.Home = &Home{Name: "Hangzhou", Center: hub, RadiusM: 100_000} })
	if notice := mustSearch(t, e, at(hub)).Notice; notice != "" {
		t.Errorf("at home: %q", notice)
	}
	if notice := mustSearch(t, e, at(hexbid.Point{Lat: 39.9, Lng: 116.4})).Notice; !strings.Contains(notice, "Hangzhou") ||
		!strings.Contains(notice, "30.2553, 120.1640") {
		t.Errorf("far away: %q", notice)
	}
}

// TestSearchesGoOnWhileTheCatalogueChanges runs both at once, for the race
// detector; every answer must be one that some version of the campaign gives.
func TestSearchesGoOnWhileTheCatalogueChanges(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub), campaign("c"))
	var stop atomic.Bool
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for !stop.Load() {
				response, err := e.Search(ctx, at(hub), time.Now())
				if err != nil || len(response.Sponsored) > 1 {
					t.Errorf("%d sponsored, %v", len(response.Sponsored), err)
					return
				}
				for _, s := range response.Sponsored {
					if !strings.HasPrefix(string(s.Cards.Campaign), campaign("c").Name+" for "+program) {
						t.Errorf("sponsored %s", s.Cards)
					}
				}
			}
		})
	}
	for i := range 300 {
		c := campaign("c")
		c.Bid += hexbid.Money(i)
		if i%5 == 0 {
			if err := e.Delete(ctx, c.Name, store.AnyVersion, false); err != nil && hexbid.KindOf(err) != hexbid.NotFound {
				t.Error(err)
			}
		}
		fill(t, e, c)
	}
	stop.Store(true)
	group.Wait()
}

func TestConcurrentUpdatesLoseNothing(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub), campaign("c"))
	var group sync.WaitGroup
	var done atomic.Int64
	for range 8 {
		group.Go(func() {
			for range 20 {
				_, err := e.Update(ctx, campaign("c").Name, store.AnyVersion, false,
					func(present hexbid.Resource) (hexbid.Resource, error) {
						next := *present.(*hexbid.Campaign)
						next.Bid++
						return &next, nil
					})
				if err == nil {
					done.Add(1)
				} else if hexbid.KindOf(err) != hexbid.Stale {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	r, err := e.Get(ctx, campaign("c").Name)
	if err != nil {
		t.Fatal(err)
	}
	if bid := r.(*hexbid.Campaign).Bid; int64(bid) != 1_000_000+done.Load() {
		t.Errorf("%d updates gave a bid of %d", done.Load(), bid)
	}
}

// faulty is a resource at which every check panics.
var faulty hexbid.Resource = (*hexbid.Place)(nil)

func TestAPanicInAWorkerOfAnImportIsAnErrorOfThatImport(t *testing.T) {
	e := open(t, nil)
	fill(t, e)
	rows := []hexbid.Resource{place("l", hub), faulty, campaign("c")}
	if _, err := newUpload(e, false).Prepare(ctx, incomingOf(rows)); hexbid.KindOf(err) != hexbid.Internal || err == nil ||
		!strings.Contains(err.Error(), "nil pointer") {
		t.Errorf("prepare: %v", err)
	}
	for _, o := range e.Import(ctx, rows, false) {
		if o.Action != Rejected || o.Err == nil {
			t.Errorf("%+v", o)
		}
	}
	if e.Size().Places != 0 {
		t.Errorf("%+v was stored", e.Size())
	}
	fill(t, e, place("l", hub), campaign("c")) // the exchange goes on
}

func TestAnImportOfACallerWhoWentAwayIsNotPrepared(t *testing.T) {
	e := open(t, nil)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := newUpload(e, false).Prepare(gone, []Incoming{{Resource: faulty}}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
