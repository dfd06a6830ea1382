package exchange

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
)

// numbered is a campaign and its number in the book.
type numbered struct {
	uid    hexbid.UID
	number uint32
}

// control steps the controllers of some campaigns. When the ledger does not say how they stand, they are stepped later.
func (p *pacer) control(ctx context.Context, now time.Time, numbers []uint32) error {
	campaigns := p.named(numbers)
	uids := make([]hexbid.UID, len(campaigns))
	for i := range campaigns {
		uids[i] = campaigns[i].uid
	}
	stand, err := p.money.Standings(ctx, uids)
	if err != nil {
		p.putOff(now, campaigns)
		return ctx.Err()
	}
	for _, of := range campaigns {
		for len(stand) > 0 && stand[0].Campaign < of.uid {
			stand = stand[1:]
		}
		if len(stand) == 0 || stand[0].Campaign != of.uid || stand[0].Deleted {
			p.mu.Lock()
			p.drop(of.number)
			p.mu.Unlock()
			continue
		}
		p.controlOne(now, &stand[0], of.number)
	}
	return nil
}

// named returns campaigns in the order of their uids, each once, without those that were dropped.
func (p *pacer) named(numbers []uint32) []numbered {
	campaigns := make([]numbered, 0, len(numbers))
	p.mu.Lock()
	for _, n := range numbers {
		if uid := p.book.paced.at(n).uid; uid != 0 {
			campaigns = append(campaigns, numbered{uid, n})
		}
	}
	p.mu.Unlock()
	slices.SortFunc(campaigns, func(x, y numbered) int { return cmp.Compare(x.uid, y.uid) })
	return slices.Compact(campaigns)
}

// putOff plans campaigns for later.
func (p *pacer) putOff(now time.Time, campaigns []numbered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	tick := now.UnixMilli() / tickMillis
	for _, of := range campaigns {
		p.plan(of.number, p.book.paced.at(of.number), tick, tick+everyTicks)
	}
}

// controlOne steps the controller of a campaign.
func (p *pacer) controlOne(now time.Time, s *ledger.Standing, n uint32) {
	p.mu.Lock()
	saw, entryPPM := p.book.take(n, now.UnixMilli())
	c := *p.book.paced.at(n)
	p.mu.Unlock()
	tick := now.UnixMilli() / tickMillis
	terms, searchable := p.terms(s.Campaign)
	if c.stepped = tick; !searchable { // it wins nothing until the index has it
		p.settle(n, &c, saw.enough, tick+pacing.MostPause.Milliseconds()/tickMillis)
		return
	}
	in := p.input(now, s, &c, &terms)
	out, factor := p.out(s.Campaign, terms.Pricing)
	in.Out, in.Awards, in.Entry = out.Expected, int(saw.awards), entryPPM
	in.Won, in.Events = factor*saw.won, factor*saw.events
	if saw.awards > 0 {
		in.From = (tick - int64(uint32(tick)-saw.first)) * tickMillis
	}
	if terms.Target > 0 {
		in.Cost = pacing.Cost{Target: terms.Target, Bid: terms.Bid, Clicks: int64(saw.clicks), Charged: saw.charged,
			Events: out.Events, Out: out.Expected}
	}
	c.want = pack(c.state.Step(&in))
	c.restored, c.searched, c.budget, c.spent = false, p.searched.Load(), in.Budget, in.Charged+in.Out
	p.steps++
	if c.unkept++; c.unkept >= stepsBetweenRows && c.state.At != 0 {
		c.unkept, p.unkept = 0, append(p.unkept, c.uid)
	}
	if !c.wanting && c.calls() {
		c.wanting, p.wanting = true, append(p.wanting, n)
	}
	p.settle(n, &c, float32(c.state.Enough(in.Budget)), c.state.Due(&in)/tickMillis)
}

// input says how a campaign stands.
func (p *pacer) input(now time.Time, s *ledger.Standing, c *paced, terms *bidder.Paced) pacing.Input {
	// It is blind when the process began since its last step, when it is paused, or when nobody searched in the whole
	// market. It is short when what is left of its budget or of a balance holds it back.
	in := pacing.Input{At: now.UnixMilli(), Date: s.LocalDate, Day: p.traffic.day(s.Zone, terms.Schedule, s.LocalDate),
		Mode: terms.Mode, Told: c.told.output(), Short: terms.Short,
		Blind: c.restored || s.Paused || p.searched.Load() == c.searched}
	if s.Date == s.LocalDate {
		in.Charged = s.Today.Charged
	}
	if budget := p.balances.budget(s, c, &in); s.Left.Min != fold.NoLimit {
		in.Budget = budget
	}
	return in
}

// settle stores a campaign after its step. One that nothing holds back, and that saw nothing meanwhile, rests.
func (p *pacer) settle(n uint32, c *paced, enough float32, due int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.book.seen.at(n)
	s.enough, s.hastened = enough, false
	s.waits = c.want != fullPacked || c.told != fullPacked || s.awards > 0 || s.charged > 0
	if c.due, c.planned = due, 0; s.waits {
		c.planned = p.wheel.put(n, due)
	}
	*p.book.paced.at(n) = *c
}

// calls reports whether searches should be told what is wanted.
func (c *paced) calls() bool {
	return c.want != c.told && c.want.output().Calls(c.told.output(), c.state.Grain(c.budget))
}

// updates returns what to tell searches, and takes it as told: first what lowers the most, because what is spent
// meanwhile cannot be had back.
func (p *pacer) updates(room int) []bidder.LiveUpdate {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanting = slices.DeleteFunc(p.wanting, func(n uint32) bool {
		c := p.book.paced.at(n)
		c.wanting = c.wanting && c.calls()
		return !c.wanting
	})
	if len(p.wanting) > room {
		slices.SortFunc(p.wanting, func(x, y uint32) int {
			return cmp.Compare(p.book.paced.at(x).rise(), p.book.paced.at(y).rise())
		})
	}
	told := min(len(p.wanting), max(room, 0))
	updates := make([]bidder.LiveUpdate, 0, told+min(len(p.gone), max(room-told, 0)))
	for _, n := range p.wanting[:told] {
		c := p.book.paced.at(n)
		c.told, c.wanting = c.want, false
		updates = append(updates, toldOf(c.uid, c.told.output()))
	}
	p.wanting = append(p.wanting[:0], p.wanting[told:]...)
	withdrawn := min(len(p.gone), max(room-told, 0))
	for _, uid := range p.gone[:withdrawn] {
		updates = append(updates, bidder.LiveUpdate{Campaign: uid, Withdrawn: true})
	}
	p.gone = p.gone[withdrawn:]
	return updates
}

// rise is how many times the effort grows by what is wanted.
func (c *paced) rise() float64 {
	want, told := c.want.output(), c.told.output()
	return float64(want.MultiplierPPM) / float64(told.MultiplierPPM) * float64(want.ParticipationPPM) /
		float64(told.ParticipationPPM)
}

func toldOf(uid hexbid.UID, o pacing.Output) bidder.LiveUpdate {
	return bidder.LiveUpdate{Campaign: uid, PacingPPM: o.MultiplierPPM, ParticipationPPM: o.ParticipationPPM}
}
