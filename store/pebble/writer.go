package pebble

import (
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
)

// writeRounds syncs rounds one after another until the stager has ended. After each round it publishes the new view,
// tells the feeds, and answers the requests.
func (s *Store) writeRounds() {
	for {
		select {
		case s.free <- struct{}{}:
		case <-s.stagerEnded:
			return
		}
		r := <-s.staged
		if r == nil {
			continue // it could not be finished
		}
		r.end(s.complete(r))
	}
}

// complete syncs a round and announces it. After a panic nobody knows how far the round came.
func (s *Store) complete(r *round) error {
	err := hexbid.Contain(func() error {
		err := s.sync(r)
		if err == nil {
			s.conclude(r)
		}
		return err
	})
	if err == nil || s.Failure() != nil {
		return err
	}
	return s.written(err)
}

// sync writes a round. It waits for the disk only if the round holds a change.
func (s *Store) sync(r *round) error {
	if err := s.checkLog(); err != nil {
		return err
	}
	if r.batch.Empty() {
		return nil
	}
	options := pebble.Sync
	if len(r.logged) == 0 {
		options = pebble.NoSync
	}
	return s.write(r.batch, options)
}

// conclude announces a synced round.
func (s *Store) conclude(r *round) {
	next := &view{clock: r.clock, round: r.number, latest: s.synced.Load().latest}
	if n := len(r.logged); n > 0 {
		next.latest = r.logged[n-1].At
	}
	s.publish(next)
	_ = r.batch.Close() // it returns its memory to the pool
	if len(r.logged) == 0 {
		return
	}
	if err := s.witness.acknowledge(r.clock.version); err != nil {
		s.witnessFailed(err) // this round is durable; the next is refused
	}
	for i := range r.logged {
		s.tape.Append(r.logged[i].Change, r.logged[i].bytes)
	}
	select {
	case s.pruneSoon <- struct{}{}:
	default:
	}
}

// write passes a batch to Pebble. When Pebble gives up meanwhile, its goroutine never returns. It is then abandoned,
// and the caller learns that nobody knows how much of the batch reached the disk. After a refusal or a panic Pebble
// gets no further batch, because rounds staged on top of this one would stand on nothing.
func (s *Store) write(batch *pebble.Batch, options *pebble.WriteOptions) error {
	done := make(chan error, 1)
	go func() { done <- hexbid.Contain(func() error { return batch.Commit(options) }) }()
	select {
	case err := <-done:
		return s.written(err)
	case <-s.failed:
		select {
		case err := <-done: // at the same time
			return s.written(err)
		default:
		}
		return s.underWay()
	}
}

// written returns the outcome of a write that has ended.
func (s *Store) written(err error) error {
	if err == nil {
		return nil
	}
	s.log.Error("pebble refused a write", "error", err)
	s.fail(hexbid.Errorf(hexbid.Unavailable, "data",
		"folder %s refused a write: %v: searches go on, changes need a restart", s.dir, firstLine(err)))
	return s.underWay()
}

// underWay returns the failure in words for callers whose change was under way.
func (s *Store) underWay() error {
	why := *s.failure.Load()
	why.Detail += "; this change was under way and may be there after the restart"
	return &why
}

// checkRoom refuses a write before it begins if the disk is nearly full.
func (s *Store) checkRoom() error {
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err == nil && usage.TotalBytes > 0 && usage.AvailBytes < minFreeBytes {
		return hexbid.Errorf(hexbid.Exhausted, "data",
			"the disk under %s has %d MiB left: free at least %d MiB; nothing was written",
			s.dir, usage.AvailBytes>>20, int64(minFreeBytes)>>20)
	}
	return nil // try a file system that does not report its usage
}

// firstLine returns an error's first line; the log has the stack of a panic.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
