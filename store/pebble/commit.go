package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// Commit implements store.Store.
func (s *Store) Commit(_ context.Context, ops []store.Op) (store.Change, error) {
	s.commit.Lock()
	defer s.commit.Unlock()
	if s.closed.Load() {
		return store.Change{}, errClosed
	}
	if err := s.checkRoom(); err != nil {
		return store.Change{}, err
	}
	stage := store.NewStage(s.version, s.lastUID, s.get)
	change, err := stage.Apply(ops)
	if err != nil {
		return store.Change{}, err
	}
	batch := s.db.NewBatch()
	for name, r := range stage.After {
		if err := add(batch, name, r); err != nil {
			return store.Change{}, err
		}
	}
	for _, r := range change.Deletes {
		_ = batch.Delete(uidKey(r.Meta().UID), nil) // a batch in memory takes every Delete
	}
	clock := binary.BigEndian.AppendUint64(nil, change.Version)
	_ = batch.Set(keyClock, binary.BigEndian.AppendUint64(clock, uint64(stage.LastUID)), nil)
	if err := s.write(batch); err != nil {
		return store.Change{}, err
	}
	s.version, s.lastUID = change.Version, stage.LastUID
	s.tape.Append(change)
	return change, nil
}

func add(batch *pebble.Batch, name string, r *store.Record) error {
	n, err := hexbid.ParseName(name)
	if err != nil {
		return hexbid.Invalidf("name", "%v", err)
	}
	if r == nil {
		return batch.Delete(recordKey(n.Kind, name), nil)
	}
	value, err := encode(r)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	return errors.Join(batch.Set(recordKey(n.Kind, name), value, nil), batch.Set(uidKey(r.Meta().UID), []byte(name), nil))
}

// checkRoom refuses a write before it is begun: on a store that has failed, and
// on a disk that is nearly full.
func (s *Store) checkRoom() error {
	if why := s.failure.Load(); why != nil {
		return s.failedError()
	}
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err == nil && usage.TotalBytes > 0 && usage.AvailBytes < minFreeBytes {
		return hexbid.Errorf(hexbid.Exhausted, "data", "the disk under %s has %d MiB left: free at least %d MiB; nothing was written",
			s.dir, usage.AvailBytes>>20, int64(minFreeBytes)>>20)
	}
	return nil // a file system that does not tell its usage is tried
}

// write syncs a batch to disk. When Pebble gives up meanwhile, its goroutine
// never returns: the caller is told and it is left behind.
func (s *Store) write(batch *pebble.Batch) error {
	done := make(chan error, 1)
	go func() { done <- batch.Commit(pebble.Sync) }()
	select {
	case err := <-done:
		if err != nil {
			return hexbid.Errorf(hexbid.Unavailable, "data", "folder %s refused the write: %v", s.dir, err)
		}
		return nil
	case <-s.failed:
		return s.failedError()
	}
}

func (s *Store) failedError() error {
	return hexbid.Errorf(hexbid.Unavailable, "data", "the disk under %s refuses writes (%s): searches go on, "+
		"changes need a restart on a disk with room", s.dir, *s.failure.Load())
}

// fail notes that Pebble cannot go on.
func (s *Store) fail(why string) {
	s.failOnce.Do(func() {
		s.failure.Store(&why)
		close(s.failed)
	})
}

// logger hands Pebble's words to slog. Pebble expects Fatalf not to return; it
// would end the process, where searches can still be served.
type logger struct {
	log  *slog.Logger
	fail func(why string)
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
	l.fail(why)
	select {}
}
