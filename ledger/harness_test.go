package ledger_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
)

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

// bank is a bank whose commits a test can hold up or fail.
type bank struct {
	*ledgertest.Bank
	journal *faults // of the last start
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
	b := new(bank)
	b.Bank = ledgertest.OpenBank(t, noon, func(opening *ledgertest.Bank) {
		opening.Wrap = func(m *journal.Memory) journal.Journal {
			b.journal = &faults{Journal: m}
			return b.journal
		}
		if change != nil {
			change(&opening.Options)
		}
	})
	b.setTerms(1, fold.Terms{DailyBudget: 100 * yuan})
	return b
}

// setTerms sets the campaign's terms as of a version, with names, uids and a zone filled in.
func (b *bank) setTerms(version uint64, t fold.Terms) {
	b.Helper()
	b.Set(version, []fold.Terms{filled(t)}, fold.AdvertiserTerms{Advertiser: advertiser, Name: "advertisers/a"})
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
	return b.Event(kind, b.Award(campaign, advertiser, pricing, price))
}

// as is an event of the same token.
func as(e ledger.Event, kind hexbid.EventKind, id string) ledger.Event {
	e.Kind, e.EventID = kind, id
	return e
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

// spent returns what the campaign was ever charged.
func (b *bank) spent() hexbid.Money {
	b.Helper()
	s, err := b.Campaign(ctx, campaign)
	if err != nil {
		b.Fatal(err)
	}
	return s.Ever.Charged
}
