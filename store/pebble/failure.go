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

// A store that cannot go on refuses writes, gives the reason, and serves the reads that it still can. This file detects
// what makes a store fail: Pebble gives up, a file is damaged, or the folder is gone.

// fail records why the store cannot go on and closes the channel of Failed. The first reason stays.
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

// gaveUp fails the store when Pebble stops for good, because a write failed half-way.
func (s *Store) gaveUp(why string) {
	s.stuck.Store(true)
	s.fail(hexbid.Errorf(hexbid.Unavailable, "data", "the disk under %s refuses writes (%s): searches go on, "+
		"changes need a restart on a disk with room", s.dir, why))
}

// damage returns the error for a damaged file.
func damage(path string, cause error) *hexbid.Error {
	return hexbid.Errorf(hexbid.DataLoss, "data",
		"file %s is damaged (%v): stop the server and restore the catalogue from a copy", path, cause)
}

// corrupted handles Pebble's event that it cannot read a file.
func (s *Store) corrupted(info pebble.DataCorruptionInfo) {
	s.log.Error("a file of the catalogue is damaged", "file", info.Path, "error", info.Details)
	s.fail(damage(info.Path, info.Details))
}

// unreadable returns the error for a read that failed.
func (s *Store) unreadable(err error) error {
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return damage(info.Path, info.Details)
	}
	if pebble.IsCorruptionError(err) {
		return damage("in "+s.dir, err)
	}
	return hexbid.Errorf(hexbid.Unavailable, "data", "folder %s cannot be read: %v", s.dir, err)
}

// guarded is a file that must stay in its place. If it is gone, the folder is too, and writes reach no file that can be
// opened again.
type guarded struct {
	path string
	info os.FileInfo
}

// guard records which file lies at a path now, so that moved can compare later.
func (s *Store) guard(path string) (guarded, error) {
	info, err := stat(s.fs, path)
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

// moved reports whether the file is gone or another lies in its place. An error that does not tell counts as no.
func (g *guarded) moved(fs vfs.FS) bool {
	info, err := stat(fs, g.path)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	return fs == vfs.Default && !os.SameFile(info, g.info)
}

// checkLog fails the store if the log that it writes to is no longer in its place. Somebody then deleted or moved the
// folder, and writes would go to a file without a name.
func (s *Store) checkLog() error {
	if log := s.currentLog.Load(); log != nil && log.moved(s.fs) && log == s.currentLog.Load() {
		s.gone(log.path)
	}
	return s.Failure()
}

// checkPlace fails the store if any file that must stay is no longer in its place.
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

// logCreated records the log that Pebble writes to from now on.
func (s *Store) logCreated(info pebble.WALCreateInfo) {
	if info.Err != nil {
		return
	}
	if log, err := s.guard(info.Path); err == nil {
		s.currentLog.Store(&log)
	}
}

// logger passes Pebble's messages to slog. Pebble expects Fatalf not to return. Pebble's own logger ends the process
// there; this one does not, because the store can still serve reads.
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
