package pebble

import (
	"context"
	"errors"
	"fmt"

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
	if err := s.checkLog(); err != nil {
		return store.Change{}, err
	}
	if err := s.checkRoom(); err != nil {
		return store.Change{}, err
	}
	stage := store.NewStage(s.version, s.uid, s.get)
	change, err := stage.Apply(ops)
	if err != nil {
		return store.Change{}, err
	}
	if err := s.witness.lease(change.Version, stage.LastUID); err != nil {
		s.witnessFailed(err)
		return store.Change{}, s.Failure()
	}
	clock := s.clock.after(stage, change.Version)
	batch, err := s.batchOf(stage, &change, &clock)
	if err != nil {
		return store.Change{}, err
	}
	if err := s.write(batch); err != nil {
		return store.Change{}, err
	}
	s.clock, s.version, s.uid = clock, change.Version, stage.LastUID
	if err := s.witness.acknowledge(change.Version); err != nil {
		s.witnessFailed(err) // this commit is durable; the next is refused
	}
	s.tape.Append(change)
	return change, nil
}

// batchOf writes what a stage leaves into a batch, and the clock with its verdicts
// counted.
func (s *Store) batchOf(stage *store.Stage, change *store.Change, clock *clock) (*pebble.Batch, error) {
	batch := s.db.NewBatch()
	for name, r := range stage.After {
		if err := add(batch, name, r); err != nil {
			return nil, err
		}
	}
	for _, r := range change.Deletes {
		_ = batch.Delete(uidKey(r.Meta().UID), nil) // a batch in memory takes every Delete
	}
	for name, v := range stage.Verdicts {
		if err := s.setVerdict(batch, name, &v, &clock.tally); err != nil {
			return nil, err
		}
	}
	_ = batch.Set(keyClock, clock.encode(), nil)
	return batch, nil
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

// checkRoom refuses a write on a disk that is nearly full before it is begun.
func (s *Store) checkRoom() error {
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err == nil && usage.TotalBytes > 0 && usage.AvailBytes < minFreeBytes {
		return hexbid.Errorf(hexbid.Exhausted, "data", "the disk under %s has %d MiB left: free at least %d MiB; nothing was written",
			s.dir, usage.AvailBytes>>20, int64(minFreeBytes)>>20)
	}
	return nil // a file system that does not tell its usage is tried
}

// write syncs a batch to disk. When Pebble gives up meanwhile, its goroutine
// never returns: it is left behind, and the caller is told that nobody knows how much
// of the batch reached the disk.
func (s *Store) write(batch *pebble.Batch) error {
	done := make(chan error, 1)
	go func() { done <- batch.Commit(pebble.Sync) }()
	written := func(err error) error {
		if err != nil {
			return hexbid.Errorf(hexbid.Unavailable, "data", "folder %s refused the write: %v", s.dir, err)
		}
		return nil
	}
	select {
	case err := <-done:
		return written(err)
	case <-s.failed:
		select {
		case err := <-done: // at the same time
			return written(err)
		default:
		}
		why := *s.failure.Load()
		why.Detail += "; this change was under way and may be there after the restart"
		return &why
	}
}
