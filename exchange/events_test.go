package exchange

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

func TestTheEventsOfACallAreAnsweredInTheirOrder(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	good, others := b.token("app"), b.token("other")
	event := func(kind hexbid.EventKind, token, id string) hexbid.Event {
		return hexbid.Event{Kind: kind, Token: token, ID: id}
	}
	results := b.report("app",
		event(hexbid.Conversion, good, "v"), // before its click
		event(hexbid.Click, "no token at all", "c"),
		event(hexbid.Impression, good, "i"),
		event(hexbid.Click, others, "c"),
		event(hexbid.Click, good, "c"),
		event(hexbid.Click, good, "c"),
		event(hexbid.Click, good, "d"),
		hexbid.Event{Kind: hexbid.Conversion, Token: good, ID: "v", Value: 5_000_000},
		event(hexbid.Claim, good, "k"), // the campaign has no coupon
	)
	want := []string{"no_click", "forged", "recorded", "refused", "charged 100000", "charged 100000 again", "duplicate",
		"recorded", "gone"}
	if got := outcomes(results); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if results[5].Sequence != results[4].Sequence || results[5].Hash != results[4].Hash {
		t.Errorf("the first answer %+v came again as %+v", results[4], results[5])
	}
	if results[4].Pricing != hexbid.CPC || results[3].Pricing != 0 {
		t.Errorf("the pricing of %+v and %+v", results[4], results[3])
	}
	total := b.spend("c").Total
	if want := (hexbid.EventTotals{Impressions: 1, Clicks: 1, Conversions: 1, Charged: clickPrice,
		ConversionValue: 5_000_000}); total != want {
		t.Errorf("got %+v, want %+v", total, want)
	}
}

func TestATokenThatAnotherClientReturnsIsStillItsOwnClients(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	for _, c := range []struct{ searched, reported string }{{"app", "other"}, {"app", ""}, {"", "app"}, {"app", "App"}} {
		click := hexbid.Event{Kind: hexbid.Click, Token: b.token(c.searched), ID: "c"}
		if got := b.report(c.reported, click)[0]; got.Outcome != hexbid.EventRefused || got.Sequence != 0 {
			t.Errorf("%q reports a token of %q: %+v", c.reported, c.searched, got)
		}
		if got := b.report(c.searched, click)[0]; got.Outcome != hexbid.EventCharged || got.Charged != clickPrice {
			t.Errorf("and then %q itself: %+v", c.searched, got)
		}
	}
}

func TestNothingOfAWrongReportIsRecorded(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	click := hexbid.Event{Kind: hexbid.Click, Token: b.token("app"), ID: "c"}
	_, err := b.RecordEvents(ctx, &hexbid.EventReport{ClientID: "app", Events: []hexbid.Event{click, {}}})
	if hexbid.KindOf(err) != hexbid.Invalid || err == nil || !strings.Contains(err.Error(), "events[1].kind") {
		t.Errorf("%v", err)
	}
	if total := b.spend("c").Total; total != (hexbid.EventTotals{}) {
		t.Errorf("recorded: %+v", total)
	}
	if got := b.report("app", click)[0]; got.Outcome != hexbid.EventCharged || got.Repeated {
		t.Errorf("afterwards: %+v", got)
	}
}

// TestAlteredTokensAreForged changes every character of a token.
func TestAlteredTokensAreForged(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	good := b.token("app")
	var events []hexbid.Event
	for i := range good {
		altered := []byte(good)
		altered[i] = 'A' + (altered[i]-'A'+1)%26
		if string(altered) != good {
			events = append(events, hexbid.Event{Kind: hexbid.Click, Token: string(altered), ID: "c"})
		}
	}
	page := b.keys.Ring().Seal(token.PagePurpose, []byte("a page"))
	events = append(events, hexbid.Event{Kind: hexbid.Click, Token: page, ID: "c"})
	for i, r := range b.report("app", events...) {
		if r.Outcome != hexbid.EventForged || r.Sequence != 0 {
			t.Errorf("changed at %d: %+v", i, r)
		}
	}
	hour := fold.HourOf(b.clock.now().UnixMicro())
	waitFor(t, "forged events are counted by the hour", func() bool {
		v, err := b.journal.View()
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		value, err := v.Get(journal.Tallies, ledger.TallyKey(hour, hexbid.EventForged))
		if err != nil {
			t.Fatal(err)
		}
		return len(value) == 8 && binary.BigEndian.Uint64(value) == uint64(len(events))
	})
}

