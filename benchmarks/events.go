package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	rawpebble "github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/pebble"
	"github.com/hexbid/hexbid/token"
)

// Events are charged clicks on tokens of their own, of eventCampaigns campaigns. Callers bring eventsACall at a time,
// as a client does that reports what many viewers did. The ledger and Pebble itself take turns of eventsATurn.
const (
	eventCampaigns = 10_000
	eventsACall    = 100
	eventCallers   = 16
	eventsATurn    = 100_000
	eventTurns     = 5
)

// Events measures durable events, beside synced batches of the same bytes that Pebble itself writes, and the time to an
// answer at half of the rate that the ledger reaches, beside Pebble's at the same instants. It tells progress what the
// ledger did meanwhile.
func Events(dir string, progress func(string)) (map[string]Spread, error) {
	defer useMemoryAsServer()()
	round := 0
	return Rounds(3, func() (Figures, error) {
		round++
		return eventsOnce(filepath.Join(dir, fmt.Sprint("events", round)), progress)
	})
}

// eventsOnce measures one round, in new folders.
func eventsOnce(dir string, progress func(string)) (Figures, error) {
	l, tape, err := openLedger(filepath.Join(dir, "ledger"))
	if err != nil {
		return nil, err
	}
	db, err := rawpebble.Open(filepath.Join(dir, "raw"), rawOptions())
	if err != nil {
		return nil, errors.Join(err, tape.closeAll(l))
	}
	figures, err := measureEvents(l, tape, db)
	if err == nil {
		err = measureAnswers(l, tape, db, figures, progress)
	}
	return figures, errors.Join(err, db.Close(), tape.closeAll(l))
}

func measureEvents(l *ledger.Ledger, tape *tape, db *rawpebble.DB) (Figures, error) {
	tokens := clicker{issuer: token.Issuer{1}}
	var ofLedger, ofPebble time.Duration
	var batches, bytes int
	for range eventTurns {
		calls := tokens.calls(eventsATurn / eventsACall)
		tape.batches = nil
		took, err := together(0, len(calls), eventCallers, func(i int) error { return charge(l, calls[i]) })
		if err != nil {
			return nil, err
		}
		ofLedger += took
		batches += len(tape.batches)
		if took, err = writeRaw(db, tape.batches, &bytes); err != nil {
			return nil, err
		}
		ofPebble += took
	}
	const events = eventTurns * eventsATurn
	return Figures{"events_per_s": events / ofLedger.Seconds(), "pebble_events_per_s": events / ofPebble.Seconds(),
		"events_of_pebble": ofPebble.Seconds() / ofLedger.Seconds(), "events_a_batch": events / float64(batches),
		"bytes_an_event": float64(bytes) / events}, nil
}

// charge records a call's events, all of which must be charged.
func charge(l *ledger.Ledger, events []ledger.Event) error {
	answers, err := l.Record(context.Background(), events)
	if err != nil {
		return err
	}
	for i := range answers {
		if answers[i].Outcome != hexbid.EventCharged {
			return fmt.Errorf("a click on a new token was answered %s", answers[i].Outcome)
		}
	}
	return nil
}

// clicker makes clicks, each on a token of its own.
type clicker struct {
	issuer token.Issuer
	next   uint64
}

func (c *clicker) calls(n int) [][]ledger.Event {
	now := time.Now().Truncate(time.Millisecond)
	calls := make([][]ledger.Event, n)
	for i := range calls {
		calls[i] = make([]ledger.Event, eventsACall)
		for k := range calls[i] {
			calls[i][k] = c.click(now)
		}
	}
	return calls
}

