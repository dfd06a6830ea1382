package folder

import (
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Two errors would end or block the process beyond recovery. When Pebble cannot close a log of writes or begin the next
// one, it panics without the lock that a deferred call then gives back. When it cannot write its manifest, it gives up
// with the lock that every new snapshot takes. So Pebble never learns of an error on these files while the folder is in
// use: containing takes the error as Pebble's giving up, and does not return. Pebble holds no such lock meanwhile.

// containing is a file system whose errors on the logs, manifests and markers of a folder, and on syncs of the folder
// itself, fail the folder.
type containing struct {
	vfs.FS
	dir    string
	inUse  *atomic.Bool // before and after, errors are returned
	gaveUp func(why string)
}

// stop returns an error before and after the folder is in use. While it is in use, stop fails the folder and never
// returns.
func (c *containing) stop(what string, err error) error {
	if err != nil && c.inUse.Load() {
		c.gaveUp(what + ": " + err.Error())
		select {}
	}
	return err
}

// isVital reports whether a path is that of a log of writes, a manifest or a marker in the folder. A copy of the folder
// has its own.
func (c *containing) isVital(path string) bool {
	name := c.PathBase(path)
	return c.PathDir(path) == c.dir &&
		(strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "marker."))
}

func (c *containing) contained(path string, file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, c.stop(path, err)
	}
	return &containedFile{file, c, path}, nil
}

// Create implements vfs.FS.
func (c *containing) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := c.FS.Create(path, category)
	if !c.isVital(path) {
		return file, err
	}
	return c.contained(path, file, err)
}

// ReuseForWrite implements vfs.FS.
func (c *containing) ReuseForWrite(before, path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := c.FS.ReuseForWrite(before, path, category)
	if !c.isVital(path) {
		return file, err
	}
	return c.contained(path, file, err)
}

// Remove implements vfs.FS.
func (c *containing) Remove(path string) error {
	err := c.FS.Remove(path)
	if !c.isVital(path) || !strings.HasPrefix(c.PathBase(path), "marker.") {
		return err
	}
	return c.stop(path, err)
}

// OpenDir implements vfs.FS.
func (c *containing) OpenDir(path string) (vfs.File, error) {
	file, err := c.FS.OpenDir(path)
	if path != c.dir {
		return file, err
	}
	return c.contained(path, file, err)
}

// Unwrap implements vfs.FS.
func (c *containing) Unwrap() vfs.FS { return c.FS }

// containedFile is a file that Pebble cannot go on without, or the folder.
type containedFile struct {
	vfs.File
	containing *containing
	path       string
}

// Write implements vfs.File.
func (f *containedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.containing.stop(f.path, err)
}

// Sync implements vfs.File.
func (f *containedFile) Sync() error { return f.containing.stop(f.path, f.File.Sync()) }

// SyncData implements vfs.File.
func (f *containedFile) SyncData() error { return f.containing.stop(f.path, f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f *containedFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.containing.stop(f.path, err)
}

// Close implements vfs.File.
func (f *containedFile) Close() error { return f.containing.stop(f.path, f.File.Close()) }
