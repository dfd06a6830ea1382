package exchange

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/outstanding"
	"github.com/hexbid/hexbid/store"
)

// pacer is the part of delivery that spreads budgets over their days. It steps the controller of each campaign that
// won something or was charged: at once when it rested, and otherwise every ten seconds at an instant of its own. A
// campaign that is held back goes on being stepped, because it may win nothing until it is let go. All others cost
// nothing.
type pacer struct {
	catalogue store.Store
	money     standings
	out       func(hexbid.UID, hexbid.PricingModel) (outstanding.Out, float64) // awardsOut.pace
	indexer   *bidder.Indexer
	searched  *atomic.Int64

	mu        sync.Mutex // guards the fields below; awardsOut's lock may be held, and none is taken under this one
	heard     map[hexbid.UID]*heard
	fresh     []hexbid.UID // those of heard that are not heard of since they were last looked at
	newcomers []hexbid.UID // those of them that wait to be met, in the order of their first award
	draws     *rand.PCG    // of reserves

	// Of the goroutine that steps:
	campaigns map[hexbid.UID]*paced
	wheel     [wheelTicks]map[hexbid.UID]struct{} // campaigns to be stepped at each tick of ten seconds
	ticked    int64                               // the last tick
	wanting   map[hexbid.UID]struct{}             // campaigns of which searches should be told something else
	gone      []hexbid.UID                        // campaigns whose outputs are to be withdrawn
	unkept    map[hexbid.UID]struct{}             // campaigns whose rows have changed
	balances  balances
	traffic   traffic
	steps     int // of controllers, since the start
}

// standings is what the pacer uses of a ledger.Ledger.
type standings interface {
	Standings(ctx context.Context, uids []hexbid.UID) ([]ledger.Standing, error)
}

// heard is what a campaign saw since it was last stepped.
type heard struct {
	fresh       bool
	awards      int
	won, events float64 // expected cost of the awards in micros, and events expected of them, by the prior
	clicks      int64   // charged
	charged     hexbid.Money
	reserves    *pacing.Reserves // nil when it never met one
	day         progress         // as of its last step
}

// progress is how a campaign's day goes against its plan.
type progress struct {
	date           int32 // local, days since 1970
	budget         hexbid.Money
	planned, spent hexbid.Money // until now; by the plan that the day began with, and with what awards still out will cost
	told           pacing.Output
	tolerance      float64 // pacing.State.Tolerance
}

// paced is a campaign whose day is planned.
type paced struct {
	state    pacing.State
	want     pacing.Output
	told     pacing.Output // in force, or on its way
	terms    *pacedTerms   // nil until read
	claim    *claim        // to its advertiser's balance; nil if it is not prepaid
	stepped  int64         // tick
	kept     int64         // tick
	searched int64         // searches of the market when it was stepped
	restored bool          // not stepped since the start
}

// A tick is a tenth of a second, the time between two steps of delivery.
const (
	tickMillis = 100
	wheelTicks = int64(pacing.Every/time.Millisecond) / tickMillis
)

func newPacer(e *Exchange) *pacer {
	zone := e.config.StatementZone
	if zone == nil {
		zone, _ = hexbid.TimeZone("zone", hexbid.DefaultTimeZone)
	}
	p := &pacer{catalogue: e.store, money: e.config.Ledger, out: e.awardsOut.pace, indexer: e.indexer,
		searched: &e.searched, heard: map[hexbid.UID]*heard{}, draws: rand.NewPCG(1, 2),
		campaigns: map[hexbid.UID]*paced{}, wanting: map[hexbid.UID]struct{}{}, unkept: map[hexbid.UID]struct{}{},
		balances: balances{},
		traffic:  newTraffic(zone)}
	for i := range p.wheel {
		p.wheel[i] = map[hexbid.UID]struct{}{}
	}
	return p
}

func (*pacer) letter() byte        { return 'p' }
func (*pacer) owner() bidder.Owner { return bidder.OwnerPacing }

func (p *pacer) awarded(a *outstanding.Award, at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hear(a.Campaign)
	h.awards++
	h.won += float64(a.Price) * float64(a.Chance)
	h.events += float64(a.Chance)
	if a.EntryPPM > 0 {
		if h.reserves == nil {
			h.reserves = new(pacing.Reserves)
		}
		h.reserves.Add(at, int64(a.EntryPPM), p.draws.Uint64())
	}
}

func (p *pacer) happened(e *happening) {
	if e.charged <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hear(e.Award.Campaign)
	h.charged += e.charged
	if e.Kind == hexbid.Click {
		h.clicks++
	}
}

// hear returns what a campaign saw, and has it looked at. The caller holds the lock.
func (p *pacer) hear(campaign hexbid.UID) *heard {
	h := p.heard[campaign]
	if h == nil {
		h = new(heard)
		p.heard[campaign] = h
	}
	if !h.fresh {
		h.fresh = true
		p.fresh = append(p.fresh, campaign)
	}
	return h
}

