package ledger_test

import (
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
)

// engine opens a journal, and after a power cut what is left of it.
type engine interface {
	open(t *testing.T) journal.Journal
	cut()
}

// inMemory is the engine in memory.
type inMemory struct{ last *journal.Memory }

func (e *inMemory) open(*testing.T) journal.Journal {
	if e.last == nil {
		e.last = journal.NewMemory()
	} else {
		e.last = e.last.Restart()
	}
	return e.last
}

func (e *inMemory) cut() { e.last = e.last.Restart() }

// onPebble is the engine on disk, on a file system that forgets what is not synced.
type onPebble struct{ fs *vfs.MemFS }

func (e *onPebble) open(t *testing.T) journal.Journal {
	if e.fs == nil {
		e.fs = vfs.NewCrashableMem()
	}
	return openOn(t, e.fs)
}

func (e *onPebble) cut() {
	e.fs = e.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0})
}

// capped is a ledger whose callers pass frequency caps, and a list of all that it was asked.
type capped struct {
	*bank
	t      *testing.T
	engine engine
	disk   journal.Journal
	caps   map[hexbid.UID]frequency.Caps

	mu    sync.Mutex
	asked map[[16]byte]ledger.Event // by the hash of the event id
}

// cappedCampaigns have two advertisers.
var cappedCampaigns = map[hexbid.UID]hexbid.UID{70: 7, 71: 7, 80: 8}

func openCapped(t *testing.T, e engine, options ledger.Options) *capped {
	c := &capped{t: t, engine: e, caps: map[hexbid.UID]frequency.Caps{}, asked: map[[16]byte]ledger.Event{}}
	clock := ledgertest.NewClock(noon)
	options.Wall, options.Monotonic, options.Log = clock.Now, clock.Monotonic, slog.New(slog.DiscardHandler)
	c.bank = &bank{Bank: &ledgertest.Bank{TB: t, Clock: clock, Options: options}}
	c.start()
	var terms []fold.Terms
	for campaign, advertiser := range cappedCampaigns {
		terms = append(terms, fold.Terms{Campaign: campaign, Advertiser: advertiser, DailyBudget: 1 << 40, Zone: "UTC",
			Name: fmt.Sprintf("advertisers/%d/campaigns/%d", advertiser, campaign)})
	}
	if err := c.SetTerms(ctx, 1, terms, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *capped) start() {
	c.disk = c.engine.open(c.t)
	c.Options.Journal = c.disk
	l, err := ledger.Open(ctx, c.Options)
	if err != nil {
		c.t.Fatal(err)
	}
	c.Ledger = l
}

// stop ends the ledger, in good order or not.
func (c *capped) stop(orderly bool) {
	if orderly {
		_ = c.Ledger.Close()
	} else {
		c.engine.cut()
		_ = c.Ledger.Close()
	}
	if err := c.disk.Close(); err != nil && orderly {
		c.t.Fatal(err)
	}
}

// seen is an impression of a campaign by a viewer, with a new token.
func (c *capped) seen(campaign hexbid.UID, viewer byte) ledger.Event {
	e := c.event(hexbid.Impression, hexbid.CPM, 1000)
	e.Award.Campaign, e.Award.Advertiser, e.Award.Viewer = campaign, cappedCampaigns[campaign], [16]byte{viewer}
	return e
}

// report reports events under ids of their own, with the caps in force.
func (c *capped) report(events ...ledger.Event) []ledger.Answer {
	c.mu.Lock()
	for i := range events {
		e := &events[i]
		e.EventID = strconv.Itoa(len(c.asked))
		e.Caps = c.caps[e.Award.Campaign]
		c.asked[fold.HashEventID(e.Name, e.Kind, e.EventID)] = *e
	}
	c.mu.Unlock()
	answers, err := c.Record(ctx, events)
	if err != nil {
		c.t.Fatal(err)
	}
	return answers
}

// row names what a cap counts.
type row struct {
	viewer  [16]byte
	subject hexbid.UID
}

// check reads the chain, and says of each impression whether it was beyond a cap, by counting all that came before.
func (c *capped) check() (beyond, within int) {
	c.t.Helper()
	view, err := c.disk.View()
	if err != nil {
		c.t.Fatal(err)
	}
	defer view.Close()
	stamps := map[row][]int64{}
	if err := view.Scan(journal.Records, nil, nil, func(_, encoded []byte) (bool, error) {
		record, err := fold.Decode(encoded)
		if err != nil {
			return false, err
		}
		e, isEvent := record.Body.(*fold.Event)
		if !isEvent || e.Outcome == hexbid.EventFiltered || e.Kind != hexbid.Impression && !e.Implies {
			return true, nil
		}
		asked := c.asked[e.EventID]
		want := c.isBeyond(stamps, &asked, record.At)
		if got := e.Outcome == hexbid.EventBeyondCap; got != want || got && e.Charged > 0 {
			c.t.Fatalf("record %d of viewer %d and campaign %d under %+v is %s; seen before: %v", record.Sequence,
				asked.Award.Viewer[0], e.Award.Campaign, asked.Caps, e.Outcome, stamps)
		}
		if want {
			beyond++
		} else {
			within++
		}
		return true, nil
	}); err != nil {
		c.t.Fatal(err)
	}
	return beyond, within
}

// isBeyond counts one impression by one, and adds this one.
func (c *capped) isBeyond(stamps map[row][]int64, e *ledger.Event, at int64) (beyond bool) {
	for _, by := range []struct {
		limit   hexbid.FrequencyCap
		subject hexbid.UID
	}{{e.Caps.Campaign, e.Award.Campaign}, {e.Caps.Advertiser, e.Award.Advertiser}} {
		if by.limit.Impressions == 0 {
			continue
		}
		counted, in := 0, row{e.Award.Viewer, by.subject}
		for _, before := range stamps[in] {
			if by.limit.Window == 0 || at-before < by.limit.Window.Microseconds() {
				counted++
			}
		}
		beyond = beyond || counted >= by.limit.Impressions
		stamps[in] = append(stamps[in], at)
	}
	return beyond
}

func drawLimit(t *rapid.T, name string) hexbid.FrequencyCap {
	return hexbid.FrequencyCap{Impressions: rapid.IntRange(0, 4).Draw(t, name),
		Window: rapid.SampledFrom([]time.Duration{0, time.Hour, 24 * time.Hour, 30 * 24 * time.Hour}).Draw(t, "window")}
}

// TestCapsAreCountedExactly lives through impressions, clicks without an impression, filtered impressions, edits of
// caps, windows that end, restarts and power cuts. Every verdict in the chain must be what a list of all impressions
// says.
func TestCapsAreCountedExactly(t *testing.T) {
	for name, anEngine := range map[string]func() engine{
		"in memory": func() engine { return &inMemory{} }, "on disk": func() engine { return &onPebble{} }} {
		t.Run(name, func(t *testing.T) {
			beyond, within := 0, 0
			rapid.Check(t, func(rt *rapid.T) {
				c := openCapped(t, anEngine(), ledger.Options{BatchRecords: rapid.IntRange(1, 9).Draw(rt, "batch"),
					CheckpointRecords: rapid.IntRange(1, 30).Draw(rt, "checkpoint")})
				for range rapid.IntRange(1, 25).Draw(rt, "steps") {
					c.step(rt)
				}
				b, w := c.check()
				beyond, within = beyond+b, within+w
				c.stop(true)
			})
			if beyond < 10 || within < 10 {
				t.Errorf("only %d impressions were beyond a cap, and %d within", beyond, within)
			}
		})
	}
}

// step is one thing that happens.
func (c *capped) step(t *rapid.T) {
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0:
		for campaign := range cappedCampaigns { // an advertiser's cap is the same for all its campaigns
			c.caps[campaign] = frequency.Caps{Campaign: drawLimit(t, "own"), Advertiser: c.caps[campaign].Advertiser}
		}
		owners := drawLimit(t, "advertiser's")
		for _, campaign := range []hexbid.UID{70, 71} {
			c.caps[campaign] = frequency.Caps{Campaign: c.caps[campaign].Campaign, Advertiser: owners}
		}
	case 1:
		c.stop(rapid.Bool().Draw(t, "in order"))
		c.start()
	case 2:
		c.Clock.Pass(rapid.SampledFrom([]time.Duration{time.Microsecond, time.Hour - time.Microsecond, time.Hour,
			24 * time.Hour, 30*24*time.Hour - time.Microsecond, 30 * 24 * time.Hour}).Draw(t, "later"))
	default:
		c.report(c.drawEvents(t)...)
	}
}

