package spans

import (
	"math/rand/v2"
	"sync/atomic"
)

// tickets decide which calls are recorded. A ticket is drawn for a share of all calls, at random, whatever the caller
// says; a call needs one. Callers that record a trace of their own say so, and their calls should go first, because a
// trace with a hole in it tells little. But what callers say must not raise the share, nor may one of them take all of
// it. So a ticket that a call of nobody's trace draws goes, every other time, to a small pool, from which calls of
// callers' traces are served. While the pool is full, the call that draws a ticket uses it.
//
// The number of recorded calls is therefore at most that of tickets drawn, and pooled more once; calls outside callers'
// traces get at least half of what they draw.
type tickets struct {
	share float64
	pool  *atomic.Int64
	draw  func() float64 // uniform in [0, 1)
}

// pooled is the most tickets that wait for callers' traces.
const pooled = 16

func newTickets(share float64) tickets {
	t := tickets{share: share, pool: new(atomic.Int64), draw: rand.Float64}
	t.pool.Store(pooled)
	return t
}

// take decides about a call. inTrace tells whether the call belongs to a trace of its caller's; take asks only when it
// matters.
func (t *tickets) take(inTrace func() bool) bool {
	drawn := t.draw() < t.share
	if !drawn {
		return t.pool.Load() > 0 && inTrace() && t.fromPool()
	}
	if t.pool.Load() >= pooled || inTrace() || t.draw() < 0.5 {
		return true
	}
	t.pool.Add(1) // a race may leave some more than pooled in it, which were drawn all the same
	return false
}

func (t *tickets) fromPool() bool {
	if t.pool.Add(-1) >= 0 {
		return true
	}
	t.pool.Add(1)
	return false
}
