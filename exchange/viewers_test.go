package exchange

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger/audit"
	"github.com/hexbid/hexbid/ledger/journal"
	invalid "github.com/hexbid/hexbid/ledger/traffic"
	"github.com/hexbid/hexbid/store"
)

// cappedCampaign is a campaign that a viewer may see so often within an hour.
func cappedCampaign(id string, impressions int) *hexbid.Campaign {
	c := campaign(id)
	c.Cap = hexbid.FrequencyCap{Impressions: impressions, Window: time.Hour}
	return c
}

// search searches as a viewer and returns the tokens of what is sponsored.
func (b *billed) search(viewer string) (tokens []string) {
	b.Helper()
	r := at(hub)
	r.Viewer.UserKey = viewer
	for _, s := range mustSearch(b, b.Exchange, r).Sponsored {
		tokens = append(tokens, s.Token)
	}
	return tokens
}

// see reports one impression of each token, and returns the outcomes.
func (b *billed) see(tokens ...string) []string {
	b.Helper()
	var events []hexbid.Event
	for _, t := range tokens {
		events = append(events, hexbid.Event{Kind: hexbid.Impression, Token: t, ID: "seen"})
	}
	return outcomes(b.report("app", events...))
}

func TestAViewerSeesACampaignAsOftenAsItsCapAllows(t *testing.T) {
	b := openBank(t)
	b.put(cappedCampaign("c", 2))
	first, second, third := b.search("someone"), b.search("someone"), b.search("someone")
	if len(first) != 1 || len(second) != 1 || len(third) != 0 {
		t.Fatalf("%d, %d and %d results before any impression is reported", len(first), len(second), len(third))
	}
	if len(b.search("another")) != 1 {
		t.Error("a cap holds back viewers who have seen nothing")
	}
	b.see(first[0], second[0])
	if n := b.viewers.awards.count(); n != 1 {
		t.Errorf("%d awards wait for their impression, expected that of the other viewer", n)
	}
	for range 2 {
		if n := len(b.search("someone")); n != 0 {
			t.Errorf("%d results beyond the cap", n)
		}
		b.restart() // the second time the journal alone knows
	}
	b.clock.pass(time.Hour)
	if len(b.search("someone")) != 1 {
		t.Error("the window does not end")
	}
}

// TestAnImpressionBeyondACapIsRecordedAndFree has a restart forget what is out, so that a viewer gets more awards than
// the cap allows.
func TestAnImpressionBeyondACapIsRecordedAndFree(t *testing.T) {
	b := openBank(t)
	b.put(cappedCampaign("c", 1))
	var tokens []string
	for range 2 {
		tokens = append(tokens, b.search("someone")...)
		b.restart()
	}
	if got := b.see(tokens...); !slices.Equal(got, []string{"recorded", "beyond_cap"}) {
		t.Fatalf("%q", got)
	}
	clicks := b.report("app", hexbid.Event{Kind: hexbid.Click, Token: tokens[1], ID: "c"},
		hexbid.Event{Kind: hexbid.Click, Token: tokens[0], ID: "c"})
	if got := outcomes(clicks); !slices.Equal(got, []string{"beyond_cap", "charged 100000"}) {
		t.Errorf("%q", got)
	}
	if ever := b.spend("c").Total; ever.BeyondCap != 2 || ever.Charged != clickPrice || ever.Free != clickPrice {
		t.Errorf("%+v", ever)
	}
}

