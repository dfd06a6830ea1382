package exchange

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/store"
)

// termsLedger is what terms use of a ledger.Ledger.
type termsLedger interface {
	CatalogueVersion() uint64
	SetTerms(ctx context.Context, version uint64, campaigns []fold.Terms, advertisers []fold.AdvertiserTerms) error
	Campaigns(ctx context.Context, after hexbid.UID, limit int) ([]ledger.Standing, error)
	Advertisers(ctx context.Context, after hexbid.UID, limit int) ([]fold.AdvertiserAccount, error)
	Read(ctx context.Context, f func(v journal.View) error) error
	Failure() error
}

// terms brings the billing fields of the catalogue to the ledger: limits, zone, status, coupons and deletion. One
// goroutine follows the store's feed. The index takes a change only when the ledger has it, and a writer learns of its
// write only then. So no award is priced by a limit that the ledger does not enforce, and a lower limit that somebody
// was told of is in force.
//
// A change without a billing field, such as an edit of a bid, costs the ledger no record.
type terms struct {
	catalogue store.Store
	ledger    termsLedger
	log       *slog.Logger
	bids      func([]bidEdit) // is told of bids that were raised, when the index takes them
	// edited is told of campaigns whose limits, status or pacing were changed, when the index takes the changes.
	edited func(campaigns []hexbid.UID)
	// gone is told of campaigns that are deleted, before the ledger and the index are.
	gone func(ctx context.Context, campaigns []*hexbid.Campaign) error

	mu       sync.Mutex    // guards the fields below
	version  uint64        // the ledger has the terms up to this version of the catalogue
	refusal  error         // why the ledger does not take further terms at present
	advanced chan struct{} // closed and replaced when version or refusal changes

	noted time.Time // when the ledger was last told a version; of the goroutine that follows
}

// bidEdit says that an event of a campaign can cost more from a version on.
type bidEdit struct {
	campaign hexbid.UID
	version  uint64
}

func newTerms(catalogue store.Store, l termsLedger, log *slog.Logger) *terms {
	return &terms{catalogue: catalogue, ledger: l, log: log, version: l.CatalogueVersion(),
		advanced: make(chan struct{}), bids: func([]bidEdit) {},
		edited: func([]hexbid.UID) {},
		gone:   func(context.Context, []*hexbid.Campaign) error { return nil }}
}

// open brings the ledger up to the catalogue's present version. It refuses a ledger that knows a later catalogue.
func (t *terms) open(ctx context.Context) error {
	target := t.catalogue.Version()
	if t.version > target && !t.lossAccepted() {
		return hexbid.Errorf(hexbid.DataLoss, "data", "the ledger knows version %d of the catalogue, which ends at version "+
			"%d: an older catalogue lies beside a newer ledger. Restore both from one backup", t.version, target)
	}
	if t.version == 0 && target > 0 || t.version > target {
		return t.compare(ctx)
	}
	for t.version < target {
		if err := t.follow(ctx, target); err != nil && !isLost(err) {
			return err
		} else if err != nil {
			return t.compare(ctx)
		}
	}
	return nil
}

// lossAccepted reports whether the operator has accepted that the catalogue lost changes. The ledger may have seen
// them.
func (t *terms) lossAccepted() bool {
	durable, ok := t.catalogue.(store.Durable)
	return ok && len(durable.Losses()) > 0
}

// isLost reports whether the log of changes cannot lead on: it has a gap, or is damaged.
func isLost(err error) bool { return store.IsGap(err) || hexbid.KindOf(err) == hexbid.DataLoss }

// run follows the catalogue until the context ends.
func (t *terms) run(ctx context.Context) {
	for {
		err := t.follow(ctx, 0)
		if ctx.Err() == nil && isLost(err) {
			t.log.Error("the log of changes does not lead on from the ledger: comparing the ledger with the catalogue",
				"version", t.version, "error", err)
			err = t.compare(ctx)
		}
		if ctx.Err() != nil {
			t.note() // as far as the ledger still takes it
			return
		}
		if err != nil {
			t.refuse(err)
			pause(ctx, tryAgainAfter)
		}
	}
}

// tryAgainAfter spaces the attempts to bring terms to the ledger.
const tryAgainAfter = time.Second

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// mostTermsABatch bounds the terms of a batch, and mostChangesABatch the changes. A batch shares one sync.
const (
	mostTermsABatch   = 4096
	mostChangesABatch = 16_384
)

