package pebble

import (
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// fewMarks makes the tests thin marks out often.
const fewMarks = 4

func tried(o Options) (*Journal, error) {
	o.Currency, o.Log, o.span = "CNY", quiet, fewMarks
	return Open(o)
}

func open(t testing.TB, fs vfs.FS) *Journal {
	t.Helper()
	j, err := tried(Options{Dir: "d/ledger", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestPebble(t *testing.T) { ledgertest.Run(t, engine(func(fs vfs.FS) vfs.FS { return fs })) }

// engine tells the conduct about journals on a crashable disk. Through passes their operations on, or does not.
func engine(through func(vfs.FS) vfs.FS) ledgertest.Engine {
	disks := new(sync.Map) // *vfs.MemFS by journal
	on := func(t testing.TB, disk *vfs.MemFS) journal.Journal {
		j := open(t, through(disk))
		disks.Store(j, disk)
		return j
	}
	under := func(j journal.Journal) *vfs.MemFS {
		disk, _ := disks.Load(j)
		return disk.(*vfs.MemFS)
	}
	return ledgertest.Engine{
		Open: func(t testing.TB) journal.Journal { return on(t, vfs.NewCrashableMem()) },
		Reopen: func(t testing.TB, j journal.Journal) journal.Journal {
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			return on(t, under(j))
		},
		Crash: func(t testing.TB, j journal.Journal) journal.Journal {
			left := under(j).CrashClone(vfs.CrashCloneCfg{})
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			return on(t, left)
		},
		OpenAgain: func(_ testing.TB, j journal.Journal) (journal.Journal, error) {
			return tried(Options{Dir: "d/ledger", FS: under(j)})
		},
		Copied: func(t testing.TB, j journal.Journal, dir string) journal.Journal {
			copied, err := tried(Options{Dir: dir, FS: under(j)})
			if err != nil {
				t.Fatal(err)
			}
			return copied
		},
		NewDir: func(testing.TB) string { return "backups/one/ledger" },
		Stopping: func(t testing.TB, k int) (journal.Journal, func() (journal.Journal, bool)) {
			return stopping(t, through, k)
		},
		Crashing: func(t testing.TB, before func() ledgertest.Crashed) journal.Journal {
			return crashing(t, through, before)
		},
		Unreadable: unreadable,
		Holding:    holding,
	}
}

// stopping makes a journal whose disk refuses its k-th write and all that follow.
func stopping(t testing.TB, through func(vfs.FS) vfs.FS, k int) (journal.Journal, func() (journal.Journal, bool)) {
	mem := vfs.NewCrashableMem()
	var counting, stopped atomic.Bool
	var writes atomic.Int64
	j := open(t, through(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || !counting.Load() || writes.Add(1) < int64(k) {
			return nil
		}
		stopped.Store(true)
		return syscall.EIO
	}))))
	counting.Store(true)
	return j, func() (journal.Journal, bool) {
		_ = j.Close()
		return open(t, mem.CrashClone(vfs.CrashCloneCfg{})), stopped.Load()
	}
}

// crashing makes a journal on a disk whose power is cut before each of its writes and syncs. What was not synced is
// gone, half gone or there.
func crashing(t testing.TB, through func(vfs.FS) vfs.FS, before func() ledgertest.Crashed) journal.Journal {
	mem := vfs.NewCrashableMem()
	var mu sync.Mutex // guards cuts and random
	cuts, random := 0, rand.New(rand.NewPCG(1, 2))
	return open(t, through(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		crashed := before()
		left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: cuts % 3 * 50, RNG: random})
		cuts++
		crashed(func() (journal.Journal, error) { return tried(Options{Dir: "d/ledger", FS: left}) })
		return nil
	}))))
}

// unreadable fills a journal, whose rows are then in tables, and opens it on a disk that fails from the k-th read on.
func unreadable(t testing.TB, fill func(journal.Journal), k int) (journal.Journal, func() bool, error) {
	mem := vfs.NewMem()
	j := open(t, mem)
	fill(j)
	if err := errors.Join(j.folder.DB.Flush(), j.Close()); err != nil {
		t.Fatal(err)
	}
	var reads atomic.Int64
	var failed atomic.Bool
	again, err := tried(Options{Dir: "d/ledger", FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsRead || reads.Add(1) < int64(k) {
			return nil
		}
		failed.Store(true)
		return syscall.EIO
	}))})
	if err != nil {
		return nil, failed.Load, err
	}
	return again, failed.Load, nil
}

// holding makes a journal whose next sync of a log of writes can be held up.
func holding(t testing.TB) (journal.Journal, func() (<-chan struct{}, func())) {
	type gate struct{ waits, released chan struct{} }
	var next atomic.Pointer[gate]
	j := open(t, errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !isSync(op.Kind) || !strings.HasSuffix(op.Path, ".log") {
			return nil
		}
		if g := next.Swap(nil); g != nil {
			close(g.waits)
			<-g.released
		}
		return nil
	})))
	return j, func() (<-chan struct{}, func()) {
		g := &gate{make(chan struct{}), make(chan struct{})}
		next.Store(g)
		return g.waits, func() { close(g.released) }
	}
}

func isSync(kind errorfs.OpKind) bool {
	return kind == errorfs.OpFileSync || kind == errorfs.OpFileSyncData || kind == errorfs.OpFileSyncTo
}

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
