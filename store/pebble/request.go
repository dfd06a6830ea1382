package pebble

import (
	"context"
	"sync/atomic"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// request is what a caller asks of the committer: groups to judge, derived data to
// keep, or the oldest changes to take off the log.
type request struct {
	groups  []store.Group
	bodies  [][][]byte // by group and step: of a put, encoded ahead
	refused []error    // by group: of a put that cannot be encoded
	derived []keptDerived
	prune   *pruning
	bytes   int // of what was encoded

	state    atomic.Int32
	outcomes []store.Outcome
	err      error         // of the request as a whole
	done     chan struct{} // closed when the two above are set
}

// The states of a request.
const (
	waiting int32 = iota
	taken         // the committer works on it
	givenUp       // its caller has gone
)

// take says whether the request still waits, and that the committer works on it now.
func (r *request) take() bool { return r.state.CompareAndSwap(waiting, taken) }

// answer ends the request.
func (r *request) answer(err error) {
	r.err = err
	close(r.done)
}

// newRequest encodes ahead, in the caller's goroutine, what a round would otherwise
// encode one after another.
func newRequest(groups []store.Group) *request {
	r := &request{groups: groups, bodies: make([][][]byte, len(groups)), refused: make([]error, len(groups)),
		outcomes: make([]store.Outcome, len(groups)), done: make(chan struct{})}
	for i := range groups {
		r.bodies[i] = make([][]byte, len(groups[i].Steps))
		r.refused[i] = r.encodeSteps(groups[i].Steps, r.bodies[i])
	}
	return r
}

func (r *request) encodeSteps(steps []store.Step, bodies [][]byte) error {
	for i := range steps {
		put := steps[i].Put
		if put == nil || put.Resource == nil {
			continue // the stage refuses a step that puts nothing
		}
		body, err := encodeBody(put)
		if err != nil {
			return hexbid.Invalidf("name", "%s cannot be encoded: %v", put.Meta().Name, err)
		}
		bodies[i] = body
		r.bytes += len(body)
	}
	return nil
}

// mostCommitBytes bounds what one call of Commit brings, encoded. Pebble keeps a batch
// in memory as a whole.
const mostCommitBytes = 512 << 20

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	if len(groups) == 0 {
		return nil, ctx.Err()
	}
	r := newRequest(groups)
	if err := r.bounded(); err != nil {
		return nil, err
	}
	if err := s.ask(ctx, r); err != nil {
		return nil, err
	}
	return r.outcomes, nil
}

// bounded refuses a request that Pebble could not keep in memory.
func (r *request) bounded() error {
	if r.bytes > mostCommitBytes {
		return hexbid.Invalidf("", "one commit brings %d MiB: at most %d, share it among several", r.bytes>>20, mostCommitBytes>>20)
	}
	return nil
}

// ask queues a request and waits for its answer. A context that ends before the
// request is taken ends it; afterwards nothing takes it back, and the answer is near.
func (s *Store) ask(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return errClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, givenUp) {
			return ctx.Err()
		}
	case <-s.stagerEnded:
		if r.state.CompareAndSwap(waiting, givenUp) {
			return errClosed
		}
	}
	<-r.done
	return r.err
}

// Judge implements store.Store. It judges beside the commits, by what is synced.
func (s *Store) Judge(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	v := s.look()
	if v == nil {
		return nil, errClosed
	}
	defer v.release()
	return store.Judge(ctx, store.NewStage(v, v.clock.version, v.clock.uid), groups)
}
