package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/await"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
)

// stalled is a bank whose disk a test can stall.
type stalled struct {
	*bank
	disk *ledgertest.Stalling
}

// openStalling opens a bank whose disk works for now. At its end no view is open and no goroutine is left.
func openStalling(t *testing.T) *stalled {
	running := goleak.IgnoreCurrent()
	s := &stalled{bank: openBank(t, nil)}
	t.Cleanup(func() {
		s.disk.Release()
		if err := s.Ledger.Close(); err != nil {
			t.Error(err)
		}
		s.Wait("the end of all goroutines", func() bool { return goleak.Find(running) == nil })
		if n := s.disk.Views(); n > 0 {
			t.Errorf("%d views are open", n)
		}
	})
	s.Wrap = func(m *journal.Memory) journal.Journal {
		s.disk = &ledgertest.Stalling{Journal: m}
		return s.disk
	}
	s.Restart()
	return s
}

// release lets the disk answer, and waits until whatever waited for it has ended.
func (s *stalled) release() {
	s.disk.Release()
	s.Wait("the end of what waited for the disk", func() bool { return s.disk.Waiting() == 0 && s.disk.Views() == 0 })
}

// stallCommits stalls the disk, and has a commit wait for it.
func (s *stalled) stallCommits() {
	s.disk.StallCommits()
	click := s.click()
	go func() { _, _ = s.Record(ctx, []ledger.Event{click}) }()
	s.Wait("a commit", func() bool { return s.disk.Waiting() > 0 })
}

// readers are the methods that read the journal for their caller.
func (s *stalled) readers() map[string]func(ctx context.Context) error {
	click, conversion := s.click(), s.click()
	s.Report(click, conversion)
	s.Restart() // so that first answers are read again
	record := func(e ledger.Event) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.Record(ctx, []ledger.Event{e})
			return err
		}
	}
	visit := func(v journal.View) error {
		_, err := v.Get(journal.Meta, []byte("key"))
		return err
	}
	return map[string]func(ctx context.Context) error{
		"Record of a conversion":     record(as(conversion, hexbid.Conversion, "v")),
		"Record of a repeated event": record(click),
		"Move": func(ctx context.Context) error {
			_, err := s.Move(ctx, topUp("stalled", yuan))
			return err
		},
		"Credit": func(ctx context.Context) error {
			_, err := s.Credit(ctx, fold.Credit{Advertiser: advertiser, Charges: []uint64{1}, Amounts: []hexbid.Money{1},
				RequestID: "stalled"})
			return err
		},
		"Read":       func(ctx context.Context) error { return s.Read(ctx, visit) },
		"ReadSynced": func(ctx context.Context) error { return s.ReadSynced(ctx, visit) },
		"Hold": func(ctx context.Context) error {
			return s.Hold(ctx, func() error {
				v, err := s.disk.View()
				if err != nil {
					return err
				}
				defer v.Close()
				return visit(v)
			})
		},
		"Open": func(ctx context.Context) error {
			l, err := ledger.Open(ctx, s.Options)
			if err == nil {
				_ = l.Close()
			}
			return err
		},
		"BeginEpoch": func(ctx context.Context) error {
			_, err := ledger.BeginEpoch(ctx, s.Options, false)
			return err
		},
	}
}

// TestReadersEndWithTheirContext makes each call that reads the journal while no read is answered. The call ends with
// its context; what it has left behind ends when the disk answers, and has done nothing.
func TestReadersEndWithTheirContext(t *testing.T) {
	s := openStalling(t)
	for name, call := range s.readers() {
		s.disk.StallReads()
		if !s.disk.Leaves(t, ctx, call) {
			t.Errorf("%s has not ended with its context", name)
		}
		s.release()
	}
	if a, err := s.Advertiser(ctx, advertiser); err != nil || a.Ever.ToppedUp != 0 || a.Ever.Credited != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	s.outcomes(s.Report(s.click()), hexbid.EventCharged)
}

