package pebble

import (
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
			err = s.conclude(r)
		}
		return err
	})
	if err == nil || s.Failure() != nil {
		return err
	}
	return s.folder.Written(err)
}

// sync writes a round. It waits for the disk only if the round holds a change.
func (s *Store) sync(r *round) error {
	if err := s.folder.CheckPlace(); err != nil {
		return err
	}
	if r.batch.Empty() {
		return nil
	}
	options := pebble.Sync
	if len(r.logged) == 0 {
		options = pebble.NoSync
	}
	return s.folder.Write(r.batch, options)
}

// conclude announces a synced round.
func (s *Store) conclude(r *round) error {
	next := &view{clock: r.clock, round: r.number, latest: s.synced.Load().latest}
	if n := len(r.logged); n > 0 {
		next.latest = r.logged[n-1].At
	}
	if err := s.publish(next); err != nil {
		return err
	}
	_ = r.batch.Close() // it returns its memory to the pool
	if len(r.logged) == 0 {
		return nil
	}
	if err := s.witness.acknowledge(r.clock.version); err != nil {
		s.folder.WitnessFailed(err) // this round is durable; the next is refused
	}
	for i := range r.logged {
		s.tape.Append(r.logged[i].Change, r.logged[i].bytes)
	}
	select {
	case s.pruneSoon <- struct{}{}:
	default:
	}
	return nil
}