func TestAnEventReportedByManyAtOnceIsChargedOnce(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	good := b.token("app")
	var group sync.WaitGroup
	var mu sync.Mutex // guards firsts and records
	firsts, records := 0, map[uint64]int{}
	const callers, calls = 20, 50
	for range callers {
		group.Go(func() {
			for range calls {
				results, err := b.RecordEvents(ctx, &hexbid.EventReport{ClientID: "app",
					Events: []hexbid.Event{{Kind: hexbid.Click, Token: good, ID: "c"}}})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if !results[0].Repeated {
					firsts++
				}
				records[results[0].Sequence]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if firsts != 1 || len(records) != 1 {
		t.Errorf("%d first answers of records %v", firsts, records)
	}
	if spent := b.spend("c").Total.Charged; spent != clickPrice {
		t.Errorf("charged %d", spent)
	}
	b.restart()
	again := b.report("app", hexbid.Event{Kind: hexbid.Click, Token: good, ID: "c"})[0]
	if !again.Repeated || records[again.Sequence] != callers*calls {
		t.Errorf("after a restart: %+v", again)
	}
}

func TestAnEventAfterItsExpiryUsesUpNothing(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	good := b.token("app")
	b.clock.pass(b.config.ClickExpiry)
	if got := b.report("app", hexbid.Event{Kind: hexbid.Click, Token: good, ID: "c"})[0]; got.Sequence != 0 ||
		got.Outcome != hexbid.EventExpired {
		t.Errorf("%+v", got)
	}
}

func TestAMarketWithoutALedgerSaysSo(t *testing.T) {
	e := open(t, nil)
	_, err := e.RecordEvents(ctx, &hexbid.EventReport{Events: []hexbid.Event{{Kind: hexbid.Click, Token: "t", ID: "1"}}})
	if hexbid.KindOf(err) != hexbid.Unavailable || err == nil || !strings.Contains(err.Error(), "no ledger") {
		t.Errorf("%v", err)
	}
}

// TestALedgerWhoseClockIsWrongAnswersNothing: not even that a token is forged, because nobody would count it.
func TestALedgerWhoseClockIsWrongAnswersNothing(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	b.skew.Store(int64(time.Minute))
	defer b.skew.Store(0)
	for _, token := range []string{b.token("app"), "forged"} {
		_, err := b.RecordEvents(ctx, &hexbid.EventReport{ClientID: "app",
			Events: []hexbid.Event{{Kind: hexbid.Click, Token: token, ID: "c"}}})
		if hexbid.KindOf(err) != hexbid.Unavailable || err == nil || !strings.Contains(err.Error(), "clock") {
			t.Errorf("%v", err)
		}
	}
}

// TestTokensAreIssuedByTheLedgersTime opens a ledger that is ahead of the clock by a day.
func TestTokensAreIssuedByTheLedgersTime(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	b.clock.pass(24 * time.Hour)
	b.click()
	b.clock.pass(-24 * time.Hour)
	b.ahead = true
	b.restart()
	good := b.token("app")
	b.clock.pass(b.config.ClickExpiry - time.Second)
	if got := b.report("app", hexbid.Event{Kind: hexbid.Click, Token: good, ID: "c"})[0]; got.Charged != clickPrice {
		t.Errorf("%+v", got)
	}
	award, _, err := b.keys.Ring().OpenAward(good)
	if err != nil || award.IssuedAt.Sub(now) < 24*time.Hour-time.Second {
		t.Errorf("issued at %s, %v", award.IssuedAt, err)
	}
}
