package fold

import (
	"github.com/hexbid/hexbid"
)

// Judge fills in an event's outcome, what is charged, whether a click implies its impression, and dates put forward.
// It changes nothing. The event is judged at the instant that Advance has reached. An outcome that does not use up the
// token's kind (UsesUp) makes no record. The owner looks conversions up itself: Judge takes each as the first, of a
// token with a recorded click. Its error is of kind Exhausted: there are too many bitmaps of tokens in use.
func (b *Books) Judge(e *Event) error {
	b.judged.event = nil
	e.Outcome, e.Charged, e.Free, e.Implies, e.Creative, e.Balance = 0, 0, 0, false, 0, 0
	c, refusal := b.admit(e)
	if refusal != 0 {
		e.Outcome = refusal
		return nil
	}
	e.Date, e.Posted = c.dateFrom(e.Date), max(b.state.posted, e.Posted)
	switch {
	case e.Verdict == VerdictFiltered || b.isClickOf(e, seenFiltered):
		e.Outcome = hexbid.EventFiltered
	case e.Kind == hexbid.Conversion:
		e.Outcome = hexbid.EventRecorded
	case e.Kind == hexbid.Claim:
		b.judgeClaim(e, c)
	default:
		e.Implies = e.Kind == hexbid.Click && !b.uses.has(useKind(hexbid.Impression), e.Token)
		judgePrice(e, c, e.Verdict == VerdictBeyondCap || b.isClickOf(e, seenBeyondCap))
	}
	if err := b.checkRoom(e); err != nil {
		return err
	}
	b.judged = judgement{event: e, ruling: e.Ruling, campaign: c, at: b.at}
	return nil
}

// isClickOf reports whether an event is the click of an impression that came out so. Such a click shares the
// impression's outcome: nobody pays for the click of an impression that was not to be shown, or that nobody saw.
func (b *Books) isClickOf(e *Event, impression useKind) bool {
	return e.Kind == hexbid.Click && b.uses.has(impression, e.Token)
}

// judgement is what Judge found last. Apply of that very event need not judge it again, unless the books have changed
// in between.
type judgement struct {
	event    *Event // nil when the books have changed
	ruling   Ruling
	campaign *campaign
	at       int64
}

// judgeAgain returns the campaign of an event's record, and an error if the record says other than the books judge.
func (b *Books) judgeAgain(e *Event, now *Point) (*campaign, error) {
	if j := &b.judged; j.event == e && j.at == b.at && j.ruling == e.Ruling {
		return j.campaign, nil
	}
	stated := e.Ruling
	err := b.Judge(e)
	judged := e.Ruling
	if e.Ruling = stated; err != nil {
		return nil, err
	}
	if judged != stated || b.judged.event == nil {
		return nil, faulty(now.Sequence, "says %+v of an event; the books say %+v", stated, judged)
	}
	return b.judged.campaign, nil
}

// admit returns the campaign that an event is for, or the outcome of one that uses up nothing.
func (b *Books) admit(e *Event) (*campaign, hexbid.EventOutcome) {
	a := &e.Award
	c := b.campaigns[a.Campaign]
	if e.Kind == 0 || e.Kind >= hexbid.EventKindCount || c == nil || c.advertiser.Advertiser != a.Advertiser {
		return nil, hexbid.EventRefused
	}
	if a.IssuedAt < b.state.issuedBefore {
		return nil, hexbid.EventExpired
	}
	if e.Kind == hexbid.Conversion {
		return c, 0
	}
	if a.expired(b.at) {
		return nil, hexbid.EventExpired
	}
	if b.uses.has(useKind(e.Kind), e.Token) {
		return nil, hexbid.EventDuplicate
	}
	return c, 0
}

// expired reports whether a token's impression, click or claim is too late at a stamp.
func (a *Award) expired(at int64) bool { return at/1000 >= a.ClickExpiry }

// checkRoom returns an error when a token in use could not be remembered.
func (b *Books) checkRoom(e *Event) error {
	if e.Kind == hexbid.Conversion {
		return nil
	}
	lacking := b.uses.lacks(useKind(e.Kind), e.Token)
	if e.Implies {
		lacking += b.uses.lacks(useKind(hexbid.Impression), e.Token)
	}
	if as := impressionAs(e.Outcome); as != 0 && e.Kind == hexbid.Impression {
		lacking += b.uses.lacks(as, e.Token)
	}
	if lacking == 0 || len(b.uses.chunks)+lacking <= MaxChunks {
		return nil
	}
	return hexbid.Errorf(hexbid.Exhausted, "event.token", "is of one issuer too many: tokens of %d chunks are in use; "+
		"send it again in some minutes", MaxChunks)
}

// judgePrice charges the whole of what an impression or a click costs, or nothing. What is beyond a cap is free.
func judgePrice(e *Event, c *campaign, beyondCap bool) {
	due, billable := e.Award.due(e.Kind, e.Implies)
	switch {
	case beyondCap:
		e.Outcome, e.Free = hexbid.EventBeyondCap, due
	case !billable:
		e.Outcome = hexbid.EventRecorded
	case due <= c.left(e.Date).Min:
		e.Outcome, e.Charged = hexbid.EventCharged, due
	default:
		e.Outcome, e.Free = hexbid.EventBudgetExhausted, due
	}
}

func (b *Books) judgeClaim(e *Event, c *campaign) {
	p := c.couponFor(e.Award.Host)
	if p != nil {
		e.Creative = p.Host
	}
	switch {
	case e.Verdict == VerdictAlready:
		e.Outcome = hexbid.EventAlready
	case p == nil || b.at/1000 >= p.ValidUntil || p.taken >= p.Total:
		e.Outcome = hexbid.EventGone
	default:
		e.Outcome = hexbid.EventGranted
	}
}

// due returns what an event costs, and whether events of its kind are what the campaign pays for: a click its price
// under CPC, an impression a thousandth of it under CPM. A click that implies its impression costs what the two do.
func (a *Award) due(kind hexbid.EventKind, implies bool) (due hexbid.Money, billable bool) {
	switch {
	case a.Basis.Pricing == hexbid.CPC && kind == hexbid.Click:
		return a.Price, true
	case a.Basis.Pricing == hexbid.CPM && (kind == hexbid.Impression || implies):
		return a.Price / 1000, true
	}
	return 0, false
}

// Left returns what a campaign may still be charged on a local date of its own. A date before its last one counts as
// the last one. A campaign without terms may be charged nothing.
func (b *Books) Left(uid hexbid.UID, date int32) Left {
	c := b.campaigns[uid]
	if c == nil {
		return Left{}
	}
	return c.left(c.dateFrom(date))
}