func (c *clicker) click(at time.Time) ledger.Event {
	const price = 1_234_568
	c.next++
	campaign := hexbid.UID(1 + c.next*7919%eventCampaigns)
	return ledger.Event{Kind: hexbid.Click, Name: token.Name{Issuer: c.issuer, Sequence: c.next},
		EventID: fmt.Sprint(c.next), Award: &token.Award{RequestID: "0f1e2d3c4b5a69788796a5b4c3d2e1f0", Campaign: campaign,
			Advertiser: payerOf(campaign), Price: price, Slot: 1, Host: hexbid.WeChat, Scene: hexbid.NearbyList,
			MarketVersion: 1, ClientID: "search-1", IssuedAt: at, ClickExpiry: at.Add(30 * time.Minute),
			Basis: auction.Basis{Mechanism: hexbid.MechanismGSP,
				Pricing: hexbid.CPC, Bid: 2 * price, MultiplierPPM: auction.PPM, QualityPPM: 30_000,
				Next: price * 30_000, Factors: []int64{1}}}}
}

// payerOf returns the advertiser of a campaign: ten campaigns each.
func payerOf(campaign hexbid.UID) hexbid.UID { return 1 + campaign%(eventCampaigns/10) }

// openLedger opens a ledger on disk, with campaigns that can pay for everything.
func openLedger(dir string) (*ledger.Ledger, *tape, error) {
	quiet := slog.New(slog.DiscardHandler)
	j, err := pebble.Open(pebble.Options{Dir: dir, Currency: "CNY", Log: quiet})
	if err != nil {
		return nil, nil, err
	}
	t := &tape{Journal: j}
	l, err := ledger.Open(context.Background(), ledger.Options{Journal: t, Log: quiet})
	if err != nil {
		return nil, nil, errors.Join(err, j.Close())
	}
	var terms []fold.Terms
	for uid := hexbid.UID(1); uid <= eventCampaigns; uid++ {
		terms = append(terms, fold.Terms{Campaign: uid, Advertiser: payerOf(uid), Zone: hexbid.DefaultTimeZone,
			Name: fmt.Sprintf("advertisers/a%d/campaigns/c%d", payerOf(uid), uid), DailyBudget: 1 << 50})
	}
	for part := range slices.Chunk(terms, ledger.MaxTerms) {
		if err := l.SetTerms(context.Background(), 1, part, nil); err != nil {
			return nil, nil, errors.Join(err, t.closeAll(l))
		}
	}
	return l, t, nil
}

// tape is a journal that remembers what it commits, so that Pebble itself can write the same bytes.
type tape struct {
	journal.Journal
	batches []journal.Batch
	off     bool
}

// Commit implements journal.Journal.
func (t *tape) Commit(ctx context.Context, b *journal.Batch) error {
	if !t.off && len(b.Records) > 0 {
		t.batches = append(t.batches, *b)
	}
	return t.Journal.Commit(ctx, b)
}

func (t *tape) closeAll(l *ledger.Ledger) error { return errors.Join(l.Close(), t.Close()) }

// writeRaw writes batches to Pebble itself, one sync each, and returns how long it took. It adds to bytes what it
// wrote.
func writeRaw(db *rawpebble.DB, batches []journal.Batch, bytes *int) (time.Duration, error) {
	started := time.Now()
	for i := range batches {
		b := db.NewBatch()
		if err := putRaw(b, &batches[i], 0); err != nil {
			return 0, err
		}
		*bytes += b.Len()
		if err := b.Commit(rawpebble.Sync); err != nil {
			return 0, err
		}
	}
	return time.Since(started), nil
}

// putRaw puts the rows of a batch. Those of other rounds have keys of their own.
func putRaw(b *rawpebble.Batch, from *journal.Batch, round byte) error {
	var err error
	of := func(t journal.Table, key []byte) []byte {
		return append([]byte{byte(t) + round*byte(journal.TableCount)}, key...)
	}
	for i, record := range from.Records {
		key := fold.RecordKey(from.After + uint64(i) + 1)
		err = errors.Join(err, b.Set(of(journal.Records, key), record, nil))
	}
	for _, row := range from.Rows {
		if key := of(row.Table, row.Key); row.Value == nil {
			err = errors.Join(err, b.Delete(key, nil))
		} else {
			err = errors.Join(err, b.Set(key, row.Value, nil))
		}
	}
	return err
}