// take returns what a campaign saw since the last call.
func (p *pacer) take(campaign hexbid.UID, at int64) (h heard, entryPPM int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.heard[campaign]
	if of == nil {
		return heard{}, 0
	}
	h = *of
	*of = heard{reserves: h.reserves, fresh: h.fresh, day: h.day}
	if h.reserves != nil {
		entryPPM = min(h.reserves.Median(at), pacing.PPM)
	}
	return h, entryPPM
}

func (p *pacer) step(ctx context.Context, now time.Time, room int) ([]bidder.LiveUpdate, error) {
	if p.traffic.observe(now, p.searched.Load()) {
		p.forget(now)
	}
	for some := range slices.Chunk(p.due(now.UnixMilli()/tickMillis), ledger.MaxAccounts) {
		if err := p.control(ctx, now, some); err != nil {
			return nil, err
		}
	}
	return p.updates(room), nil
}

// due returns the campaigns to be stepped at a tick, in order.
func (p *pacer) due(tick int64) (uids []hexbid.UID) {
	for _, uid := range p.takeFresh() {
		if c := p.campaigns[uid]; c == nil || tick-c.stepped >= wheelTicks {
			uids = append(uids, uid)
		} else {
			p.wheel[slotOf(uid)][uid] = struct{}{}
		}
	}
	for t := max(p.ticked+1, tick-wheelTicks+1); t <= tick; t++ {
		for uid := range p.wheel[t%wheelTicks] {
			if c := p.campaigns[uid]; tick-c.stepped >= wheelTicks {
				uids = append(uids, uid)
			}
		}
	}
	p.ticked = max(p.ticked, tick)
	slices.Sort(uids)
	return slices.Compact(uids)
}

// mostNewcomers bounds the campaigns that are met for the first time in a step. Reading the terms of one and planning
// its day takes some hundred microseconds, and searches over a large market win for new ones at each turn. Those that
// wait bid in full meanwhile, within what budgets leave.
const mostNewcomers = 100

// takeFresh returns the campaigns that saw something since the last step. Newcomers stand in line and come in order; a
// step looks at each once, however long the line is.
func (p *pacer) takeFresh() (fresh []hexbid.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, uid := range p.fresh {
		if p.campaigns[uid] == nil {
			p.newcomers = append(p.newcomers, uid)
		} else {
			fresh = append(fresh, uid)
		}
	}
	met := min(len(p.newcomers), mostNewcomers)
	fresh = append(fresh, p.newcomers[:met]...)
	p.fresh, p.newcomers = nil, p.newcomers[met:]
	for _, uid := range fresh {
		p.heard[uid].fresh = false
	}
	return fresh
}

// slotOf spreads campaigns over the wheel.
func slotOf(uid hexbid.UID) int64 {
	return int64(uint64(uid) * 0x9E3779B97F4A7C15 >> 32 % uint64(wheelTicks)) // Fibonacci hashing
}

// control steps the controllers of some campaigns. When the ledger does not say how they stand, they wait for their
// next turn.
func (p *pacer) control(ctx context.Context, now time.Time, uids []hexbid.UID) error {
	stand, err := p.money.Standings(ctx, uids)
	if err != nil {
		for _, uid := range uids {
			if p.campaigns[uid] != nil {
				p.wheel[slotOf(uid)][uid] = struct{}{}
			}
		}
		return ctx.Err()
	}
	known := stand
	for _, uid := range uids {
		for len(known) > 0 && known[0].Campaign < uid {
			known = known[1:]
		}
		if len(known) == 0 || known[0].Campaign != uid || known[0].Deleted {
			p.drop(uid)
			continue
		}
		p.controlOne(ctx, now, &known[0])
	}
	return nil
}

func (p *pacer) controlOne(ctx context.Context, now time.Time, s *ledger.Standing) {
	c := p.campaigns[s.Campaign]
	if c == nil {
		c = &paced{want: pacing.Full, told: pacing.Full}
		p.campaigns[s.Campaign] = c
	}
	tick := now.UnixMilli() / tickMillis
	if c.stepped = tick; !p.readTerms(ctx, s.Campaign, c) {
		return
	}
	in := p.input(now, s, c)
	c.want, c.restored, c.searched = c.state.Step(&in), false, p.searched.Load()
	p.note(s.Campaign, c, &in)
	p.steps++
	if c.want.Calls(c.told) {
		p.wanting[s.Campaign] = struct{}{}
	}
	if c.want == pacing.Full && c.told == pacing.Full {
		delete(p.wheel[slotOf(s.Campaign)], s.Campaign)
	} else {
		p.wheel[slotOf(s.Campaign)][s.Campaign] = struct{}{}
	}
	if c.state.At != 0 && tick-c.kept >= ticksBetweenRows {
		c.kept, p.unkept[s.Campaign] = tick, struct{}{}
	}
}

