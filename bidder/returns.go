package bidder

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// Any number of campaigns can come back at once, after a midnight or with the balance of their advertiser, and any
// number can leave the lists at once. Moving them all with one publication would delay every other change by seconds.
// So they move in portions.
//
// A portion is in the order of lists. Neighbours in it are neighbours in every long list that they share, so a portion
// changes few blocks of such a list. In any other order each portion would make most of the blocks anew.

// mostMoved and mostMovedEdits bound a portion, in campaigns and in edits of lists: some ten milliseconds.
const (
	mostMoved      = 512
	mostMovedEdits = manyEdits * 4 / 5 // one core makes so few edits, and searches keep the others
)

// ranked is a campaign with the cap that gives its place in lists.
type ranked struct {
	cap     capCode
	ordinal uint32
}

// compare orders as lists do.
func (a ranked) compare(b ranked) int {
	return cmp.Or(cmp.Compare(b.cap, a.cap), cmp.Compare(a.ordinal, b.ordinal))
}

// movesInPortions reports whether campaigns wait to come back, to leave or to change their caps.
func (p *postings) movesInPortions() bool { return p.returns.Len()+len(p.leaving)+len(p.moving) > 0 }

// portion has the next publication move a portion.
func (p *postings) portion() {
	p.unpostPortion()
	p.movePortion()
	p.returns.due = true
}

// mostLeaving is the most campaigns that begin to leave the lists at a time.
const mostLeaving = 20_000

// findOff has campaigns leave the lists that have been off for offFor.
func (p *postings) findOff(now time.Time) {
	if len(p.leaving) > 0 {
		return // one after another
	}
	for i, since := range p.off {
		if now.Sub(since) < offFor {
			continue
		}
		if p.leaving = append(p.leaving, ranked{p.states.at(i).cap, i}); len(p.leaving) == mostLeaving {
			break
		}
	}
	slices.SortFunc(p.leaving, ranked.compare)
}

// unpostPortion takes a portion of those that leave off the lists, unless they are on again.
func (p *postings) unpostPortion() {
	before := p.lists.edits.ever
	for n := 0; n < mostMoved && len(p.leaving) > 0 && p.lists.edits.ever-before < mostMovedEdits; n++ {
		i := p.leaving[0].ordinal
		p.leaving = p.leaving[1:]
		if _, off := p.off[i]; off {
			p.unpost(i)
		}
	}
	if len(p.leaving) == 0 {
		p.leaving = nil
	}
}

// returns is the queue of campaigns that may serve again and have left the lists, the best first. The cap of an entry
// is the one that the campaign would have been posted with when it joined the queue. It only orders the queue: the
// campaign may be posted with another.
type returns struct {
	queue  []ranked // a heap
	atOnce int      // campaigns that the next publication posts out of turn
	due    bool     // the next publication posts a portion
}

// mostAtOnce is the number of campaigns a publication that come back without queueing, so that few never wait for many.
const mostAtOnce = 64

// bringBack is post for a campaign whose live state or balance lets it serve. One that has left the lists may have to
// queue.
func (p *postings) bringBack(i uint32) {
	state := p.states.at(i)
	switch {
	case state.posted || state.waiting:
		p.post(i)
	case p.returns.atOnce < mostAtOnce:
		p.returns.atOnce++
		p.post(i)
	default:
		p.returning.set(i, true)
		if !state.queued {
			state.queued = true
			heap.Push(&p.returns, ranked{capOf(p.records.bestScore(i)), i})
		}
	}
}

// postReturns posts a portion of the queue.
func (p *postings) postReturns(around coveredPlaces) {
	before := p.lists.edits.ever
	for n := 0; n < mostMoved && p.returns.Len() > 0 && p.lists.edits.ever-before < mostMovedEdits; n++ {
		i := heap.Pop(&p.returns).(ranked).ordinal
		state := p.states.at(i)
		state.queued = false
		if p.returning.bits.has(i) {
			p.returning.set(i, false)
			state.waiting = true
			p.postNow(i, around)
		}
	}
}

// Len implements heap.Interface.
func (r *returns) Len() int { return len(r.queue) }

// Less implements heap.Interface: the order of lists.
func (r *returns) Less(i, j int) bool { return r.queue[i].compare(r.queue[j]) < 0 }

// Swap implements heap.Interface.
func (r *returns) Swap(i, j int) { r.queue[i], r.queue[j] = r.queue[j], r.queue[i] }

// Push implements heap.Interface.
func (r *returns) Push(x any) { r.queue = append(r.queue, x.(ranked)) }

// Pop implements heap.Interface.
func (r *returns) Pop() any {
	last := len(r.queue) - 1
	x := r.queue[last]
	if r.queue = r.queue[:last]; last == 0 {
		r.queue = nil // release the memory of a midnight
	}
	return x
}
