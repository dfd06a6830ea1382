package ledger_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/traffic"
)

// filtering opens a ledger with the default limits.
func filtering(t *testing.T) *bank {
	return openBank(t, func(o *ledger.Options) { o.Traffic = traffic.DefaultLimits() })
}

// shown is an impression and its click of a viewer, three seconds after the award was issued.
func (b *bank) shown(viewer byte) []ledger.Event {
	impression := b.event(hexbid.Impression, hexbid.CPC, yuan)
	impression.Award.IssuedAt = impression.Award.IssuedAt.Add(-3 * time.Second)
	impression.Award.Viewer = [16]byte{viewer}
	return []ledger.Event{impression, as(impression, hexbid.Click, "c")}
}

// clicked reports an impression and its click, and returns what the click was answered.
func (b *bank) clicked(viewer byte) ledger.Answer { return b.Report(b.shown(viewer)...)[1] }

// wants checks whether a click was filtered, and why. A Valid one was charged.
func (b *bank) wants(what string, a ledger.Answer, want traffic.Reason) {
	b.Helper()
	outcome, charged := hexbid.EventFiltered, hexbid.Money(0)
	if want == traffic.Valid {
		outcome, charged = hexbid.EventCharged, yuan
	}
	if a.Outcome != outcome || a.Charged != charged || a.Reason != want {
		b.Errorf("%s is %s for %s, and charged %s; expected %s for %s", what, a.Outcome, a.Reason, a.Charged, outcome, want)
	}
}

func TestAClickTooSoonAfterItsIssueIsFiltered(t *testing.T) {
	b := filtering(t)
	for after, want := range map[time.Duration]traffic.Reason{0: traffic.TooSoon, 499 * time.Millisecond: traffic.TooSoon,
		500 * time.Millisecond: traffic.Valid, 10 * time.Minute: traffic.Valid} {
		events := b.shown(1)
		events[0].Award.IssuedAt = b.Clock.Now().Add(-after)
		b.wants(after.String(), b.Report(events...)[1], want)
	}
}

// TestRepeatedClicksAreCountedAcrossRestarts clicks six times within a day, with a restart or a power cut in between.
// The sixth is filtered until the first has left the window.
func TestRepeatedClicksAreCountedAcrossRestarts(t *testing.T) {
	b := filtering(t)
	for i := range 5 {
		b.wants(fmt.Sprint("click ", i), b.clicked(1), traffic.Valid)
		b.Clock.Pass(time.Hour)
	}
	b.Restart()
	b.wants("the sixth click", b.clicked(1), traffic.Repeated)
	b.wants("another viewer's", b.clicked(2), traffic.Valid)
	b.Crash()
	b.Clock.Pass(19*time.Hour - time.Microsecond)
	b.wants("a click just within the window", b.clicked(1), traffic.Repeated)
	b.Clock.Pass(time.Microsecond)
	b.wants("a click when the first has left the window", b.clicked(1), traffic.Valid)
	b.wants("the next", b.clicked(1), traffic.Repeated)
	if spent := b.spent(); spent != 7*yuan {
		t.Errorf("%s was charged", spent)
	}
}

func TestRepeatedClicksOfOneCallAreFilteredToo(t *testing.T) {
	b := filtering(t)
	var events []ledger.Event
	for range 8 {
		events = append(events, b.shown(1)...)
	}
	for i, a := range b.Report(events...) {
		if i%2 == 1 {
			want := traffic.Valid
			if i/2 >= 5 {
				want = traffic.Repeated
			}
			b.wants(fmt.Sprint("click ", i/2), a, want)
		}
	}
}

