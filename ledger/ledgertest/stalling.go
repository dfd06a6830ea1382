package ledgertest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid/ledger/journal"
)

// Stalling is a journal on a disk that a test can stall. Meanwhile reads or commits wait, as they do for a disk that
// does not answer: nothing but Release lets them go on.
type Stalling struct {
	journal.Journal

	mu      sync.Mutex    // guards the fields below
	reads   chan struct{} // closed by Release; nil while reads go on
	commits chan struct{}
	waiting int // reads and commits
	views   int // that are open
}

// StallReads makes every read of a view wait, and StallCommits every commit, until Release.
func (s *Stalling) StallReads() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = make(chan struct{})
}

// StallCommits makes every commit wait until Release.
func (s *Stalling) StallCommits() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits = make(chan struct{})
}

// Release lets the disk answer again.
func (s *Stalling) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stall := range []*chan struct{}{&s.reads, &s.commits} {
		if *stall != nil {
			close(*stall)
			*stall = nil
		}
	}
}

// Waiting returns how many reads and commits wait for the disk.
func (s *Stalling) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

// Views returns how many views are open.
func (s *Stalling) Views() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.views
}

// pass waits while a stall lasts.
func (s *Stalling) pass(stall *chan struct{}) {
	s.mu.Lock()
	wait := *stall
	if wait == nil {
		s.mu.Unlock()
		return
	}
	s.waiting++
	s.mu.Unlock()
	<-wait
	s.mu.Lock()
	s.waiting--
	s.mu.Unlock()
}

// Commit implements journal.Journal.
func (s *Stalling) Commit(ctx context.Context, b *journal.Batch) error {
	s.pass(&s.commits)
	return s.Journal.Commit(ctx, b)
}

// View implements journal.Journal.
func (s *Stalling) View() (journal.View, error) {
	v, err := s.Journal.View()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.views++
	return &stallingView{View: v, journal: s}, nil
}

type stallingView struct {
	journal.View
	journal *Stalling
	once    sync.Once
}

// Close implements journal.View.
func (v *stallingView) Close() error {
	v.once.Do(func() {
		v.journal.mu.Lock()
		defer v.journal.mu.Unlock()
		v.journal.views--
	})
	return v.View.Close()
}

// PassReads waits while reads stall. It is for stores that a test has on the same disk.
func (s *Stalling) PassReads() { s.pass(&s.reads) }

// Get implements journal.View.
func (v *stallingView) Get(t journal.Table, key []byte) ([]byte, error) {
	v.journal.pass(&v.journal.reads)
	return v.View.Get(t, key)
}

// Scan implements journal.View.
func (v *stallingView) Scan(t journal.Table, from, to []byte, visit journal.Visit) error {
	v.journal.pass(&v.journal.reads)
	return v.View.Scan(t, from, to, visit)
}

// ScanBack implements journal.View.
func (v *stallingView) ScanBack(t journal.Table, from, to []byte, visit journal.Visit) error {
	v.journal.pass(&v.journal.reads)
	return v.View.ScanBack(t, from, to, visit)
}

// Leaves makes a call while the disk stalls. It ends the call's context once the call waits for that and something
// waits for the disk, and fails the test if the call then goes on. It reports whether the call said that its context
// has ended. A call that needs no disk ends by itself.
func (s *Stalling) Leaves(t testing.TB, parent context.Context, call func(ctx context.Context) error) bool {
	t.Helper()
	parent, cancel := context.WithCancel(parent)
	defer cancel()
	ctx := &awaited{Context: parent}
	ended := make(chan error, 1)
	go func() { ended <- call(ctx) }()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		select {
		case err := <-ended:
			return errors.Is(err, context.Canceled)
		default:
		}
		if ctx.waits.Load() && s.Waiting() > 0 {
			cancel()
		}
	}
	t.Fatalf("the call has not ended in %s", patience)
	return false
}

// awaited is a context that knows whether somebody has waited for its end.
type awaited struct {
	context.Context
	waits atomic.Bool
}

// Done implements context.Context.
func (a *awaited) Done() <-chan struct{} {
	a.waits.Store(true)
	return a.Context.Done()
}
