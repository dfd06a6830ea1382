package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

var errDisk = hexbid.Errorf(hexbid.Unavailable, "data", "the disk refuses")

// calls are the methods whose answers rest on a commit.
var calls = map[string]func(b *bank) error{
	"Record": func(b *bank) error {
		_, err := b.Record(ctx, []ledger.Event{b.click()})
		return err
	},
	"SetTerms": func(b *bank) error {
		return b.SetTerms(ctx, 9, []fold.Terms{filled(fold.Terms{DailyBudget: yuan})}, nil)
	},
	"Move": func(b *bank) error {
		_, err := b.Move(ctx, topUp("r", yuan))
		return err
	},
}

func topUp(id string, amount hexbid.Money) fold.Movement {
	return fold.Movement{Advertiser: advertiser, What: fold.TopUp, Amount: amount, RequestID: id, Who: "ops"}
}

// TestNothingIsAcknowledgedThatIsNotWritten fails every commit. Nobody may hear of a success then, and a start after a
// crash shows that nothing was there.
func TestNothingIsAcknowledgedThatIsNotWritten(t *testing.T) {
	for name, call := range calls {
		b := openBank(t, nil)
		b.journal.onCommit(func(*journal.Batch) error { return errDisk })
		for range 3 {
			if err := call(b); hexbid.KindOf(err) != hexbid.Unavailable {
				t.Errorf("%s: %v", name, err)
			}
		}
		if b.Failure() == nil {
			t.Errorf("%s: the ledger says that all is well", name)
		}
		b.Crash()
		s, err := b.Campaign(ctx, campaign)
		if err != nil || s.Ever != (fold.Totals{}) || s.DailyBudget != 100*yuan || b.CatalogueVersion() != 1 {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// TestAFailedJournalEndsAcknowledgements fails the journal for good, as Pebble does after a failed sync. First answers
// that are on disk may be told no more either, because they pass the owner.
func TestAFailedJournalEndsAcknowledgements(t *testing.T) {
	b := openBank(t, nil)
	click := b.click()
	b.Report(click)
	b.journal.fail(errDisk)
	for name, call := range calls {
		if err := call(b); !errors.Is(err, errDisk) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Record(ctx, []ledger.Event{click}); !errors.Is(err, errDisk) {
		t.Error(err)
	}
	if err := b.Hold(ctx, func() error { return nil }); !errors.Is(err, errDisk) {
		t.Errorf("Hold: %v", err)
	}
	if err := b.Failure(); !errors.Is(err, errDisk) {
		t.Errorf("Failure: %v", err)
	}
	if err := b.Ledger.Close(); err != nil {
		t.Error(err)
	}
}

// TestWhatWasAcknowledgedSurvivesACrash crashes after each call.
func TestWhatWasAcknowledgedSurvivesACrash(t *testing.T) {
	b := openBank(t, nil)
	for i := range 20 {
		click := b.click()
		first := b.Report(click)[0]
		if i%3 == 0 {
			b.setTerms(uint64(i+2), fold.Terms{DailyBudget: 100*yuan + hexbid.Money(i)})
		}
		b.Crash()
		again := b.Report(click)[0]
		if again.Sequence != first.Sequence || again.Hash != first.Hash || !again.Again {
			t.Fatalf("%+v after a crash, %+v before", again, first)
		}
	}
	if s, err := b.Campaign(ctx, campaign); err != nil || s.Ever.Charged != 20*yuan || s.DailyBudget != 100*yuan+18 ||
		b.CatalogueVersion() != 20 {
		t.Errorf("%+v, %v; version %d", s, err, b.CatalogueVersion())
	}
}

// TestALedgerGoesOnWhenTheDiskHasRoomAgain lets commits fail for a while. Events under way are answered with the error;
// sent again, each is charged once.
func TestALedgerGoesOnWhenTheDiskHasRoomAgain(t *testing.T) {
	b := openBank(t, nil)
	full := hexbid.Errorf(hexbid.Exhausted, "data", "the disk has no room")
	b.journal.onCommit(func(*journal.Batch) error { return full })
	clicks := make([]ledger.Event, 10)
	for i := range clicks {
		clicks[i] = b.click()
		if _, err := b.Record(ctx, clicks[i:i+1]); !errors.Is(err, full) {
			t.Fatal(err)
		}
	}
	b.journal.onCommit(nil)
	b.Wait("the end of the failure", func() bool {
		_, err := b.Record(ctx, clicks[:1])
		return err == nil
	})
	b.Report(clicks...)
	if spent := b.spent(); spent != 10*yuan || b.Failure() != nil {
		t.Errorf("%s was charged; %v", spent, b.Failure())
	}
}

// TestReadersSeeNothingThatIsNotOnDisk holds a commit up. A reader that has seen its charge in the books is answered
// only after it, and not at all if it fails.
func TestReadersSeeNothingThatIsNotOnDisk(t *testing.T) {
	b := openBank(t, nil)
	begun, end := make(chan struct{}), make(chan error)
	var once sync.Once
	b.journal.onCommit(func(b *journal.Batch) error {
		var err error
		if len(b.Records) > 0 {
			once.Do(func() {
				close(begun)
				err = <-end
			})
		}
		return err
	})
	var callers sync.WaitGroup
	callers.Go(func() {
		if _, err := b.Record(ctx, []ledger.Event{b.click()}); err == nil {
			t.Error("the charge was acknowledged")
		}
	})
	<-begun
	v, err := b.journal.View()
	if err != nil {
		t.Fatal(err)
	}
	before := v.Last()
	callers.Go(func() {
		if s, err := b.Campaign(ctx, campaign); err == nil && (s.Ever.Charged != 0 || s.AsOf > before) {
			t.Errorf("a reader saw %s as of record %d, which is not on disk", s.Ever.Charged, s.AsOf)
		}
	})
	end <- errDisk
	callers.Wait()
}

// TestBatchesGrowWhileTheDiskIsBusy holds the first commit up until the owner has taken all events: one more batch has
// them, without the last one if the owner is still at work on it.
func TestBatchesGrowWhileTheDiskIsBusy(t *testing.T) {
	b := openBank(t, nil)
	begun, end := make(chan struct{}), make(chan struct{})
	var commits, records atomic.Int64
	b.journal.onCommit(func(b *journal.Batch) error {
		if len(b.Records) == 0 {
			return nil
		}
		if commits.Add(1) == 1 {
			close(begun)
			<-end
		}
		records.Add(int64(len(b.Records)))
		return nil
	})
	var callers sync.WaitGroup
	call := func() {
		click := b.click()
		callers.Go(func() {
			if _, err := b.Record(ctx, []ledger.Event{click}); err != nil {
				t.Error(err)
			}
		})
	}
	call()
	<-begun
	taken := b.Taken()
	for range 500 {
		call()
	}
	b.Wait("all requests", func() bool { return b.Taken() == taken+500 })
	close(end)
	callers.Wait()
	if n := commits.Load(); n > 3 || records.Load() < 501 {
		t.Errorf("%d records took %d commits", records.Load(), n)
	}
}

func TestABatchIsWrittenWhenItIsFull(t *testing.T) {
	b := openBank(t, func(o *ledger.Options) { o.BatchRecords = 10 })
	var most atomic.Int64
	b.journal.onCommit(func(b *journal.Batch) error {
		most.Store(max(most.Load(), int64(len(b.Records))))
		return nil
	})
	var callers sync.WaitGroup
	for range 200 {
		click := b.click()
		callers.Go(func() {
			if _, err := b.Record(ctx, []ledger.Event{click}); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if n := most.Load(); n > 12 { // ten events, an hour that opens, a checkpoint
		t.Errorf("a batch had %d records", n)
	}
	if spent := b.spent(); spent != 100*yuan {
		t.Errorf("%s was charged of 100 a day", spent)
	}
}

// TestABatchWaitsForItsAge has a batch of an hour's age, which only a third record completes.
func TestABatchWaitsForItsAge(t *testing.T) {
	b := openBank(t, nil)
	b.Report(b.click())
	b.Options.BatchAge, b.Options.BatchRecords = time.Hour, 3
	b.Restart()
	var commits atomic.Int64
	b.journal.onCommit(func(b *journal.Batch) error {
		if len(b.Records) > 0 {
			commits.Add(1)
		}
		return nil
	})
	var callers sync.WaitGroup
	for i := range 3 {
		click := b.click()
		callers.Go(func() {
			if _, err := b.Record(ctx, []ledger.Event{click}); err != nil {
				t.Error(err)
			}
		})
		taken := i + 2 // one of the start
		b.Wait("the request", func() bool { return b.Taken() >= taken })
	}
	callers.Wait()
	if n := commits.Load(); n != 1 {
		t.Errorf("three records took %d commits", n)
	}
}

func TestACallerThatGivesUpMayStillBeRecorded(t *testing.T) {
	b := openBank(t, nil)
	begun, end := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b.journal.onCommit(func(b *journal.Batch) error {
		if len(b.Records) > 0 {
			once.Do(func() { close(begun); <-end })
		}
		return nil
	})
	giveUp, cancel := context.WithCancel(ctx)
	click := b.click()
	answered := make(chan error, 1)
	go func() {
		_, err := b.Record(giveUp, []ledger.Event{click})
		answered <- err
	}()
	<-begun
	cancel()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(end)
	if again := b.Report(click)[0]; !again.Again || again.Outcome != hexbid.EventCharged {
		t.Errorf("%+v", again)
	}
	if _, err := b.Record(giveUp, []ledger.Event{b.click()}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if spent := b.spent(); spent != yuan {
		t.Errorf("%s was charged", spent)
	}
}

// TestAPanicCostsItsOwnBatchAlone makes the journal panic in a commit. The books that ran ahead are made anew.
func TestAPanicCostsItsOwnBatchAlone(t *testing.T) {
	b := openBank(t, nil)
	b.journal.onCommit(func(*journal.Batch) error { panic("a fault of the journal") })
	click := b.click()
	if _, err := b.Record(ctx, []ledger.Event{click}); hexbid.KindOf(err) != hexbid.Unavailable {
		t.Error(err)
	}
	b.journal.onCommit(nil)
	b.Wait("the books", func() bool {
		_, err := b.Record(ctx, []ledger.Event{click})
		return err == nil
	})
	if spent := b.spent(); spent != yuan {
		t.Errorf("%s was charged", spent)
	}
}

func TestAClosedLedgerRefusesAndKeepsWhatItAcknowledged(t *testing.T) {
	b := openBank(t, nil)
	var callers sync.WaitGroup
	var charged atomic.Int64
	for i := range 200 {
		click := b.click()
		click.Award.Price = yuan / 100
		callers.Go(func() {
			answers, err := b.Record(ctx, []ledger.Event{click})
			switch {
			case err == nil:
				charged.Add(int64(answers[0].Charged))
			case hexbid.KindOf(err) != hexbid.Unavailable:
				t.Error(err)
			}
		})
		if i == 100 {
			callers.Go(func() { _ = b.Ledger.Close() })
		}
	}
	callers.Wait()
	if _, err := b.Record(ctx, []ledger.Event{b.click()}); hexbid.KindOf(err) != hexbid.Unavailable {
		t.Error(err)
	}
	b.Memory = b.Memory.Restart()
	b.Open()
	if spent := b.spent(); int64(spent) != charged.Load() {
		t.Errorf("%s was charged, %s acknowledged", spent, hexbid.Money(charged.Load()))
	}
}

func TestHoldRunsWhileNothingIsWritten(t *testing.T) {
	b := openBank(t, nil)
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var acknowledged, commits atomic.Int64
	b.journal.onCommit(func(*journal.Batch) error { commits.Add(1); return nil })
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				e := b.event(hexbid.Click, hexbid.CPC, 0)
				if _, err := b.Record(ctx, []ledger.Event{e}); err != nil {
					t.Error(err)
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	for range 20 {
		if err := b.Hold(ctx, func() error {
			before, seen := commits.Load(), acknowledged.Load()
			v, err := b.journal.View()
			if err != nil {
				return err
			}
			if records := int64(v.Last()); records < seen {
				return fmt.Errorf("%d records on disk, %d acknowledged", records, seen)
			}
			if commits.Load() != before {
				return fmt.Errorf("a commit went on")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	if err := b.Hold(ctx, func() error { panic("a fault") }); err == nil {
		t.Error("a panic was lost")
	}
	close(stop)
	callers.Wait()
}
