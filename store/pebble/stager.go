package pebble

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// How a commit works. Callers encode their groups and queue them. One goroutine, the stager, judges queued groups
// against the synced state and the groups staged above it, and adds them to one Pebble batch, a round. Another
// goroutine, the writer, syncs one round at a time. Meanwhile the stager gathers the next round, which grows until the
// writer is free. So at most two rounds are under way, and no goroutine holds a lock during a sync. The longer a sync
// takes, the larger the next round.
//
// A request is answered only after its round is synced, even if its group is refused. So whatever the group was judged
// by is on disk by then and can be read.

// Bounds of a round. A request is never split, so one sync serves it. The last request may exceed the bounds.
const (
	groupsARound = 4096
	bytesARound  = 8 << 20
	// requestsWaiting is the length of the queue. Callers beyond wait to queue.
	requestsWaiting = 1024
)

// stager owns the staged groups. No other goroutine reads or writes them.
type stager struct {
	store   *Store
	last    *round // handed to the writer, if any
	current *round // being gathered; nil at first
	clock   clock  // as the last round handed over leaves it
	given   numbers
	number  uint64 // of that round
	known   *memory
}

// stageRounds gathers rounds until the store closes.
func (s *Store) stageRounds() {
	defer close(s.stagerEnded)
	st := &stager{store: s, clock: s.clock, given: s.given, known: newMemory()}
	for {
		if r := st.waiting(); r != nil {
			st.take(r)
			continue
		}
		select {
		case r := <-st.queue():
			st.take(r)
		case <-st.writerFree():
			st.handOver()
		case <-s.closing:
			st.end()
			return
		}
	}
}

// queue returns the queue of requests, nil when the round is full.
func (st *stager) queue() <-chan *request {
	if st.current != nil && st.current.full() {
		return nil
	}
	return st.store.queue
}

// waiting returns a request that waits already, nil if there is none.
func (st *stager) waiting() *request {
	select {
	case r := <-st.queue():
		return r
	default:
		return nil
	}
}

// writerFree returns the channel that tells when the writer wants the next round, nil if there is no round to hand
// over.
func (st *stager) writerFree() <-chan struct{} {
	if st.current == nil {
		return nil
	}
	return st.store.free
}

// take judges a request and adds it to the round.
func (st *stager) take(r *request) {
	if !r.take() {
		return
	}
	if err := st.store.Failure(); err != nil {
		r.answer(err)
		return
	}
	if st.current == nil {
		if err := st.begin(); err != nil {
			r.answer(err)
			return
		}
	}
	st.current.requests = append(st.current.requests, r)
	if err := hexbid.Contain(func() error { return st.current.add(r) }); err != nil {
		st.drop(err)
	}
	st.store.takenRequests.Add(1)
}

// begin begins a round above the last one, or above the synced state if the last one is synced.
func (st *stager) begin() error {
	if err := st.store.folder.CheckRoom(); err != nil {
		return err
	}
	base := st.store.hold()
	st.current = &round{store: st.store, number: st.number + 1, base: base, clock: st.clock, changed: map[string]bool{},
		batch: st.store.folder.DB.NewBatch()}
	st.known.view = base
	if last := st.last; last != nil && base.round < last.number {
		last.stage.StandOn(st.known)
		last.before = nil
		st.current.before, st.current.under = last, last.stage
	} else {
		st.forgetLast()
		st.current.under = st.known
	}
	st.current.stage = store.NewStage(st.current.under, st.given.version, st.given.uid)
	return nil
}

// forgetLast drops a round that is synced, and remembers the values that it has set.
func (st *stager) forgetLast() {
	if st.last != nil {
		st.known.set(st.last.counters)
		st.known.learn(st.last.changed)
		st.last = nil
	}
}

// drop fails the round, because one of its requests could not be staged and the others may have been judged on top of
// it.
func (st *stager) drop(err error) {
	failed := st.current
	st.current = nil
	_ = failed.batch.Close()
	failed.end(err)
}

// handOver gives the round to the writer, which waits for it.
func (st *stager) handOver() {
	r := st.current
	if err := hexbid.Contain(r.finish); err != nil {
		st.drop(err)
		st.store.staged <- nil
		return
	}
	st.forgetLast()
	st.last, st.current = r, nil
	st.clock, st.number = r.clock, r.number
	st.given = numbers{r.stage.LastUID, r.stage.Version}
	st.store.staged <- r
}

// end hands over the round being gathered, and refuses the requests that still wait.
func (st *stager) end() {
	if st.current != nil {
		<-st.store.free
		st.handOver()
	}
	for {
		select {
		case r := <-st.store.queue:
			if r.take() {
				r.answer(errClosed)
			}
		default:
			return
		}
	}
}
