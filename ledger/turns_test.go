package ledger_test

import (
	"testing"
	"time"

	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
)

// turnsOf counts the turns of a kind of work so far.
func (b *bank) turnsOf(work ledger.Work) (n uint64) {
	for _, count := range b.Turns(work).Counts {
		n += count
	}
	return n
}

// TestTurnsAreCountedByWhatTheyDo reports events, with a watcher, and holds one commit up for longer than a bucket.
func TestTurnsAreCountedByWhatTheyDo(t *testing.T) {
	b := openBank(t, nil)
	defer b.Watch().Close()
	judged, written, told := b.turnsOf(ledger.Judging), b.turnsOf(ledger.Writing), b.turnsOf(ledger.Telling)
	const held = 3 * time.Millisecond
	b.journal.onCommit(func(*journal.Batch) error { time.Sleep(held); return nil })
	for range 5 {
		b.Report(b.click())
	}
	b.journal.onCommit(nil)
	if n := b.turnsOf(ledger.Judging) - judged; n != 5 {
		t.Errorf("%d turns of judging for five calls", n)
	}
	if n := b.turnsOf(ledger.Telling) - told; n < 5 {
		t.Errorf("%d turns of telling watchers of five batches", n)
	}
	if n := b.turnsOf(ledger.Writing) - written; n < 5 {
		t.Errorf("%d turns of writing for five batches", n)
	}
	turns := b.Turns(ledger.Writing)
	if turns.Longest < held || turns.Took < turns.Longest {
		t.Errorf("a commit took %s, and the longest is %s of %s in all", held, turns.Longest, turns.Took)
	}
	longer := uint64(0)
	for i, n := range turns.Counts {
		if i == ledger.TurnBuckets-1 || ledger.TurnUpTo(i) > held {
			longer += n
		}
	}
	if longer < 5 {
		t.Errorf("%d of five commits of %s are in buckets for as long: %v", longer, held, turns.Counts)
	}
}
