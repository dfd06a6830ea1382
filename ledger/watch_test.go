package ledger_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// following returns the next changes of a watch.
func (b *bank) following(w *ledger.Watch) ledger.Changes {
	b.Helper()
	soon, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	changes, err := w.Next(soon)
	if err != nil {
		b.Fatal(err)
	}
	return changes
}

func TestAWatchTellsOfAllAccountsFirstAndOfChangesThen(t *testing.T) {
	b := openBank(t, nil)
	w := b.Watch()
	defer w.Close()
	if first := b.following(w); len(first.Campaigns) != 1 || len(first.Advertisers) != 1 ||
		first.Campaigns[0].Left.Min != 100*yuan {
		t.Fatalf("%+v", first)
	}
	b.record(b.click())
	changed := b.following(w)
	if len(changed.Campaigns) != 1 || changed.Campaigns[0].Left.Min != 99*yuan ||
		changed.Campaigns[0].LocalDate != changed.Campaigns[0].Date {
		t.Fatalf("%+v", changed)
	}
	for range 10 {
		b.record(b.click())
	}
	b.setTerms(2, fold.Terms{DailyBudget: 20 * yuan})
	if _, err := b.Move(ctx, topUp("r", yuan)); err != nil {
		t.Fatal(err)
	}
	changed = b.following(w) // of twelve changes, each account once
	if len(changed.Campaigns) != 1 || changed.Campaigns[0].Left.Daily != 9*yuan || len(changed.Advertisers) != 1 ||
		changed.Advertisers[0].Ever.Balance != yuan {
		t.Fatalf("%+v", changed)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if c, err := w.Next(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", c, err)
	}
	_ = b.Ledger.Close()
	if _, err := w.Next(ctx); hexbid.KindOf(err) != hexbid.Unavailable {
		t.Errorf("of a closed ledger: %v", err)
	}
}

// TestAWatchTellsNothingThatIsNotOnDisk holds the commit of a charge up.
func TestAWatchTellsNothingThatIsNotOnDisk(t *testing.T) {
	b := openBank(t, nil)
	w := b.Watch()
	defer w.Close()
	b.following(w)
	var durable atomic.Uint64
	b.journal.onCommit(func(batch *journal.Batch) error {
		if len(batch.Records) > 0 {
			durable.Store(batch.After) // all before this batch is on disk
		}
		return nil
	})
	var callers sync.WaitGroup
	for range 50 {
		click := b.click()
		callers.Go(func() {
			if _, err := b.Record(ctx, []ledger.Event{click}); err != nil {
				t.Error(err)
			}
		})
	}
	charged := hexbid.Money(0)
	for charged < 50*yuan {
		c := b.following(w)
		v, err := b.journal.View()
		if err != nil {
			t.Fatal(err)
		}
		if c.AsOf > v.Last() {
			t.Errorf("a change as of record %d, of %d on disk", c.AsOf, v.Last())
		}
		for _, s := range c.Campaigns {
			if s.Ever.Charged < charged {
				t.Errorf("%s was charged, then %s", charged, s.Ever.Charged)
			}
			charged = s.Ever.Charged
		}
	}
	callers.Wait()
}

// TestAWatchListsManyAccountsInParts changes accounts while they are listed: the last word on each is the latest.
func TestAWatchListsManyAccountsInParts(t *testing.T) {
	b := openBank(t, nil)
	const many = 25_000
	for from := 0; from < many; from += ledger.MaxTerms {
		var terms []fold.Terms
		for i := from; i < min(many, from+ledger.MaxTerms); i++ {
			c := filled(fold.Terms{DailyBudget: yuan})
			c.Campaign = hexbid.UID(1000 + i)
			terms = append(terms, c)
		}
		if err := b.SetTerms(ctx, 0, terms, nil); err != nil {
			t.Fatal(err)
		}
	}
	w := b.Watch()
	defer w.Close()
	left := map[hexbid.UID]hexbid.Money{}
	spent := func(i int) {
		click := b.click()
		click.Award.Campaign = hexbid.UID(1000 + i)
		b.outcomes(b.record(click), hexbid.EventCharged)
	}
	for i := 0; len(left) < many+1; i++ {
		spent(i)            // a campaign of the first part
		spent(many - 1 - i) // and one of the last
		c := b.following(w)
		if len(c.Campaigns) > 10_000 {
			t.Fatalf("%d campaigns at once", len(c.Campaigns))
		}
		for _, s := range c.Campaigns {
			left[s.Campaign] = s.Left.Min
		}
	}
	spent(100)
	for c := b.following(w); ; c = b.following(w) {
		for _, s := range c.Campaigns {
			left[s.Campaign] = s.Left.Min
		}
		if left[1100] == 0 {
			break
		}
	}
	for _, i := range []int{0, 1, 2, many - 1, many - 2, many - 3} {
		if got := left[hexbid.UID(1000+i)]; got != 0 {
			t.Errorf("campaign %d has %s left", i, got)
		}
	}
	page, err := b.Campaigns(ctx, 1000, 5)
	if err != nil || len(page) != 5 || page[0].Campaign != 1001 || page[4].Campaign != 1005 {
		t.Errorf("%+v, %v", page, err)
	}
	some, err := b.Standings(ctx, []hexbid.UID{1003, 5, 1002})
	if err != nil || len(some) != 2 || some[0].Campaign != 1003 {
		t.Errorf("%+v, %v", some, err)
	}
	owners, err := b.Advertisers(ctx, 0, 10)
	if err != nil || len(owners) != 1 || owners[0].Advertiser != advertiser {
		t.Errorf("%+v, %v", owners, err)
	}
}
