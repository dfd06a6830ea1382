package market_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/simulator/market"
)

// town is a row of streets, far apart. In each some campaigns compete, each of an advertiser and a program of its own.
// Its people search in one of the streets, see all results and click by the campaigns' true rates.
type town struct {
	perSecond float64
	streets   int
	slots     int
	rates     map[hexbid.UID]float64 // of clicks on seen impressions, by campaign
}

func (t *town) Rate(time.Time) float64 { return t.perSecond }

func street(i int) hexbid.Point { return hexbid.Point{Lat: 30, Lng: 110 + 0.2*float64(i)} }

func (t *town) Search(r *rand.Rand, _ time.Time) *hexbid.Request {
	return &hexbid.Request{Point: street(r.IntN(t.streets)), RadiusM: 3000, Slots: t.slots, Host: hexbid.WeChat,
		Scene: hexbid.NearbyList, ClientID: "app", Viewer: hexbid.Viewer{Age: hexbid.AgeUnknown}}
}

func (t *town) React(r *rand.Rand, _ *hexbid.Request, s *exchange.Sponsored) market.Reaction {
	return market.Reaction{Seen: true, SeenAfter: time.Second, Clicked: r.Float64() < t.rates[s.Campaign],
		ClickedAfter: time.Second + time.Duration(1+12e9*r.ExpFloat64())}
}

// settle stores a campaign of a new advertiser in a street, and returns its uid.
func settle(t *testing.T, m *market.Market, id string, at int, bid hexbid.Money) hexbid.UID {
	t.Helper()
	owner := "advertisers/" + id
	c := &hexbid.Campaign{Meta: hexbid.Meta{Name: owner + "/campaigns/c"}, DisplayName: "c",
		Program: owner + "/programs/p", Pricing: hexbid.CPC, Bid: bid, DailyBudget: 1_000_000_000_000,
		Area: hexbid.Area{Circles: []hexbid.Circle{{Center: street(at), RadiusM: 2000}}}}
	if err := m.Put(&hexbid.Advertiser{Meta: hexbid.Meta{Name: owner}, DisplayName: "A"},
		&hexbid.Program{Meta: hexbid.Meta{Name: c.Program}, DisplayName: "P", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}, Path: "index"}, c); err != nil {
		t.Fatal(err)
	}
	record, err := m.Store.Get(market.Context, c.Name)
	if err != nil {
		t.Fatal(err)
	}
	return record.Meta().UID
}

// shown is what was predicted of an impression, and the truth.
type shown struct{ predicted, truth float64 }

// predictions collects what is predicted of each result.
type predictions struct {
	market *market.Market
	town   *town
	shown  []shown
}

func (p *predictions) add(_ *hexbid.Request, r *exchange.Response) {
	live, err := p.market.Exchange.LiveStates(market.Context)
	if err != nil {
		panic(err)
	}
	for i := range r.Sponsored {
		of := r.Sponsored[i].Campaign
		p.shown = append(p.shown, shown{float64(live(of).QualityPPM) / 1e6, p.town.rates[of]})
	}
}

// calibrationError is the mean difference of predicted and true clicks over the deciles of predictions, as a part of
// the true clicks.
func calibrationError(all []shown) (relative float64) {
	slices.SortFunc(all, func(x, y shown) int {
		if x.predicted < y.predicted {
			return -1
		}
		return 1
	})
	difference, clicks := 0.0, 0.0
	for k := range 10 {
		predicted, truth := 0.0, 0.0
		for _, s := range all[k*len(all)/10 : (k+1)*len(all)/10] {
			predicted, truth = predicted+s.predicted, truth+s.truth
		}
		difference, clicks = difference+math.Abs(predicted-truth), clicks+truth
	}
	return difference / clicks
}

