package ledger_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

func TestATokenAdmitsOneEventOfEachKind(t *testing.T) {
	b := openBank(t, nil)
	click := b.click()
	first := b.Report(as(click, hexbid.Impression, "i"), click, as(click, hexbid.Conversion, "v"))
	b.outcomes(first, hexbid.EventRecorded, hexbid.EventCharged, hexbid.EventRecorded)
	if first[1].Charged != yuan || first[0].Again || first[1].Again {
		t.Errorf("%+v", first)
	}
	again := b.Report(as(click, hexbid.Impression, "i"), click, as(click, hexbid.Conversion, "v"))
	for i := range first {
		want := first[i]
		if want.Again = true; again[i] != want {
			t.Errorf("event %d again is %+v; first it was %+v", i, again[i], first[i])
		}
	}
	b.outcomes(b.Report(as(click, hexbid.Impression, "x"), as(click, hexbid.Click, "x"),
		as(click, hexbid.Conversion, "x")),
		hexbid.EventDuplicate, hexbid.EventDuplicate, hexbid.EventDuplicate)
	if spent := b.spent(); spent != yuan {
		t.Errorf("%s was charged", spent)
	}
}

func TestEventsOfOneCallAreJudgedInOrder(t *testing.T) {
	b := openBank(t, nil)
	click := b.click()
	answers := b.Report(as(click, hexbid.Conversion, "early"), click, click, as(click, hexbid.Click, "x"),
		as(click, hexbid.Conversion, "v"), as(click, hexbid.Conversion, "v"), as(click, hexbid.Impression, "i"))
	b.outcomes(answers, hexbid.EventNoClick, hexbid.EventCharged, hexbid.EventCharged, hexbid.EventDuplicate,
		hexbid.EventRecorded, hexbid.EventRecorded, hexbid.EventDuplicate) // the click implied its impression
	if !answers[2].Again || answers[2].Hash != answers[1].Hash || !answers[5].Again {
		t.Errorf("%+v", answers)
	}
}

func TestAnImpliedImpressionBillsAsOne(t *testing.T) {
	b := openBank(t, nil)
	answers := b.Report(b.event(hexbid.Click, hexbid.CPM, 1000*yuan))
	b.outcomes(answers, hexbid.EventCharged)
	if answers[0].Charged != yuan {
		t.Errorf("charged %s", answers[0].Charged)
	}
	free := b.event(hexbid.Impression, hexbid.CPM, 0)
	b.outcomes(b.Report(free, as(free, hexbid.Click, "c")), hexbid.EventCharged, hexbid.EventRecorded)
}

func TestImpressionsAndClicksExpireByTheStamp(t *testing.T) {
	b := openBank(t, nil)
	click, seen := b.click(), b.event(hexbid.Impression, hexbid.CPC, yuan)
	first := b.Report(seen)
	b.Clock.Pass(30*time.Minute - time.Millisecond)
	b.outcomes(b.Report(click), hexbid.EventCharged)
	late := b.click()
	b.Clock.Pass(30 * time.Minute)
	b.outcomes(b.Report(late, as(late, hexbid.Impression, "i"), as(late, hexbid.Claim, "g")), hexbid.EventExpired,
		hexbid.EventExpired, hexbid.EventExpired)
	again := b.Report(seen, as(seen, hexbid.Impression, "other"))
	b.outcomes(again, hexbid.EventRecorded, hexbid.EventDuplicate)
	if !again[0].Again || again[0].Sequence != first[0].Sequence || again[0].Hash != first[0].Hash {
		t.Errorf("%+v after the expiry, %+v before", again[0], first[0])
	}
}

