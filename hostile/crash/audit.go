package main

import (
	"cmp"
	"slices"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// fault is a kind of broken promise.
type fault uint8

const (
	lost     fault = iota // acknowledged, and the ledger does not have it
	doubled               // in the ledger twice, or without anybody having been told
	exceeded              // charged above a limit in force, or beyond a cap, or though it was filtered
	wrong                 // anything else that differs
	faultCount
)

var faultNames = [faultCount]string{lost: "lost", doubled: "doubled", exceeded: "exceeded", wrong: "wrong"}

// report learns of a broken promise.
type report func(f fault, format string, args ...any)

// line is an entry of an advertiser's history: an event that used up its kind, or a movement.
type line struct {
	sequence uint64
	event    *event
	movement *movement
}

// auditAwards checks the answers to the events of each award against one another: one event of a kind is recorded, the
// others are duplicates, and an answer comes with a record exactly when it says so.
func auditAwards(c *campaign, tell report) {
	for _, a := range c.awards {
		var used [4]*event
		for _, e := range a.events {
			switch {
			case e.answer == nil:
				tell(wrong, "%s %s of %s has no answer", e.kind, e.id, c.name)
			case e.used() != (e.answer.GetSequence() > 0):
				tell(wrong, "%s %s of %s: %v has sequence %d", e.kind, e.id, c.name, e.answer.GetOutcome(),
					e.answer.GetSequence())
			case e.used() && used[e.kind] != nil:
				tell(doubled, "%s of one token of %s was recorded as %s and as %s", e.kind, c.name, used[e.kind].id, e.id)
			case e.used():
				used[e.kind] = e
			}
		}
		for _, e := range a.events {
			first := used[e.kind]
			if implies := used[click]; e.kind == impression && first == nil && implies != nil &&
				implies.answer.GetOutcome() != filtered {
				first = implies
			}
			if e.answer != nil && !e.used() && first == nil {
				tell(wrong, "%s %s of %s is a duplicate of nothing", e.kind, e.id, c.name)
			}
		}
	}
}

// historyOf returns everything that the ledger has acknowledged of an advertiser, in the order of the ledger.
func historyOf(a *advertiser, tell report) []line {
	var lines []line
	for _, c := range a.campaigns {
		for _, award := range c.awards {
			for _, e := range award.events {
				if e.used() {
					lines = append(lines, line{e.answer.GetSequence(), e, nil})
				}
			}
		}
	}
	for _, m := range a.movements {
		if m.answer != nil {
			lines = append(lines, line{m.answer.sequence, nil, m})
		}
	}
	slices.SortFunc(lines, func(a, b line) int { return cmp.Compare(a.sequence, b.sequence) })
	for i := 1; i < len(lines); i++ {
		if lines[i].sequence == lines[i-1].sequence {
			tell(doubled, "record %d of %s answers two requests", lines[i].sequence, a.name)
		}
	}
	return lines
}

// totals is what the auditor expects a campaign to have.
type totals struct {
	impressions, clicks, conversions                       int64
	exhausted, beyondCap, filtered                         int64
	chargedMicros, creditedMicros, freeMicros, valueMicros int64
}

// purse is the state of an advertiser while its history is walked.
type purse struct {
	auditor       *auditor
	balanceMicros int64
	spentOn       map[*campaign]map[string]int64 // by local date
	totals        map[*campaign]*totals
	shown         map[*award]bool       // their impression is recorded
	isBeyond      map[*award]bool       // their impression was beyond a cap
	isFiltered    map[*award]bool       // their click was filtered
	seen          map[subject][]counted // impressions that count towards caps
	clicked       map[subject][]counted // clicks that were not filtered

	judged, eitherWay int64 // events that caps and filters decide, and those of them that may come out either way
}

// datesOf are the local dates of charges by sequence, as the ledger has them.
type datesOf map[uint64]string

// walk follows the ledger's order of an advertiser's records and judges each by the rules alone: an event costs its
// whole price or nothing, and costs nothing exactly when the price is above what is left. Without dates it judges no
// daily budget, because a charge near midnight may belong to either day.
func (a *auditor) walk(one *advertiser, dates datesOf, tell report) *purse {
	p := &purse{auditor: a, spentOn: map[*campaign]map[string]int64{}, totals: map[*campaign]*totals{},
		shown: map[*award]bool{}, isBeyond: map[*award]bool{}, isFiltered: map[*award]bool{},
		seen: map[subject][]counted{}, clicked: map[subject][]counted{}}
	for _, c := range one.campaigns {
		p.spentOn[c], p.totals[c] = map[string]int64{}, &totals{}
	}
	for _, l := range historyOf(one, tell) {
		if l.movement != nil {
			p.move(l.movement, tell)
		} else {
			p.take(l.event, dates, tell)
		}
	}
	return p
}

func (p *purse) move(m *movement, tell report) {
	switch m.kind {
	case topUp:
		p.balanceMicros += m.micros
	case withdrawal:
		p.balanceMicros -= m.micros
	case credit:
		p.balanceMicros += m.micros
		p.totals[m.campaign].creditedMicros += m.micros
	}
	if m.owner.prepaid && m.answer.balanceMicros != p.balanceMicros {
		tell(wrong, "after movement %s (record %d) %s has a balance of %d, and the answer was %d", m.id, m.answer.sequence,
			m.owner.name, p.balanceMicros, m.answer.balanceMicros)
	}
	if m.owner.prepaid && p.balanceMicros < 0 {
		tell(exceeded, "movement %s (record %d) takes %s to %d", m.id, m.answer.sequence, m.owner.name, p.balanceMicros)
	}
}

// take judges an event in its place of the ledger's order.
func (p *purse) take(e *event, dates datesOf, tell report) {
	if p.takeFiltered(e, tell) {
		return
	}
	c, t := e.award.campaign, p.totals[e.award.campaign]
	due := e.award.costMicros(e.kind)
	if e.award.model == pb.PricingModel_PRICING_MODEL_CPM && p.shown[e.award] {
		due = 0
	}
	t.count(e, p.shown[e.award])
	isBeyond := p.takeBeyondCap(e, due, tell)
	if e.kind != conversion {
		p.shown[e.award] = true
	}
	paid, outcome := e.answer.GetChargedMicros(), e.answer.GetOutcome()
	switch {
	case isBeyond:
	case due == 0 && (outcome == recorded || outcome == charged) && paid == 0:
	case due > 0 && outcome == charged && paid == due:
		p.charge(e, dates, tell)
	case due > 0 && outcome == exhausted && paid == 0:
		t.exhausted++
		t.freeMicros += due
		p.spare(e, dates, due, tell)
	default:
		tell(wrong, "%s of %s (record %d) costs %d: %v, charged %d", e.kind, c.name, e.answer.GetSequence(), due, outcome,
			paid)
	}
}

func (t *totals) count(e *event, shown bool) {
	switch e.kind {
	case impression:
		t.impressions++
	case click:
		t.clicks++
		if !shown {
			t.impressions++
		}
	case conversion:
		t.conversions++
		t.valueMicros += e.valueMicros
	}
}

// charge checks a charge against every limit that was in force.
func (p *purse) charge(e *event, dates datesOf, tell report) {
	c, paid := e.award.campaign, e.answer.GetChargedMicros()
	date, known := dates[e.answer.GetSequence()]
	first, last := dateIn(c.zone, e.sent), dateIn(c.zone, e.answered)
	switch {
	case !known:
		date = first // the ledger does not list the charge, which is reported elsewhere
	case date < first || date > last:
		tell(wrong, "record %d of %s has the date %s, and was made from %s to %s", e.answer.GetSequence(), c.name, date,
			first, last)
	}
	p.spentOn[c][date] += paid
	t := p.totals[c]
	t.chargedMicros += paid
	p.balanceMicros -= paid
	_, most := c.budgetsInForce(e.sent, e.answered)
	if dates != nil && p.spentOn[c][date] > most.daily {
		tell(exceeded, "record %d takes %s to %d on %s, above its daily budget of %d", e.answer.GetSequence(), c.name,
			p.spentOn[c][date], date, most.daily)
	}
	if t.chargedMicros > most.total {
		tell(exceeded, "record %d takes %s to %d, above its total budget of %d", e.answer.GetSequence(), c.name,
			t.chargedMicros, most.total)
	}
	if c.owner.prepaid && p.balanceMicros < 0 {
		tell(exceeded, "record %d takes the balance of %s to %d", e.answer.GetSequence(), c.owner.name, p.balanceMicros)
	}
}

// spare checks that an event that was free had to be: its price was above what was left of some limit.
func (p *purse) spare(e *event, dates datesOf, due int64, tell report) {
	c := e.award.campaign
	first, last := dateIn(c.zone, e.sent), dateIn(c.zone, e.answered)
	least, _ := c.budgetsInForce(e.sent, e.answered)
	switch {
	case first != last, dates == nil, due > least.daily-p.spentOn[c][first], due > least.total-p.totals[c].chargedMicros,
		c.owner.prepaid && due > p.balanceMicros:
	default:
		tell(wrong, "record %d of %s is free, and %d was left of the day, %d in all, %d of the balance; it costs %d",
			e.answer.GetSequence(), c.name, least.daily-p.spentOn[c][first], least.total-p.totals[c].chargedMicros,
			p.balanceMicros, due)
	}
}

func dateIn(zone *time.Location, at time.Time) string { return at.In(zone).Format(time.DateOnly) }

// compare reports each total that differs from the ledger's.
func (t *totals) compare(name string, got totals, tell report) {
	for _, n := range []struct {
		what       string
		want, have int64
	}{
		{"impressions", t.impressions, got.impressions}, {"clicks", t.clicks, got.clicks},
		{"conversions", t.conversions, got.conversions}, {"events beyond a budget", t.exhausted, got.exhausted},
		{"events beyond a cap", t.beyondCap, got.beyondCap}, {"filtered events", t.filtered, got.filtered},
		{"micros charged", t.chargedMicros, got.chargedMicros}, {"micros credited", t.creditedMicros, got.creditedMicros},
		{"micros given free", t.freeMicros, got.freeMicros}, {"micros of conversions", t.valueMicros, got.valueMicros},
	} {
		switch {
		case n.have < n.want:
			tell(lost, "%s has %d %s in the ledger, %d were acknowledged", name, n.have, n.what, n.want)
		case n.have > n.want:
			tell(doubled, "%s has %d %s in the ledger, %d were acknowledged", name, n.have, n.what, n.want)
		}
	}
}

// ledgerCharge is a charge as the ledger lists it.
type ledgerCharge struct {
	micros int64
	kind   pb.EventKind
	date   string
}

// compareCharges checks that the ledger has exactly the charges that clients were told of.
func compareCharges(c *campaign, have map[uint64]ledgerCharge, tell report) {
	told := map[uint64]bool{}
	for _, a := range c.awards {
		for _, e := range a.events {
			if !e.used() || e.answer.GetChargedMicros() == 0 {
				continue
			}
			sequence := e.answer.GetSequence()
			told[sequence] = true
			switch got, found := have[sequence]; {
			case !found:
				tell(lost, "charge %d of %s, %d micros for a %s, is not in the ledger", sequence, c.name,
					e.answer.GetChargedMicros(), e.kind)
			case got.micros != e.answer.GetChargedMicros() || got.kind != e.kind:
				tell(wrong, "charge %d of %s is %d micros for a %s in the ledger, and %d for a %s in the answer", sequence, c.name,
					got.micros, got.kind, e.answer.GetChargedMicros(), e.kind)
			}
		}
	}
	for sequence, charge := range have {
		if !told[sequence] {
			tell(doubled, "charge %d of %s, %d micros for a %s, was never acknowledged", sequence, c.name, charge.micros,
				charge.kind)
		}
	}
}

// String returns the fault's name.
func (f fault) String() string { return faultNames[f] }
