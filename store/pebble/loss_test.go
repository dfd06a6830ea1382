package pebble

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/store"
)

// severalLogs keeps Pebble from writing tables, so that a folder needs several logs.
func severalLogs(t *testing.T) (*catalogue, *vfs.MemFS, []folder.LogFile) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	full := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	})}
	s := open(t, Options{Dir: "d/c", FS: errorfs.Wrap(mem, &full), Log: quiet})
	defer s.Close()
	full.On()
	defer full.Off()
	c := &catalogue{dir: "d/c", want: map[string]hexbid.Meta{}}
	for log := range 3 {
		for i := range 45 {
			c.commit(t, s, fmt.Sprintf("advertisers/l%d-%d", log, i))
		}
		if _, err := s.folder.DB.AsyncFlush(); err != nil {
			t.Fatal(err)
		}
	}
	killed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: seeded()})
	logs, err := folder.Logs(killed, "d/c", clockVersion)
	if err != nil || len(logs) < 3 || logs[1].Last == 0 {
		t.Fatalf("logs %+v, %v", logs, err)
	}
	return c, killed, logs
}

// TestADamagedOlderLogIsNoticed damages a log that is not the last.
func TestADamagedOlderLogIsNoticed(t *testing.T) {
	c, killed, logs := severalLogs(t)
	path, witness := logs[1].Path, readable(t, killed, folder.WitnessPath(c.dir))
	log := readable(t, killed, path)
	for at := 0; at < len(log); at += 2111 {
		c.flip(t, flipped{killed, path, log, at, 0x80, witness})
		c.flip(t, flipped{killed, path, log, at, 1, witness})
	}
	c.fs = killed
	halved := slices.Clone(log)
	halved[len(log)/2] ^= 1
	if err := folder.ReplaceFile(killed, path, halved); err != nil {
		t.Fatal(err)
	}
	whole, s, err := c.look(c.dir, true)
	if err != nil || whole || !s.AcceptedLoss() {
		t.Fatalf("accepted: whole %v, %v", whole, err)
	}
	if _, err := s.Get(context.Background(), "advertisers/l2-44"); err != nil {
		t.Errorf("what stands in later logs: %v", err)
	}
	s.Close()
}

func TestALogThatIsMissingInTheMiddleIsNoticed(t *testing.T) {
	c, killed, logs := severalLogs(t)
	c.fs = killed
	if err := killed.Remove(logs[1].Path); err != nil {
		t.Fatal(err)
	}
	_, s, err := c.look(c.dir, false)
	wantRefusal(t, err, "does not add up", "of 135 records 90", "--accept-loss")
	s.Close()
}

// mostUID returns the largest uid assigned.
func (c *catalogue) mostUID() (most hexbid.UID) {
	for _, m := range c.want {
		most = max(most, m.UID)
	}
	return most
}