func TestAConversionNeedsItsClickOfTheLastSevenDays(t *testing.T) {
	b := openBank(t, nil)
	clicked, unclicked, late := b.click(), b.click(), b.click()
	b.Report(late)
	b.Clock.Pass(20 * time.Minute)
	clickedAt := b.Report(clicked)
	b.outcomes(b.Report(as(unclicked, hexbid.Conversion, "v")), hexbid.EventNoClick)
	b.Clock.Pass(7*24*time.Hour - time.Millisecond)
	b.outcomes(b.Report(as(clicked, hexbid.Conversion, "v"), as(late, hexbid.Conversion, "v"),
		as(unclicked, hexbid.Conversion, "v")), hexbid.EventRecorded, hexbid.EventExpired, hexbid.EventNoClick)
	b.Clock.Pass(10*time.Minute + time.Millisecond)
	b.outcomes(b.Report(as(unclicked, hexbid.Conversion, "v"), as(clicked, hexbid.Conversion, "x"), clicked),
		hexbid.EventExpired, hexbid.EventDuplicate, clickedAt[0].Outcome)
}

// filteredFor is why a click is filtered in these tests.
const filteredFor = 7

// filtered is the event as invalid traffic.
func filtered(e ledger.Event) ledger.Event {
	e.Verdict, e.Reason = fold.VerdictFiltered, filteredFor
	return e
}

// TestAConversionOfAFilteredClickIsFiltered reports conversions of a filtered click: in the click's own call, after a
// crash, and again. They use up the token's conversion, for the reason of the click, and count as nothing else.
func TestAConversionOfAFilteredClickIsFiltered(t *testing.T) {
	b := openBank(t, nil)
	early, late := b.click(), b.click()
	valued := func(e ledger.Event, id string) ledger.Event {
		e = as(e, hexbid.Conversion, id)
		e.Value = 5 * yuan
		return e
	}
	b.outcomes(b.Report(filtered(early), valued(early, "v"), filtered(late)), hexbid.EventFiltered, hexbid.EventFiltered,
		hexbid.EventFiltered)
	b.Crash()
	first := b.Report(valued(late, "v"))
	b.outcomes(first, hexbid.EventFiltered)
	again := b.Report(valued(late, "v"), valued(late, "x"), valued(early, "v"))
	b.outcomes(again, hexbid.EventFiltered, hexbid.EventDuplicate, hexbid.EventFiltered)
	if !again[0].Again || again[0].Hash != first[0].Hash || !again[2].Again {
		t.Errorf("%+v, first it was %+v", again, first)
	}
	b.scan(journal.Records, func(_, encoded []byte) {
		record, err := fold.Decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := record.Body.(*fold.Event); ok && (e.Verdict != fold.VerdictFiltered || e.Reason != filteredFor) {
			t.Errorf("the record of a %s has verdict %d for reason %d", e.Kind, e.Verdict, e.Reason)
		}
	})
	if s, err := b.Campaign(ctx, campaign); err != nil || s.Ever != (fold.Totals{Filtered: 4}) {
		t.Errorf("%+v, %v", s.Ever, err)
	}
}

// TestAClickOfAFilteredImpressionIsFiltered follows a filtered impression to its click and the click's conversion.
func TestAClickOfAFilteredImpressionIsFiltered(t *testing.T) {
	b := openBank(t, nil)
	seen := b.event(hexbid.Impression, hexbid.CPC, yuan)
	b.outcomes(b.Report(filtered(seen)), hexbid.EventFiltered)
	b.Crash()
	b.outcomes(b.Report(as(seen, hexbid.Click, "c")), hexbid.EventFiltered)
	b.Crash()
	b.outcomes(b.Report(as(seen, hexbid.Conversion, "v")), hexbid.EventFiltered)
	if s, err := b.Campaign(ctx, campaign); err != nil || s.Ever != (fold.Totals{Filtered: 3}) {
		t.Errorf("%+v, %v", s.Ever, err)
	}
}

// TestNoClickIsNotFinal sends a conversion before its click and again after it, under the same id. The first answer has
// no record, so it does not stand; the second has one, and does.
func TestNoClickIsNotFinal(t *testing.T) {
	b := openBank(t, nil)
	click := b.click()
	conversion := as(click, hexbid.Conversion, "v")
	b.outcomes(b.Report(conversion, conversion), hexbid.EventNoClick, hexbid.EventNoClick)
	b.Report(click)
	first := b.Report(conversion)
	b.outcomes(first, hexbid.EventRecorded)
	b.Crash()
	if again := b.Report(conversion)[0]; first[0].Again || !again.Again || again.Hash != first[0].Hash {
		t.Errorf("%+v, first it was %+v", again, first[0])
	}
}

