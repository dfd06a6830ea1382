package pebble

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// patience bounds the wait for an event that must happen.
const patience = 2 * time.Minute

// slowDisk is a disk that syncs logs of writes when the test allows it.
type slowDisk struct {
	*vfs.MemFS
	mu    sync.Mutex // guards what follows
	held  chan struct{}
	fails bool
	syncs int // held so far
}

func (d *slowDisk) wrapped() vfs.FS {
	return errorfs.Wrap(d.MemFS, errorfs.InjectorFunc(func(op errorfs.Op) error {
		sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
		if !sync || !strings.HasSuffix(op.Path, ".log") {
			return nil
		}
		d.mu.Lock()
		held := d.held
		if held != nil {
			d.syncs++
		}
		d.mu.Unlock()
		if held == nil {
			return nil
		}
		<-held
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.fails {
			return syscall.EIO
		}
		return nil
	}))
}

func (d *slowDisk) hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held, d.syncs = make(chan struct{}), 0
}

func (d *slowDisk) release(fails bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = fails
	close(d.held)
	d.held = nil
}

func (d *slowDisk) heldSyncs() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

func onSlowDisk(t *testing.T) (*Store, *slowDisk) {
	t.Helper()
	disk := &slowDisk{MemFS: vfs.NewCrashableMem()}
	s := open(t, Options{Dir: "d/c", FS: disk.wrapped(), Log: quiet})
	t.Cleanup(func() { _ = s.Close() })
	return s, disk
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: waited in vain", what)
		}
	}
}

// told is the outcome of a commit.
type told struct {
	change store.Change
	err    error
}

// begin commits steps as a group, in a goroutine.
func begin(s *Store, steps ...store.Step) <-chan told {
	done := make(chan told, 1)
	go func() {
		change, err := commit(s, steps)
		done <- told{change, err}
	}()
	return done
}

func declared(r hexbid.Resource) store.Step {
	record := store.Declare(r, 0)
	return store.Step{Put: &record}
}

func programStep(name string) store.Step {
	return declared(&hexbid.Program{Meta: hexbid.Meta{Name: name}})
}

func notYet(t *testing.T, what string, done <-chan told) {
	t.Helper()
	select {
	case got := <-done:
		t.Fatalf("%s was told before its round was synced: %+v", what, got)
	default:
	}
}

// TestWhatIsNotSyncedIsNotSeen holds back the sync of a round. Meanwhile Pebble shows the batch, and the stager judges
// a second round on top of it. Readers see neither round, and no commit is answered.
func TestWhatIsNotSyncedIsNotSeen(t *testing.T) {
	s, disk := onSlowDisk(t)
	before := s.Version()
	feed := s.Watch(before)
	disk.hold()
	place := hexbid.Place{Meta: hexbid.Meta{Name: "advertisers/a/programs/p/places/l"}}
	judged := declared(&place)
	judged.Verdict = &store.Verdict{State: hexbid.Hidden, Of: place}
	first := begin(s, declared(&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}}),
		programStep("advertisers/a/programs/p"), judged)
	waitFor(t, "Pebble shows the batch", func() bool {
		value, err := s.folder.Read(recordKey(hexbid.KindAdvertiser, "advertisers/a"))
		return err == nil && value != nil
	})
	second := begin(s, programStep("advertisers/a/programs/q"))
	refused := begin(s, programStep("advertisers/a/programs/p"))
	orphan := begin(s, programStep("advertisers/none/programs/p"))
	waitFor(t, "the second round is staged", func() bool { return s.takenRequests.Load() == 4 })

	ctx := context.Background()
	if _, err := s.Get(ctx, "advertisers/a"); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("Get: %v", err)
	}
	for uid := range hexbid.UID(10) {
		if r, err := s.ByUID(ctx, uid); hexbid.KindOf(err) != hexbid.NotFound {
			t.Errorf("ByUID: %+v, %v", r, err)
		}
	}
	if _, err := s.List(ctx, store.ListQuery{Kind: hexbid.KindProgram},
		func(r store.Record) bool { t.Errorf("List: %s", r.Meta().Name); return true }); err != nil {
		t.Error(err)
	}
	if v, err := s.Verdict(ctx, place.Name); err != nil || v.Version != 0 {
		t.Errorf("Verdict: %+v, %v", v, err)
	}
	if n, err := s.Counted(ctx, "advertisers/a/programs/p", store.Places); err != nil || n != 0 {
		t.Errorf("Counted: %d, %v", n, err)
	}
	if version, err := s.Scan(ctx,
		func(r store.Record, _ *store.Derived) error { t.Errorf("Scan: %s", r.Meta().Name); return nil }); err != nil ||
		version != before {
		t.Errorf("Scan: version %d, %v", version, err)
	}
	if c, there := feed.Waiting(); there {
		t.Errorf("Watch: %+v", c)
	}
	if err := s.Log(ctx, before, func(c *store.Change) bool { t.Errorf("Log: %+v", c); return true }); err != nil {
		t.Error(err)
	}
	if s.Version() != before {
		t.Errorf("version %d after %d", s.Version(), before)
	}
	notYet(t, "the first", first)
	notYet(t, "the second", second)
	notYet(t, "a refusal by what is staged", refused)
	notYet(t, "a refusal", orphan)

	disk.release(false)
	for what, done := range map[string]<-chan told{"first": first, "second": second} {
		if got := <-done; got.err != nil {
			t.Errorf("the %s: %v", what, got.err)
		}
	}
	if got := <-refused; hexbid.KindOf(got.err) != hexbid.AlreadyExists {
		t.Errorf("a name that is staged already: %v", got.err)
	}
	if got := <-orphan; hexbid.KindOf(got.err) != hexbid.NotFound {
		t.Errorf("without a parent: %v", got.err)
	}
	if n, err := s.Counted(ctx, "advertisers/a/programs/p", store.Places); err != nil || n != 1 {
		t.Errorf("Counted afterwards: %d, %v", n, err)
	}
	for range 2 {
		bounded, stop := context.WithTimeout(ctx, patience)
		if _, err := feed.Next(bounded); err != nil {
			t.Error(err)
		}
		stop()
	}
}

