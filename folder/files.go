package folder

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// MakeDir makes a folder and its missing parents. It syncs the parent of each, so that a new folder outlasts a crash.
func MakeDir(fs vfs.FS, dir string) error {
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
		if err := SyncDir(fs, fs.PathDir(path)); err != nil {
			return err
		}
	}
	return nil
}

// ReplaceFile writes content to a new file, renames that to the path, and syncs the file and its folder. A crash leaves
// either the old content or the new.
func ReplaceFile(fs vfs.FS, path string, content []byte) error {
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
	return SyncDir(fs, fs.PathDir(path))
}

// SyncDir makes durable which files a folder has.
func SyncDir(fs vfs.FS, path string) error {
	dir, err := fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// ReadFile reads a whole file.
func ReadFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// cleaner deletes the files that Pebble no longer needs, but none before release is called.
type cleaner interface {
	pebble.Cleaner
	release()
}

// hold returns a cleaner that deletes nothing until a owner has found the content whole, because a damaged manifest
// makes good tables look obsolete. FileType is a type parameter because Pebble's own type cannot be named outside
// Pebble, only inferred.
func hold[FileType any](clean func(vfs.FS, FileType, string) error) *held[FileType] {
	return &held[FileType]{clean: clean}
}

type held[FileType any] struct {
	clean func(fs vfs.FS, fileType FileType, path string) error

	mu      sync.Mutex // guards what follows
	free    bool
	waiting []func() error
}

// String returns the name of Pebble's own cleaner, because this one deletes the same files in the end. Pebble writes
// the name to its file of options.
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

// release deletes the files that have waited, and lets later ones be deleted at once. A file that cannot be deleted
// stays until the next start.
func (h *held[FileType]) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free = true
	for _, clean := range h.waiting {
		_ = clean()
	}
	h.waiting = nil
}