// TestTheCapInForceAtTheRecordCounts edits a cap, and deletes the campaign, while tokens are out.
func TestTheCapInForceAtTheRecordCounts(t *testing.T) {
	b := openBank(t)
	b.put(cappedCampaign("c", 9))
	var tokens []string
	for range 5 {
		tokens = append(tokens, b.search("someone")...)
	}
	check := func(token, want string) {
		t.Helper()
		if got := b.see(token)[0]; got != want {
			t.Errorf("%s, expected %s", got, want)
		}
	}
	check(tokens[0], "recorded")
	b.put(cappedCampaign("c", 1))
	check(tokens[1], "beyond_cap")
	b.put(cappedCampaign("c", 3))
	check(tokens[2], "recorded")
	if err := b.Delete(ctx, "advertisers/a/campaigns/c", store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	check(tokens[3], "beyond_cap") // the last cap counts
	b.restart()
	check(tokens[4], "beyond_cap")
	if len(b.lastCaps.order) != 1 {
		t.Errorf("the caps of %d deleted campaigns are kept", len(b.lastCaps.order))
	}
	b.clock.pass(time.Hour)
	b.put(cappedCampaign("d", 1))
	if err := b.Delete(ctx, "advertisers/a/campaigns/d", store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	if len(b.lastCaps.order) != 1 {
		t.Errorf("the caps of %d deleted campaigns are kept after their tokens have expired", len(b.lastCaps.order))
	}
}

func TestTheCapOfAnAdvertiserCountsAllItsCampaigns(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	tokens := b.search("someone")
	if o := b.Import(ctx, []hexbid.Resource{&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A",
		Cap: hexbid.FrequencyCap{Impressions: 1}}}, false)[0]; o.Err != nil {
		t.Fatal(o.Err)
	}
	b.see(tokens...)
	b.put(campaign("d"))
	if n := len(b.search("someone")); n != 0 {
		t.Errorf("%d results of an advertiser whom the viewer has seen", n)
	}
	if n := len(b.search("another")); n != 1 {
		t.Errorf("%d results for another viewer", n)
	}
}

// TestASearchDoesNotWaitForALateReading holds the journal. Capped campaigns sit out, others serve, and the reading goes
// on alone.
func TestASearchDoesNotWaitForALateReading(t *testing.T) {
	b := openBank(t)
	b.put(cappedCampaign("c", 2))
	b.see(b.search("someone")...)
	b.restart()
	b.viewers.patience = DefaultConfig().Histories.Budget
	read, held := b.viewers.read, make(chan struct{})
	b.viewers.read = func(ctx context.Context, viewer [16]byte) (*frequency.History, error) {
		<-held
		return read(ctx, viewer)
	}
	r := at(hub)
	r.Trace = true
	for range 2 { // the second search joins the reading
		out := mustSearch(t, b.Exchange, r)
		if !out.CappedSkipped || !out.Trace.CappedSkipped || len(out.Sponsored) != 0 {
			t.Fatalf("skipped %v, %d results", out.CappedSkipped, len(out.Sponsored))
		}
	}
	stats := b.ViewerStats()
	if stats.Answers["late"] != 2 || len(b.viewers.readers) != 1 {
		t.Errorf("%v, %d readers", stats.Answers, len(b.viewers.readers))
	}
	uncapped := cappedCampaign("c", 2)
	uncapped.Cap.ServeUncapped = true
	b.put(uncapped)
	if out := mustSearch(t, b.Exchange, r); !out.CappedSkipped || len(out.Sponsored) != 1 {
		t.Errorf("%d results of a campaign that serves viewers without a known history", len(out.Sponsored))
	}
	close(held)
	waitFor(t, "the cache has the history", func() bool {
		return !mustSearch(t, b.Exchange, r).CappedSkipped && b.ViewerStats().Answers["cache"] > 0
	})
}

// dropFilter has searches read every history. It waits for the sweep at the start, which fills the filter; the next one
// comes an hour later.
func (b *billed) dropFilter() {
	b.Helper()
	waitFor(b, "the filter is filled", func() bool { return b.viewers.filter.Load() != nil })
	b.viewers.filter.Store(nil)
}

// TestReadersAreBounded holds the journal under more viewers than there are readers.
func TestReadersAreBounded(t *testing.T) {
	b := openBank(t)
	b.put(cappedCampaign("c", 2))
	held := make(chan struct{})
	b.dropFilter()
	b.viewers.patience = time.Microsecond
	b.viewers.read = func(context.Context, [16]byte) (*frequency.History, error) {
		<-held
		return frequency.None, nil
	}
	for i := range mostReaders + 10 {
		viewer := [16]byte{15: byte(i), 0: byte(i)}
		if h := b.viewers.history(ctx, viewer, now); h != nil {
			t.Fatal("a history without a reading")
		}
	}
	answers := b.ViewerStats().Answers
	if answers["late"] != mostReaders || answers["busy"] != 10 {
		t.Errorf("%v", answers)
	}
	close(held)
}

// TestTheFilterAnswersForViewersWithoutAHistory fills it by a sweep. It must not say that somebody has no history who
// has one, whenever the impression came.
func TestTheFilterAnswersForViewersWithoutAHistory(t *testing.T) {
	b := openBank(t)
	b.put(cappedCampaign("c", 1))
	b.see(b.search("before")...)
	waitFor(t, "the filter is filled", func() bool { return b.viewers.filter.Load() != nil })
	b.see(b.search("after")...)
	if err := b.newSweep().run(ctx); err != nil {
		t.Fatal(err)
	}
	for _, viewer := range []string{"before", "after"} {
		if len(b.search(viewer)) != 0 {
			t.Errorf("%s is taken for a viewer without a history", viewer)
		}
	}
	was := b.ViewerStats().Answers["filter"]
	if len(b.search("nobody")) != 1 || b.ViewerStats().Answers["filter"] != was+1 {
		t.Errorf("%v", b.ViewerStats())
	}
	if share := b.ViewerStats().FalsePositives; share > 0.001 {
		t.Errorf("a filter of two viewers takes %g of the others for them", share)
	}
}

// TestAReadingThatMissesAnImpressionIsNotRemembered records an impression while its viewer's history is read.
func TestAReadingThatMissesAnImpressionIsNotRemembered(t *testing.T) {
	b := openBank(t)
	b.put(cappedCampaign("c", 1))
	tokens := b.search("someone")
	b.dropFilter()
	b.viewers.forget(b.keys.Ring().Pseudonym("someone"))
	read, held, begun := b.viewers.read, make(chan struct{}), make(chan struct{}, 9)
	b.viewers.read = func(ctx context.Context, viewer [16]byte) (*frequency.History, error) {
		h, err := read(ctx, viewer)
		begun <- struct{}{}
		<-held
		return h, err
	}
	done := make(chan int)
	go func() { done <- len(b.search("someone")) }()
	<-begun
	b.see(tokens...)
	close(held)
	<-done
	if n := len(b.search("someone")); n != 0 {
		t.Errorf("%d results: the cache has the history from before the impression", n)
	}
}

// TestRowsThatNoCapNeedsAreSweptAway lets 31 days pass over a cap of an hour and a cap for ever.
func TestRowsThatNoCapNeedsAreSweptAway(t *testing.T) {
	b := openBank(t)
	b.put(cappedCampaign("c", 1))
	b.see(b.search("someone")...)
	forEver := cappedCampaign("e", 1)
	forEver.Cap.Window = 0
	b.put(forEver)
	b.see(b.search("someone")...)
	if n := len(b.known("someone").Exposures); n != 2 {
		t.Fatalf("%d exposures", n)
	}
	b.clock.pass(31 * 24 * time.Hour)
	b.restart() // what is at hand stays
	if err := b.newSweep().run(ctx); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the row is removed", func() bool {
		left := b.known("someone").Exposures
		return len(left) == 1 && left[0].Name == forEver.Name
	})
}

