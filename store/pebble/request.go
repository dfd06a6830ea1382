package pebble

import (
	"context"
	"sync/atomic"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// request is what a caller asks of the committer: to judge groups, to store derived data, or to remove the oldest
// changes from the log.
type request struct {
	groups  []store.Group
	bodies  [][][]byte // by group and step: encoded puts
	refused []error    // by group: errors of puts that cannot be encoded
	derived []keptDerived
	prune   *pruning
	bytes   int // size of the encoded bodies

	state    atomic.Int32
	outcomes []store.Outcome
	err      error         // for the request as a whole
	done     chan struct{} // closed when the two fields above are set
}

// The states of a request.
const (
	waiting int32 = iota
	taken         // the committer works on it
	givenUp       // its caller has gone
)

// take reports whether the request still waits, and marks it as taken by the committer.
func (r *request) take() bool { return r.state.CompareAndSwap(waiting, taken) }

// answer ends the request.
func (r *request) answer(err error) {
	r.err = err
	close(r.done)
}

// newRequest encodes the puts in the caller's goroutine. A round would otherwise encode them one after another.
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

// mostCommitBytes bounds the encoded groups of one call of Commit, because Pebble keeps a whole batch in memory.
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

// bounded refuses a request too large for Pebble's memory.
func (r *request) bounded() error {
	if r.bytes > mostCommitBytes {
		return hexbid.Invalidf("", "one commit brings %d MiB: at most %d, share it among several", r.bytes>>20,
			mostCommitBytes>>20)
	}
	return nil
}

// ask queues a request and waits for its answer. If the context ends before the request is taken, the request is
// withdrawn. Afterwards nothing can withdraw it, and ask waits for the answer, which comes soon.
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

// Judge implements store.Store. It runs beside the commits, on the synced state.
func (s *Store) Judge(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	v := s.look()
	if v == nil {
		return nil, errClosed
	}
	defer v.release()
	return store.Judge(ctx, store.NewStage(v, v.clock.version, v.clock.uid), groups)
}
