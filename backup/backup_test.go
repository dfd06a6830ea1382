package backup

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

var ctx = context.Background()

// files are what the tests back up.
var files = map[string]string{"ledger/000001.sst": "a table", "ledger/000002.log": "a log", "ledger/marker.x": "",
	"ledger.witness": "a witness", "keys": "keys"}

// made writes a backup of files and returns its folder.
func made(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	from, to := filepath.Join(root, "staging"), filepath.Join(root, "backup")
	for path, content := range files {
		path = filepath.Join(from, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700),
			os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	m := Manifest{Created: time.Unix(1_800_000_000, 0).UTC(), Currency: "CNY", CatalogueVersion: 7, LedgerSequence: 8,
		LedgerHash: "ab"}
	if err := Write(ctx, from, to, m); err != nil {
		t.Fatal(err)
	}
	return to
}

// restored restores a backup and compares what is there.
func restored(t *testing.T, dir string) (m Manifest, same bool, err error) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	err = Restore(ctx, dir, to, func(_ string, said Manifest) error { m = said; return nil })
	left, readErr := filesBelow(to)
	if err != nil {
		if parts, _ := filepath.Glob(to + "*"); len(parts) > 0 {
			t.Errorf("a refused restore leaves %v", parts)
		}
		return m, false, err
	}
	same = readErr == nil && len(left) == len(files)
	for path, want := range files {
		content, err := os.ReadFile(filepath.Join(to, path))
		same = same && err == nil && string(content) == want
	}
	return m, same, nil
}

func TestARestoreIsWhatWasBackedUp(t *testing.T) {
	m, same, err := restored(t, made(t))
	if err != nil || !same || m.CatalogueVersion != 7 || m.LedgerSequence != 8 || m.Currency != "CNY" ||
		len(m.Files) != len(files) {
		t.Errorf("same %v, %v, manifest %+v", same, err, m)
	}
}

// TestADamagedBackupIsRefused flips bits all over every file. A flip that changes nothing of what the manifest
// says, as between its words, does no harm.
func TestADamagedBackupIsRefused(t *testing.T) {
	dir := made(t)
	paths, err := filesBelow(dir)
	if err != nil {
		t.Fatal(err)
	}
	want, _, _ := restored(t, dir)
	for _, path := range paths {
		path = filepath.Join(dir, path)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(content); at += 1 + len(content)/200 {
			flipped := bytes.Clone(content)
			flipped[at] ^= 1 << (at % 8)
			if err := os.WriteFile(path, flipped, 0o600); err != nil {
				t.Fatal(err)
			}
			got, same, err := restored(t, dir)
			if err == nil && (filepath.Base(path) != manifestName || !same || got.Checksum != want.Checksum) {
				t.Errorf("byte %d of %s is flipped, and restored", at, path)
			}
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestABackupWithAFileTooFewOrTooManyIsRefused(t *testing.T) {
	dir := made(t)
	more := filepath.Join(dir, "ledger", "000003.log")
	if err := os.WriteFile(more, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := restored(t, dir); hexbid.KindOf(err) != hexbid.DataLoss {
		t.Errorf("a file too many: %v", err)
	}
	if err := errors.Join(os.Remove(more), os.Remove(filepath.Join(dir, "keys"))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := restored(t, dir); hexbid.KindOf(err) != hexbid.DataLoss {
		t.Errorf("a file too few: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, manifestName)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := restored(t, dir); hexbid.KindOf(err) != hexbid.Invalid {
		t.Errorf("no manifest: %v", err)
	}
}

// TestAManifestNamesNoFileOutside writes a manifest that would copy over a file elsewhere.
func TestAManifestNamesNoFileOutside(t *testing.T) {
	dir := made(t)
	m, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	m.Files[0].Path = "../outside"
	if err := m.write(dir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := restored(t, dir); hexbid.KindOf(err) != hexbid.DataLoss {
		t.Errorf("error %v", err)
	}
}

func TestWhatFailsLeavesNothingAndWhatIsThereStays(t *testing.T) {
	dir := made(t)
	to := filepath.Join(t.TempDir(), "new")
	ended, end := context.WithCancel(ctx)
	end()
	if err := Write(ended, dir, to, Manifest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	why := errors.New("no")
	if err := Restore(ctx, dir, to, func(string, Manifest) error { return why }); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	if left, err := filepath.Glob(to + "*"); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if err := Write(ctx, dir, dir, Manifest{}); hexbid.KindOf(err) != hexbid.AlreadyExists {
		t.Errorf("error %v", err)
	}
	if err := Restore(ctx, dir, dir, nil); hexbid.KindOf(err) != hexbid.AlreadyExists {
		t.Errorf("error %v", err)
	}
}