// TestClicksAreListedSweptAndErased: a viewer's clicks on a campaign, of which a cap that is for ever keeps nothing.
func TestClicksAreListedSweptAndErased(t *testing.T) {
	b := openBank(t)
	b.traffic = invalid.Limits{RepeatClicks: 2, RepeatWindow: 24 * time.Hour}
	b.restart()
	c := cappedCampaign("c", 9)
	c.Cap.Window = 0
	b.put(c)
	visit := func() string {
		token := b.search("someone")[0]
		b.see(token)
		return outcomes(b.report("app", hexbid.Event{Kind: hexbid.Click, Token: token, ID: "clicked"}))[0]
	}
	for i, want := range []hexbid.EventOutcome{hexbid.EventCharged, hexbid.EventCharged, hexbid.EventFiltered} {
		if got := visit(); !strings.HasPrefix(got, want.String()) {
			t.Errorf("click %d came out %s, want %s", i+1, got, want)
		}
	}
	listed := b.known("someone").Exposures
	if len(listed) != 2 || listed[0].Impressions != 3 || listed[0].Clicks != 0 || listed[1].Clicks != 2 ||
		listed[1].Impressions != 0 || listed[1].Name != c.Name || listed[1].Last.IsZero() {
		t.Fatalf("%+v", listed)
	}
	b.clock.pass(31 * 24 * time.Hour)
	b.restart() // what is at hand stays
	if err := b.newSweep().run(ctx); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the clicks are removed, and the impressions stay", func() bool {
		left := b.known("someone").Exposures
		return len(left) == 1 && left[0].Impressions == 3
	})
	visit()
	visit()
	if err := b.EraseViewerHistory(ctx, "someone"); err != nil {
		t.Fatal(err)
	}
	if left := b.known("someone").Exposures; len(left) != 0 {
		t.Errorf("after the erasure %+v", left)
	}
	if got := visit(); !strings.HasPrefix(got, hexbid.EventCharged.String()) {
		t.Errorf("a click after the erasure came out %s", got)
	}
}