// TestWritersShareSyncs counts rounds. While one round is synced, the next gathers all new requests.
func TestWritersShareSyncs(t *testing.T) {
	s, disk := onSlowDisk(t)
	const writers = 300
	disk.hold()
	first := begin(s, advertiser("advertisers/first"))
	waitFor(t, "the first round is under way", func() bool { return disk.heldSyncs() > 0 })
	rounds := s.synced.Load().round
	var all []<-chan told
	for i := range writers {
		all = append(all, begin(s, advertiser(fmt.Sprintf("advertisers/a%d", i))))
	}
	var queued sync.WaitGroup
	queued.Go(func() { waitFor(t, "all are taken", func() bool { return s.takenRequests.Load() == writers+1 }) })
	queued.Wait()
	disk.release(false)
	for _, done := range append(all, first) {
		if got := <-done; got.err != nil {
			t.Fatal(got.err)
		}
	}
	if took := s.synced.Load().round - rounds; took > 2 {
		t.Errorf("%d rounds for one writer and %d that came meanwhile", took, writers)
	}
}

// TestADiskThatFailsWithTwoRoundsUnderWayTellsWhichMayBeThere fails the sync of the
// first of two rounds.
func TestADiskThatFailsWithTwoRoundsUnderWayTellsWhichMayBeThere(t *testing.T) {
	s, disk := onSlowDisk(t)
	disk.hold()
	first := begin(s, advertiser("advertisers/first"))
	waitFor(t, "the first round is under way", func() bool { return disk.heldSyncs() > 0 })
	second := begin(s, advertiser("advertisers/second"))
	waitFor(t, "the second is staged", func() bool { return s.takenRequests.Load() == 2 })
	disk.release(true)
	wantRefusal(t, (<-first).err, "under way and may be there")
	err := (<-second).err
	wantRefusal(t, err, "restart")
	if strings.Contains(err.Error(), "under way") {
		t.Errorf("nothing of it was written: %v", err)
	}
	if s.Version() != 0 {
		t.Errorf("version %d", s.Version())
	}
	_, err = commit(s, []store.Step{advertiser("advertisers/third")})
	wantRefusal(t, err, "restart")
}