// TestFirstAnswersLastUntilTheConversionsExpiryAndADay also checks that they are erased then, an hour at a time, so
// that the disk does not fill.
func TestFirstAnswersLastUntilTheConversionsExpiryAndADay(t *testing.T) {
	b := openBank(t, nil)
	click := b.click()
	first := b.Report(click)[0]
	b.Clock.Pass(8*24*time.Hour + 30*time.Minute - time.Millisecond)
	b.Wait("the chores of the hour", func() bool { return len(b.closedHours()) == 1 })
	if again := b.Report(click)[0]; again.Sequence != first.Sequence || !again.Again {
		t.Errorf("%+v at the end of eight days, first %+v", again, first)
	}
	b.Clock.Pass(time.Millisecond)
	b.outcomes(b.Report(click), hexbid.EventExpired)
	b.Clock.Pass(time.Hour)
	b.Wait("the end of old answers", func() bool { return b.rows(journal.Answers) == 0 })
}

// rows counts the rows of a table that are on disk.
func (b *bank) rows(t journal.Table) (rows int) {
	b.Helper()
	b.scan(t, func(_, _ []byte) { rows++ })
	return rows
}

func (b *bank) scan(t journal.Table, visit func(key, value []byte)) {
	b.Helper()
	v, err := b.Memory.View()
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	if err := v.Scan(t, nil, nil, func(key, value []byte) (bool, error) {
		visit(key, value)
		return true, nil
	}); err != nil {
		b.Fatal(err)
	}
}

func TestAViewerHasOneCouponOfACampaign(t *testing.T) {
	b := openBank(t, nil)
	b.setTerms(2, fold.Terms{DailyBudget: yuan, Coupons: []fold.Coupon{{Total: 2,
		ValidUntil: noon.Add(24 * time.Hour).UnixMilli()}}})
	claim := func(viewer byte) ledger.Event {
		e := b.event(hexbid.Claim, hexbid.CPC, yuan)
		e.Award.Viewer, e.Award.HasViewer = [16]byte{viewer}, viewer > 0
		return e
	}
	first := claim(1)
	b.outcomes(b.Report(first, claim(1), claim(0)), hexbid.EventGranted, hexbid.EventAlready, hexbid.EventNoViewer)
	b.Crash()
	b.outcomes(b.Report(claim(1)), hexbid.EventAlready)
	b.outcomes(b.Report(claim(2), claim(3), first), hexbid.EventGranted, hexbid.EventGone, hexbid.EventGranted)
	if n := b.rows(journal.Viewers); n != 2 {
		t.Errorf("%d viewers have coupons", n)
	}
	b.scan(journal.Records, func(_, encoded []byte) {
		if strings.Contains(string(encoded), string([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})) {
			t.Errorf("a record holds a pseudonym: %x", encoded)
		}
	})
}

// TestAReplayedTokenChargesOnce returns a token 1,000 times at once, before a crash, after it and after its click has
// expired.
func TestAReplayedTokenChargesOnce(t *testing.T) {
	b := openBank(t, func(o *ledger.Options) { o.CheckpointRecords = 1 })
	click := b.click()
	var mu sync.Mutex
	counts := map[hexbid.EventOutcome]int{}
	first := map[uint64]bool{}
	storm := func() {
		var callers sync.WaitGroup
		for i := range 1000 {
			callers.Go(func() {
				answers, err := b.Record(ctx, []ledger.Event{as(click, hexbid.Click, fmt.Sprint(i%2))})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				if counts[answers[0].Outcome]++; answers[0].Sequence > 0 {
					first[answers[0].Sequence] = true
				}
			})
		}
		callers.Wait()
	}
	storm()
	b.Crash()
	storm()
	b.Restart()
	b.Clock.Pass(time.Hour)
	storm()
	if counts[hexbid.EventCharged] != 1500 || counts[hexbid.EventDuplicate] != 1500 || len(first) != 1 {
		t.Errorf("%v in records %v", counts, first)
	}
	if spent := b.spent(); spent != yuan {
		t.Errorf("%s was charged", spent)
	}
}

