package main

import (
	"slices"
	"testing"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// visits is a small history that is right: one viewer sees a campaign with a cap of two impressions three times, and
// clicks three times, of which one counts. Tests spoil it.
type visits struct {
	auditor                *auditor
	owner                  *advertiser
	campaign               *campaign
	first, second, third   *event // impressions; the third is beyond the cap
	good, repeated, beyond *event // clicks on them, but the click on the third is of another viewer's impression
	after                  *event // the conversion of the repeated click
}

func at(second int) time.Time { return time.Date(2026, 11, 22, 4, 0, second, 0, time.UTC) }

func newVisits() *visits {
	owner := &advertiser{name: "advertisers/a", edits: []*edit{{asked: at(0), known: at(0)}}}
	c := &campaign{name: "advertisers/a/campaigns/c", owner: owner, model: pb.PricingModel_PRICING_MODEL_CPC,
		zone: time.UTC, edits: []*edit{{limits: limits{daily: 100, cap: frequencyCap{impressions: 2}}, asked: at(0),
			known: at(0)}}}
	owner.campaigns = []*campaign{c}
	v := &visits{owner: owner, campaign: c, auditor: &auditor{rules: rules{tooSoon: time.Second, repeats: 1},
		erasures: map[string][]*erasure{}}}
	sequence := uint64(0)
	happen := func(of *award, kind pb.EventKind, second int, outcome pb.EventOutcome, charged int64) *event {
		sequence++
		e := &event{award: of, kind: kind, id: "e", sent: at(second), answered: at(second),
			answer: &pb.EventResult{Outcome: outcome, ChargedMicros: charged, Sequence: sequence}}
		of.events = append(of.events, e)
		return e
	}
	var awards [3]*award
	for i := range awards {
		awards[i] = &award{campaign: c, viewer: "v", searched: at(0), offered: at(0), priceMicros: 5, model: c.model}
	}
	c.awards = awards[:]
	v.first = happen(awards[0], impression, 10, recorded, 0)
	v.good = happen(awards[0], click, 11, charged, 5)
	v.second = happen(awards[1], impression, 12, recorded, 0)
	v.repeated = happen(awards[1], click, 13, filtered, 0)
	v.after = happen(awards[1], conversion, 14, filtered, 0)
	v.third = happen(awards[2], impression, 15, beyondCap, 0)
	v.beyond = happen(awards[2], click, 16, filtered, 0)
	return v
}

func (v *visits) faults() (faults []fault) {
	v.auditor.walk(v.owner, nil, func(f fault, format string, args ...any) { faults = append(faults, f) })
	return faults
}

func TestVisitsThatAreRightHaveNoFault(t *testing.T) {
	for name, change := range map[string]func(*visits){
		"as they are": func(*visits) {},
		"a click of an impression beyond the cap, without filters": func(v *visits) {
			v.auditor.rules = rules{}
			pay(v.repeated)
			v.after.answer.Outcome, v.beyond.answer.Outcome = recorded, beyondCap
		},
		"erased in between": func(v *visits) {
			v.erase(14)
			v.third.answer.Outcome = recorded
			pay(v.beyond)
		},
		"a cap that was raised": func(v *visits) {
			v.campaign.edits = append(v.campaign.edits, &edit{limits: limits{daily: 100, cap: frequencyCap{impressions: 3}},
				asked: at(13), known: at(13)})
			v.third.answer.Outcome = recorded
		},
		"a cap that may have been raised": func(v *visits) {
			v.campaign.edits = append(v.campaign.edits, &edit{limits: limits{daily: 100}, asked: at(13)})
			v.third.answer.Outcome = recorded
		},
		"the advertiser's cap": func(v *visits) {
			v.campaign.edits[0].cap, v.owner.edits[0].cap = frequencyCap{}, frequencyCap{impressions: 2, window: time.Hour}
		},
		"a window that is over": func(v *visits) {
			v.campaign.edits[0].cap.window = time.Second
			v.third.answer.Outcome = recorded
		},
		"too soon": func(v *visits) {
			v.good.award.searched, v.good.award.offered = at(11), at(11)
			v.good.answer.Outcome, v.good.answer.ChargedMicros = filtered, 0
			pay(v.repeated)
			v.after.answer.Outcome = recorded
		},
	} {
		v := newVisits()
		change(v)
		if faults := v.faults(); len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
		}
	}
}

func TestFaultsOfCapsAndFiltersAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*visits)
		want  fault
	}{
		"an impression beyond the cap counts":       {func(v *visits) { v.third.answer.Outcome = recorded }, wrong},
		"an impression within the cap does not":     {func(v *visits) { v.second.answer.Outcome = beyondCap }, wrong},
		"a repeated click is charged":               {func(v *visits) { pay(v.repeated) }, exceeded},
		"a filtered click is charged":               {func(v *visits) { v.repeated.answer.ChargedMicros = 5 }, exceeded},
		"a person's click is filtered":              {func(v *visits) { v.good.answer = v.repeated.answer }, wrong},
		"the conversion of a filtered click counts": {func(v *visits) { v.after.answer.Outcome = recorded }, wrong},
		"the conversion of a good one is filtered": {func(v *visits) {
			v.repeated.award.searched = at(11)
			pay(v.repeated)
			v.auditor.rules.repeats = 0
		}, wrong},
		"the click of an impression beyond a cap is charged": {func(v *visits) {
			v.auditor.rules = rules{}
			pay(v.repeated)
			v.after.answer.Outcome = recorded
			pay(v.beyond)
		}, exceeded},
		"an erasure has no effect":    {func(v *visits) { v.erase(14) }, wrong},
		"a raised cap has no effect":  {func(v *visits) { v.campaign.edits[0].cap.impressions = 3 }, wrong},
		"a removed cap has an effect": {func(v *visits) { v.campaign.edits[0].cap = frequencyCap{} }, wrong},
		"a deleted campaign follows its advertiser": {func(v *visits) {
			v.campaign.edits[0].cap, v.owner.edits[0].cap = frequencyCap{}, frequencyCap{impressions: 9}
			v.campaign.removeAsked, v.campaign.removeKnown = at(1), at(2)
			v.owner.edits = append(v.owner.edits, &edit{limits: limits{cap: frequencyCap{impressions: 2}}, asked: at(3),
				known: at(4)})
		}, wrong},
	} {
		v := newVisits()
		c.spoil(v)
		if faults := v.faults(); !slices.Contains(faults, c.want) {
			t.Errorf("%s: %v, without %s", name, faults, c.want)
		}
	}
}

// pay lets a click be charged.
func pay(e *event) {
	e.answer = &pb.EventResult{Outcome: charged, ChargedMicros: 5, Sequence: e.answer.Sequence}
}

// erase erases the viewer at a second.
func (v *visits) erase(second int) {
	v.auditor.erasures["v"] = []*erasure{{asked: at(second), known: at(second)}}
}
