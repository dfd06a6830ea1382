package exchange

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/outstanding"
)

// pacer is the part of delivery that spreads budgets over their days. It steps the controller of each campaign that won
// something or was charged, as often as pacing.State asks for. A campaign that is held back goes on being stepped,
// because it may win nothing until it is let go. All others cost nothing.
//
// In a market of a million campaigns nearly every award is of one that was not heard of for long. An award therefore
// adds to a few numbers, whatever campaign it is of, and a step needs no record of the catalogue: the index has what
// pacing uses of it.
type pacer struct {
	money    standings
	out      func(hexbid.UID, hexbid.PricingModel) (outstanding.Out, float64) // awardsOut.pace
	terms    func(hexbid.UID) (bidder.Paced, bool)                            // of campaigns that searches see
	searched *atomic.Int64

	mu   sync.Mutex // guards the book; awardsOut's lock may be held, and none is taken under this one
	book *paceBook

	// Of the goroutine that steps:
	wheel     wheel
	ready     []uint32  // numbers of campaigns that are due, in the order of their ticks
	newcomers newcomers // those to be stepped for the first time
	wanting   []uint32  // of which searches should be told something else
	gone      []hexbid.UID
	unkept    []hexbid.UID // whose rows have changed
	balances  balances
	traffic   traffic
	steps     int // of controllers, since the start
}

// standings is what the pacer uses of a ledger.Ledger.
type standings interface {
	Standings(ctx context.Context, uids []hexbid.UID) ([]ledger.Standing, error)
}

// progress is how a campaign's day goes against its plan.
type progress struct {
	date           int32 // local, days since 1970
	budget         hexbid.Money
	planned, spent hexbid.Money // until now; by the plan that the day began with, and with what awards still out will cost
	told           pacing.Output
	tolerance      float64 // pacing.State.Tolerance
}

// A tick is a tenth of a second, the time between two steps of delivery.
const (
	tickMillis = 100
	everyTicks = int64(pacing.Every/time.Millisecond) / tickMillis
	editTicks  = 10 // until searches see an edit, as a rule
)

func newPacer(e *Exchange) *pacer {
	zone := e.config.StatementZone
	if zone == nil {
		zone, _ = hexbid.TimeZone("zone", hexbid.DefaultTimeZone)
	}
	return &pacer{money: e.config.Ledger, out: e.awardsOut.pace, searched: &e.searched,
		terms: func(uid hexbid.UID) (bidder.Paced, bool) { return e.indexer.Snapshot().Paced(uid) },
		book:  newPaceBook(), balances: balances{}, traffic: newTraffic(zone)}
}

func (*pacer) letter() byte        { return 'p' }
func (*pacer) owner() bidder.Owner { return bidder.OwnerPacing }

func (p *pacer) awarded(a *outstanding.Award, at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, s := p.book.see(a.Campaign)
	if s.awards++; s.awards == 1 {
		s.first = uint32(at / tickMillis)
	}
	s.won += float64(a.Price) * float64(a.Chance)
	s.events += float64(a.Chance)
	if a.EntryPPM > 0 {
		p.book.meetReserve(s, at, int64(a.EntryPPM))
	}
	p.book.call(n, s)
}

func (p *pacer) happened(e *happening) {
	if e.charged <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n, s := p.book.see(e.Award.Campaign)
	s.charged += e.charged
	if e.Kind == hexbid.Click {
		s.clicks++
	}
	p.book.call(n, s)
}

// edited has campaigns stepped soon whose budgets or goals have changed. Those that were never stepped have no plan
// that could be wrong.
func (p *pacer) edited(campaigns []hexbid.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, uid := range campaigns {
		if n, known := p.book.numbers[uid]; known && p.book.paced.at(n).isMet() {
			p.book.hasten(n, p.book.seen.at(n))
		}
	}
}

