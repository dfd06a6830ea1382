package outstanding

import (
	"testing"
	"time"

	"github.com/hexbid/hexbid/bidder/pacing"
)

// pace is what the real controller of pacing knows of a campaign of the simulation.
type pace struct {
	state       pacing.State
	told        pacing.Output
	awards      int
	won, events float64
}

func (p *pace) saw(a *Award) {
	p.awards++
	p.won += float64(a.Price) * float64(a.Chance)
	p.events += float64(a.Chance)
}

// control steps the controllers of all campaigns: each every ten seconds, a tenth of them in each second. Their day is
// the length of the simulation.
func (m *simulation) control() {
	if m.now%1000 != 0 {
		return
	}
	if m.day == nil {
		start := time.UnixMilli(m.now)
		m.day = pacing.NewDay(new(pacing.Curve).Shape(), m.books.date, &pacing.Service{Zone: time.UTC, Start: start,
			End: start.Add(m.length)})
	}
	for i, p := range m.campaigns {
		if int64(i%10) == m.now/1000%10 || p.pace.state.At == 0 && p.pace.awards > 0 {
			m.controlOne(p)
		}
	}
}

func (m *simulation) controlOne(p *player) {
	left := m.books.left(p)
	charged := p.charged
	out, factor := m.seen(m.out.Campaign(p.uid)), m.out.Factor(p.uid, p.pricing)
	in := pacing.Input{At: m.now, Date: m.books.date, Day: m.day, Budget: charged + left.Min, Charged: charged,
		Out: out.Expected, Told: p.pace.told, Awards: p.pace.awards, Won: factor * p.pace.won,
		Events: factor * p.pace.events, Short: p.may() < PriceOfEvent(p.pricing, p.bid)}
	p.pace.awards, p.pace.won, p.pace.events = 0, 0, 0
	if want := p.pace.state.Step(&in); want.Calls(p.pace.told, p.pace.state.Grain(in.Budget)) {
		p.pace.told = want
	}
}

// TestOverDeliveryWithPacing compares over-delivery with that of the same markets without pacing. A paced campaign has
// little out when its budget ends.
func TestOverDeliveryWithPacing(t *testing.T) {
	for _, s := range simulations(t, all)[:1] {
		without := newSimulation(t, s).run().report()
		s.paced = true
		m := newSimulation(t, s).run()
		with := m.report()
		if with.share() > mostShare || with.share() > without.share() {
			t.Errorf("seed %d: over-delivery is %.3f per cent of what is charged, without pacing %.3f", s.seed,
				100*with.share(), 100*without.share())
		}
		for _, of := range with.beyond {
			t.Errorf("seed %d: of %s charged, payer %d got %s free", s.seed, of.charged, of.uid, of.free)
		}
		if with.charged < without.charged*9/10 {
			t.Errorf("seed %d: %s is charged, without pacing %s", s.seed, with.charged, without.charged)
		}
	}
}
