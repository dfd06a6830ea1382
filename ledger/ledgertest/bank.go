package ledgertest

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// Clock is a wall clock and a monotonic clock that a test moves.
type Clock struct {
	mu        sync.Mutex // guards the fields below
	wall      time.Time
	monotonic time.Duration
}

// NewClock returns a clock that shows an instant.
func NewClock(at time.Time) *Clock { return &Clock{wall: at} }

// Pass lets time pass.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.monotonic = c.wall.Add(d), c.monotonic+d
}

// Step sets the wall clock forward, or back for a negative d.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// Now reads the wall clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

// Monotonic reads the monotonic clock.
func (c *Clock) Monotonic() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.monotonic
}

// TB is what a Bank needs of a test: a testing.TB or a *rapid.T.
type TB interface {
	Helper()
	Cleanup(func())
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// Bank is a ledger on a journal in memory, with clocks that the test moves. Its methods end the test when the ledger
// refuses what they ask for.
type Bank struct {
	TB
	*ledger.Ledger
	Clock   *Clock
	Memory  *journal.Memory
	Options ledger.Options // of the next start; the journal is set at each
	// Wrap returns what the ledger writes to at the next start. Nil is the memory itself.
	Wrap   func(*journal.Memory) journal.Journal
	tokens atomic.Uint64 // made so far
}

// OpenBank opens an empty ledger at an instant. Change, which may be nil, changes how it is opened.
func OpenBank(t TB, start time.Time, change func(b *Bank)) *Bank {
	t.Helper()
	b := &Bank{TB: t, Clock: NewClock(start), Memory: journal.NewMemory()}
	b.Options = ledger.Options{Wall: b.Clock.Now, Monotonic: b.Clock.Monotonic, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(b)
	}
	b.Open()
	t.Cleanup(func() { _ = b.Ledger.Close() })
	return b
}

// Open starts the ledger on what the memory holds.
func (b *Bank) Open() {
	b.Helper()
	b.Options.Journal = b.Memory
	if b.Wrap != nil {
		b.Options.Journal = b.Wrap(b.Memory)
	}
	l, err := ledger.Open(ctx, b.Options)
	if err != nil {
		b.Fatal(err)
	}
	b.Ledger = l
}

// Restart closes the ledger in good order and starts it again.
func (b *Bank) Restart() {
	b.Helper()
	if err := b.Ledger.Close(); err != nil {
		b.Fatal(err)
	}
	b.Open()
}

// Crash starts the ledger on what a power cut would have left.
func (b *Bank) Crash() {
	b.Helper()
	b.Memory = b.Memory.Restart()
	_ = b.Ledger.Close() // it can write nothing any more
	b.Open()
}

// Settled returns what is synced after all that was judged, with all totals. A view of memory stays whole after its
// Close.
func (b *Bank) Settled() journal.View {
	b.Helper()
	var settled journal.View
	if err := b.ReadTotals(ctx, func(v journal.View) error { settled = v; return nil }); err != nil {
		b.Fatal(err)
	}
	return settled
}

// Synced returns what is synced. A view of memory needs no Close.
func (b *Bank) Synced() journal.View {
	b.Helper()
	v, err := b.Memory.View()
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// Set sets terms as of a version of the catalogue, with those of the campaigns' advertisers.
func (b *Bank) Set(version uint64, campaigns []fold.Terms, advertisers ...fold.AdvertiserTerms) {
	b.Helper()
	if err := b.SetTerms(ctx, version, campaigns, advertisers); err != nil {
		b.Fatal(err)
	}
}

// Award is an award of a campaign, given out now, at a price that its bid sets. Tests change it before its first event.
func (b *Bank) Award(campaign, advertiser hexbid.UID, pricing hexbid.PricingModel, price hexbid.Money) *token.Award {
	now := b.Clock.Now().Truncate(time.Millisecond)
	return &token.Award{RequestID: "request", Campaign: campaign, Advertiser: advertiser, Price: price, Slot: 1,
		MarketVersion: 1, ClientID: "client", HasViewer: true, Viewer: [16]byte{1}, IssuedAt: now,
		ClickExpiry: now.Add(30 * time.Minute), Basis: auction.Basis{Mechanism: hexbid.MechanismFirstPrice, Pricing: pricing,
			Bid: price, MultiplierPPM: auction.PPM, QualityPPM: 30_000, Factors: []int64{1}}}
}

// Event is an event of a new token.
func (b *Bank) Event(kind hexbid.EventKind, a *token.Award) ledger.Event {
	return ledger.Event{Kind: kind, Name: token.Name{Issuer: token.Issuer{1}, Sequence: b.tokens.Add(1)},
		EventID: "first", Award: a}
}

// Report records events.
func (b *Bank) Report(events ...ledger.Event) []ledger.Answer {
	b.Helper()
	answers, err := b.Record(ctx, events)
	if err != nil {
		b.Fatal(err)
	}
	return answers
}

// Wait waits until a condition holds.
func (b *Bank) Wait(what string, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("in %s %s did not come", patience, what)
		}
	}
}
