package pebble

import (
	"errors"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// makeDir makes a folder and those above it that are missing, so that a crash does
// not take them away again.
func makeDir(fs vfs.FS, dir string) error {
	var made []string
	for path := dir; ; path = fs.PathDir(path) {
		if _, err := fs.Stat(path); !errors.Is(err, os.ErrNotExist) || path == fs.PathDir(path) {
			break
		}
		made = append(made, path)
	}
	if err := fs.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, path := range made {
		if err := syncDir(fs, fs.PathDir(path)); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile puts content under a path by way of another file, and syncs file
// and folder.
func replaceFile(fs vfs.FS, path string, content []byte) error {
	next := path + ".new"
	f, err := fs.Create(next, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(next, path); err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(path))
}

func syncDir(fs vfs.FS, path string) error {
	dir, err := fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// readFile reads a whole file.
func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	content := make([]byte, info.Size())
	_, err = f.ReadAt(content, 0)
	return content, err
}

// cleaner deletes the files that Pebble no longer needs, once it is released.
type cleaner interface {
	pebble.Cleaner
	release()
}

// hold makes a cleaner that deletes nothing until a scan has found the catalogue
// whole: a damaged manifest makes good tables look obsolete. The type of a file
// cannot be named outside Pebble, only inferred.
func hold[FileType any](clean func(vfs.FS, FileType, string) error) *held[FileType] {
	return &held[FileType]{clean: clean}
}

type held[FileType any] struct {
	clean func(fs vfs.FS, fileType FileType, path string) error

	mu      sync.Mutex // guards what follows
	free    bool
	waiting []func() error
}

// String names the cleaner as Pebble's own, which it is in effect; Pebble keeps
// the name in its file of options.
func (h *held[FileType]) String() string { return pebble.DeleteCleaner{}.String() }

// Clean implements pebble.Cleaner.
func (h *held[FileType]) Clean(fs vfs.FS, fileType FileType, path string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.free {
		return h.clean(fs, fileType, path)
	}
	h.waiting = append(h.waiting, func() error { return h.clean(fs, fileType, path) })
	return nil
}

// release deletes what has waited; an error leaves the file to the next start.
func (h *held[FileType]) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free = true
	for _, clean := range h.waiting {
		_ = clean()
	}
	h.waiting = nil
}
