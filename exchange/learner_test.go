package exchange

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// unexplored is a market in virtual time in which no search explores.
func unexplored(c *Config) {
	manual(c)
	c.ExploreShare = 0
}

// tell reports an event of a result.
func (m *till) tell(kind hexbid.EventKind, s *Sponsored) hexbid.EventOutcome {
	m.Helper()
	m.events++
	results, err := m.RecordEvents(ctx, &hexbid.EventReport{ClientID: "app", Events: []hexbid.Event{{Kind: kind,
		Token: s.Token, ID: fmt.Sprint("event ", m.events)}}})
	if err != nil {
		m.Fatal(err)
	}
	return results[0].Outcome
}

// look sees the first result of so many searches, and clicks on the first few.
func (m *till) look(searches, clicks int) {
	m.Helper()
	for i := range searches {
		won := m.awards()
		m.tell(hexbid.Impression, &won[0])
		if i < clicks {
			m.tell(hexbid.Click, &won[0])
		}
	}
}

// TestSearchesUseWhatIsLearnedWithinASecond of the events' arrival.
func TestSearchesUseWhatIsLearnedWithinASecond(t *testing.T) {
	m := openTill(t, unexplored)
	c := campaign("c")
	c.DailyBudget = 1_000_000_000
	fill(t, m.Exchange, c, place("l", hub))
	if live := m.live(c.Name); live.QualityPPM != 30_000 || !live.QualityIsPrior || live.ExploredPPM != 60_000 {
		t.Fatalf("before any event it is %+v", live)
	}
	m.look(200, 50)
	m.pass(stepEvery)
	m.step()
	live := m.live(c.Name)
	if live.QualityPPM < 100_000 || live.QualityIsPrior {
		t.Errorf("after 50 clicks on 200 young impressions it is %+v", live)
	}
	if live.ExploredPPM <= live.QualityPPM || live.ExploredPPM > 2*live.QualityPPM {
		t.Errorf("a campaign that is hardly tried is explored with %d", live.ExploredPPM)
	}
	m.pass(time.Hour) // clicks on those impressions would have come
	m.step()
	if later := m.live(c.Name).QualityPPM; later >= live.QualityPPM {
		t.Errorf("when no more clicks can come it is %d, and it was %d", later, live.QualityPPM)
	}
}

// TestOnlyPeopleTeach: no filtered event, and no click whose impression was never reported.
func TestOnlyPeopleTeach(t *testing.T) {
	m := openTill(t, unexplored)
	c := campaign("c")
	c.DailyBudget = 1_000_000_000
	fill(t, m.Exchange, c, place("l", hub))
	for range 50 {
		won := m.awards()
		m.tell(hexbid.Click, &won[0]) // implies its impression
		m.tell(hexbid.Impression, &won[0])
	}
	for range 50 { // what the ledger filters comes here as this
		won := m.awards()
		award, name, err := m.keys.Ring().OpenAward(won[0].Token)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []hexbid.EventKind{hexbid.Impression, hexbid.Click} {
			event := ledger.Event{Kind: kind, Name: name, Award: &award, EventID: "e", Verdict: fold.VerdictFiltered}
			answers, err := m.ledger.Record(ctx, []ledger.Event{event})
			if err != nil || answers[0].Outcome != hexbid.EventFiltered {
				t.Fatal(answers, err)
			}
			new(openedEvents).first(&happening{Event: &event, outcome: answers[0].Outcome, at: m.ledger.Now()}, m.Exchange)
		}
	}
	m.pass(time.Hour)
	m.step()
	if live := m.live(c.Name); live.QualityPPM != 30_000 || !live.QualityIsPrior {
		t.Errorf("after events that teach nothing it is %+v", live)
	}
	if size := m.Quality(); size.Campaigns != 0 {
		t.Errorf("there is evidence of %d campaigns", size.Campaigns)
	}
}

// TestWhatIsLearnedOutlivesARestart to the last part in a million, before the first search.
func TestWhatIsLearnedOutlivesARestart(t *testing.T) {
	m := openTill(t, unexplored)
	c := campaign("c")
	c.DailyBudget = 1_000_000_000
	fill(t, m.Exchange, c, place("l", hub))
	m.look(200, 50)
	m.pass(time.Hour)
	m.step()
	fill(t, m.Exchange, campaign("other"))
	before, other := m.live(c.Name), m.live("advertisers/a/campaigns/other")
	if !other.QualityIsPrior || other.QualityPPM < 50_000 {
		t.Errorf("a new campaign of the program starts as %+v", other)
	}
	m.stop()
	m.start()
	if after := m.live(c.Name); after != before {
		t.Errorf("after a restart it is %+v, before %+v", after, before)
	}
	if after := m.live("advertisers/a/campaigns/other"); after != other {
		t.Errorf("after a restart the other is %+v, before %+v", after, other)
	}
}