func (c *capped) drawEvents(t *rapid.T) (events []ledger.Event) {
	for range rapid.IntRange(1, 5).Draw(t, "events") {
		campaign := rapid.SampledFrom([]hexbid.UID{70, 71, 80}).Draw(t, "campaign")
		e := c.seen(campaign, byte(rapid.IntRange(1, 2).Draw(t, "viewer")))
		switch rapid.IntRange(0, 7).Draw(t, "kind") {
		case 0:
			e.Kind = hexbid.Click // implies its impression
		case 1:
			e = filtered(e)
		case 2:
			events = append(events, e, as(e, hexbid.Click, ""), as(e, hexbid.Impression, "")) // a duplicate
			continue
		}
		events = append(events, e)
	}
	return events
}

// TestAThousandImpressionsAtOnceAreCountedExactly has a thousand callers report one viewer's impressions, crashes, and
// has as many again. Three are within the cap, ever.
func TestAThousandImpressionsAtOnceAreCountedExactly(t *testing.T) {
	c := openCapped(t, &onPebble{}, ledger.Options{})
	c.caps[70] = frequency.Caps{Campaign: hexbid.FrequencyCap{Impressions: 3, Window: time.Hour},
		Advertiser: hexbid.FrequencyCap{Impressions: 5}}
	for round := range 2 {
		charged, counts := 0, make(chan int, 1000)
		for range cap(counts) {
			e := c.seen(70, 1)
			go func() {
				a := c.report(e)[0]
				if a.Outcome == hexbid.EventCharged {
					counts <- 1
				} else {
					counts <- 0
				}
			}()
		}
		for range cap(counts) {
			charged += <-counts
		}
		if want := 3 * (1 - round); charged != want {
			t.Errorf("round %d charges %d of a thousand impressions, expected %d", round, charged, want)
		}
		c.stop(false)
		c.start()
	}
	if beyond, within := c.check(); beyond != 1997 || within != 3 {
		t.Errorf("%d beyond the cap and %d within it", beyond, within)
	}
	c.stop(true)
}

