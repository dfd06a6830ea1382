package market_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/simulator/market"
)

// walkers live in a city of some ten kilometres. They look at both results, and the further they would have to walk to
// a program, the less often they click on it, by the bands of the prior.
type walkers struct {
	rate   float64
	places map[hexbid.UID]hexbid.Point // where programs are in truth, by campaign
}

// farAway is 1,100 km from the city.
var farAway = hexbid.Point{Lat: center.Lat, Lng: center.Lng - 11.45}

// walking is the true decay, of which the market's prior knows nothing.
var walking = []float64{1, 0.5, 0.3, 0.12, 0.05, 0.02, 0.02, 0.02}

const (
	walkersClick = 0.1 // next door
)

func (w *walkers) Rate(time.Time) float64 { return w.rate }

func (w *walkers) Search(r *rand.Rand, _ time.Time) *hexbid.Request {
	return &hexbid.Request{Point: around(r), RadiusM: 3000, Slots: 2, Host: hexbid.WeChat, Scene: hexbid.NearbyList,
		ClientID: "app", Viewer: hexbid.Viewer{Age: hexbid.AgeUnknown}}
}

// around draws a point of the city.
func around(r *rand.Rand) hexbid.Point {
	return hexbid.Point{Lat: center.Lat + 0.1*(r.Float64()-0.5), Lng: center.Lng + 0.1*(r.Float64()-0.5)}
}

func (w *walkers) React(r *rand.Rand, q *hexbid.Request, s *exchange.Sponsored) market.Reaction {
	chance := walkersClick * walking[bandOf(q.Point.DistanceM(w.places[s.Campaign]))]
	return market.Reaction{Seen: true, SeenAfter: time.Second, Clicked: r.Float64() < chance,
		ClickedAfter: time.Duration(2+r.IntN(30)) * time.Second}
}

// bandOf returns the band of a distance, from 0.
func bandOf(metres float64) int {
	ends := quality.PriorDistances().EndsM
	return slices.IndexFunc(append(ends, math.Inf(1)), func(end float64) bool { return metres <= end })
}

// city is a market of shops and of brands from far away, with what came of it.
type city struct {
	*market.Market
	*walkers
	clicks, shown map[hexbid.UID]int
	spent         hexbid.Money
	clicksIn      [8]int // by band
}