// TestExpiredAndDuplicateComeBeforeTheFilter, and what they answer counts for no rule.
func TestExpiredAndDuplicateComeBeforeTheFilter(t *testing.T) {
	b := filtering(t)
	events := b.shown(1)
	b.Report(events...)
	late := b.shown(1)
	for range 20 {
		b.outcomes(b.Report(as(events[1], hexbid.Click, "other")), hexbid.EventDuplicate)
	}
	refused := b.shown(1)
	refused[0].Award.Campaign++
	b.outcomes(b.Report(refused...), hexbid.EventRefused, hexbid.EventRefused)
	for i := range 4 {
		b.wants(fmt.Sprint("click ", 1+i), b.clicked(1), traffic.Valid)
	}
	filtered := b.shown(1)
	first := b.Report(filtered...)[1]
	b.wants("the sixth click", first, traffic.Repeated)
	again := b.Report(filtered...)[1]
	if first.Again = true; again != first {
		t.Errorf("the sixth click again is %+v; first it was %+v", again, first)
	}
	b.outcomes(b.Report(as(filtered[1], hexbid.Click, "other")), hexbid.EventDuplicate)
	b.Clock.Pass(30 * time.Minute)
	b.outcomes(b.Report(late[1]), hexbid.EventExpired)
	counts := b.Filtered()
	want := map[string]uint64{"too_soon": 0, "repeated": 1, "viewer_burst": 0, "without_impression": 0, "cell_burst": 0,
		"viewer_impressions": 0, "cell_impressions": 0, "of_impression": 0}
	if !maps.Equal(counts, want) {
		t.Errorf("%v were filtered", counts)
	}
}

// TestAFilteredClickImpliesNoImpression and counts towards no frequency cap; its conversion is filtered for its
// reason.
func TestAFilteredClickImpliesNoImpression(t *testing.T) {
	b := filtering(t)
	click := b.click() // issued now
	click.Caps.Campaign = hexbid.FrequencyCap{Impressions: 1, Window: time.Hour}
	first := b.Report(click, as(click, hexbid.Conversion, "v"), as(click, hexbid.Impression, "i"))
	b.outcomes(first, hexbid.EventFiltered, hexbid.EventFiltered, hexbid.EventRecorded)
	if first[0].Reason != traffic.TooSoon || first[1].Reason != traffic.TooSoon || first[0].Counted != 0 {
		t.Errorf("%+v", first)
	}
	account, err := b.Campaign(ctx, campaign)
	if want := (fold.Totals{Impressions: 1, Filtered: 2}); err != nil || account.Ever != want {
		t.Errorf("the campaign has %+v, %v; expected %+v", account.Ever, err, want)
	}
}

// TestAnInvalidClickBeyondACapIsFiltered has a click that is invalid and whose implied impression is beyond a cap.
func TestAnInvalidClickBeyondACapIsFiltered(t *testing.T) {
	b := filtering(t)
	limit := hexbid.FrequencyCap{Impressions: 1, Window: time.Hour}
	seen := b.event(hexbid.Impression, hexbid.CPC, yuan)
	seen.Caps.Campaign = limit
	click := b.click()
	click.Caps.Campaign = limit
	b.outcomes(b.Report(seen, click), hexbid.EventRecorded, hexbid.EventFiltered)
}

func TestAViewersBurstIsFilteredOnAllCampaigns(t *testing.T) {
	b := filtering(t)
	var terms []fold.Terms
	for i := range hexbid.UID(20) {
		terms = append(terms, fold.Terms{Campaign: 100 + i, Advertiser: advertiser, DailyBudget: 100 * yuan, Zone: "UTC",
			Name: fmt.Sprint("advertisers/a/campaigns/c", i)})
	}
	b.Set(2, terms)
	clickOn := func(i int) ledger.Answer {
		events := b.shown(1)
		events[0].Award.Campaign = hexbid.UID(100 + i)
		return b.Report(events...)[1]
	}
	for i := range 20 {
		want := traffic.Valid
		if i >= 10 {
			want = traffic.ViewerBurst
		}
		b.wants(fmt.Sprint("click ", i), clickOn(i), want)
		b.Clock.Pass(time.Second)
	}
	b.Clock.Pass(2 * time.Minute)
	b.wants("a click two minutes later", clickOn(15), traffic.Valid)
}

func TestClicksOfAClientWithoutImpressionsAreFiltered(t *testing.T) {
	var logged bytes.Buffer
	b := openBank(t, func(o *ledger.Options) {
		o.Traffic, o.Log = traffic.DefaultLimits(), slog.New(slog.NewTextHandler(&logged, nil))
	})
	b.setTerms(2, fold.Terms{DailyBudget: 1000 * yuan})
	count := map[traffic.Reason]int{}
	for i := range 300 {
		events := b.shown(byte(i))
		events[0].Award.HasViewer = false
		count[b.Report(events[1])[0].Reason]++
		b.Clock.Pass(time.Second)
	}
	if count[traffic.Valid] != 100 || count[traffic.WithoutImpression] != 200 {
		t.Errorf("of 300 clicks without an impression, the outcomes are %v", count)
	}
	b.wants("a click with its impression", b.clicked(1), traffic.Valid)
	other := b.shown(2)
	other[0].Award.ClientID = "another"
	b.wants("another client's", b.Report(other[1])[0], traffic.Valid)
	if n := strings.Count(logged.String(), "client=client"); n == 0 || n > 6 {
		t.Errorf("%d messages in six minutes name the client", n)
	}
}

