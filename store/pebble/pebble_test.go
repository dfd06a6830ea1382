package pebble

import (
	"context"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Currency == "" {
		o.Currency = "CNY"
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// commit commits one group.
func commit(s *Store, steps []store.Step) (store.Change, error) {
	outcomes, err := s.Commit(context.Background(), []store.Group{{Steps: steps, At: time.Unix(1_800_000_000, 0)}})
	if err != nil {
		return store.Change{}, err
	}
	return outcomes[0].Change, outcomes[0].Err
}

func scan(s *Store) (version uint64, err error) {
	return s.Scan(context.Background(), func(store.Record, *store.Derived) error { return nil })
}

// showAll shows readers what a test has written past the committer.
func showAll(s *Store) {
	present := s.synced.Load()
	_ = s.publish(&view{clock: present.clock, round: present.round, latest: present.latest})
}

func advertiser(name string) store.Step {
	return store.Step{Put: &store.Record{Resource: &hexbid.Advertiser{Meta: hexbid.Meta{Name: name}, DisplayName: "x"}}}
}

func wantRefusal(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestAFolderInUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	defer s.Close()
	_, err := Open(Options{Dir: dir, Currency: "CNY"})
	wantRefusal(t, err, dir, "in use")
}

func TestAnotherCurrencyAndAnotherFormatAreRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, Options{Dir: "d", FS: fs})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Dir: "d", FS: fs, Currency: "EUR"})
	wantRefusal(t, err, "CNY", "EUR")
	s = open(t, Options{Dir: "d", FS: fs})
	batch := s.folder.DB.NewBatch()
	if err := batch.Set(keyFormat, []byte("999"), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.folder.Write(batch, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, err = Open(Options{Dir: "d", FS: fs, Currency: "CNY"})
	wantRefusal(t, err, "999", Format)
}

// TestADiskThatFillsUpLosesNothing lets the disk refuse in the middle of a
// write, then reopens what is there.
func TestADiskThatFillsUpLosesNothing(t *testing.T) {
	mem := vfs.NewCrashableMem()
	full := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.ENOSPC
		}
		return nil
	})}
	s := open(t, Options{Dir: "d", FS: errorfs.Wrap(mem, &full)})
	ctx := context.Background()
	if _, err := commit(s, []store.Step{advertiser("advertisers/kept")}); err != nil {
		t.Fatal(err)
	}
	full.On()
	_, err := commit(s, []store.Step{advertiser("advertisers/refused")})
	wantRefusal(t, err, "refuses", "restart", "this change was under way and may be there")
	if hexbid.KindOf(err) != hexbid.Unavailable {
		t.Errorf("kind %d", hexbid.KindOf(err))
	}
	full.Off()
	if _, err := commit(s, []store.Step{advertiser("advertisers/later")}); err == nil ||
		strings.Contains(err.Error(), "under way") {
		t.Errorf("a failed store takes writes again, or says that it might: %v", err)
	}
	if _, err := s.Get(ctx, "advertisers/kept"); err != nil {
		t.Errorf("reads stopped too: %v", err)
	}
	again := open(t, Options{Dir: "d", FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	defer again.Close()
	if _, err := again.Get(ctx, "advertisers/kept"); err != nil {
		t.Errorf("an acknowledged record is lost: %v", err)
	}
	if _, err := again.Get(ctx, "advertisers/later"); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("a refused record is there: %v", err)
	}
}

func TestAReadOnlyDiskIsRefusedAtOpen(t *testing.T) {
	readOnly := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.EROFS
		}
		return nil
	}))
	_, err := Open(Options{Dir: "d", FS: readOnly, Currency: "CNY"})
	wantRefusal(t, err, "folder d", "read-only file system")
}

func TestACommitWantsRoomOnTheDisk(t *testing.T) {
	s := open(t, Options{Dir: "d", FS: nearlyFull{vfs.NewMem()}})
	defer s.Close()
	_, err := commit(s, []store.Step{advertiser("advertisers/a")})
	wantRefusal(t, err, "MiB left", "nothing was written")
	if hexbid.KindOf(err) != hexbid.Exhausted {
		t.Errorf("kind %d", hexbid.KindOf(err))
	}
}

type nearlyFull struct{ vfs.FS }

func (nearlyFull) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 1 << 20, TotalBytes: 1 << 40}, nil
}

// TestEveryAcknowledgedBatchSurvivesACrash cuts the power after each commit.
func TestEveryAcknowledgedBatchSurvivesACrash(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := open(t, Options{Dir: "d", FS: mem})
	defer s.Close()
	ctx := context.Background()
	for i := range 20 {
		name := "advertisers/a" + strings.Repeat("x", i)
		change, err := commit(s, []store.Step{advertiser(name), advertiser(name + "-pair")})
		if err != nil {
			t.Fatal(err)
		}
		crashed := open(t, Options{Dir: "d", FS: mem.CrashClone(vfs.CrashCloneCfg{})})
		for _, n := range []string{name, name + "-pair"} {
			if r, err := crashed.Get(ctx, n); err != nil || r.Meta().Version != change.Version {
				t.Fatalf("after commit %d: %v, %v", i, r, err)
			}
		}
		crashed.Close()
	}
}

func FuzzDecode(f *testing.F) {
	value, err := encode(&store.Record{Resource: &hexbid.Campaign{Bid: 1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(hexbid.KindCampaign), value)
	f.Fuzz(func(t *testing.T, kind uint8, value []byte) {
		_, _ = decode(hexbid.ResourceKind(kind), value) // must not panic
	})
}

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
