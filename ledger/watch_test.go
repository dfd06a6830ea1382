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
	b.Report(b.click())
	changed := b.following(w)
	if len(changed.Campaigns) != 1 || changed.Campaigns[0].Left.Min != 99*yuan ||
		changed.Campaigns[0].LocalDate != changed.Campaigns[0].Date {
		t.Fatalf("%+v", changed)
	}
	for range 10 {
		b.Report(b.click())
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

// manyCampaigns is how many campaigns openManyAccounts makes, from uid firstOfMany on.
const (
	manyCampaigns = 25_000
	firstOfMany   = hexbid.UID(1000)
)

// openManyAccounts opens a bank with more campaigns than a watch lists at once, of one yuan a day.
func openManyAccounts(t *testing.T) *bank {
	b := openBank(t, nil)
	for from := 0; from < manyCampaigns; from += ledger.MaxTerms {
		var terms []fold.Terms
		for i := from; i < min(manyCampaigns, from+ledger.MaxTerms); i++ {
			c := filled(fold.Terms{DailyBudget: yuan})
			c.Campaign = firstOfMany + hexbid.UID(i)
			terms = append(terms, c)
		}
		b.Set(0, terms)
	}
	return b
}

// spend spends the daily budget of the i-th of many campaigns.
func (b *bank) spend(i int) {
	b.Helper()
	b.outcomes(b.Report(b.Event(hexbid.Click, b.Award(firstOfMany+hexbid.UID(i), advertiser, hexbid.CPC, yuan))),
		hexbid.EventCharged)
}

// lefts is what a watch last said of campaigns: the least that is left of their limits.
type lefts map[hexbid.UID]hexbid.Money

func (l lefts) take(c *ledger.Changes) {
	for _, s := range c.Campaigns {
		l[s.Campaign] = s.Left.Min
	}
}

// TestAWatchListsManyAccountsInParts changes accounts while they are listed: the last word on each is the latest.
func TestAWatchListsManyAccountsInParts(t *testing.T) {
	b := openManyAccounts(t)
	w := b.Watch()
	defer w.Close()
	left := lefts{}
	for i := 0; len(left) < manyCampaigns+1; i++ {
		b.spend(i)                     // a campaign of the first part
		b.spend(manyCampaigns - 1 - i) // and one of the last
		c := b.following(w)
		if len(c.Campaigns) > 10_000 {
			t.Fatalf("%d campaigns at once", len(c.Campaigns))
		}
		left.take(&c)
	}
	for b.spend(100); left[firstOfMany+100] > 0; {
		c := b.following(w)
		left.take(&c)
	}
	for _, i := range []int{0, 1, 2, manyCampaigns - 1, manyCampaigns - 2, manyCampaigns - 3} {
		if got := left[firstOfMany+hexbid.UID(i)]; got != 0 {
			t.Errorf("campaign %d has %s left", i, got)
		}
	}
}

// TestAccountsAreReadInPages reads parts of many accounts, in the order of uids or as asked.
func TestAccountsAreReadInPages(t *testing.T) {
	b := openManyAccounts(t)
	page, err := b.Campaigns(ctx, firstOfMany, 5)
	if err != nil || len(page) != 5 || page[0].Campaign != firstOfMany+1 || page[4].Campaign != firstOfMany+5 {
		t.Errorf("%+v, %v", page, err)
	}
	some, err := b.Standings(ctx, []hexbid.UID{firstOfMany + 3, 5, firstOfMany + 2})
	if err != nil || len(some) != 2 || some[0].Campaign != firstOfMany+3 {
		t.Errorf("%+v, %v", some, err)
	}
	owners, err := b.Advertisers(ctx, 0, 10)
	if err != nil || len(owners) != 1 || owners[0].Advertiser != advertiser {
		t.Errorf("%+v, %v", owners, err)
	}
}
