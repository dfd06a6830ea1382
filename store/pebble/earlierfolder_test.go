package pebble

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"path"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/fxamacker/cbor/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/store"
)

// earlierFolders were written by the programs of their time.
var earlierFolders = []string{"format-1", "format-2-with-places", "format-2", "format-3"}

// earlierFolder copies a folder of an earlier format into memory, as "catalogue".
func earlierFolder(t testing.TB, name string) *vfs.MemFS {
	t.Helper()
	files, err := zip.OpenReader("earlier/testdata/" + name + ".zip")
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	mem := vfs.NewCrashableMem()
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err == nil {
			err = writeFile(mem, name, content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return mem
}

func writeFile(mem *vfs.MemFS, name string, content []byte) error {
	if err := folder.MakeDir(mem, path.Dir(name)); err != nil {
		return err
	}
	f, err := mem.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, _ = f.Write(content) // into memory
	_, _ = f.Sync(), f.Close()
	dir, err := mem.OpenDir(path.Dir(name))
	if err != nil {
		return err
	}
	_, err = dir.Sync(), dir.Close()
	return err
}

// edited opens a folder past the store.
func edited(t testing.TB, mem vfs.FS, edit func(*pebble.DB)) {
	t.Helper()
	db, err := pebble.Open("catalogue", &pebble.Options{FS: mem, Logger: silent{},
		FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		t.Fatal(err)
	}
	edit(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// manyEarlier makes a folder of the third format with many advertisers.
func manyEarlier(t testing.TB, count int) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewCrashableMem()
	fillEarlier(t, mem, count, func(m hexbid.Meta) hexbid.Resource {
		m.Name = fmt.Sprintf("advertisers/a%d", m.UID-1)
		return &hexbid.Advertiser{Meta: m, DisplayName: "x"}
	})
	return mem
}

// fillEarlier makes a folder of the third format with resources of a kind.
func fillEarlier(t testing.TB, mem vfs.FS, count int, resource func(hexbid.Meta) hexbid.Resource) {
	t.Helper()
	if err := folder.MakeDir(mem, "catalogue"); err != nil {
		t.Fatal(err)
	}
	encoding, err := cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.EncMode()
	if err != nil {
		t.Fatal(err)
	}
	edited(t, mem, func(db *pebble.DB) {
		batch, counted := db.NewBatch(), tally{}
		for i := range count {
			r := resource(hexbid.Meta{UID: hexbid.UID(i + 1), Version: uint64(i + 1)})
			value, err := encoding.Marshal(map[string]any{"noun": r})
			if err != nil {
				t.Fatal(err)
			}
			_ = batch.Set(recordKey(store.KindOf(r), r.Metadata().Name), value, nil)
			counted.add(fingerprint(r.Metadata()))
		}
		c := clock{version: uint64(count), uid: hexbid.UID(count), tally: counted}
		_ = batch.Set(keyClock, c.encode()[:32], nil)
		_ = batch.Set(keyFormat, []byte("3"), nil)
		_ = batch.Set(keyCurrency, []byte("CNY"), nil)
		if err := batch.Commit(pebble.Sync); err != nil {
			t.Fatal(err)
		}
	})
	said := testimony{acknowledged: uint64(count), versions: uint64(count), uids: hexbid.UID(count), closed: true}
	options := Options{Dir: "catalogue", FS: mem}
	form := options.folder()
	w, err := folder.NewWitness(&form, said.encode())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// silent drops Pebble's messages.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
