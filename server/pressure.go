package server

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// pressure bounds how many calls are under way at once, so that those let in are answered soon and all others are
// refused at the door, where refusing costs least.
//
// The signal is the time that a call waits for a core: from the arrival of its headers until a goroutine begins with
// it. Neither a slow caller nor a slow disk lengthens it, and it needs no baseline to be compared with. WeChat's
// services watch the same time (Zhou et al., "Overload Control for Scaling WeChat Microservices", SoCC 2018). By
// Little's law a call that finds n others under way waits n·service/cores. Dividing the number under way by how many
// times too long the wait was therefore lands near the right limit in one step, whatever a call costs.
//
// Under way are the calls that wait for a core, of every class, and the searches and reads that are worked on. Writes
// and events that are worked on do not count: they wait for the disk, and their classes' own limits bound them.
//
// Each class has a share of the limit. While searches fill all of it, writes, reads and imports find their shares
// taken, in this order. Events have the highest limit for their own, because money hangs on them and they wait for the
// disk anyway.
//
// While the limit is reached, a party that has less than its part of it under way is still let in: the calls of the
// greedy wait outside until the others have been served. A party's part is the limit divided by the number of parties
// that have calls under way.
type pressure struct {
	target      time.Duration // of the mean wait; 0 for no limit
	least, most int64         // of limit
	limit       atomic.Int64
	underWay    atomic.Int64
	parties     atomic.Int64             // that have calls under way
	wait        atomic.Int64             // mean wait in the last window, nanoseconds
	typical     [classCount]atomic.Int64 // near the median of the time to answer, nanoseconds
	lowered     [classCount]atomic.Int64 // when a refusal may lower typical again, nanoseconds of the caller's clock
	window      struct {
		ends          atomic.Int64 // nanoseconds of the caller's clock
		began, waited atomic.Int64 // calls that began, and nanoseconds that they had waited
		peak, refused atomic.Int64 // most under way; calls refused at the limit
		late          atomic.Int64 // windows in a row whose mean wait was above the target
	}
}

// enter counts a call of a party and returns how many are under way with it, of all and of the party.
func (p *pressure) enter(of *party) (all, own int64) {
	if own = of.underWay.Add(1); own == 1 {
		p.parties.Add(1)
	}
	return p.underWay.Add(1), own
}

// exit ends the count of a call of a party.
func (p *pressure) exit(of *party) {
	if of.underWay.Add(-1) == 0 {
		p.parties.Add(-1)
	}
	p.underWay.Add(-1)
}

// sharePercent is how much of the limit may be under way when a call of a class comes.
var sharePercent = [classCount]int64{searching: 100, writing: 75, reading: 50, importing: 25}

const (
	// pressureWindow is how long waits are gathered before the limit follows them.
	pressureWindow = 25 * time.Millisecond
	// leastACore and mostACore bound the limit. Fewer calls would leave cores idle between two of them. More would let
	// a sudden overload wait long before the limit could follow.
	leastACore, mostACore = 16, 256
	// standing is how many late windows in a row make a queue that stands.
	standing = 3
	// mostDecrease bounds how far one window lowers the limit.
	mostDecrease = 0.3
	// growth is how fast the limit comes back, a window.
	growth = 1.15
	// late is how many times the highest limit may be under way when a request arrives after its headers.
	late = 2
)

func newPressure(target time.Duration) *pressure {
	cores := int64(runtime.GOMAXPROCS(0))
	p := &pressure{target: target, least: leastACore * cores, most: mostACore * cores}
	p.limit.Store(p.most)
	return p
}

// shareOf returns how many calls may be under way when one of a class comes.
func (p *pressure) shareOf(c class) int64 {
	if c == recording {
		return p.most
	}
	return max(1, p.limit.Load()*sharePercent[c]/100)
}

// admit lets a call in whose headers have arrived, or refuses it. Unless it refuses, begin or abandon must follow once.
func (p *pressure) admit(c class, of *party, now int64) bool {
	p.follow(now)
	all, own := p.enter(of)
	if c == unclassed || p.target == 0 {
		return true
	}
	if all > p.window.peak.Load() {
		p.window.peak.Store(all) // a race loses a neighbouring value
	}
	if share := p.shareOf(c); all <= share || own <= share/max(1, p.parties.Load()) {
		return true
	}
	p.exit(of)
	p.window.refused.Add(1)
	return false
}

// begin ends the wait of an admitted call for a core.
func (p *pressure) begin(of *party, waited time.Duration) {
	p.exit(of)
	p.window.began.Add(1)
	p.window.waited.Add(int64(waited))
}

