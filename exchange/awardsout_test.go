package exchange

import (
	"fmt"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

// happens reports one event of a token, and returns its outcome.
func (b *billed) happens(kind hexbid.EventKind, token, id string) hexbid.EventOutcome {
	b.Helper()
	return b.report("app", hexbid.Event{Kind: kind, Token: token, ID: id})[0].Outcome
}

// outNow returns what a campaign has out, with the awards of searches that have just ended.
func (b *billed) outNow(uid hexbid.UID) hexbid.Money {
	b.awardsOut.drain()
	return b.awardsOut.campaign(uid).Expected
}

func TestAnAwardIsOutFromItsSearchToItsClick(t *testing.T) {
	b := openBank(t)
	c := campaign("c")
	b.put(c)
	const worth = clickPrice * 3 / 100 // at the quality of catering
	token := b.token("app")
	if out := b.outNow(c.UID); out < worth || out > worth+1 {
		t.Errorf("%s is out for one award of %s", out, hexbid.Money(worth))
	}
	if out := b.AwardsOut(); out.Expected < worth || out.Events < 0.029 || out.Spilled != 0 {
		t.Errorf("the market has %+v out", out)
	}
	if outcome := b.happens(hexbid.Impression, token, "i"); outcome != hexbid.EventRecorded || b.outNow(c.UID) < worth {
		t.Errorf("%s: an impression that costs nothing takes no award out", outcome)
	}
	b.clock.pass(5 * time.Second)
	if out := b.outNow(c.UID); out >= worth || out == 0 {
		t.Errorf("%s is out after five seconds, %s before", out, hexbid.Money(worth))
	}
	for range 2 { // the second gets the first answer again
		if outcome := b.happens(hexbid.Click, token, "c"); outcome != hexbid.EventCharged || b.outNow(c.UID) != 0 {
			t.Errorf("%s: %s is out after the click", outcome, b.outNow(c.UID))
		}
	}
}

func TestAwardsOutOutliveARestart(t *testing.T) {
	b := openBank(t)
	c := campaign("c")
	b.put(c)
	for range 10 {
		b.token("app")
	}
	before := b.outNow(c.UID)
	b.restart()
	if after := b.outNow(c.UID); before == 0 || after != before {
		t.Errorf("%s is out, and before the restart it was %s", after, before)
	}
}

func TestWhatIsDeliveredFreeIsCounted(t *testing.T) {
	b := openBank(t)
	c := campaign("c")
	c.Bid, c.DailyBudget = clickPrice, clickPrice
	b.put(c)
	first, second := b.token("app"), b.token("app")
	if outcome := b.happens(hexbid.Click, first, "c"); outcome != hexbid.EventCharged {
		t.Fatal(outcome)
	}
	for range 2 {
		if outcome := b.happens(hexbid.Click, second, "c"); outcome != hexbid.EventBudgetExhausted {
			t.Fatal(outcome)
		}
	}
	if free := b.OverDelivery(); free != clickPrice {
		t.Errorf("%s was free, for one click of %s", free, hexbid.Money(clickPrice))
	}
	if spend := b.spend("c"); spend.Total.Free != clickPrice {
		t.Errorf("the campaign shows %+v", spend)
	}
}

func TestAnEventTakesItsAwardOutOfTheLaneToo(t *testing.T) {
	b := openBank(t)
	c := campaign("c")
	b.put(c)
	for range 20 {
		if answer := b.click(); answer.Outcome != hexbid.EventCharged {
			t.Fatal(answer.Outcome)
		}
	}
	if out := b.outNow(c.UID); out != 0 {
		t.Errorf("%s is out, and every award has had its click", out)
	}
}

// TestAwardsAreOutByThePositionFactorsThatTheyWereMadeBy pins position factors between two awards in the second slot,
// and clicks both.
func TestAwardsAreOutByThePositionFactorsThatTheyWereMadeBy(t *testing.T) {
	b := openTill(t, func(c *Config) { c.ExploreShare = 0 })
	if _, err := FirstMarket(ctx, b.store, &hexbid.Market{Distance: &hexbid.DistanceTable{},
		PositionFactors: []int64{1000, 500, 400, 300, 200, 100, 90, 80, 70, 60},
		Reserves:        []hexbid.Reserve{{PerThousand: 30_000_000}}}, now); err != nil {
		t.Fatal(err)
	}
	b.stop()
	b.start()
	second := fillTwoSlots(t, b.Exchange)
	var out hexbid.Money
	var tokens []Sponsored
	for _, factor := range []int64{500, 100} {
		stored, err := storedMarket(ctx, b.store)
		if err != nil {
			t.Fatal(err)
		}
		next := *stored
		next.PositionFactors = []int64{1000, factor, 90, 80, 70, 60, 50, 40, 30, 20}
		if _, err := updateMarket(b.Exchange, &next, stored.Version); err != nil {
			t.Fatal(err)
		}
		won := b.awards()
		if len(won) != 2 || won[1].Campaign != second {
			t.Fatalf("%+v", won)
		}
		tokens = append(tokens, won[1])
		b.awardsOut.drain()
		before := out
		out = b.awardsOut.campaign(second).Expected
		want := won[1].Price * 3 / 100 * hexbid.Money(factor) / 1000
		if got := out - before; got < want-1 || got > want+1 {
			t.Errorf("an award in a slot of %d thousandths has %s out, want %s", factor, got, want)
		}
	}
	for i := range tokens {
		if r := b.click(&tokens[i]); r.Outcome != hexbid.EventCharged {
			t.Errorf("a click: %+v", r)
		}
		out, factor := b.awardsOut.pace(second, hexbid.CPC)
		if want := []float64{0.03 * 0.1, 0}[i] * factor; out.Events < want*0.99 || out.Events > want*1.01 {
			t.Errorf("%v events are expected after click %d, want %v", out.Events, i+1, want)
		}
	}
	if left := b.awardsOut.campaign(second).Expected; left != 0 {
		t.Errorf("%s is out, and every award has had its click", left)
	}
}

// fillTwoSlots fills a market with two campaigns of two advertisers, and returns the one that gets the second slot.
func fillTwoSlots(t testing.TB, e *Exchange) (second hexbid.UID) {
	t.Helper()
	for i, bid := range []hexbid.Money{3_000_000, 2_000_000} {
		name := fmt.Sprintf("advertisers/t%d", i)
		c := &hexbid.Campaign{Meta: hexbid.Meta{Name: name + "/campaigns/c"}, DisplayName: "C",
			Program: name + "/programs/p", Pricing: hexbid.CPC, Bid: bid, DailyBudget: 1_000_000_000,
			Pacing: hexbid.PaceASAP, Area: hexbid.Area{Everywhere: true}}
		for _, o := range e.Import(ctx, []hexbid.Resource{
			&hexbid.Advertiser{Meta: hexbid.Meta{Name: name}, DisplayName: "A"},
			&hexbid.Program{Meta: hexbid.Meta{Name: name + "/programs/p"}, DisplayName: "P",
				Hosts: []hexbid.Host{hexbid.WeChat, hexbid.Alipay}, Category: hexbid.Catering}, c}, false) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			second = o.Resource.Metadata().UID
		}
	}
	return second
}