// TestCallersOfTheOwnerEndWithTheirContext makes each call that waits for the owner's batch while no commit ends.
func TestCallersOfTheOwnerEndWithTheirContext(t *testing.T) {
	s := openStalling(t)
	calls := map[string]func(ctx context.Context) error{
		"Record": func(ctx context.Context) error {
			_, err := s.Record(ctx, []ledger.Event{s.click()})
			return err
		},
		"SetTerms": func(ctx context.Context) error {
			return s.SetTerms(ctx, 9, []fold.Terms{filled(fold.Terms{DailyBudget: yuan})}, nil)
		},
		"Move": func(ctx context.Context) error {
			_, err := s.Move(ctx, topUp("stalled", yuan))
			return err
		},
		"Campaign": func(ctx context.Context) error {
			_, err := s.Campaign(ctx, campaign)
			return err
		},
		"Campaigns": func(ctx context.Context) error {
			_, err := s.Campaigns(ctx, 0, 1)
			return err
		},
		"Advertiser": func(ctx context.Context) error {
			_, err := s.Advertiser(ctx, advertiser)
			return err
		},
		"Advertisers": func(ctx context.Context) error {
			_, err := s.Advertisers(ctx, 0, 1)
			return err
		},
		"Read": func(ctx context.Context) error {
			return s.Read(ctx, func(journal.View) error { return nil })
		},
		"Hold": func(ctx context.Context) error {
			return s.Hold(ctx, func() error {
				t.Error("Hold has run what its caller no longer wanted")
				return nil
			})
		},
		"Next": func(ctx context.Context) error {
			watch := s.Watch()
			defer watch.Close()
			_, err := watch.Next(ctx)
			return err
		},
	}
	for name, call := range calls {
		s.stallCommits()
		if !s.disk.Leaves(t, ctx, call) {
			t.Errorf("%s has not ended with its context", name)
		}
		s.release()
	}
}

// TestAStalledHoldHoldsNothingWithoutItsCaller has Hold run what waits for ever. When its caller goes, events are
// recorded again.
func TestAStalledHoldHoldsNothingWithoutItsCaller(t *testing.T) {
	s := openStalling(t)
	holds, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	giveUp, cancel := context.WithCancel(ctx)
	held := make(chan error, 1)
	go func() { held <- s.Hold(giveUp, func() error { close(holds); <-end; return nil }) }()
	<-holds
	cancel()
	if err := <-held; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.outcomes(s.Report(s.click()), hexbid.EventCharged)
}

// TestAnOpeningLedgerEndsWithItsContext stalls the commit of a new ledger's first record, and then that of a new epoch.
func TestAnOpeningLedgerEndsWithItsContext(t *testing.T) {
	s := openStalling(t)
	for name, open := range map[string]func(ctx context.Context, o ledger.Options) error{
		"Open": func(ctx context.Context, o ledger.Options) error {
			_, err := ledger.Open(ctx, o)
			return err
		},
		"BeginEpoch": func(ctx context.Context, o ledger.Options) error {
			_, err := ledger.BeginEpoch(ctx, o, false)
			return err
		},
	} {
		options := s.Options
		disk := &ledgertest.Stalling{Journal: journal.NewMemory()}
		options.Journal = disk
		disk.StallCommits()
		if !disk.Leaves(t, ctx, func(ctx context.Context) error { return open(ctx, options) }) {
			t.Errorf("%s has not ended with its context", name)
		}
		disk.Release()
	}
}

// TestReadsOfADiskThatDoesNotAnswerAreRefused leaves as many reads behind as may be. Further ones are refused until
// the disk answers.
func TestReadsOfADiskThatDoesNotAnswerAreRefused(t *testing.T) {
	s := openStalling(t)
	s.disk.StallReads()
	look := func(v journal.View) error {
		_, err := v.Get(journal.Meta, []byte("key"))
		return err
	}
	giveUp, cancel := context.WithCancel(ctx)
	left := make(chan error)
	for range await.MostLeftBehind {
		go func() { left <- s.ReadSynced(giveUp, look) }()
	}
	s.Wait("the reads", func() bool { return s.disk.Waiting() == await.MostLeftBehind })
	cancel()
	for range await.MostLeftBehind {
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	for name, call := range map[string]func() error{
		"Read":       func() error { return s.Read(ctx, look) },
		"ReadSynced": func() error { return s.ReadSynced(ctx, look) },
		"Move": func() error {
			_, err := s.Move(ctx, topUp("refused", yuan))
			return err
		},
	} {
		if err := call(); hexbid.KindOf(err) != hexbid.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.release()
	s.Wait("the end of the refusals", func() bool { return s.ReadSynced(ctx, look) == nil })
}

// TestALongReadEndsWithItsContext ends a context in the middle of a scan whose disk answers all the time.
func TestALongReadEndsWithItsContext(t *testing.T) {
	s := openStalling(t)
	for range 3 {
		s.Report(s.click())
	}
	for name, scan := range map[string]func(v journal.View, visit journal.Visit) error{
		"Scan": func(v journal.View, visit journal.Visit) error { return v.Scan(journal.Records, nil, nil, visit) },
		"ScanBack": func(v journal.View, visit journal.Visit) error {
			return v.ScanBack(journal.Records, nil, nil, visit)
		},
	} {
		giveUp, cancel := context.WithTimeout(ctx, time.Hour)
		visited := make(chan int, 1)
		if err := s.ReadSynced(giveUp, func(v journal.View) error {
			n := 0
			defer func() { visited <- n }()
			return scan(v, func(_, _ []byte) (bool, error) {
				n++
				cancel()
				return true, nil
			})
		}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if n := <-visited; n != 1 {
			t.Errorf("%s went on for %d rows", name, n)
		}
	}
}