// follow brings the changes after the ledger's version to the ledger, a batch at a time: all that have arrived. It ends
// at a version, or never when that is 0. Its error is the context's, the feed's or the ledger's.
func (t *terms) follow(ctx context.Context, until uint64) error {
	feed := t.catalogue.Watch(t.version)
	for until == 0 || t.version < until {
		change, err := feed.Next(ctx)
		if err != nil {
			return err
		}
		b := termsBatch{terms: t, owners: map[string]hexbid.UID{}}
		err = b.add(ctx, &change)
		for err == nil && !b.isFull() {
			change, there := feed.Waiting()
			if !there {
				break
			}
			err = b.add(ctx, &change)
		}
		if err == nil {
			err = t.hand(ctx, &b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hand brings a batch to the ledger and lets searches see its changes.
func (t *terms) hand(ctx context.Context, b *termsBatch) error {
	if len(b.gone) > 0 {
		if err := t.gone(ctx, b.gone); err != nil {
			return err
		}
	}
	if b.hasTerms() {
		t.noted = time.Now()
		if err := t.ledger.SetTerms(ctx, b.version, b.campaigns, b.advertisers); err != nil {
			return err
		}
	}
	if len(b.edits) > 0 {
		t.bids(b.edits)
	}
	if len(b.repaced) > 0 {
		t.edited(b.repaced)
	}
	t.advance(b.version)
	if time.Since(t.noted) > noteEvery {
		t.note()
	}
	return nil
}

// noteEvery spaces the notes to the ledger of versions that changed no terms. A start follows the catalogue from the
// last version that the ledger knows.
const noteEvery = time.Second

// note tells the ledger the version that its terms are as of. It costs no sync, and a failure costs a later start some
// reading.
func (t *terms) note() {
	t.noted = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), noteEvery)
	defer cancel()
	_ = t.ledger.SetTerms(ctx, t.version, nil, nil)
}

// advance records that the ledger has the terms up to a version. After an accepted loss the catalogue's versions begin
// below the one that the ledger knew, and none of them may pass the gate before its terms have come.
func (t *terms) advance(version uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version, t.refusal = version, nil
	t.wake()
}

// refuse records why the ledger does not take terms.
func (t *terms) refuse(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refusal == nil {
		t.log.Error("changes of budgets do not reach the ledger: writes are refused, searches go on", "version", t.version,
			"error", err)
	}
	t.refusal = err
	t.wake()
}

// wake wakes those who wait. Callers hold mu.
func (t *terms) wake() {
	close(t.advanced)
	t.advanced = make(chan struct{})
}

// pass waits until the ledger has the terms up to a version. It is the bidder.Gate of the index. Its error is the
// context's.
func (t *terms) pass(ctx context.Context, version uint64) error {
	for {
		has, advanced, _ := t.state(version)
		if has {
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settle is pass for a writer, who learns why the ledger does not take the terms.
func (t *terms) settle(ctx context.Context, version uint64) error {
	if t == nil {
		return nil // a market without money
	}
	for {
		has, advanced, refusal := t.state(version)
		if has {
			return nil
		}
		if refusal != nil {
			return &hexbid.Error{Kind: hexbid.Unavailable, Detail: "the change is stored, but the ledger does not take its " +
				"budget and status at present: searches see it once the ledger does", Err: refusal}
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return &hexbid.Error{Kind: hexbid.Unavailable, Detail: "the change is stored, but the call ended before the " +
				"ledger had its budget and status: send it again to learn when", Err: ctx.Err()}
		}
	}
}

func (t *terms) state(version uint64) (has bool, advanced <-chan struct{}, refusal error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.version >= version, t.advanced, t.refusal
}

// has reports whether the ledger has the terms up to a version.
func (t *terms) has(version uint64) bool {
	has, _, _ := t.state(version)
	return has
}

// admit refuses a write while the ledger cannot record its billing fields.
func (t *terms) admit() error {
	if t == nil {
		return nil
	}
	err := t.ledger.Failure()
	if _, _, refusal := t.state(0); err == nil {
		err = refusal
	}
	if err != nil {
		return &hexbid.Error{Kind: hexbid.Unavailable, Detail: "the ledger cannot record changes of budgets at present, so " +
			"nothing was changed; searches go on", Err: err}
	}
	return nil
}
