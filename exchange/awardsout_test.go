package exchange

import (
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
