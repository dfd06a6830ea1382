package ledger_test

import (
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// countTotals counts the rows of totals that are committed from now on.
func (b *bank) countTotals() *atomic.Int64 {
	rows := new(atomic.Int64)
	b.journal.onCommit(func(batch *journal.Batch) error {
		for _, r := range batch.Rows {
			if isTotals(r.Table) {
				rows.Add(1)
			}
		}
		return nil
	})
	return rows
}

// TestTotalsAreWrittenSeldom lets the owner do its chores with unwritten totals at hand. It writes them for a view, and
// by itself when a minute has passed.
func TestTotalsAreWrittenSeldom(t *testing.T) {
	b := openBank(t, nil)
	b.setTerms(2, fold.Terms{DailyBudget: 1_000_000 * yuan})
	_ = b.Settled() // has totals written
	rows := b.countTotals()
	for range 50 {
		b.Report(b.click())
	}
	b.Count(hexbid.EventForged, 1)
	b.Clock.Pass(30 * time.Second)
	b.Wait("the chores", func() bool {
		b.Report(b.click()) // what the chores have kept is seen with the next commit
		tallies := 0
		b.scan(journal.Tallies, func(_, _ []byte) { tallies++ })
		return tallies > 0
	})
	for range 5 {
		if err := b.Read(ctx, func(journal.View) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := rows.Load(); n != 0 {
		t.Errorf("%d rows of totals were written that nobody asked for", n)
	}
	_ = b.Settled()
	const each = 4 // an hour, a day, an advertiser's day, and the campaign's part of it
	if n := rows.Load(); n != each {
		t.Errorf("%d rows of totals were written for a view", n)
	}
	b.Report(b.click())
	b.Clock.Pass(time.Minute)
	b.Wait("the totals", func() bool { return rows.Load() == 2*each })
}

// TestACheckpointKeepsTotalsThatAreNotWritten crashes right after a checkpoint without a row of totals. No replay
// sees the records that the totals follow from.
func TestACheckpointKeepsTotalsThatAreNotWritten(t *testing.T) {
	b := openBank(t, func(o *ledger.Options) { o.CheckpointRecords = 1 })
	_ = b.Settled()
	rows := b.countTotals()
	for range 20 {
		b.Report(b.click())
	}
	if n, checkpoints := rows.Load(), b.checkpoints(); n > 0 || checkpoints < 2 {
		t.Fatalf("%d rows of totals and %d checkpoints: this tests nothing", n, checkpoints)
	}
	b.Crash()
	b.Clock.Pass(25 * time.Hour)
	b.Report(b.click())
	want := map[string]hexbid.Money{"h0": 20 * yuan, "d0": 20 * yuan, "a0": 20 * yuan, "h25": yuan, "d1": yuan,
		"a1": yuan}
	if got := b.totals(); !maps.Equal(got, want) {
		t.Errorf("after the crash the totals are %v, not %v", got, want)
	}
}