// openCity opens a city of twelve shops and of four brands whose nearest outlets are 1,100 km away. All bid alike.
func openCity(t *testing.T, distance quality.Distances) *city {
	t.Helper()
	c := &city{walkers: &walkers{rate: 6, places: map[hexbid.UID]hexbid.Point{}}, clicks: map[hexbid.UID]int{},
		shown: map[hexbid.UID]int{}}
	var err error
	c.Market, err = market.Open(market.Config{Seed: 11, Start: start, People: c.walkers, Every: 10 * time.Second,
		Change: func(x *exchange.Config) { x.Market.Distance = distance },
		Answered: func(e *market.Event, r *hexbid.EventResult) {
			c.spent += r.Charged
			if e.Kind == hexbid.Click {
				c.clicks[e.Of.Campaign]++
				c.clicksIn[bandOf(e.Request.Point.DistanceM(c.places[e.Of.Campaign]))]++
			} else {
				c.shown[e.Of.Campaign]++
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	r := rand.New(rand.NewPCG(11, 5))
	for i := range 12 {
		c.add(t, fmt.Sprint("shop", i), around(r), 1_000_000, true)
	}
	for i := range 4 {
		c.add(t, fmt.Sprint("brand", i), farAway, 1_000_000, true)
	}
	return c
}

// add adds a campaign for a program that is at a point, which may show its place there.
func (c *city) add(t *testing.T, name string, at hexbid.Point, bid hexbid.Money, shows bool) {
	t.Helper()
	program := "advertisers/" + name + "/programs/p"
	campaign := &hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/" + name + "/campaigns/c"}, DisplayName: "c",
		Program: program, Pricing: hexbid.CPC, Bid: bid, DailyBudget: 2_000_000_000, Pacing: hexbid.PaceASAP,
		Area: hexbid.Area{Everywhere: true}}
	resources := []hexbid.Resource{&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/" + name}, DisplayName: name},
		&hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "P", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}, Path: "index"}, campaign}
	if shows {
		resources = append(resources, &hexbid.Place{Meta: hexbid.Meta{Name: program + "/places/l"}, Point: at,
			Review: hexbid.Approved})
	}
	if err := c.Put(resources...); err != nil {
		t.Fatal(err)
	}
	c.places[c.uidOf(t, name)] = at
}

func (c *city) uidOf(t *testing.T, name string) hexbid.UID {
	t.Helper()
	record, err := c.Store.Get(market.Context, "advertisers/"+name+"/campaigns/c")
	if err != nil {
		t.Fatal(err)
	}
	return record.Resource.Metadata().UID
}

func (c *city) live(t *testing.T, d time.Duration) {
	t.Helper()
	if err := c.Run(d); err != nil {
		t.Fatal(err)
	}
}

func (c *city) allClicks() (n int) {
	for _, clicks := range c.clicks {
		n += clicks
	}
	return n
}

// TestACityThatWalksClicksMoreWhereDistanceCounts, pays more, and teaches the market how far it walks.
func TestACityThatWalksClicksMoreWhereDistanceCounts(t *testing.T) {
	with, without := openCity(t, quality.PriorDistances()), openCity(t, quality.Distances{})
	for _, c := range []*city{with, without} {
		c.live(t, 65*time.Minute)
	}
	t.Logf("with distance %d clicks and %s, without %d and %s", with.allClicks(), with.spent, without.allClicks(),
		without.spent)
	if with.allClicks() < 3*without.allClicks()/2 || with.spent < 3*without.spent/2 {
		t.Errorf("with distance %d clicks and %s, without %d and %s: the gain is too small", with.allClicks(), with.spent,
			without.allClicks(), without.spent)
	}
	with.checkDecay(t)
}

// checkDecay compares what is in force with the truth, from which the prior is far.
func (c *city) checkDecay(t *testing.T) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	factors := map[int]float64{}
	for range 200 {
		request := c.Search(r, c.Now())
		request.Trace = true
		out, err := c.Exchange.Search(market.Context, request, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.Trace.Account.Entries {
			factors[int(e.Prediction.Band)-1] = float64(e.Prediction.DistancePPM)
		}
	}
	prior := quality.PriorDistances()
	for band := 1; band < 4; band++ {
		learned, truth := factors[band]/factors[0], walking[band]
		before := float64(prior.FactorPPM[band][hexbid.Catering]) / quality.PPM
		deviation := truth * math.Sqrt(1/float64(c.clicksIn[0])+1/float64(c.clicksIn[band]))
		t.Logf("band %d counts %.3f, in truth %.3f (a standard error is %.3f), before any click %.3f", band+1, learned, truth,
			deviation, before)
		if math.Abs(learned-truth) > 3*deviation || math.Abs(before-truth) < 3*deviation {
			t.Errorf("band %d counts %.3f; in truth it is %.3f, and %.3f before any click", band+1, learned, truth, before)
		}
	}
}

// TestAtEqualBidsTheShopNextDoorStandsAboveTheBrandFarAway, whatever the request's id; without distance it does not.
func TestAtEqualBidsTheShopNextDoorStandsAboveTheBrandFarAway(t *testing.T) {
	for _, x := range []struct {
		distance quality.Distances
		first    int // how often the shop next door leads, of 100 searches
	}{{quality.PriorDistances(), 100}, {quality.Distances{}, 12}} {
		c := openCity(t, x.distance)
		shop, leads := c.uidOf(t, "shop3"), 0
		for range 100 {
			request := c.Search(rand.New(rand.NewPCG(1, 1)), c.Now())
			request.Point = c.places[shop]
			out, err := c.Exchange.Search(market.Context, request, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if out.Sponsored[0].Campaign == shop {
				leads++
			}
		}
		if leads != x.first && (x.distance.Count() || leads > 2*x.first) {
			t.Errorf("the shop next door leads in %d of 100 searches, want %d", leads, x.first)
		}
	}
}

// TestWhoHidesItsPlacesGainsNothing: neither a shop in the middle of the city nor a brand from far away that bids high.
func TestWhoHidesItsPlacesGainsNothing(t *testing.T) {
	for _, x := range []struct {
		name string
		at   hexbid.Point
		bid  hexbid.Money
	}{{"corner", center, 1_000_000}, {"chain", farAway, 8_000_000}} {
		var shown, clicks [2]int
		for hides := range shown {
			c := openCity(t, quality.PriorDistances())
			c.add(t, x.name, x.at, x.bid, hides == 0)
			c.live(t, 65*time.Minute)
			uid := c.uidOf(t, x.name)
			shown[hides], clicks[hides] = c.shown[uid], c.clicks[uid]
		}
		t.Logf("%s was shown %d times and clicked %d times; hiding %d and %d", x.name, shown[0], clicks[0], shown[1],
			clicks[1])
		if shown[0] < 100 || shown[1] > shown[0] || float64(clicks[1]) > float64(clicks[0])+3*math.Sqrt(float64(clicks[0])) {
			t.Errorf("%s gains by hiding its place", x.name)
		}
	}
}