// known returns what is known of a viewer.
func (b *billed) known(viewer string) *hexbid.ViewerHistory {
	b.Helper()
	history, err := b.ViewerHistory(ctx, viewer)
	if err != nil {
		b.Fatal(err)
	}
	return history
}

// TestAnErasedViewerBeginsAnew erases a viewer, verifies the ledger, and searches as the viewer.
func TestAnErasedViewerBeginsAnew(t *testing.T) {
	b := openBank(t)
	b.put(cappedCampaign("c", 1))
	b.see(append(b.search("someone"), b.search("another")...)...)
	known := b.known("someone")
	if len(known.Exposures) != 1 || known.Exposures[0].Name != "advertisers/a/campaigns/c" ||
		known.Exposures[0].Impressions != 1 || !known.Exposures[0].Last.Equal(now) {
		t.Fatalf("%+v", known)
	}
	before := b.records()
	if err := b.EraseViewerHistory(ctx, "someone"); err != nil {
		t.Fatal(err)
	}
	if n := len(b.known("someone").Exposures); n != 0 || len(b.known("another").Exposures) != 1 {
		t.Errorf("%d exposures after the erasure", n)
	}
	if len(b.search("someone")) != 1 || len(b.search("another")) != 0 {
		t.Error("the erased viewer does not begin anew, or another one does")
	}
	if !slices.Equal(b.records(), before) {
		t.Error("the erasure changed records")
	}
	if err := b.ledger.Read(ctx, func(v journal.View) error {
		report, err := audit.Verify(ctx, audit.Options{View: v, Now: b.clock.now()})
		if err == nil && len(report.Faults) > 0 {
			t.Errorf("the ledger does not verify: %+v", report.Faults)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// records returns the chain.
func (b *billed) records() (records []string) {
	b.Helper()
	if err := b.ledger.Read(ctx, func(v journal.View) error {
		return v.Scan(journal.Records, nil, nil, func(_, encoded []byte) (bool, error) {
			records = append(records, string(encoded))
			return true, nil
		})
	}); err != nil {
		b.Fatal(err)
	}
	return records
}

// TestSearchesLeaveOutWhatAListOfImpressionsLeavesOut searches and reports at random. Each search's trace evaluates
// every campaign by itself. No result may be one that its viewer has seen, or was given, as often as its cap allows.
func TestSearchesLeaveOutWhatAListOfImpressionsLeavesOut(t *testing.T) {
	b, r := openBank(t), rand.New(rand.NewPCG(1, 3))
	limits := map[hexbid.UID]hexbid.FrequencyCap{}
	for i := range 5 {
		owner := fmt.Sprintf("advertisers/o%d", i)
		c := cappedCampaign("c", 1+i)
		c.Name, c.Bid = owner+"/campaigns/c", hexbid.Money(1_000_000+i)
		c.Program = owner + "/programs/p"
		fill(t, b.Exchange, &hexbid.Advertiser{Meta: hexbid.Meta{Name: owner}, DisplayName: "O"},
			&hexbid.Program{Meta: hexbid.Meta{Name: c.Program}, DisplayName: "P", Category: hexbid.Catering,
				Hosts: []hexbid.Host{hexbid.WeChat}, Path: "index"},
			&hexbid.Place{Meta: hexbid.Meta{Name: c.Program + "/places/l"}, Point: hub}, c)
		record, err := b.store.Get(ctx, c.Name)
		if err != nil {
			t.Fatal(err)
		}
		limits[record.Meta().UID] = c.Cap
	}
	type seen struct {
		viewer   string
		campaign hexbid.UID
	}
	given, waiting := map[seen][]time.Time{}, []string{}
	full := 0
	for range 400 {
		viewer := strconv.Itoa(r.IntN(6))
		request := at(hub)
		request.Viewer.UserKey, request.Trace = viewer, true
		out := mustSearch(t, b.Exchange, request)
		for i, s := range out.Sponsored {
			of := seen{viewer, s.Campaign}
			inWindow := 0
			for _, at := range given[of] {
				if b.clock.now().Sub(at) < time.Hour {
					inWindow++
				}
			}
			if inWindow >= limits[s.Campaign].Impressions || out.Trace.Account.Awards[i].Entry.CampaignUID != s.Campaign {
				t.Fatalf("%+v was given %d times already; slot %d of the trace has %d", of, inWindow, i+1,
					out.Trace.Account.Awards[i].Entry.CampaignUID)
			}
			given[of] = append(given[of], b.clock.now())
			waiting = append(waiting, s.Token)
		}
		if len(out.Sponsored) < len(out.Trace.Account.Awards) || len(out.Sponsored) < 3 {
			full++
		}
		if len(waiting) > 0 && r.IntN(4) > 0 { // most impressions come at once
			b.see(waiting...)
			waiting = nil
		}
		b.clock.pass(time.Duration(r.IntN(5)) * time.Minute)
	}
	if full < 50 {
		t.Errorf("caps left out somebody in only %d searches", full)
	}
}

// TestAViewerWithTooManyRowsIsNotKnown writes more rows than a history holds, as a client could that reports campaign
// after campaign for one viewer.
func TestAViewerWithTooManyRowsIsNotKnown(t *testing.T) {
	b := openBank(t)
	b.put(cappedCampaign("c", 2))
	viewer, one := b.keys.Ring().Pseudonym("someone"), frequency.Exposures{}
	one.Add(now.UnixMicro())
	batch := &journal.Batch{After: b.last()}
	for uid := range uint64(frequency.MaxSubjects + 1) {
		key := append(binary.BigEndian.AppendUint64(viewer[:], 1000+uid), 'f')
		batch.Rows = append(batch.Rows, journal.Row{Table: journal.Viewers, Key: key, Value: one.AppendTo(nil)})
	}
	if err := b.journal.Commit(ctx, batch); err != nil {
		t.Fatal(err)
	}
	b.dropFilter()
	for range 3 { // from the journal, and from the cache
		if n := len(b.search("someone")); n != 0 {
			t.Errorf("%d results for a viewer of whom not all is known", n)
		}
	}
	if answers := b.ViewerStats().Answers; answers["long"] != 3 || answers["cache"]+answers["journal"] != 0 {
		t.Errorf("%v", answers)
	}
	if known := b.known("someone"); len(known.Exposures) != frequency.MaxSubjects+1 || known.More {
		t.Errorf("%d exposures", len(known.Exposures))
	}
}

// last returns the sequence of the last record.
func (b *billed) last() uint64 {
	b.Helper()
	view, err := b.journal.View()
	if err != nil {
		b.Fatal(err)
	}
	defer view.Close()
	return view.Last()
}

func TestAJournalThatCannotBeReadLeavesCappedCampaignsOut(t *testing.T) {
	b := openBank(t)
	b.put(cappedCampaign("c", 2))
	b.dropFilter()
	b.viewers.read = func(context.Context, [16]byte) (*frequency.History, error) {
		return nil, hexbid.Errorf(hexbid.DataLoss, "a viewer's row", "does not decode")
	}
	if n, answers := len(b.search("someone")), b.ViewerStats().Answers; n != 0 || answers["unread"] != 1 {
		t.Errorf("%d results, %v", n, answers)
	}
}

func TestAwardsAreForgottenInTheirOrder(t *testing.T) {
	r := recentAwards{keepFor: time.Hour}
	award := func(campaign hexbid.UID, at time.Time) cappedAward {
		return cappedAward{campaign, frequency.Impression{At: stampOfAward(at), Campaign: campaign}}
	}
	viewer := [16]byte{1}
	for i := range 2 * mostAwardsAViewer {
		r.add(viewer, award(hexbid.UID(i+1), now.Add(time.Duration(i)*time.Second)))
	}
	h := r.over(frequency.None, viewer, now)
	if h.Subjects() != mostAwardsAViewer {
		t.Errorf("%d awards of a viewer count", h.Subjects())
	}
	if _, there := h.Of(2 * mostAwardsAViewer); !there {
		t.Error("the latest award does not count")
	}
	for i := range 3 * mostAwardsAShard { // of other viewers of the shard
		r.add([16]byte{2, byte(i), byte(i >> 8)}, award(1, now.Add(2*time.Minute)))
	}
	s := r.shardOf(&viewer)
	if n := len(s.queue) - s.first; n != mostAwardsAShard || cap(s.queue) > 4*mostAwardsAShard {
		t.Errorf("%d awards wait in memory for %d", n, cap(s.queue))
	}
	if h := r.over(frequency.None, viewer, now); h != frequency.None {
		t.Errorf("the oldest awards count although there is no room for them")
	}
	r.over(frequency.None, viewer, now.Add(2*time.Hour))
	if n := r.count(); n != 0 {
		t.Errorf("%d awards count after their tokens have expired", n)
	}
}
