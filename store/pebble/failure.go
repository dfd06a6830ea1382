package pebble

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
)

// A store that cannot go on refuses writes with the reason, and serves what
// reads it still can. This file is what makes it fail: a Pebble that gives up, a
// damaged file, a folder that is gone.

// fail notes why the store cannot go on; the first reason stays.
func (s *Store) fail(why *hexbid.Error) {
	s.failOnce.Do(func() {
		s.failure.Store(why)
		close(s.failed)
	})
}

// Failed implements store.Durable.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Failure implements store.Durable.
func (s *Store) Failure() error {
	if why := s.failure.Load(); why != nil {
		return why
	}
	return nil
}

// gaveUp is called when Pebble stops for good: a write failed half-way.
func (s *Store) gaveUp(why string) {
	s.stuck.Store(true)
	s.fail(hexbid.Errorf(hexbid.Unavailable, "data", "the disk under %s refuses writes (%s): searches go on, "+
		"changes need a restart on a disk with room", s.dir, why))
}

// damage is the error of a damaged file.
func damage(path string, cause error) *hexbid.Error {
	return hexbid.Errorf(hexbid.DataLoss, "data",
		"file %s is damaged (%v): stop the server and restore the catalogue from a copy", path, cause)
}

// corrupted is Pebble's event of a file that cannot be read.
func (s *Store) corrupted(info pebble.DataCorruptionInfo) {
	s.log.Error("a file of the catalogue is damaged", "file", info.Path, "error", info.Details)
	s.fail(damage(info.Path, info.Details))
}

// unreadable is the error of a read.
func (s *Store) unreadable(err error) error {
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return damage(info.Path, info.Details)
	}
	if pebble.IsCorruptionError(err) {
		return damage("in "+s.dir, err)
	}
	return hexbid.Errorf(hexbid.Unavailable, "data", "folder %s cannot be read: %v", s.dir, err)
}

// guarded is a file whose absence means that writes go nowhere.
type guarded struct {
	path string
	info os.FileInfo
}

// guard notes a file that must stay where it is.
func (s *Store) guard(path string) (guarded, error) {
	info, err := stat(s.fs, path)
	return guarded{path, info}, err
}

// stat asks the operating system itself, where it can, for what os.SameFile
// compares.
func stat(fs vfs.FS, path string) (os.FileInfo, error) {
	if fs == vfs.Default {
		return os.Stat(path)
	}
	return fs.Stat(path)
}

// moved says whether a file is gone, or another is in its place. A file system
// that does not tell is believed to have it.
func (g *guarded) moved(fs vfs.FS) bool {
	info, err := stat(fs, g.path)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	return fs == vfs.Default && !os.SameFile(info, g.info)
}

// checkLog fails the store when the log that it writes to is no longer where it
// was: somebody deleted or moved the folder, and a write would go to a file that
// has no name.
func (s *Store) checkLog() error {
	if log := s.currentLog.Load(); log != nil && log.moved(s.fs) && log == s.currentLog.Load() {
		s.gone(log.path)
	}
	return s.Failure()
}

// checkPlace does the same for all files that must stay.
func (s *Store) checkPlace() {
	for i := range s.place {
		if s.place[i].moved(s.fs) {
			s.gone(s.place[i].path)
		}
	}
	_ = s.checkLog() // which fails the store
}

func (s *Store) gone(path string) {
	s.log.Error("the catalogue is gone from under the server", "file", path)
	s.fail(hexbid.Errorf(hexbid.Unavailable, "data",
		"%s was deleted or moved while the server ran: nothing more is written; "+
			"restore the folder and restart; searches go on until then", path))
}

// logCreated notes the log that Pebble writes to from now on.
func (s *Store) logCreated(info pebble.WALCreateInfo) {
	if info.Err != nil {
		return
	}
	if log, err := s.guard(info.Path); err == nil {
		s.currentLog.Store(&log)
	}
}

// logger hands Pebble's words to slog. Pebble expects Fatalf not to return; it
// would end the process, where searches can still be served.
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

// Fatalf implements pebble.Logger: it never returns.
func (l *logger) Fatalf(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	l.log.Error("pebble cannot go on: " + why)
	l.gaveUp(why)
	select {}
}
