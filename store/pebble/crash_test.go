package pebble

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// observed is what callers know at an instant: the writes acknowledged to writers, and the newest version of each name
// that any reader saw.
type observed struct {
	acked, seen map[string]uint64 // name → version
	version     uint64            // seen
}

// observers collect it while writers and readers run.
type observers struct {
	mu sync.Mutex // guards what follows
	observed
}

func (o *observers) known() observed {
	o.mu.Lock()
	defer o.mu.Unlock()
	return observed{maps.Clone(o.acked), maps.Clone(o.seen), o.version}
}

func (o *observers) ack(name string, version uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.acked[name] = max(o.acked[name], version)
}

func (o *observers) see(name string, version uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen[name] = max(o.seen[name], version)
	o.version = max(o.version, version)
}

// crash is a disk as a power cut leaves it, and what callers knew before.
type crash struct {
	observed
	fs    *vfs.MemFS
	where string
}

// TestACrashDuringConcurrentCommitsTakesNothingThatAnyoneKnew cuts the power before every operation that writes, while
// many writers share rounds and readers read. Afterwards every acknowledged write is there, and everything that any
// reader saw, because the store shows nothing before it is synced.
func TestACrashDuringConcurrentCommitsTakesNothingThatAnyoneKnew(t *testing.T) {
	mem := vfs.NewCrashableMem()
	all := &observers{observed: observed{acked: map[string]uint64{}, seen: map[string]uint64{}}}
	var hooked sync.Mutex // guards what follows
	var crashes []crash
	random := seeded()
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		hooked.Lock()
		defer hooked.Unlock()
		c := crash{observed: all.known(), where: fmt.Sprintf("operation %d, of kind %d on %s",
			len(crashes), op.Kind, op.Path)}
		c.fs = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: len(crashes) % 3 * 50, RNG: random})
		crashes = append(crashes, c)
		return nil
	}))
	s := open(t, Options{Dir: "d/c", FS: fs, Log: quiet})
	const writers, each = 8, 12
	var running, looking sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		looking.Go(func() { all.look(s, stop) })
	}
	looking.Go(func() { all.follow(s, stop) })
	commits := 0
	for w := range writers {
		commits += each
		running.Go(func() { all.write(t, s, w, each) })
	}
	running.Wait()
	rounds := s.synced.Load().round
	close(stop)
	looking.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if rounds >= uint64(commits) || len(crashes) < int(rounds) {
		t.Fatalf("%d rounds for %d commits, %d crashes: no round was shared, or too few operations were seen", rounds,
			commits, len(crashes))
	}
	t.Logf("%d crashes in %d rounds of %d commits", len(crashes), rounds, commits)
	for i := range crashes {
		crashes[i].check(t)
	}
}

// write puts and replaces records under a few names that writers share and some of its own.
func (o *observers) write(t *testing.T, s *Store, w, times int) {
	random := rand.New(rand.NewPCG(uint64(w), 7))
	for i := range times {
		name := fmt.Sprintf("advertisers/w%d-%d", w, i)
		if random.IntN(2) == 0 {
			name = fmt.Sprintf("advertisers/shared%d", random.IntN(3))
		}
		step := advertiser(name)
		step.IfVersion = store.AnyVersion
		change, err := commit(s, []store.Step{step})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		o.ack(name, change.Version)
	}
}

// look reads by scans until it is stopped.
func (o *observers) look(s *Store, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		_, _ = s.Scan(context.Background(), func(r store.Record, _ *store.Derived) error {
			o.see(r.Meta().Name, r.Meta().Version)
			return nil
		})
	}
}

// follow reads by a feed until it is stopped.
func (o *observers) follow(s *Store, stop <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-stop; cancel() }()
	feed := s.Watch(0)
	for {
		c, err := feed.Next(ctx)
		if err != nil {
			return
		}
		for i := range c.Puts {
			o.see(c.Puts[i].Meta().Name, c.Puts[i].Meta().Version)
		}
	}
}

// check opens the crashed disk and compares it with what callers knew.
func (c *crash) check(t *testing.T) {
	t.Helper()
	s, err := Open(Options{Dir: "d/c", FS: c.fs, Currency: "CNY", Log: quiet})
	if err != nil {
		t.Fatalf("crash before %s: %v", c.where, err)
	}
	defer s.Close()
	found := map[string]hexbid.Meta{}
	if _, err := s.Scan(context.Background(), func(r store.Record, _ *store.Derived) error {
		found[r.Meta().Name] = *r.Meta()
		return nil
	}); err != nil {
		t.Fatalf("crash before %s: %v", c.where, err)
	}
	for what, known := range map[string]map[string]uint64{"acknowledged": c.acked, "seen": c.seen} {
		for name, version := range known {
			if found[name].Version < version {
				t.Fatalf("crash before %s: version %d of %s was %s, version %d is there", c.where, version, name, what,
					found[name].Version)
			}
		}
	}
	var last uint64
	if err := s.Log(context.Background(), 0,
		func(change *store.Change) bool { last = change.Version; return true }); err != nil || last != s.Version() {
		t.Fatalf("crash before %s: the log ends at %d, the catalogue at %d: %v", c.where, last, s.Version(), err)
	}
	change, err := commit(s, []store.Step{advertiser("advertisers/next")})
	if err != nil || change.Version <= c.version {
		t.Fatalf("crash before %s: version %d after %d: %v", c.where, change.Version, c.version, err)
	}
}

// crashing passes to tell the disk as a power cut before each write operation leaves it.
func crashing(mem *vfs.MemFS, tell func(*vfs.MemFS)) vfs.FS {
	var hooked sync.Mutex // guards what follows
	operations, random := 0, seeded()
	return errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			hooked.Lock()
			defer hooked.Unlock()
			operations++
			tell(mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: operations % 3 * 50, RNG: random}))
		}
		return nil
	}))
}