// TestMakingACampaignAgainShedsNothing: neither a bad record nor a good one.
func TestMakingACampaignAgainShedsNothing(t *testing.T) {
	m := openTill(t, unexplored)
	c := campaign("c")
	c.DailyBudget = 1_000_000_000
	fill(t, m.Exchange, c, place("l", hub))
	m.look(2000, 4)
	m.pass(time.Hour)
	m.step()
	was := m.live(c.Name).QualityPPM
	if err := m.Delete(ctx, c.Name, store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	fill(t, m.Exchange, campaign("again"))
	again := m.live("advertisers/a/campaigns/again")
	if was > 5_000 || math.Abs(float64(again.QualityPPM-was)) > 0.4*float64(was) {
		t.Errorf("the campaign had %d, and made again it has %d", was, again.QualityPPM)
	}
	won := m.awards()
	m.tell(hexbid.Impression, &won[0])
	m.pass(time.Hour)
	m.step()
	if later := m.live("advertisers/a/campaigns/again"); math.Abs(float64(later.QualityPPM-again.QualityPPM)) >
		0.15*float64(again.QualityPPM) {
		t.Errorf("with an impression of its own it has %d, before %d; the one before had %d", later.QualityPPM,
			again.QualityPPM, was)
	}
}

func TestMoreThanATwentiethOfSearchesMustNotExplore(t *testing.T) {
	for _, share := range []float64{-0.01, 0.06, math.NaN()} {
		c := DefaultConfig()
		if c.ExploreShare = share; c.Validate() == nil {
			t.Errorf("%v is taken", share)
		}
	}
}

// TestASearchThatExploresTriesTheUpperEstimate, and the token says so; the quality that ranks also prices.
func TestASearchThatExploresTriesTheUpperEstimate(t *testing.T) {
	m := openTill(t, func(c *Config) {
		manual(c)
		c.ExploreShare = MaxExploreShare
		c.Market.Reserves = []hexbid.Reserve{{PerThousand: 3_000_000}}
	})
	fill(t, m.Exchange, campaign("c"), place("l", hub))
	const searches = 5000
	explored := 0
	for range searches {
		won := m.awards()
		award, _, err := m.keys.Ring().OpenAward(won[0].Token)
		if err != nil {
			t.Fatal(err)
		}
		quality, price := int64(30_000), hexbid.Money(100_000)
		if award.Explored {
			explored++
			quality, price = 60_000, 50_000
		}
		if award.Basis.QualityPPM != quality || won[0].Price != price {
			t.Fatalf("explored %t: a quality of %d at %s", award.Explored, award.Basis.QualityPPM, won[0].Price)
		}
	}
	if expected := searches * MaxExploreShare; math.Abs(float64(explored)-expected) > 5*math.Sqrt(expected) {
		t.Errorf("%d of %d searches explore", explored, searches)
	}
}

// TestAnEstimateHasAnInterval that holds it, for a campaign with evidence alone.
func TestAnEstimateHasAnInterval(t *testing.T) {
	m := openTill(t, unexplored)
	c := campaign("c")
	c.DailyBudget = 1_000_000_000
	fill(t, m.Exchange, c, place("l", hub))
	uid := m.awards()[0].Campaign
	if _, has := m.learner.estimate(m.now(), uid); has {
		t.Error("a campaign that nobody has seen has an estimate")
	}
	m.look(200, 50)
	m.pass(time.Hour)
	e, has := m.learner.estimate(m.now(), uid)
	if !has || e.LowPPM >= e.PPM || e.HighPPM <= e.PPM || e.LowPPM < 100_000 || e.HighPPM > 300_000 {
		t.Errorf("%+v", e)
	}
}

// TestFactorsOfHostsAndScenesComeIntoForceHourly, as a version of the market that tokens name and the book counts by.
func TestFactorsOfHostsAndScenesComeIntoForceHourly(t *testing.T) {
	m := openTill(t, unexplored)
	c := campaign("c")
	c.DailyBudget = 100_000_000_000
	program := &hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "P", Category: hexbid.Catering,
		Hosts: []hexbid.Host{hexbid.WeChat, hexbid.Alipay}, Path: "index"}
	fill(t, m.Exchange, c, place("l", hub), program)
	see := func(host hexbid.Host, clicks bool) token.Award {
		r := at(hub)
		r.Host = host
		response, err := m.Search(ctx, r, time.Now())
		if err != nil || len(response.Sponsored) == 0 {
			t.Fatalf("%+v, %v", response, err)
		}
		won := &response.Sponsored[0]
		m.tell(hexbid.Impression, won)
		if clicks {
			m.tell(hexbid.Click, won)
		}
		award, _, err := m.keys.Ring().OpenAward(won.Token)
		if err != nil {
			t.Fatal(err)
		}
		return award
	}
	for i := range 2000 {
		see(hexbid.WeChat, i%4 == 0)
		see(hexbid.Alipay, i%8 == 0)
		if i%100 == 0 {
			m.pass(time.Second)
			m.step()
		}
	}
	before := see(hexbid.Alipay, false)
	m.pass(time.Hour)
	m.step()
	m.step() // searches follow the new version from here on, and the book counts by it
	m.pass(11 * time.Second)
	m.step()
	after, other := see(hexbid.Alipay, false), see(hexbid.WeChat, false)
	if before.Prediction.ScenePPM != quality.PPM || after.MarketVersion <= before.MarketVersion {
		t.Errorf("before %+v of market %d, after %+v of %d", before.Prediction, before.MarketVersion, after.Prediction,
			after.MarketVersion)
	}
	if f := after.Prediction.ScenePPM; f < 400_000 || f > 700_000 || other.Prediction.ScenePPM != quality.PPM {
		t.Errorf("the factors are %d and %d", f, other.Prediction.ScenePPM)
	}
	for _, a := range []struct {
		award token.Award
		truth float64
	}{{after, 0.125}, {other, 0.25}} {
		if off := float64(a.award.Basis.QualityPPM)/1e6/a.truth - 1; math.Abs(off) > 0.15 {
			t.Errorf("a quality of %d, and %v is true", a.award.Basis.QualityPPM, a.truth)
		}
	}
}