func TestBurstsOfACellAreFiltered(t *testing.T) {
	b := filtering(t)
	b.setTerms(2, fold.Terms{DailyBudget: 10_000 * yuan})
	const machines, people = 11, 12 // cells
	viewer := byte(0)
	in := func(cell uint64) []ledger.Event {
		viewer++
		events := b.shown(viewer)
		events[0].Award.Cell, events[0].Award.HasViewer = cell, false
		return events
	}
	filtered := 0
	for range 60 { // a second: a machine clicks what it was shown; twenty people look, and one of them clicks
		if b.Report(in(machines)...)[1].Reason == traffic.CellBurst {
			filtered++
		}
		var crowd []ledger.Event
		for range 20 {
			crowd = append(crowd, in(people)[0])
		}
		answers := b.Report(append(crowd, in(people)...)...)
		b.wants("a click in a crowd", answers[len(answers)-1], traffic.Valid)
		b.Clock.Pass(time.Second)
	}
	if filtered != 50 {
		t.Errorf("%d of 60 clicks were filtered", filtered)
	}
}

// TestClicksAreErasedWithTheirViewer, and are no part of what caps look at.
func TestClicksAreErasedWithTheirViewer(t *testing.T) {
	b := filtering(t)
	for range 5 {
		b.clicked(1)
	}
	if err := b.ReadSynced(ctx, func(v journal.View) error {
		rows, _, err := ledger.ReadViewer(v, [16]byte{1}, 10)
		if len(rows) != 1 || !rows[0].IsClicks || rows[0].Subject != campaign || rows[0].Exposures.Ever != 5 {
			t.Errorf("the viewer's rows are %+v", rows)
		}
		history, historyErr := ledger.ReadHistory(v, [16]byte{1})
		if historyErr != nil || history.Subjects() != 0 {
			t.Errorf("clicks are in what caps look at: %+v, %v", history, historyErr)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	b.wants("the sixth click", b.clicked(1), traffic.Repeated)
	if err := b.EraseViewer(ctx, [16]byte{1}); err != nil {
		t.Fatal(err)
	}
	b.wants("a click of the erased viewer", b.clicked(1), traffic.Valid)
}

func TestALedgerWithoutLimitsFiltersNothing(t *testing.T) {
	b := openBank(t, nil)
	for range 30 {
		b.outcomes(b.Report(b.click()), hexbid.EventCharged)
	}
	if rows := b.Settled(); rows != nil {
		found, _, err := ledger.ReadViewer(rows, [16]byte{1}, 10)
		if err != nil || len(found) > 0 {
			t.Errorf("a viewer has the rows %+v, %v", found, err)
		}
	}
}

// TestAnImpressionOfAMachineIsFiltered with its click: neither is charged, whatever is paid for.
func TestAnImpressionOfAMachineIsFiltered(t *testing.T) {
	b := filtering(t)
	b.setTerms(2, fold.Terms{DailyBudget: 10_000 * yuan})
	var last []ledger.Event
	count := map[traffic.Reason]int{}
	for range 200 {
		last = b.shown(1)
		count[b.Report(last[0])[0].Reason]++
		b.Clock.Pass(100 * time.Millisecond)
	}
	if count[traffic.Valid] != 120 || count[traffic.ViewerImpressions] != 80 {
		t.Errorf("of 200 impressions in twenty seconds the reasons are %v", count)
	}
	if a := b.Report(last[1])[0]; a.Outcome != hexbid.EventFiltered || a.Reason != traffic.Valid || a.Charged != 0 {
		t.Errorf("the click of a filtered impression is %+v", a)
	}
	account, err := b.Campaign(ctx, campaign)
	if err != nil || account.Ever.Impressions != 120 || account.Ever.Filtered != 81 || account.Ever.Clicks != 0 {
		t.Errorf("the campaign has %+v, %v", account.Ever, err)
	}
	if n := b.Filtered()["viewer_impressions"]; n != 80 {
		t.Errorf("%d are counted for the reason", n)
	}
}
