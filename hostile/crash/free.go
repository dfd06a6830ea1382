package main

// takeFiltered judges whether an event is rightly filtered, or rightly not. It reports whether it was: then it counts
// as nothing else.
func (p *purse) takeFiltered(e *event, tell report) bool {
	c, of := e.award.campaign, subject{e.award.viewer, e.award.campaign}
	want := no
	switch e.kind {
	case click:
		want = p.auditor.filters(e, p.clicked[of], p.shown[e.award])
	case conversion:
		want = expect(p.isFiltered[e.award], false)
	}
	is := e.answer.GetOutcome() == filtered
	p.settle(want, is, e, "filtered", tell)
	if e.kind == click {
		p.isFiltered[e.award] = is
		if !is && e.award.viewer != "" {
			p.clicked[of] = append(p.clicked[of], counted{e, true})
		}
	}
	if is {
		p.totals[c].filtered++
	}
	return is
}

// takeBeyondCap judges whether an event is rightly beyond a cap, or rightly not, and counts an impression towards the
// caps. It reports whether the event was beyond one.
func (p *purse) takeBeyondCap(e *event, due int64, tell report) bool {
	isImpression := e.kind == impression || e.kind == click && !p.shown[e.award]
	want := no
	if isImpression {
		want = p.countImpression(e)
	} else if e.kind == click {
		want = expect(p.isBeyond[e.award], false)
	}
	is := e.answer.GetOutcome() == beyondCap
	p.settle(want, is, e, "beyond a cap", tell)
	if is {
		t := p.totals[e.award.campaign]
		t.beyondCap++
		t.freeMicros += due
		if isImpression {
			p.isBeyond[e.award] = true
		}
	}
	return is
}

// countImpression tells whether an impression is beyond the caps of its campaign and its advertiser, and counts it.
func (p *purse) countImpression(e *event) (want expectation) {
	if e.award.viewer == "" {
		return no
	}
	c := e.award.campaign
	for of, possible := range map[subject][]limits{
		{e.award.viewer, c}:   inForce(c.edits, e.sent, e.answered),
		{e.award.viewer, nil}: c.capsInForce(e.sent, e.answered),
	} {
		want = max(want, p.auditor.beyond(possible, p.seen[of], e))
		if surely, maybe := counts(possible); maybe {
			p.seen[of] = append(p.seen[of], counted{e, surely})
		}
	}
	return want
}

// settle compares what should have become of an event with what did.
func (p *purse) settle(want expectation, is bool, e *event, what string, tell report) {
	if want != no {
		p.judged++
	}
	paid, name, sequence := e.answer.GetChargedMicros(), e.award.campaign.name, e.answer.GetSequence()
	switch {
	case want == either:
		p.eitherWay++
	case want == yes && !is && paid > 0:
		tell(exceeded, "%s of %s (record %d) is %s, and was charged %d", e.kind, name, sequence, what, paid)
	case is != (want == yes):
		tell(wrong, "%s of %s (record %d) came out %v: it is %s: %v", e.kind, name, sequence, e.answer.GetOutcome(), what,
			want == yes)
	}
	if is && paid > 0 {
		tell(exceeded, "%s of %s (record %d) is %s, and was charged %d", e.kind, name, sequence, what, paid)
	}
}
