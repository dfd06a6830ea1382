package pebble

import (
	"context"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
)

// unsynced is a disk that takes syncs of the logs of writes for done without doing them.
type unsynced struct{ vfs.FS }

func (u unsynced) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return u.wrapped(path)(u.FS.Create(path, category))
}

func (u unsynced) ReuseForWrite(before, path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return u.wrapped(path)(u.FS.ReuseForWrite(before, path, category))
}

func (u unsynced) wrapped(path string) func(vfs.File, error) (vfs.File, error) {
	return func(file vfs.File, err error) (vfs.File, error) {
		if err != nil || !strings.HasSuffix(path, ".log") {
			return file, err
		}
		return unsyncedFile{file}, nil
	}
}

type unsyncedFile struct{ vfs.File }

func (unsyncedFile) Sync() error                { return nil }
func (unsyncedFile) SyncData() error            { return nil }
func (unsyncedFile) SyncTo(int64) (bool, error) { return false, nil }

// TestAMissingSyncIsFound runs the conduct on an engine whose syncs of the log of writes do nothing.
func TestAMissingSyncIsFound(t *testing.T) {
	mutant := engine(func(fs vfs.FS) vfs.FS { return unsynced{fs} })
	for _, part := range []string{"a power cut leaves", "a power cut at any", "a journal whose disk stops"} {
		if !ledgertest.Finds(t, mutant, part) {
			t.Errorf("%q does not find that nothing is synced", part)
		}
	}
}

// hasty answers a commit before it is made.
type hasty struct {
	journal.Journal
	before chan struct{} // closed when the commit before is made
}

func (h *hasty) Commit(_ context.Context, b *journal.Batch) error {
	<-h.before
	made := make(chan struct{})
	h.before = made
	go func() {
		defer close(made)
		_ = h.Journal.Commit(context.Background(), b)
	}()
	return nil
}

// TestAnAnswerBeforeTheSyncIsFound runs the conduct on an engine that answers before it writes.
func TestAnAnswerBeforeTheSyncIsFound(t *testing.T) {
	mutant := engine(func(fs vfs.FS) vfs.FS { return fs })
	right := mutant.Crashing
	mutant.Crashing = func(t testing.TB, before func() ledgertest.Crashed) journal.Journal {
		first := make(chan struct{})
		close(first)
		return &hasty{right(t, before), first}
	}
	if !ledgertest.Finds(t, mutant, "a power cut at any") {
		t.Error("answers before the sync are not found")
	}
}

// halving writes the rows of a batch after its records.
type halving struct{ journal.Journal }

func (h halving) Commit(ctx context.Context, b *journal.Batch) error {
	rows := b.Rows
	b.Rows = nil
	if err := h.Journal.Commit(ctx, b); err != nil {
		return err
	}
	return h.Journal.Commit(ctx, &journal.Batch{After: b.After + uint64(len(b.Records)), Rows: rows})
}

// TestHalfABatchIsFound runs the conduct on an engine that writes a batch in two halves.
func TestHalfABatchIsFound(t *testing.T) {
	mutant := engine(func(fs vfs.FS) vfs.FS { return fs })
	right := mutant.Crashing
	mutant.Crashing = func(t testing.TB, before func() ledgertest.Crashed) journal.Journal {
		return halving{right(t, before)}
	}
	if !ledgertest.Finds(t, mutant, "a power cut at any") {
		t.Error("half a batch is not found")
	}
}

// blind takes a read that fails for a row that is not there.
type blind struct{ journal.Journal }

func (b blind) View() (journal.View, error) {
	v, err := b.Journal.View()
	return blindView{v}, err
}

type blindView struct{ journal.View }

func (v blindView) Get(t journal.Table, key []byte) ([]byte, error) {
	value, _ := v.View.Get(t, key)
	return value, nil
}

// TestAReadErrorTakenForNoRowIsFound runs the conduct on an engine that hides errors of reads.
func TestAReadErrorTakenForNoRowIsFound(t *testing.T) {
	mutant := engine(func(fs vfs.FS) vfs.FS { return fs })
	mutant.Unreadable = func(t testing.TB, fill func(journal.Journal), k int) (journal.Journal, func() bool, error) {
		j, failed, err := unreadable(t, fill, k)
		if err != nil {
			return nil, failed, err
		}
		return blind{j}, failed, nil
	}
	if !ledgertest.Finds(t, mutant, "a read that fails") {
		t.Error("hidden errors of reads are not found")
	}
}