func TestAnAcceptedLossIsRecordedAndGivesNoNumberTwice(t *testing.T) {
	c := fill(t, vfs.Default, filepath.Join(t.TempDir(), "catalogue"))
	logs, err := filepath.Glob(filepath.Join(c.dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	if err := edit(logs[len(logs)-1], func(b []byte) []byte { b[len(b)/3] ^= 1; return b }); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a refusal changes nothing
		_, _, err = c.look(c.dir, false)
		wantRefusal(t, err, "--accept-loss", "version 127 was acknowledged", logs[len(logs)-1])
	}
	whole, s, err := c.look(c.dir, true)
	if err != nil || whole || !s.AcceptedLoss() {
		t.Fatalf("whole %v, %v", whole, err)
	}
	if _, err := os.Stat(logs[len(logs)-1] + ".damaged"); err != nil {
		t.Errorf("the log as it was is not kept: %v", err)
	}
	change, err := commit(s, []store.Step{advertiser("advertisers/after")})
	if err != nil {
		t.Fatal(err)
	}
	if m := change.Puts[0].Meta(); m.UID <= c.mostUID() || m.Version <= 127 {
		t.Errorf("uid %d and version %d may have been given out before the loss", m.UID, m.Version)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, s, err = c.look(c.dir, true)
	if err != nil || s.AcceptedLoss() {
		t.Fatalf("it goes on: %v; a loss is accepted again: %v", err, s.AcceptedLoss())
	}
	defer s.Close()
	if l := s.Losses(); len(l) != 1 || l[0].Acknowledged != 127 || l[0].Found >= 127 || l[0].At.IsZero() {
		t.Errorf("losses %+v", l)
	}
}

// TestATableThatIsMissingInTheMiddleIsNoticed deletes a record behind the store's back, as a missing table would.
// Neither the versions nor the logs show that; only the sums that commits keep do.
func TestATableThatIsMissingInTheMiddleIsNoticed(t *testing.T) {
	fs := vfs.NewMem()
	c := fill(t, fs, "d/c")
	s := open(t, Options{Dir: "d/c", FS: fs, Log: quiet})
	key := recordKey(hexbid.KindAdvertiser, "advertisers/a1-9")
	if err := errors.Join(s.folder.DB.Delete(key, nil), s.Close()); err != nil {
		t.Fatal(err)
	}
	_, s, err := c.look("d/c", false)
	wantRefusal(t, err, "does not add up", "of 117 records 116", "--accept-loss")
	if hexbid.KindOf(err) != hexbid.DataLoss {
		t.Errorf("kind %d", hexbid.KindOf(err))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, s, err := c.look("d/c", true)
	if err != nil || whole {
		t.Fatalf("whole %v, %v", whole, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, s, err = c.look("d/c", false); err != nil {
		t.Fatalf("after the loss was accepted: %v", err)
	}
	s.Close()
}

func TestAFolderDeletedUnderneathTakesNoMoreWrites(t *testing.T) {
	for name, lose := range map[string]func(dir string) error{
		"deleted":               os.RemoveAll,
		"moved":                 func(dir string) error { return os.Rename(dir, dir+".away") },
		"its files deleted":     deleteFiles,
		"its log alone deleted": func(dir string) error { return deleteMatching(filepath.Join(dir, "*.log")) },
		"another in its place":  replaceByCopy,
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "catalogue")
			s := open(t, Options{Dir: dir, Log: quiet})
			defer s.Close()
			if _, err := commit(s, []store.Step{advertiser("advertisers/kept")}); err != nil {
				t.Fatal(err)
			}
			if err := lose(dir); err != nil {
				t.Fatal(err)
			}
			_, err := commit(s, []store.Step{advertiser("advertisers/nowhere")})
			wantRefusal(t, err, dir, "deleted or moved", "restart")
			if hexbid.KindOf(err) != hexbid.Unavailable {
				t.Errorf("kind %d: %v", hexbid.KindOf(err), err)
			}
			<-s.Failed()
			if _, err := s.Get(context.Background(), "advertisers/kept"); err != nil {
				t.Errorf("reads stopped too: %v", err)
			}
		})
	}
}

func deleteFiles(dir string) error { return deleteMatching(filepath.Join(dir, "*")) }

func deleteMatching(pattern string) error {
	files, err := filepath.Glob(pattern)
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

func replaceByCopy(dir string) error {
	return errors.Join(os.Rename(dir, dir+".away"), os.CopyFS(dir, os.DirFS(dir+".away")))
}

// TestAnIdleStoreNoticesThatAFileIsGone removes files and waits until the store fails by itself.
func TestAnIdleStoreNoticesThatAFileIsGone(t *testing.T) {
	for name, lose := range map[string]func(dir string) error{
		"its folder":  os.RemoveAll,
		"its lock":    func(dir string) error { return os.Remove(filepath.Join(dir, "LOCK")) },
		"its witness": func(dir string) error { return os.Remove(folder.WitnessPath(dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "catalogue")
			s := open(t, Options{Dir: dir, Log: quiet})
			defer s.Close()
			if err := lose(dir); err != nil {
				t.Fatal(err)
			}
			<-s.Failed()
			wantRefusal(t, s.Failure(), dir, "deleted or moved")
		})
	}
}

func TestAMissingCatalogueBesideItsWitnessIsRefused(t *testing.T) {
	c := fill(t, vfs.Default, filepath.Join(t.TempDir(), "catalogue"))
	if err := os.RemoveAll(c.dir); err != nil {
		t.Fatal(err)
	}
	_, _, err := c.look(c.dir, false)
	wantRefusal(t, err, c.dir, "holds no catalogue", "version 127 was acknowledged", "--accept-loss")
	_, s, err := c.look(c.dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	change, err := commit(s, []store.Step{advertiser("advertisers/anew")})
	if err != nil {
		t.Fatal(err)
	}
	if m := change.Puts[0].Meta(); m.UID <= c.mostUID() || m.Version <= 127 {
		t.Errorf("uid %d and version %d were given out before", m.UID, m.Version)
	}
}

// TestACopyRestoredWithoutItsWitnessGivesNoNumberTwice restores in the way that operators are told to.
func TestACopyRestoredWithoutItsWitnessGivesNoNumberTwice(t *testing.T) {
	c := fill(t, vfs.Default, filepath.Join(t.TempDir(), "catalogue"))
	if err := os.Remove(folder.WitnessPath(c.dir)); err != nil {
		t.Fatal(err)
	}
	whole, s, err := c.look(c.dir, true)
	if err != nil || !whole {
		t.Fatalf("whole %v, %v", whole, err)
	}
	defer s.Close()
	change, err := commit(s, []store.Step{advertiser("advertisers/after")})
	if err != nil {
		t.Fatal(err)
	}
	if m := change.Puts[0].Meta(); m.UID < unknownLeaseGap || m.Version < unknownLeaseGap {
		t.Errorf("uid %d and version %d may have been given out after the copy", m.UID, m.Version)
	}
}

// TestACopyThatWasLookedAtGivesNoNumberTwice opens and closes a copy of a catalogue before it is used, as a restore
// does.
func TestACopyThatWasLookedAtGivesNoNumberTwice(t *testing.T) {
	c := fill(t, vfs.Default, filepath.Join(t.TempDir(), "catalogue"))
	whole, s, err := c.look(c.dir, false)
	if err != nil || !whole {
		t.Fatalf("whole %v, %v", whole, err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	if _, err := s.Checkpoint(to); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := open(t, Options{Dir: to, Currency: "CNY"}).Close(); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, Options{Dir: to, Currency: "CNY"})
	change, err := commit(again, []store.Step{advertiser("advertisers/after")})
	if err != nil {
		t.Fatal(err)
	}
	if m := change.Puts[0].Meta(); m.UID < unknownLeaseGap || m.Version < unknownLeaseGap {
		t.Errorf("uid %d and version %d may have been given out after the copy", m.UID, m.Version)
	}
}

// history is what a crash may not contradict: the acknowledged writes, and the numbers assigned by then.
type history struct {
	crashed *vfs.MemFS
	version uint64 // acknowledged
	mostUID hexbid.UID
	acked   map[string]hexbid.Meta
	where   string
}

// TestACrashAtAnyInstantLosesNothingAndGivesNoNumberTwice cuts the power before
// every operation on the witness, and before one in ten others, with none or
// half of what was not synced on the disk.
func TestACrashAtAnyInstantLosesNothingAndGivesNoNumberTwice(t *testing.T) {
	mem := vfs.NewCrashableMem()
	now := client{history: history{acked: map[string]hexbid.Meta{}}}
	var crashes []history
	operations, random := 0, seeded()
	var hooked sync.Mutex // guards crashes, operations and random
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		hooked.Lock()
		defer hooked.Unlock()
		operations++
		if strings.Contains(op.Path, "witness") || operations%10 == 0 {
			crash := now.known() // before the disk: what comes in between is not expected to be there
			crash.crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: operations % 3 * 50, RNG: random})
			crash.where = fmt.Sprintf("operation %d, of kind %d on %s", operations, op.Kind, op.Path)
			crashes = append(crashes, crash)
		}
		return nil
	}))
	for life := range 3 {
		s := open(t, Options{Dir: "d/c", FS: fs, Log: quiet})
		for i := range 12 {
			now.commit(t, s, fmt.Sprintf("advertisers/l%d-%d", life, i), 1)
		}
		now.commit(t, s, fmt.Sprintf("advertisers/many%d", life), leasedAtOnce+10) // beyond the lease
		now.commit(t, s, fmt.Sprintf("advertisers/last%d", life), 1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(crashes) < 50 {
		t.Fatalf("only %d crashes", len(crashes))
	}
	for i := range crashes {
		crashes[i].check(t)
	}
}

// client commits and records the history.
type client struct {
	mu sync.Mutex // guards history
	history
}

func (c *client) known() history {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.history
	known.acked = maps.Clone(c.acked)
	return known
}

// commit puts a record, and in the same batch deletes many others to use up uids.
func (c *client) commit(t *testing.T, s *Store, name string, uids int) {
	t.Helper()
	ops := []store.Step{advertiser(name)}
	for i := range uids - 1 {
		passing := fmt.Sprintf("advertisers/passing%d", i)
		ops = append(ops, advertiser(passing), store.Step{Delete: passing, IfVersion: store.AnyVersion})
	}
	change, err := commit(s, ops)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version, c.mostUID = change.Version, max(c.mostUID, s.synced.Load().clock.uid)
	c.acked[name] = *change.Puts[0].Meta()
}

func (h *history) check(t *testing.T) {
	t.Helper()
	c := &catalogue{dir: "d/c", fs: h.crashed, want: h.acked}
	_, s, err := c.look(c.dir, false)
	if err != nil {
		t.Fatalf("crash before %s: %v", h.where, err)
	}
	defer s.Close()
	for name, want := range h.acked {
		if r, err := s.Get(context.Background(), name); err != nil || *r.Meta() != want {
			t.Fatalf("crash before %s: %s is %v, %v; want %v", h.where, name, r.Resource, err, want)
		}
	}
	change, err := commit(s, []store.Step{advertiser("advertisers/next")})
	if err != nil {
		t.Fatal(err)
	}
	if m := change.Puts[0].Meta(); m.Version <= h.version || m.UID <= h.mostUID {
		t.Fatalf("crash before %s: version %d and uid %d after %d and %d", h.where, m.Version, m.UID, h.version, h.mostUID)
	}
}

func TestATestimonyIsDecodedAsItWasEncoded(t *testing.T) {
	for _, said := range []testimony{{}, {1, 2, 3, true}, {1 << 63, 1 << 40, 1 << 41, false}} {
		if got := decodeTestimony(said.encode()); got != said {
			t.Errorf("%+v, want %+v", got, said)
		}
	}
	if got := decodeTestimony(folder.Testimony{}); got != (testimony{}) {
		t.Errorf("an absent witness says %+v", got)
	}
}

// TestNumbersBeyondALeaseAreNotGivenTwiceAfterALoss uses up a lease of uids in one
// commit, and loses the folder.
func TestNumbersBeyondALeaseAreNotGivenTwiceAfterALoss(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, Options{Dir: "d/c", FS: fs, Log: quiet})
	now := client{history: history{acked: map[string]hexbid.Meta{}}}
	now.commit(t, s, "advertisers/many", leasedAtOnce+10)
	if err := errors.Join(s.Close(), fs.RemoveAll("d/c")); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: "d/c", FS: fs, Log: quiet, AcceptLoss: true})
	defer s.Close()
	change, err := commit(s, []store.Step{advertiser("advertisers/anew")})
	if err != nil {
		t.Fatal(err)
	}
	if uid := change.Puts[0].Meta().UID; uid <= now.mostUID {
		t.Errorf("uid %d was given out before, up to %d", uid, now.mostUID)
	}
}
