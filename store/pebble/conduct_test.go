package pebble

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/storetest"
)

func TestPebble(t *testing.T) {
	storetest.Run(t, storetest.Engine{
		Open: func(t testing.TB, r store.Retention) store.Store {
			return open(t, Options{Dir: t.TempDir() + "/c", Retention: r})
		},
		Reopen: func(t testing.TB, s store.Store) store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			was := s.(*Store)
			return open(t, Options{Dir: was.folder.Dir, FS: was.folder.FS, Retention: was.retention})
		},
		OpenAgain: func(_ testing.TB, s store.Store) (store.Store, error) {
			first := s.(*Store)
			return Open(Options{Dir: first.folder.Dir, FS: first.folder.FS, Currency: "CNY"})
		},
		Stopping: stopping,
		Holding:  holdingUp,
		Tamper:   tamper,
		Drop:     drop,
	})
}

// stopping opens an empty store whose disk refuses its k-th write and all that follow.
func stopping(t testing.TB, k int) (store.Store, func() (store.Store, bool)) {
	mem := vfs.NewCrashableMem()
	var counting, stopped atomic.Bool
	var writes atomic.Int64
	s := open(t, Options{Dir: "d/c", Log: quiet, FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || !counting.Load() || writes.Add(1) < int64(k) {
			return nil
		}
		stopped.Store(true)
		return syscall.EIO
	}))})
	counting.Store(true)
	return s, func() (store.Store, bool) {
		_ = s.Close()
		return open(t, Options{Dir: "d/c", Log: quiet, FS: mem.CrashClone(vfs.CrashCloneCfg{})}), stopped.Load()
	}
}

// holdingUp opens an empty store whose next sync of a log of writes can be held up.
func holdingUp(t testing.TB) (store.Store, func() (<-chan struct{}, func())) {
	type gate struct{ waits, released chan struct{} }
	var next atomic.Pointer[gate]
	s := open(t, Options{Dir: "d/c", Log: quiet, FS: errorfs.Wrap(vfs.NewMem(),
		errorfs.InjectorFunc(func(op errorfs.Op) error {
			isSync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
			if !isSync || !strings.HasSuffix(op.Path, ".log") {
				return nil
			}
			if g := next.Swap(nil); g != nil {
				close(g.waits)
				<-g.released
			}
			return nil
		}))})
	return s, func() (<-chan struct{}, func()) {
		g := &gate{make(chan struct{}), make(chan struct{})}
		next.Store(g)
		return g.waits, func() { close(g.released) }
	}
}

// tamper flips a bit of a change in the log.
func tamper(t testing.TB, s store.Store, version uint64) {
	p := s.(*Store)
	value, err := p.folder.Read(changeKey(version))
	if err != nil || value == nil {
		t.Fatalf("the change of version %d: %v", version, err)
	}
	value[len(value)/2] ^= 1
	if err := p.folder.DB.Set(changeKey(version), value, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	showAll(p)
}

// drop takes a change out of the log.
func drop(t testing.TB, s store.Store, version uint64) {
	p := s.(*Store)
	if err := p.folder.DB.Delete(changeKey(version), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	showAll(p)
}
