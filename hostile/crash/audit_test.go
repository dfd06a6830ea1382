package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// tale is a small history of one prepaid advertiser that is right. Tests spoil it.
type tale struct {
	owner           *advertiser
	click, free     *event // of a CPC campaign: charged 5, and beyond the budget of 8
	again           *event // the click under another name
	shown, tapped   *event // of a CPM campaign: an impression for 1, and its click for nothing
	lower           *edit
	paid            *movement
	charges         map[*campaign]map[uint64]ledgerCharge
	have            map[*campaign]*totals
	cpc, cpm        *campaign
	began, afterAll time.Time
}

func newTale() *tale {
	began := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	at := func(second int) time.Time { return began.Add(time.Duration(second) * time.Second) }
	owner := &advertiser{name: "advertisers/a", prepaid: true}
	t := &tale{owner: owner, began: began, afterAll: at(100)}
	t.cpc = &campaign{name: "advertisers/a/campaigns/cpc", owner: owner, model: pb.PricingModel_PRICING_MODEL_CPC,
		zone: time.UTC, edits: []*edit{{limits: limits{daily: 20}, asked: began, known: began}}}
	t.cpm = &campaign{name: "advertisers/a/campaigns/cpm", owner: owner, model: pb.PricingModel_PRICING_MODEL_CPM,
		zone: time.UTC, edits: []*edit{{limits: limits{daily: 20}, asked: began, known: began}}}
	owner.campaigns = []*campaign{t.cpc, t.cpm}
	t.lower = &edit{limits: limits{daily: 8}, asked: at(10), known: at(11)}
	t.cpc.edits = append(t.cpc.edits, t.lower)
	t.paid = &movement{owner: owner, kind: topUp, micros: 100, id: "m", answer: &movementAnswer{1, 100}}
	owner.movements = []*movement{t.paid}
	win := func(c *campaign, priceMicros int64) *award {
		one := &award{campaign: c, token: "t", priceMicros: priceMicros, model: c.model}
		c.awards = append(c.awards, one)
		return one
	}
	happen := func(of *award, kind pb.EventKind, second int, outcome pb.EventOutcome, charged int64, n uint64) *event {
		e := &event{award: of, kind: kind, id: fmt.Sprint("e", second), sent: at(second), answered: at(second + 1),
			answer: &pb.EventResult{Outcome: outcome, ChargedMicros: charged, Sequence: n, ChainHash: []byte{byte(n)}}}
		of.events = append(of.events, e)
		return e
	}
	first := win(t.cpc, 5)
	t.click = happen(first, click, 5, charged, 5, 2)
	t.again = happen(first, click, 6, duplicate, 0, 0)
	t.free = happen(win(t.cpc, 4), click, 20, exhausted, 0, 3)
	seen := win(t.cpm, 1000)
	t.shown = happen(seen, impression, 21, charged, 1, 4)
	t.tapped = happen(seen, click, 22, recorded, 0, 5)
	t.charges = map[*campaign]map[uint64]ledgerCharge{t.cpc: {2: {5, click, "2026-11-22"}},
		t.cpm: {4: {1, impression, "2026-11-22"}}}
	t.have = map[*campaign]*totals{t.cpc: {impressions: 2, clicks: 2, exhausted: 1, chargedMicros: 5, freeMicros: 4},
		t.cpm: {impressions: 1, clicks: 1, chargedMicros: 1}}
	return t
}

// audit makes all comparisons that need no server, and returns the faults.
func (t *tale) audit() (faults []fault) {
	tell := func(f fault, format string, args ...any) { faults = append(faults, f) }
	dates := datesOf{}
	for _, c := range t.owner.campaigns {
		auditAwards(c, tell)
		compareCharges(c, t.charges[c], tell)
		for n, charge := range t.charges[c] {
			dates[n] = charge.date
		}
	}
	for c, want := range new(auditor).walk(t.owner, dates, tell).totals {
		want.compare(c.name, *t.have[c], tell)
	}
	return faults
}