// input says what happened to a campaign since its last step.
func (p *pacer) input(now time.Time, s *ledger.Standing, c *paced) pacing.Input {
	at := now.UnixMilli()
	out, factor := p.out(s.Campaign, c.terms.pricing)
	saw, entryPPM := p.take(s.Campaign, at)
	in := pacing.Input{At: at, Date: s.LocalDate, Day: p.traffic.day(c.terms, s.LocalDate), Mode: c.terms.mode,
		Out: out.Expected, Told: c.told, Awards: saw.awards, Won: factor * saw.won, Events: factor * saw.events,
		Entry: entryPPM}
	in.Blind, in.Short = p.hindered(s, c)
	if s.Date == s.LocalDate {
		in.Charged = s.Today.Charged
	}
	in.Budget = p.balances.budget(s, c, &in)
	if target := c.terms.target; target > 0 {
		in.Cost = pacing.Cost{Target: target, Bid: c.terms.bid, Clicks: saw.clicks, Charged: saw.charged,
			Events: out.Events, Out: out.Expected}
	}
	return in
}

// hindered reports why a campaign could not win as much as its output says. It is blind when the process began since
// its last step, when it is paused, or when nobody searched in the whole market. It is short when what is left of its
// budget or of a balance holds it back.
func (p *pacer) hindered(s *ledger.Standing, c *paced) (blind, short bool) {
	live, seen := p.indexer.Snapshot().LiveState(s.Campaign)
	return c.restored || !seen || s.Paused || p.searched.Load() == c.searched,
		live.BudgetSpent || live.NoBalance || live.LoweredByBudget
}

// note has others see how a campaign's day goes.
func (p *pacer) note(uid hexbid.UID, c *paced, in *pacing.Input) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.heard[uid]
	if h == nil {
		h = new(heard)
		p.heard[uid] = h
	}
	h.day = progress{in.Date, in.Budget, min(c.state.DayPlan(), in.Budget), in.Charged + in.Out, c.told,
		c.state.Tolerance(in.Budget)}
}

// progressOf returns how a campaign's day went at its last step, false for a campaign that was not stepped. Any
// goroutine may call it.
func (p *pacer) progressOf(uid hexbid.UID) (progress, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.heard[uid]
	if h == nil || h.day == (progress{}) {
		return progress{}, false
	}
	return h.day, true
}

// drop forgets a campaign that is gone.
func (p *pacer) drop(uid hexbid.UID) {
	if c := p.campaigns[uid]; c != nil {
		p.balances.withdraw(c)
		if c.told != pacing.Full {
			p.gone = append(p.gone, uid)
		}
		p.unkept[uid] = struct{}{}
	}
	delete(p.campaigns, uid)
	delete(p.wanting, uid)
	delete(p.wheel[slotOf(uid)], uid)
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.heard[uid]; h != nil && !h.fresh {
		delete(p.heard, uid)
	}
}

// forgetAfter is how long a campaign that nothing holds back is remembered without an award.
const forgetAfter = 30 * 24 * time.Hour

// forget drops campaigns that have not been stepped for long. It is called once an hour.
func (p *pacer) forget(now time.Time) {
	p.balances.forget(now)
	for uid, c := range p.campaigns {
		if now.UnixMilli()-c.stepped*tickMillis > forgetAfter.Milliseconds() && c.told == pacing.Full && !c.restored {
			p.drop(uid)
		}
	}
}

// updates returns what to tell searches, and takes it as told: first what lowers the most, because what is spent
// meanwhile cannot be had back.
func (p *pacer) updates(room int) []bidder.LiveUpdate {
	urgent := make([]hexbid.UID, 0, len(p.wanting))
	for uid := range p.wanting {
		if c := p.campaigns[uid]; c.want.Calls(c.told) {
			urgent = append(urgent, uid)
		} else {
			delete(p.wanting, uid)
		}
	}
	slices.SortFunc(urgent, func(x, y hexbid.UID) int {
		return cmp.Or(cmp.Compare(p.campaigns[x].rise(), p.campaigns[y].rise()), cmp.Compare(x, y))
	})
	updates := make([]bidder.LiveUpdate, 0, min(len(urgent)+len(p.gone), max(room, 0)))
	for _, uid := range urgent[:min(len(urgent), max(room, 0))] {
		c := p.campaigns[uid]
		c.told = c.want
		updates = append(updates, toldOf(uid, c.told))
		delete(p.wanting, uid)
	}
	n := min(len(p.gone), max(room-len(updates), 0))
	for _, uid := range p.gone[:n] {
		updates = append(updates, bidder.LiveUpdate{Campaign: uid, Withdrawn: true})
	}
	p.gone = p.gone[n:]
	return updates
}

// rise is how many times the effort grows by what is wanted.
func (c *paced) rise() float64 {
	return float64(c.want.MultiplierPPM) / float64(c.told.MultiplierPPM) * float64(c.want.ParticipationPPM) /
		float64(c.told.ParticipationPPM)
}

func toldOf(uid hexbid.UID, o pacing.Output) bidder.LiveUpdate {
	return bidder.LiveUpdate{Campaign: uid, PacingPPM: o.MultiplierPPM, ParticipationPPM: o.ParticipationPPM}
}

var _ part = (*pacer)(nil)