// TestQualityIsCalibratedAfterAWeek: what was predicted on the week's last day differs by at most 2 % from the true
// rates, which are three to seventeen times the prior, and in the middle the server restarts. The metric agrees with
// itself as far as chance lets it. A long run has more seeds, and logs how much they differ.
func TestQualityIsCalibratedAfterAWeek(t *testing.T) {
	seeds := []uint64{5}
	if os.Getenv("HEXBID_LONG") != "" {
		seeds = []uint64{5, 6, 7, 8, 9}
	}
	sum, worst := 0.0, 0.0
	for _, seed := range seeds {
		off := calibrationAfterAWeek(t, seed)
		sum, worst = sum+off, max(worst, off)
		if off > 0.02 {
			t.Errorf("seed %d: predictions are off by %.2f %%; at most 2 %% are good enough", seed, 100*off)
		}
	}
	t.Logf("%d seeds: %.2f %% off on average, %.2f %% at worst", len(seeds), 100*sum/float64(len(seeds)), 100*worst)
}

// calibrationAfterAWeek returns how far predictions on the last day of a week are off.
func calibrationAfterAWeek(t *testing.T, seed uint64) (off float64) {
	const day = 24 * time.Hour
	people := &town{perSecond: 0.15, streets: 12, slots: 2, rates: map[hexbid.UID]float64{}}
	seen := &predictions{town: people}
	m, err := market.Open(market.Config{Seed: seed, Start: start, People: people, Every: time.Minute,
		Change:   func(c *exchange.Config) { c.ExploreShare = 0 },
		Searched: func(q *hexbid.Request, r *exchange.Response) { seen.add(q, r) }})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	seen.market = m
	r := rand.New(rand.NewPCG(seed, 9))
	for i := range 24 {
		rate := 0.1 * math.Pow(5, r.Float64())
		people.rates[settle(t, m, fmt.Sprint("a", i), i/2, hexbid.Money(500_000+r.IntN(500_000)))] = rate
	}
	run := func(d time.Duration) {
		if err := m.Run(d); err != nil {
			t.Fatal(err)
		}
	}
	run(time.Hour)
	if early := calibrationError(seen.shown[:100]); early < 0.3 {
		t.Errorf("in the first minutes predictions are off by %.2f only: the priors are too good for a proof", early)
	}
	run(3 * day)
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	run(3*day - time.Hour)
	seen.shown = nil
	run(day)
	off = calibrationError(seen.shown)
	t.Logf("seed %d: on the last day %d predictions are off by %.2f %%", seed, len(seen.shown), 100*off)
	for k, d := range m.Exchange.Quality().Deciles {
		if off := math.Abs(d.Observed-d.Predicted) / math.Sqrt(d.Observed); d.Observed < 100 || off > 6 {
			t.Errorf("seed %d: decile %d has %.0f clicks, predicted %.0f", seed, k+1, d.Observed, d.Predicted)
		}
	}
	return off
}

// TestExplorationFindsAGoodCampaign that the prior underrates. It bids a little less than another whose rate is known,
// so by the prior it is never shown, although people would click on it more than twice as often.
func TestExplorationFindsAGoodCampaign(t *testing.T) {
	for _, share := range []float64{0, exchange.MaxExploreShare} {
		people := &town{perSecond: 0.5, streets: 1, slots: 1, rates: map[hexbid.UID]float64{}}
		led := map[hexbid.UID]int{}
		m, err := market.Open(market.Config{Seed: 3, Start: start, People: people, Every: 5 * time.Second,
			Change: func(c *exchange.Config) { c.ExploreShare = share },
			Searched: func(_ *hexbid.Request, r *exchange.Response) {
				for i := range r.Sponsored {
					led[r.Sponsored[i].Campaign]++
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		known := settle(t, m, "known", 0, 1_000_000)
		people.rates[known] = 0.045
		if err := m.Run(6 * time.Hour); err != nil {
			t.Fatal(err)
		}
		good := settle(t, m, "good", 0, 900_000)
		people.rates[good] = 0.12
		if err := m.Run(18 * time.Hour); err != nil {
			t.Fatal(err)
		}
		clear(led)
		if err := m.Run(time.Hour); err != nil {
			t.Fatal(err)
		}
		if share == 0 && led[good] > 0 {
			t.Errorf("without exploration the good campaign leads %d times: the proof proves nothing", led[good])
		}
		if share > 0 && led[good] < 9*led[known] {
			t.Errorf("with exploration the good campaign leads %d times and the other %d times", led[good], led[known])
		}
	}
}
