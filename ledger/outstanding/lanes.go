package outstanding

import (
	"math"
	"sync/atomic"

	"github.com/hexbid/hexbid"
)

// Lanes take awards from searches, and one goroutine drains them. A search locks nothing, waits for nothing and
// allocates nothing.
//
// There is a lane for each core. A lane has two buffers: searches append to the open one, by one atomic addition that
// reserves room and one that tells that the awards are written. Drain closes it, opens the other, and takes what is in
// it once all reservations are written, now or the next time. Awards that find no room are added up by cells of
// campaigns and advertisers.
type Lanes struct {
	lanes []Lane
	next  atomic.Uint32 // of the lanes to give out
	spill spill
}

// laneAwards is the room of a buffer. Twenty thousand awards a second and core fill a twentieth of it in the ten
// milliseconds between two drains.
const laneAwards = 4096

// Lane is where the searches of one core leave their awards. Any number of them may share it.
type Lane struct {
	open    atomic.Pointer[buffer]
	buffers [2]buffer
	spill   *spill
}

// buffer holds awards. It is open, or closed: then reserved is at least the constant closed, whatever searches add to
// it that have loaded its address before.
type buffer struct {
	reserved atomic.Int64 // awards that asked for room
	written  atomic.Int64 // awards that lie in it
	due      int64        // written of a closed buffer, once all searches have written; only Drain uses it
	awards   [laneAwards]Award
}

const closed = 1 << 40

// NewLanes makes lanes for so many cores.
func NewLanes(cores int) *Lanes {
	l := &Lanes{lanes: make([]Lane, max(cores, 1))}
	for i := range l.lanes {
		lane := &l.lanes[i]
		lane.spill = &l.spill
		lane.buffers[1].reserved.Store(closed)
		lane.open.Store(&lane.buffers[0])
	}
	return l
}

// Lane gives out a lane, in turn. Memory that searches use again keeps its lane, and mostly stays with a core.
func (l *Lanes) Lane() *Lane { return &l.lanes[int(l.next.Add(1)-1)%len(l.lanes)] }

// Add appends the awards of a search.
func (l *Lane) Add(awards []Award) {
	n := int64(len(awards))
	for range 3 { // a buffer closes every ten milliseconds at most, so few calls find two closed
		b := l.open.Load()
		end := b.reserved.Add(n)
		if end < closed {
			fits := max(min(n, laneAwards-(end-n)), 0)
			copy(b.awards[min(end-n, laneAwards):], awards[:fits])
			b.written.Add(fits)
			l.spill.add(awards[fits:])
			return
		}
	}
	l.spill.add(awards)
}

// Drain calls take with each award that searches have left, and spilled with the sum of each cell in which awards were
// added up that found no room. One call at a time.
func (l *Lanes) Drain(take func(*Award), spilled func(cell int, value, highest hexbid.Money)) {
	for i := range l.lanes {
		l.lanes[i].drain(take)
	}
	l.spill.drain(spilled)
}

// Spilled returns how many awards have found no room since the start.
func (l *Lanes) Spilled() int64 { return l.spill.awards.Load() }

// drain changes the two buffers and takes what is in the one that was open. While a search still writes into the other
// one, which was closed the last time, the open one stays open.
func (l *Lane) drain(take func(*Award)) {
	open := l.open.Load()
	other := &l.buffers[0]
	if open == other {
		other = &l.buffers[1]
	}
	if !other.empty(take) || open.reserved.Load() == 0 {
		return
	}
	other.reserved.Store(0)
	l.open.Store(other)
	open.due = min(open.reserved.Add(closed)-closed, laneAwards)
	open.empty(take)
}

// empty takes what a closed buffer holds. It returns false, with nothing taken, while a search still writes.
func (b *buffer) empty(take func(*Award)) bool {
	if b.written.Load() != b.due {
		return false
	}
	for i := range b.awards[:b.due] {
		take(&b.awards[i])
	}
	b.written.Store(0)
	b.due = 0
	return true
}

// spill adds up awards that found no room, by the cells of their campaigns and of their advertisers.
type spill struct {
	awards atomic.Int64
	cells  [allCells]struct{ value, highest atomic.Int64 } // highest never falls
	filled atomic.Bool                                     // since the last drain
}

func (s *spill) add(awards []Award) {
	for i := range awards {
		a := &awards[i]
		for _, p := range a.parties() {
			cell := &s.cells[p.cell()]
			for was := cell.highest.Load(); was < int64(a.Price) && !cell.highest.CompareAndSwap(was, int64(a.Price)); {
				was = cell.highest.Load()
			}
			cell.value.Add(int64(math.Ceil(float64(a.Price) * float64(a.Chance))))
		}
		s.filled.Store(true)
	}
	if len(awards) > 0 {
		s.awards.Add(int64(len(awards)))
	}
}

func (s *spill) drain(take func(cell int, value, highest hexbid.Money)) {
	if !s.filled.Swap(false) {
		return
	}
	for i := range s.cells {
		if value := s.cells[i].value.Swap(0); value > 0 {
			take(i, hexbid.Money(value), hexbid.Money(s.cells[i].highest.Load()))
		}
	}
}