// TestAContextThatEndsBeforeItsRequestIsTakenChangesNothing fills a round, so that the
// next request waits.
func TestAContextThatEndsBeforeItsRequestIsTakenChangesNothing(t *testing.T) {
	s, disk := onSlowDisk(t)
	ended, stop := context.WithCancel(context.Background())
	stop()
	if _, err := s.Commit(ended, []store.Group{{Steps: []store.Step{advertiser("advertisers/never")}}}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	disk.hold()
	first := begin(s, advertiser("advertisers/first"))
	waitFor(t, "the first round is under way", func() bool { return disk.heldSyncs() > 0 })
	many := make([]store.Group, groupsARound)
	for i := range many {
		many[i].Steps = []store.Step{advertiser(fmt.Sprintf("advertisers/m%d", i))}
	}
	full := make(chan error, 1)
	go func() {
		_, err := s.Commit(context.Background(), many)
		full <- err
	}()
	waitFor(t, "the second round is full", func() bool { return s.takenRequests.Load() == 2 })
	waiting, giveUp := context.WithCancel(context.Background())
	given := make(chan error, 1)
	go func() {
		_, err := s.Commit(waiting, []store.Group{{Steps: []store.Step{advertiser("advertisers/given-up")}}})
		given <- err
	}()
	waitFor(t, "it waits", func() bool { return len(s.queue) == 1 })
	giveUp()
	if err := <-given; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	disk.release(false)
	if err := errors.Join((<-first).err, <-full); err != nil {
		t.Fatal(err)
	}
	if _, err := commit(s, []store.Step{advertiser("advertisers/last")}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"advertisers/never", "advertisers/given-up"} {
		if _, err := s.Get(context.Background(), name); hexbid.KindOf(err) != hexbid.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAPanicInTheStagerCostsItsRoundAlone hands in a request that makes the stager
// panic after it has judged a group.
func TestAPanicInTheStagerCostsItsRoundAlone(t *testing.T) {
	s, _ := onSlowDisk(t)
	broken := newRequest([]store.Group{{Steps: []store.Step{advertiser("advertisers/broken")}}})
	broken.outcomes = nil
	if err := s.ask(context.Background(), broken); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("error %v", err)
	}
	change, err := commit(s, []store.Step{advertiser("advertisers/next")})
	if err != nil || change.Puts[0].Meta().UID != 1 {
		t.Errorf("the next commit: %+v, %v", change, err)
	}
	if _, err := s.Get(context.Background(), "advertisers/broken"); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("of the round that was dropped: %v", err)
	}
	if _, err := scan(s); err != nil || s.Failure() != nil {
		t.Errorf("%v, %v", err, s.Failure())
	}
}

// TestAPanicInTheWriterStopsWritesAlone removes the tape, so that the writer panics when it announces a synced round.
func TestAPanicInTheWriterStopsWritesAlone(t *testing.T) {
	s, _ := onSlowDisk(t)
	if _, err := commit(s, []store.Step{advertiser("advertisers/kept")}); err != nil {
		t.Fatal(err)
	}
	tape := s.tape
	s.tape = nil
	_, err := commit(s, []store.Step{advertiser("advertisers/told")})
	s.tape = tape
	wantRefusal(t, err, "restart", "may be there")
	_, err = commit(s, []store.Step{advertiser("advertisers/next")})
	wantRefusal(t, err, "restart")
	if strings.Contains(s.Failure().Error(), "goroutine") {
		t.Errorf("the stack is told: %v", s.Failure())
	}
	if _, err := s.Get(context.Background(), "advertisers/kept"); err != nil {
		t.Errorf("reads stopped too: %v", err)
	}
}

func TestMoreThanABatchMayHoldIsRefused(t *testing.T) {
	r := newRequest([]store.Group{{Steps: []store.Step{advertiser("advertisers/a")}}})
	r.bytes = mostCommitBytes + 1
	wantRefusal(t, r.bounded(), "MiB", "share")
}

// TestDerivedDataOfWhatARoundUnderWayReplacesIsPassedOver keeps data derived from synced records that an unsynced round
// changes.
func TestDerivedDataOfWhatARoundUnderWayReplacesIsPassedOver(t *testing.T) {
	s, disk := onSlowDisk(t)
	change, err := commit(s, []store.Step{advertiser("advertisers/replaced"), advertiser("advertisers/deleted"),
		advertiser("advertisers/stays")})
	if err != nil {
		t.Fatal(err)
	}
	disk.hold()
	replaced := advertiser("advertisers/replaced")
	replaced.IfVersion = store.AnyVersion
	first := begin(s, replaced)
	waitFor(t, "the first round is under way", func() bool { return disk.heldSyncs() > 0 })
	second := begin(s, store.Step{Delete: "advertisers/deleted", IfVersion: store.AnyVersion})
	waitFor(t, "the second is staged", func() bool { return s.takenRequests.Load() == 3 })
	var derived []store.Derived
	for i := range change.Puts {
		m := change.Puts[i].Meta()
		derived = append(derived, store.Derived{UID: m.UID, Version: m.Version, By: 1, Value: []byte(m.Name)})
	}
	kept := make(chan error, 1)
	go func() { kept <- s.KeepDerived(context.Background(), derived) }()
	waitFor(t, "it is taken", func() bool { return s.takenRequests.Load() == 4 })
	disk.release(false)
	if err := errors.Join((<-first).err, (<-second).err, <-kept); err != nil {
		t.Fatal(err)
	}
	if n := keysIn(t, s, derivedSpace); n != 1 {
		t.Errorf("what was derived of %d records is kept, of one it can be", n)
	}
	if _, err := s.Scan(context.Background(), func(r store.Record, d *store.Derived) error {
		if name := r.Meta().Name; (d != nil) != (name == "advertisers/stays") || d != nil && string(d.Value) != name {
			t.Errorf("%s has %+v", name, d)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestDerivedDataCausesNoSync keeps some and counts the syncs of the log.
func TestDerivedDataCausesNoSync(t *testing.T) {
	s, disk := onSlowDisk(t)
	change, err := commit(s, []store.Step{advertiser("advertisers/a")})
	if err != nil {
		t.Fatal(err)
	}
	disk.hold() // whoever synced would wait for ever
	m := change.Puts[0].Meta()
	if err := s.KeepDerived(context.Background(),
		[]store.Derived{{UID: m.UID, Version: m.Version, Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	if n := keysIn(t, s, derivedSpace); n != 1 || disk.heldSyncs() > 0 {
		t.Errorf("%d are kept, with %d syncs", n, disk.heldSyncs())
	}
	disk.release(false)
}
