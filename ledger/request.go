package ledger

import (
	"context"
	"sync/atomic"

	"github.com/hexbid/hexbid"
)

// requestsWaiting is the length of the owner's queue. Callers beyond wait to queue.
const requestsWaiting = 1024

// request is what a caller asks of the owner.
type request struct {
	// do runs in the owner's goroutine. What it appends goes into the owner's batch. A refusal is kept in the request; an
	// error or a panic of do itself is a fault, and costs the batch.
	do      func(o *owner) error
	refused error
	work    Work // what its turn counts as

	state atomic.Int32
	err   error
	done  chan struct{} // closed when err is set
}

// The states of a request.
const (
	waiting int32 = iota
	taken         // by the owner
	givenUp       // its caller has gone
)

func newRequest(do func(o *owner) error) *request { return &request{do: do, done: make(chan struct{})} }

// newTick returns the owner's own request for what time brings.
func newTick() *request {
	r := newRequest((*owner).tick)
	r.work = Ticking
	return r
}

// take reports whether the request still waits, and marks it as taken by the owner.
func (r *request) take() bool { return r.state.CompareAndSwap(waiting, taken) }

// answer ends the request, with its refusal if what it rests on is durable.
func (r *request) answer(err error) {
	if r.err = err; err == nil {
		r.err = r.refused
	}
	close(r.done)
}

// wait waits for the answer. If the context ends before, the request is withdrawn unless the owner has taken it.
func (r *request) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		r.state.CompareAndSwap(waiting, givenUp)
		return ctx.Err()
	}
}

// ask queues a request and waits for its answer. If the context ends before the owner has taken the request, the
// request is withdrawn. Afterwards nothing can withdraw it, and ask waits for the answer or the end of the context.
func (l *Ledger) ask(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.queue <- r:
		l.queued.Add(1)
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closing:
		return errClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		r.state.CompareAndSwap(waiting, givenUp)
		return ctx.Err()
	case <-l.ended:
		select {
		case <-r.done:
			return r.err
		default:
			return errClosed
		}
	}
}

var errClosed = hexbid.Errorf(hexbid.Unavailable, "", "the ledger is closed: try again when the server is back")
