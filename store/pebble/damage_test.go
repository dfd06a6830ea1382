package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/store"
)

// catalogue is a folder and the writes acknowledged in it.
type catalogue struct {
	dir  string
	fs   vfs.FS
	want map[string]hexbid.Meta // name → uid and version
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// fill makes a catalogue of a few tables and a log, with records put, replaced
// and deleted, and leaves it as a kill would.
func fill(t *testing.T, fs vfs.FS, dir string) *catalogue {
	t.Helper()
	s := open(t, Options{Dir: dir, FS: fs, Log: quiet})
	defer func() { _ = s.Close() }() // of what the test has copied before
	c := &catalogue{dir: dir, fs: fs, want: map[string]hexbid.Meta{}}
	for round := range 4 {
		for i := range 30 {
			c.commit(t, s, fmt.Sprintf("advertisers/a%d-%d", round, i))
		}
		c.commit(t, s, "advertisers/a0-0")
		if round > 0 {
			gone := fmt.Sprintf("advertisers/a%d-1", round-1)
			if _, err := commit(s, []store.Step{{Delete: gone, IfVersion: store.AnyVersion}}); err != nil {
				t.Fatal(err)
			}
			delete(c.want, gone)
		}
		if round < 3 {
			if err := s.folder.DB.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if fs == vfs.Default {
		c.dir = c.copy(t)
	}
	return c
}

func (c *catalogue) commit(t *testing.T, s *Store, name string) {
	t.Helper()
	change, err := commit(s, []store.Step{{Put: &store.Record{Resource: &hexbid.Advertiser{Meta: hexbid.Meta{Name: name},
		DisplayName: strings.Repeat("x", 600)}}, IfVersion: store.AnyVersion}})
	if err != nil {
		t.Fatal(err)
	}
	c.want[name] = *change.Puts[0].Meta()
}

// copy copies the folder and its witness to a folder of its own.
func (c *catalogue) copy(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "catalogue")
	if err := os.CopyFS(dir, os.DirFS(c.dir)); err != nil {
		t.Fatal(err)
	}
	witness, err := os.ReadFile(folder.WitnessPath(c.dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder.WitnessPath(dir), witness, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// look opens a catalogue and reads all of it, as a server does: a scan, then records by uid. It reports whether a
// catalogue that opened is whole. Its error is the one that an operator would see.
func (c *catalogue) look(dir string, accept bool) (whole bool, s *Store, err error) {
	s, err = Open(Options{Dir: dir, FS: c.fs, Currency: "CNY", Log: quiet, AcceptLoss: accept})
	if err != nil {
		return false, nil, err
	}
	found := map[string]hexbid.Meta{}
	_, err = s.Scan(context.Background(), func(r store.Record, _ *store.Derived) error {
		found[r.Meta().Name] = *r.Meta()
		return nil
	})
	if err != nil {
		return false, s, err
	}
	for name, want := range c.want {
		if found[name] != want {
			return false, s, nil
		}
		if _, err := s.ByUID(context.Background(), want.UID); err != nil {
			return false, s, err
		}
	}
	return len(found) == len(c.want), s, nil
}

// damages are the ways to damage a file.
var damages = []struct {
	name string
	do   func(path string) error
}{
	{"a byte flipped", func(path string) error {
		return edit(path, func(b []byte) []byte {
			if len(b) > 0 {
				b[len(b)*2/5] ^= 0x10
			}
			return b
		})
	}},
	{"cut in half", func(path string) error { return edit(path, func(b []byte) []byte { return b[:len(b)/2] }) }},
	{"emptied", func(path string) error { return edit(path, func(b []byte) []byte { return b[:0] }) }},
	{"removed", os.Remove},
	{"overwritten at its head", func(path string) error {
		return edit(path, func(b []byte) []byte {
			for i := range min(len(b), 64) {
				b[i] = byte(i*37 + 11)
			}
			return b
		})
	}},
	{"a byte flipped near its end", func(path string) error {
		return edit(path, func(b []byte) []byte {
			if len(b) > 0 {
				b[len(b)-min(len(b), 20)] ^= 0x04
			}
			return b
		})
	}},
}

func edit(path string, change func([]byte) []byte) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, change(b), 0o600)
}

// TestADamagedFileNeverMeansSilentlyLess damages each file of a folder in turn. Either every acknowledged write is
// there, or an error soon says which file is damaged, and how.
func TestADamagedFileNeverMeansSilentlyLess(t *testing.T) {
	c := fill(t, vfs.Default, filepath.Join(t.TempDir(), "catalogue"))
	if whole, s, err := c.look(c.copy(t), false); err != nil || !whole {
		t.Fatalf("an untouched catalogue: whole %v, %v", whole, err)
	} else if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	paths := []string{"../catalogue.witness"}
	for _, f := range files {
		paths = append(paths, f.Name())
		kinds[strings.Trim(f.Name(), "0123456789-")] = true
	}
	if len(kinds) < 6 {
		t.Errorf("only kinds %v of files: too few are tried", kinds)
	}
	for _, file := range paths {
		for _, damage := range damages {
			t.Run(filepath.Base(file)+" "+damage.name, func(t *testing.T) {
				t.Parallel()
				dir := c.copy(t)
				if err := damage.do(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
				c.judge(t, dir, filepath.Base(file))
			})
		}
	}
}

// judge opens a damaged folder within a generous time.
func (c *catalogue) judge(t *testing.T, dir, file string) {
	t.Helper()
	type outcome struct {
		whole bool
		store *Store
		err   error
	}
	looked := make(chan outcome, 1)
	go func() {
		whole, s, err := c.look(dir, false)
		looked <- outcome{whole, s, err}
	}()
	var o outcome
	select {
	case o = <-looked:
	case <-time.After(2 * time.Minute):
		t.Fatal("it hangs")
	}
	if o.store != nil {
		defer o.store.Close()
	}
	switch {
	case o.err == nil && !o.whole:
		t.Error("it opened, with less than was acknowledged and without a word")
	case o.err != nil && hexbid.KindOf(o.err) != hexbid.DataLoss:
		t.Errorf("not a loss of data: %v", o.err)
	case o.err != nil && !strings.Contains(o.err.Error(), dir):
		t.Errorf("neither the folder nor a file of it is named: %v", o.err)
	case o.err != nil && !strings.Contains(o.err.Error(), "restore") && !strings.Contains(o.err.Error(), "delete it"):
		t.Errorf("what to do is not said: %v", o.err)
	}
	if o.err != nil {
		t.Logf("%s: %v", file, o.err)
	} else {
		t.Logf("%s: whole", file)
	}
}

// TestADamagedTableAtRunTimeAnswersDataLoss damages the tables of a running store.
func TestADamagedTableAtRunTimeAnswersDataLoss(t *testing.T) {
	c := fill(t, vfs.Default, filepath.Join(t.TempDir(), "catalogue"))
	tables, err := filepath.Glob(filepath.Join(c.dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	s := open(t, Options{Dir: c.dir, Log: quiet})
	for _, path := range tables {
		err := edit(path, func(b []byte) []byte {
			for i := range b[:len(b)*3/4] {
				b[i] ^= 0xff
			}
			return b
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.Get(context.Background(), "advertisers/a1-7")
	wantRefusal(t, err, filepath.Join(c.dir, "0"), ".sst", "restore")
	if hexbid.KindOf(err) != hexbid.DataLoss {
		t.Errorf("the read answers kind %d: %v", hexbid.KindOf(err), err)
	}
	select {
	case <-s.Failed():
	case <-time.After(time.Minute):
		t.Fatal("the store does not say that it failed")
	}
	_, err = commit(s, []store.Step{advertiser("advertisers/new")})
	if hexbid.KindOf(err) != hexbid.DataLoss || hexbid.KindOf(s.Failure()) != hexbid.DataLoss {
		t.Errorf("a write: %v; the failure: %v", err, s.Failure())
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
}

// TestAFlippedByteAnywhereInTheLogIsNoticed flips bytes of a log, one at a time, in two cases. After a kill, the
// witness knows the last commit. After a power cut, the witness may be behind and only the log itself can show the
// damage. In that case the very last record alone cannot be distinguished from half a record whose write was not
// acknowledged.
func TestAFlippedByteAnywhereInTheLogIsNoticed(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := open(t, Options{Dir: "d/c", FS: mem, Log: quiet})
	defer s.Close()
	c := &catalogue{dir: "d/c", want: map[string]hexbid.Meta{}}
	start := readable(t, mem, s.witness.file.Path)
	for i := range 60 { // more than a block of 32 KiB
		c.commit(t, s, fmt.Sprintf("advertisers/a%d", i))
	}
	path := newestLog(t, mem)
	killed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: seeded()})
	log, witness := readable(t, killed, path), readable(t, killed, s.witness.file.Path)
	if len(log) < 32<<10 {
		t.Fatalf("a log of %d bytes", len(log))
	}
	lastRecord := len(log) - 1000 // of some 800 bytes
	for at := 0; at < len(log); at += 211 {
		for _, bit := range []byte{1, 0x80} {
			c.flip(t, flipped{killed, path, log, at, bit, witness})
			if at < lastRecord {
				c.flip(t, flipped{killed, path, log, at, bit, start})
			}
		}
	}
}

// newestLog returns the path of the log that the store in d/c writes to.
func newestLog(t *testing.T, fs vfs.FS) string {
	t.Helper()
	logs, err := folder.Logs(fs, "d/c", clockVersion)
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs %v, %v", logs, err)
	}
	return logs[len(logs)-1].Path
}

func readable(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	b, err := folder.ReadFile(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type flipped struct {
	folder  *vfs.MemFS
	path    string
	log     []byte
	at      int
	bit     byte
	witness []byte
}

// flip opens the catalogue with a byte of its log flipped and a witness as given.
func (c *catalogue) flip(t *testing.T, f flipped) {
	t.Helper()
	fs := vfs.NewMem()
	if _, err := vfs.Clone(f.folder, fs, "d", "d"); err != nil {
		t.Fatal(err)
	}
	log := append([]byte{}, f.log...)
	log[f.at] ^= f.bit
	if err := errors.Join(folder.ReplaceFile(fs, f.path, log), folder.ReplaceFile(fs, folder.WitnessPath(c.dir),
		slices.Clone(f.witness))); err != nil {
		t.Fatal(err)
	}
	c.fs = fs
	whole, s, err := c.look(c.dir, false)
	if err == nil && !whole {
		t.Errorf("byte %d of %d flipped by %x: writes are lost without a word", f.at, len(log), f.bit)
	}
	if err != nil && (hexbid.KindOf(err) != hexbid.DataLoss || !strings.Contains(err.Error(), f.path) ||
		!strings.Contains(err.Error(), "--accept-loss")) {
		t.Errorf("byte %d: %v", f.at, err)
	}
	if s != nil {
		s.Close()
	}
}