// abandon takes an admitted call back that ended before a goroutine began with it.
func (p *pressure) abandon(of *party) { p.exit(of) }

// work counts a request that has arrived and is worked on. It refuses one only when very many have arrived long after
// their headers: a call that was let in at the door has its place. Unless work refuses, leave must follow.
func (p *pressure) work(c class, of *party) bool {
	if !usesCores(c) {
		return true
	}
	if all, _ := p.enter(of); p.target > 0 && all > late*p.most {
		p.exit(of)
		p.window.refused.Add(1)
		return false
	}
	return true
}

// leave ends the work on a request.
func (p *pressure) leave(c class, of *party) {
	if usesCores(c) {
		p.exit(of)
	}
}

// hasRoom reports whether a call of a class that needs no core but its caller's may come. The limit follows the waits
// of other calls meanwhile: without any it comes back.
func (p *pressure) hasRoom(c class, now int64) bool {
	p.follow(now)
	return c == unclassed || p.target == 0 || p.underWay.Load() < p.shareOf(c)
}

// awaitRoom waits until there is room for a class, for so long at most. A batch of an upload waits for it before it is
// received. So the rest of the upload stays with its caller while the server is busy, rather than being refused.
func (p *pressure) awaitRoom(ctx context.Context, c class, patience time.Duration) error {
	if p.target == 0 {
		return nil
	}
	for began := time.Now(); ; {
		now := time.Now()
		p.follow(now.UnixNano())
		switch {
		case p.underWay.Load() < p.shareOf(c):
			return nil
		case now.Sub(began) >= patience:
			return errBusy
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pressureWindow):
		}
	}
}

// usesCores reports whether the work of a class is the cores', rather than the disk's.
func usesCores(c class) bool { return c == searching || c == reading }

// learn moves what is typical of a class a sixteenth towards a call's time. Steps of equal size up and down settle near
// the median, so a few slow calls move it little.
func (p *pressure) learn(c class, took time.Duration) {
	typical := p.typical[c].Load()
	switch step := typical / 16; {
	case typical < 16:
		p.typical[c].Store(int64(took))
	case int64(took) > typical:
		p.typical[c].Store(typical + min(step, int64(took)-typical))
	default:
		p.typical[c].Store(typical - min(step, typical-int64(took)))
	}
}

// isHopeless reports whether a call of a class is out of time before it can be answered: it has less time left than a
// core is away and half of what is typical. While it refuses, what is typical falls from window to window, so that some
// call is tried again soon. It falls with time and not with each refusal, because callers choose their deadlines: calls
// without any time would talk the server into working for others that have too little.
func (p *pressure) isHopeless(c class, left time.Duration, now int64) bool {
	if c == unclassed || p.target == 0 {
		return false
	}
	p.follow(now) // a wait that nobody measures again would refuse for ever
	typical := p.typical[c].Load()
	if int64(left) >= p.wait.Load()+typical/2 {
		return false
	}
	if due := p.lowered[c].Load(); now >= due && p.lowered[c].CompareAndSwap(due, now+int64(pressureWindow)) {
		p.typical[c].Store(typical - typical/16)
	}
	return true
}

// follow ends the window if it is over, and has the limit follow the waits in it.
func (p *pressure) follow(now int64) {
	ends := p.window.ends.Load()
	if now < ends || !p.window.ends.CompareAndSwap(ends, now+int64(pressureWindow)) {
		return
	}
	began, waited := p.window.began.Swap(0), p.window.waited.Swap(0)
	peak, refused := p.window.peak.Swap(p.underWay.Load()), p.window.refused.Swap(0)
	wait := int64(0)
	if began > 0 {
		wait = waited / began
	}
	p.wait.Store(wait)
	if wait > int64(p.target) {
		p.window.late.Add(1)
	} else {
		p.window.late.Store(0)
	}
	p.limit.Store(p.next(peak, wait, refused > 0))
}

// next returns the limit for the next window. The wait that it judges by was that of the calls under way, which may
// have been fewer than the limit. One late window lowers nothing, nor do two: after a pause of the machine or of its
// collector, what came meanwhile waits and is soon worked off. A queue that stands makes the next windows late too.
func (p *pressure) next(peak, wait int64, refused bool) int64 {
	limit := p.limit.Load()
	switch {
	case wait > int64(p.target) && p.window.late.Load() < standing:
	case wait > int64(p.target):
		limit = int64(float64(min(limit, peak)) * max(mostDecrease, float64(p.target)/float64(wait)))
	case refused || wait < int64(p.target)/2:
		limit = int64(float64(limit)*growth) + 1
	}
	return min(max(limit, p.least), p.most)
}
