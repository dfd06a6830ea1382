package folder

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
)

// A folder that cannot go on refuses writes, gives the reason, and serves the reads that it still can. This file
// detects what makes a folder fail: Pebble gives up, a file is damaged, or the folder is gone.

// fail records why the folder cannot go on and closes the channel of Failed. The first reason stays.
func (f *Folder) fail(why *hexbid.Error) {
	f.failOnce.Do(func() {
		f.failure.Store(why)
		close(f.failed)
	})
}

// Failed returns a channel that is closed when the folder begins to refuse writes.
func (f *Folder) Failed() <-chan struct{} { return f.failed }

// Failure returns why the folder failed: Unavailable, or DataLoss if a file is damaged. It returns nil before.
func (f *Folder) Failure() error {
	if why := f.failure.Load(); why != nil {
		return why
	}
	return nil
}

// gaveUp fails the folder when Pebble stops for good, because a write failed half-way.
func (f *Folder) gaveUp(why string) {
	defer f.stuckOnce.Do(func() { close(f.stuck) }) // when there is a failure to tell
	f.fail(hexbid.Errorf(hexbid.Unavailable, "data", "the disk under %s refuses writes (%s): %s, changes need "+
		"a restart on a disk with room", f.Dir, why, f.Terms.Meanwhile))
}

func (f *Folder) isStuck() bool {
	select {
	case <-f.stuck:
		return true
	default:
		return false
	}
}

// damagedFile returns the error for a damaged file.
func (f *Folder) damagedFile(path string, cause error) *hexbid.Error {
	return hexbid.Errorf(hexbid.DataLoss, "data",
		"file %s is damaged (%v): stop the server and restore the %s from a copy", path, cause, f.Terms.Content)
}

// Damaged returns the error for damaged content, in whichever file it stands.
func (f *Folder) Damaged(cause error) *hexbid.Error { return f.damagedFile("in "+f.Dir, cause) }

// corrupted handles Pebble's event that it cannot read a file. It logs each file once, because readers may come again.
func (f *Folder) corrupted(info pebble.DataCorruptionInfo) {
	if _, logged := f.corruptFiles.LoadOrStore(info.Path, nil); !logged {
		f.Log.Error("a file of the "+f.Terms.Content+" is damaged", "file", info.Path, "error", info.Details)
	}
	f.fail(f.damagedFile(info.Path, info.Details))
}

// Unreadable returns the error for a read that failed.
func (f *Folder) Unreadable(err error) error {
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return f.damagedFile(info.Path, info.Details)
	}
	if pebble.IsCorruptionError(err) {
		return f.Damaged(err)
	}
	return hexbid.Errorf(hexbid.Unavailable, "data", "folder %s cannot be read: %v", f.Dir, err)
}

// guarded is a file that must stay in its place. If it is gone, the folder is too, and writes reach no file that can be
// opened again.
type guarded struct {
	path string
	info os.FileInfo
}

// guard records which file lies at a path now, so that moved can compare later.
func (f *Folder) guard(path string) (guarded, error) {
	info, err := stat(f.FS, path)
	return guarded{path, info}, err
}

// stat describes a file. It asks the operating system directly where it can, because os.SameFile compares only what
// os.Stat returns.
func stat(fs vfs.FS, path string) (os.FileInfo, error) {
	if fs == vfs.Default {
		return os.Stat(path)
	}
	return fs.Stat(path)
}

// moved reports whether the file is gone or another lies in its place. It returns false for an error that says neither.
func (g *guarded) moved(fs vfs.FS) bool {
	info, err := stat(fs, g.path)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	return fs == vfs.Default && !os.SameFile(info, g.info)
}

// CheckPlace fails the folder if the log that it writes to is no longer in its place. Somebody then deleted or moved
// the folder, and writes would go to a file without a name.
func (f *Folder) CheckPlace() error {
	if log := f.currentLog.Load(); log != nil && log.moved(f.FS) && log == f.currentLog.Load() {
		f.gone(log.path)
	}
	return f.Failure()
}

// checkAll fails the folder if any file that must stay is no longer in its place.
func (f *Folder) checkAll() {
	for i := range f.place {
		if f.place[i].moved(f.FS) {
			f.gone(f.place[i].path)
		}
	}
	_ = f.CheckPlace() // which fails the folder
}

func (f *Folder) gone(path string) {
	f.Log.Error("the "+f.Terms.Content+" is gone from under the server", "file", path)
	f.fail(hexbid.Errorf(hexbid.Unavailable, "data", "%s was deleted or moved while the server ran: nothing more is "+
		"written; restore the folder and restart; %s until then", path, f.Terms.Meanwhile))
}

// logCreated records the log that Pebble writes to from now on.
func (f *Folder) logCreated(info pebble.WALCreateInfo) {
	if info.Err != nil {
		return
	}
	if log, err := f.guard(info.Path); err == nil {
		f.currentLog.Store(&log)
	}
}

// logger passes Pebble's messages to slog. Pebble expects Fatalf not to return. Pebble's own logger ends the process
// there; this one does not, because the folder can still serve reads.
type logger struct {
	log    *slog.Logger
	gaveUp func(why string)
}

// Infof implements pebble.Logger.
func (l *logger) Infof(format string, args ...any) {
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l *logger) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. It never returns.
func (l *logger) Fatalf(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	l.log.Error("pebble cannot go on: " + why)
	l.gaveUp(why)
	select {}
}

// WitnessFailed fails the folder because its witness cannot be written.
func (f *Folder) WitnessFailed(err error) {
	f.Log.Error("the witness cannot be written", "file", f.Witness.Path, "error", err)
	f.fail(hexbid.Errorf(hexbid.Unavailable, "data", "the witness %s cannot be written (%v): %s, changes need a restart",
		f.Witness.Path, err, f.Terms.Meanwhile))
}