func TestEventsWithoutARecordAreCountedByTheHour(t *testing.T) {
	b := openBank(t, nil)
	click := b.click()
	before := b.rows(journal.Records)
	for i := range 100 {
		b.Report(as(click, hexbid.Conversion, fmt.Sprint(i)))
	}
	b.Count(hexbid.EventForged, 5)
	b.Count(hexbid.EventOutcomeCount, 5) // there is no such outcome
	if n := b.rows(journal.Records); n != before {
		t.Errorf("%d records for events that use up nothing", n-before)
	}
	b.Clock.Pass(2 * time.Second)
	tally := func(outcome hexbid.EventOutcome) (n int) {
		b.scan(journal.Tallies, func(key, value []byte) {
			if string(key) == string(ledger.TallyKey(fold.HourOf(noon.UnixMicro()), outcome)) {
				n = int(value[7])
			}
		})
		return n
	}
	b.Wait("the tally", func() bool {
		b.Report(b.click()) // rows that need no sync are seen with the next record
		return tally(hexbid.EventNoClick) == 100 && tally(hexbid.EventForged) == 5
	})
	b.Restart()
	b.Count(hexbid.EventForged, 2)
	b.Clock.Pass(2 * time.Second)
	b.Wait("the tally after a restart", func() bool {
		b.Report(b.click())
		return tally(hexbid.EventForged) == 7
	})
	if n := b.rows(journal.Tallies); n != 2 {
		t.Errorf("%d rows of tallies", n)
	}
}

// TestAnHourWithoutARecordGoesOnCountingAfterARestart counts events in an hour of which the journal has nothing else.
func TestAnHourWithoutARecordGoesOnCountingAfterARestart(t *testing.T) {
	b := openBank(t, nil)
	b.Clock.Pass(2 * time.Hour)
	b.Restart() // with a checkpoint: from here on there is no record
	b.Clock.Pass(2 * time.Hour)
	hour := fold.HourOf(b.Clock.Now().UnixMicro())
	records := b.rows(journal.Records)
	for _, want := range []byte{5, 10} {
		b.Count(hexbid.EventForged, 5)
		b.Clock.Pass(2 * time.Second)
		b.Wait("the tally", func() bool {
			v := b.Settled()
			value, err := v.Get(journal.Tallies, ledger.TallyKey(hour, hexbid.EventForged))
			if err != nil {
				t.Fatal(err)
			}
			return len(value) == 8 && value[7] == want
		})
		b.Restart()
	}
	if n := b.rows(journal.Records); n != records {
		t.Fatalf("%d records were written: the hour has some", n-records)
	}
}

func TestCallsAreRefusedThatNoClientMakes(t *testing.T) {
	b := openBank(t, nil)
	for what, change := range map[string]func(e *ledger.Event){
		"kind":         func(e *ledger.Event) { e.Kind = hexbid.EventKindCount },
		"event_id":     func(e *ledger.Event) { e.EventID = strings.Repeat("x", hexbid.MaxEventIDBytes+1) },
		"value_micros": func(e *ledger.Event) { e.Value = 1 },
		"token":        func(e *ledger.Event) { e.Award = nil },
	} {
		click := b.click()
		change(&click)
		if _, err := b.Record(ctx, []ledger.Event{click}); hexbid.KindOf(err) != hexbid.Invalid ||
			!strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := b.Record(ctx, make([]ledger.Event, hexbid.MaxEvents+1)); hexbid.KindOf(err) != hexbid.Invalid {
		t.Error(err)
	}
}
