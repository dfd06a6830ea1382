package ledger_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// manualTime is a pair of clocks that a test moves.
type manualTime struct {
	mu        sync.Mutex
	wall      time.Time
	monotonic time.Duration
}

func (m *manualTime) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall, m.monotonic = m.wall.Add(d), m.monotonic+d
}

func (m *manualTime) set(by time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall = m.wall.Add(by)
}

func (m *manualTime) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wall
}

func (m *manualTime) since() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.monotonic
}

// faults is a journal whose commits a test can hold up or fail.
type faults struct {
	journal.Journal
	mu     sync.Mutex
	before func(b *journal.Batch) error // called before a commit; its error fails the commit, and nothing is written
	broken error                        // why the journal has failed for good
}

// fail fails the journal for good.
func (f *faults) fail(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = why
}

func (f *faults) Failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken
}

func (f *faults) onCommit(before func(b *journal.Batch) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = before
}

func (f *faults) Commit(ctx context.Context, b *journal.Batch) error {
	f.mu.Lock()
	before := f.before
	f.mu.Unlock()
	if before != nil {
		if err := before(b); err != nil {
			return err
		}
	}
	return f.Journal.Commit(ctx, b)
}

// bank is a ledger in memory with clocks that the test moves.
type bank struct {
	testing.TB
	*ledger.Ledger
	time    *manualTime
	journal *faults
	memory  *journal.Memory
	options ledger.Options
	issuer  token.Issuer
	next    atomic.Uint64 // sequence of the last token
}

var (
	ctx  = context.Background()
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

const (
	advertiser = hexbid.UID(7)
	campaign   = hexbid.UID(70)
	yuan       = hexbid.Money(hexbid.MicrosPerUnit)
)

// openBank opens a ledger at noon, with one advertiser, and one campaign of 100 yuan a day. change changes its options.
func openBank(t testing.TB, change func(o *ledger.Options)) *bank {
	b := &bank{TB: t, time: &manualTime{wall: noon}, memory: journal.NewMemory(), issuer: token.Issuer{1}}
	b.options = ledger.Options{Wall: b.time.now, Monotonic: b.time.since, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&b.options)
	}
	b.open()
	t.Cleanup(func() { _ = b.Ledger.Close() })
	b.setTerms(1, fold.Terms{DailyBudget: 100 * yuan})
	return b
}

func (b *bank) open() {
	b.Helper()
	b.journal = &faults{Journal: b.memory}
	b.options.Journal = b.journal
	l, err := ledger.Open(ctx, b.options)
	if err != nil {
		b.Fatal(err)
	}
	b.Ledger = l
}

// crash drops what is not synced and opens the ledger again.
func (b *bank) crash() {
	b.Helper()
	b.memory = b.memory.Restart()
	_ = b.Ledger.Close()
	b.open()
}

// restart closes the ledger in good order and opens it again.
func (b *bank) restart() {
	b.Helper()
	if err := b.Ledger.Close(); err != nil {
		b.Fatal(err)
	}
	b.open()
}

// setTerms sets the campaign's terms as of a version, with names, uids and a zone filled in.
func (b *bank) setTerms(version uint64, t fold.Terms) {
	b.Helper()
	if err := b.SetTerms(ctx, version, []fold.Terms{filled(t)}, []fold.AdvertiserTerms{{Advertiser: advertiser,
		Name: "advertisers/a"}}); err != nil {
		b.Fatal(err)
	}
}

func filled(t fold.Terms) fold.Terms {
	t.Campaign, t.Advertiser, t.Name = campaign, advertiser, "advertisers/a/campaigns/c"
	if t.Zone == "" {
		t.Zone = "Asia/Shanghai"
	}
	return t
}

// click is a click on a new token of a CPC award of one yuan, issued now, and its event id.
func (b *bank) click() ledger.Event { return b.event(hexbid.Click, hexbid.CPC, yuan) }

// event is an event with a new token, issued now.
func (b *bank) event(kind hexbid.EventKind, pricing hexbid.PricingModel, price hexbid.Money) ledger.Event {
	now := b.time.now().Truncate(time.Millisecond)
	return ledger.Event{Kind: kind, Name: token.Name{Issuer: b.issuer, Sequence: b.next.Add(1)}, EventID: "first",
		Award: &token.Award{RequestID: "r", Campaign: campaign, Advertiser: advertiser, Price: price, Slot: 1,
			MarketVersion: 1, ClientID: "client", HasViewer: true, Viewer: [16]byte{1}, IssuedAt: now,
			ClickExpiry: now.Add(30 * time.Minute), Basis: auction.Basis{Pricing: pricing, Bid: price,
				MultiplierPPM: auction.PPM, QualityPPM: 30_000, Factors: []int64{1}}}}
}

// as is an event of the same token.
func as(e ledger.Event, kind hexbid.EventKind, id string) ledger.Event {
	e.Kind, e.EventID = kind, id
	return e
}

// record records events that must be answered.
func (b *bank) record(events ...ledger.Event) []ledger.Answer {
	b.Helper()
	answers, err := b.Record(ctx, events)
	if err != nil {
		b.Fatal(err)
	}
	return answers
}

// outcomes checks the outcomes of answers.
func (b *bank) outcomes(answers []ledger.Answer, want ...hexbid.EventOutcome) {
	b.Helper()
	if len(answers) != len(want) {
		b.Fatalf("%d answers, not %d", len(answers), len(want))
	}
	for i, a := range answers {
		if a.Outcome != want[i] {
			b.Errorf("event %d is %s, not %s", i, a.Outcome, want[i])
		}
		if fold.UsesUp(a.Outcome) != (a.Sequence != 0) || (a.Sequence != 0) != (a.Hash != [32]byte{}) {
			b.Errorf("event %d is %s, with record %d and hash %x", i, a.Outcome, a.Sequence, a.Hash)
		}
	}
}

// view returns what is synced after all that was judged, with all totals. A view of memory stays whole after its Close.
func (b *bank) view() journal.View {
	b.Helper()
	var settled journal.View
	if err := b.Read(ctx, func(v journal.View) error { settled = v; return nil }); err != nil {
		b.Fatal(err)
	}
	return settled
}

// spent returns what the campaign was ever charged.
func (b *bank) spent() hexbid.Money {
	b.Helper()
	s, err := b.Campaign(ctx, campaign)
	if err != nil {
		b.Fatal(err)
	}
	return s.Ever.Charged
}

// wait waits until a condition holds.
func (b *bank) wait(what string, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("in two minutes %s did not come", what)
		}
	}
}