// progressOf returns how a campaign's day went at its last step, false for a campaign that was not stepped. Any
// goroutine may call it.
func (p *pacer) progressOf(uid hexbid.UID) (progress, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, known := p.book.numbers[uid]
	if !known || p.book.paced.at(n).stepped == 0 {
		return progress{}, false
	}
	c := p.book.paced.at(n)
	return progress{c.state.Date, c.budget, min(c.state.DayPlan(), c.budget), c.spent, c.told.output(),
		c.state.Tolerance(c.budget)}, true
}

// value steps the controllers that are due.
func (p *pacer) value(ctx context.Context, now time.Time, room int) ([]bidder.LiveUpdate, error) {
	if p.traffic.observe(now, p.searched.Load()) {
		p.forget(now)
	}
	p.collect(now.UnixMilli() / tickMillis)
	for some := range slices.Chunk(p.next(room), standingsAtATime) {
		if err := p.control(ctx, now, some); err != nil {
			return nil, err
		}
	}
	return p.updates(room), nil
}

// standingsAtATime bounds how long events wait for the ledger's owner while it says how campaigns stand: a millisecond
// or two.
const standingsAtATime = 1000

// collect puts the campaigns in line that are to be stepped by a tick.
func (p *pacer) collect(tick int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.book.takeCalled() {
		switch c := p.book.paced.at(n); {
		case c.uid == 0: // dropped meanwhile
		case !c.isMet():
			p.newcomers.add(n, p.book.seen.at(n).standIn())
		case p.book.seen.at(n).hastened:
			p.plan(n, c, tick, max(c.stepped+everyTicks, tick+editTicks))
		default:
			p.plan(n, c, tick, c.due)
		}
	}
	p.ready = p.wheel.turn(tick, p.ready, func(n uint32) bool {
		c := p.book.paced.at(n)
		isDue := c.planned != 0 && c.planned <= tick
		if isDue {
			c.planned = 0
		}
		return isDue
	})
}

// plan has a campaign stepped when it is due, now or later. The caller holds the lock.
func (p *pacer) plan(n uint32, c *paced, tick, due int64) {
	if c.planned = 0; due <= tick {
		p.ready = append(p.ready, n)
	} else {
		c.planned = p.wheel.put(n, due)
	}
}

// next takes the first campaigns off the line, at most so many, and some newcomers.
func (p *pacer) next(most int) []uint32 {
	some := slices.Clone(p.ready[:min(len(p.ready), max(most, 0))])
	p.ready = p.ready[len(some):]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newcomers.take(some, min(most-len(some), mostNewcomers), func(n uint32) bool {
		c := p.book.paced.at(n)
		return c.uid != 0 && !c.isMet()
	})
}

// slotOf spreads campaigns over ten seconds of ticks.
func slotOf(uid hexbid.UID) int64 {
	return int64(uint64(uid) * 0x9E3779B97F4A7C15 >> 32 % uint64(everyTicks)) // Fibonacci hashing
}

// forgetAfter is how long a campaign that nothing holds back is remembered without an award.
const forgetAfter = 30 * 24 * time.Hour

// forget drops campaigns that have not been stepped for long. It is called once an hour.
func (p *pacer) forget(now time.Time) {
	p.balances.forget(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	long := now.Add(-forgetAfter).UnixMilli() / tickMillis
	for n := range p.book.paced.size {
		if c := p.book.paced.at(n); c.uid != 0 && c.stepped != 0 && c.stepped < long && c.told == fullPacked {
			p.drop(n)
		}
	}
}

// drop forgets a campaign that is gone. The caller holds the lock.
func (p *pacer) drop(n uint32) {
	c := p.book.paced.at(n)
	p.balances.withdraw(c)
	if c.told != fullPacked {
		p.gone = append(p.gone, c.uid)
	}
	if c.isMet() {
		p.unkept = append(p.unkept, c.uid)
	}
	p.book.drop(n)
}

var _ part = (*pacer)(nil)