// TestNeitherAnImpressionBeyondACapNorItsClickBills tells of a cap of one, under CPC and under CPM.
func TestNeitherAnImpressionBeyondACapNorItsClickBills(t *testing.T) {
	for _, pricing := range []hexbid.PricingModel{hexbid.CPC, hexbid.CPM} {
		c := openCapped(t, &inMemory{}, ledger.Options{})
		c.caps[70] = frequency.Caps{Campaign: hexbid.FrequencyCap{Impressions: 1, Window: time.Hour}}
		seen := func() ledger.Event {
			e := c.seen(70, 1)
			e.Award.Basis.Pricing = pricing
			return e
		}
		first, second, third := seen(), seen(), seen()
		third.Kind = hexbid.Click
		answers := c.report(first, second, third)
		c.stop(false)
		c.start()
		answers = append(answers, c.report(as(first, hexbid.Click, ""), as(second, hexbid.Click, ""))...)
		impression, click := hexbid.EventRecorded, hexbid.EventCharged
		if pricing == hexbid.CPM {
			impression, click = click, impression
		}
		c.outcomes(answers, impression, hexbid.EventBeyondCap, hexbid.EventBeyondCap, click, hexbid.EventBeyondCap)
		s, err := c.Campaign(ctx, 70)
		if err != nil || s.Ever.BeyondCap != 3 || s.Ever.Impressions != 3 || s.Ever.Clicks != 3 {
			t.Errorf("%s: %+v, %v", pricing, s.Ever, err)
		}
		c.stop(true)
	}
}

// TestAViewerWithoutAPseudonymIsNotCounted reports impressions of somebody whom the search did not name.
func TestAViewerWithoutAPseudonymIsNotCounted(t *testing.T) {
	c := openCapped(t, &inMemory{}, ledger.Options{})
	defer c.stop(true)
	c.caps[70] = frequency.Caps{Campaign: hexbid.FrequencyCap{Impressions: 1}}
	for range 3 {
		e := c.seen(70, 0)
		e.Award.HasViewer = false
		if a := c.report(e)[0]; a.Outcome != hexbid.EventCharged || a.Counted != 0 {
			t.Errorf("%+v", a)
		}
	}
}

// crowd reports an impression of each of many viewers, more than the owner keeps at hand.
func (c *capped) crowd() (answers []ledger.Answer) {
	const viewers = 3 * ledger.SeenKeys
	for from := 0; from < viewers; from += 1000 {
		var events []ledger.Event
		for viewer := from; viewer < min(viewers, from+1000); viewer++ {
			e := c.seen(70, 0)
			e.Award.Viewer = [16]byte{byte(viewer), byte(viewer >> 8), byte(viewer >> 16)}
			events = append(events, e)
		}
		answers = append(answers, c.report(events...)...)
	}
	return answers
}

func TestRowsOfManyViewersAreCountedBeyondWhatIsAtHand(t *testing.T) {
	c := openCapped(t, &inMemory{}, ledger.Options{})
	defer c.stop(true)
	c.caps[70] = frequency.Caps{Campaign: hexbid.FrequencyCap{Impressions: 1}}
	for round, want := range []hexbid.EventOutcome{hexbid.EventCharged, hexbid.EventBeyondCap} {
		for viewer, a := range c.crowd() {
			if a.Outcome != want {
				t.Fatalf("round %d: viewer %d is answered %s", round, viewer, a.Outcome)
			}
		}
	}
}

// TestALookupThatIsOlderThanWhatIsAtHandIsReadAgain delays a report, between its lookup and its judgement, until what
// it did not see is no longer at hand.
func TestALookupThatIsOlderThanWhatIsAtHandIsReadAgain(t *testing.T) {
	c := openCapped(t, &inMemory{}, ledger.Options{})
	defer c.stop(true)
	c.caps[70] = frequency.Caps{Campaign: hexbid.FrequencyCap{Impressions: 1}}
	late := c.seen(70, 255)
	late.Award.Viewer[15], late.Caps = 1, c.caps[70]
	record, err := c.RecordLater(ctx, []ledger.Event{late})
	if err != nil {
		t.Fatal(err)
	}
	first := c.seen(70, 255)
	first.Award.Viewer[15] = 1
	c.outcomes(c.report(first), hexbid.EventCharged)
	c.crowd()
	answers, err := record()
	if err != nil {
		t.Fatal(err)
	}
	c.outcomes(answers, hexbid.EventBeyondCap)
}