func TestARightHistoryHasNoFault(t *testing.T) {
	if faults := newTale().audit(); len(faults) > 0 {
		t.Fatal(faults)
	}
}

func TestEveryKindOfFaultIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*tale)
		want  fault
	}{
		"a charge is not in the ledger": {func(t *tale) { delete(t.charges[t.cpc], 2) }, lost},
		"a click is not in the totals":  {func(t *tale) { t.have[t.cpc].clicks-- }, lost},
		"a charge that nobody was told of": {func(t *tale) {
			t.charges[t.cpm][9] = ledgerCharge{1, impression, ""}
		}, doubled},
		"a micro too much in the totals":    {func(t *tale) { t.have[t.cpm].chargedMicros++ }, doubled},
		"one token is charged twice":        {func(t *tale) { t.again.answer = t.free.answer }, doubled},
		"one record answers two events":     {func(t *tale) { t.tapped.answer.Sequence = 4 }, doubled},
		"a charge above a lowered budget":   {func(t *tale) { t.pay() }, exceeded},
		"a charge above a lowered total":    {func(t *tale) { t.lower.daily, t.lower.total = 20, 8; t.pay() }, exceeded},
		"a charge above the balance":        {func(t *tale) { t.paid.micros = 5 }, exceeded},
		"a balance that does not follow":    {func(t *tale) { t.paid.answer.balanceMicros = 99 }, wrong},
		"free though the budget had enough": {func(t *tale) { t.lower.daily = 9 }, wrong},
		"half of a price":                   {func(t *tale) { t.click.answer.ChargedMicros = 3 }, wrong},
		"a click that should cost nothing": {func(t *tale) {
			t.tapped.answer.Outcome, t.tapped.answer.ChargedMicros = charged, 1
		}, wrong},
		"a charge on another date": {func(t *tale) {
			t.charges[t.cpc][2] = ledgerCharge{5, click, "2026-11-23"}
		}, wrong},
		"another amount in the ledger": {func(t *tale) {
			t.charges[t.cpc][2] = ledgerCharge{6, click, "2026-11-22"}
		}, wrong},
		"a duplicate of nothing":     {func(t *tale) { t.click.answer = t.again.answer }, wrong},
		"an event without an answer": {func(t *tale) { t.tapped.answer = nil }, wrong},
		"a record without a number":  {func(t *tale) { t.tapped.answer.Sequence = 0 }, wrong},
	} {
		tale := newTale()
		c.spoil(tale)
		if faults := tale.audit(); !slices.Contains(faults, c.want) {
			t.Errorf("%s: %v, without %s", name, faults, c.want)
		}
	}
}

// pay lets the event beyond the budget be charged.
func (t *tale) pay() { t.free.answer.Outcome, t.free.answer.ChargedMicros = charged, 4 }

// TestLimitsThatMayHaveBeenInForce: an edit that nobody had acknowledged yet may count, and one that a later
// acknowledged edit replaced does not.
func TestLimitsThatMayHaveBeenInForce(t *testing.T) {
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	c := &campaign{edits: []*edit{
		{limits: limits{daily: 30}, asked: at(0), known: at(1)},
		{limits: limits{daily: 10, total: 50}, asked: at(10), known: at(12)},
		{limits: limits{daily: 99}, asked: at(15), never: true},
		{limits: limits{daily: 20}, asked: at(20)},
	}}
	for _, want := range []struct{ from, until, least, most int64 }{
		{2, 9, 30, 30}, {2, 11, 10, 30}, {11, 13, 10, 30}, {13, 19, 10, 10}, {13, 21, 10, 20}, {30, 31, 10, 20},
	} {
		least, most := c.budgetsInForce(at(want.from), at(want.until))
		if least.daily != want.least || most.daily != want.most {
			t.Errorf("from %d to %d: %d to %d", want.from, want.until, least.daily, most.daily)
		}
	}
}
