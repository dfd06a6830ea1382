package ledger

import (
	"encoding/binary"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/traffic"
)

// judge decides about the events of a report in order. It runs in the owner's goroutine.
func (p *report) judge(o *owner) error {
	if err := o.readClock(); err != nil {
		return err
	}
	for i := range p.events {
		if r := &p.events[i]; !r.settled {
			if err := o.judge(r, &p.answers[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge decides about one event, and records it if it uses up its kind.
func (o *owner) judge(r *reported, a *Answer) (err error) {
	if a.Outcome, err = o.decide(r); err != nil || !fold.UsesUp(a.Outcome) {
		return err
	}
	if r.event.Charged > 0 {
		if err := o.openHour(); err != nil {
			return err
		}
	}
	at, err := o.append(&r.event, r.ahead)
	if err != nil {
		return err
	}
	a.Date = r.event.Date
	a.Charged, a.Sequence, a.Hash, a.Implied = r.event.Charged, at.Sequence, at.Tail, r.event.Implies
	if a.Outcome == hexbid.EventFiltered {
		a.Reason = traffic.Reason(r.event.Reason)
	}
	a.Counted = o.noteExposures(r, at)
	o.noteTraffic(r, at)
	o.note(r, at)
	return nil
}

// decide returns an event's outcome. It is 0 for an event that is left to the first answer of its token.
func (o *owner) decide(r *reported) (outcome hexbid.EventOutcome, err error) {
	if r.event.Kind == hexbid.Conversion {
		outcome, err = o.decideConversion(r)
	} else if o.now >= r.expiry || o.books.Used(r.event.Kind, r.event.Token) {
		r.again, r.late = true, o.now >= r.expiry
	} else if r.event.Kind == hexbid.Claim {
		outcome, err = o.decideClaim(r)
	}
	if err != nil || outcome != 0 || r.again {
		return outcome, err
	}
	if err := o.filter(r); err != nil {
		return 0, err
	}
	if err := o.countExposures(r); err != nil {
		return 0, err
	}
	if err := o.price(&r.event); err != nil {
		return 0, err
	}
	if outcome = r.event.Outcome; outcome == hexbid.EventExpired { // issued before the present epoch
		r.again, r.late = true, true
		return 0, nil
	}
	return outcome, nil
}

// decideConversion looks for the conversion's click, which admits it for seven days. A conversion of a filtered click
// is filtered too, for the click's reason: no viewer clicked, so the ad did not bring the conversion about. The record
// carries the verdict, so a replay does not look for the click.
func (o *owner) decideConversion(r *reported) (hexbid.EventOutcome, error) {
	first, err := o.find(&r.conversion)
	if first != 0 || err != nil {
		r.again = true
		return 0, err
	}
	found, err := o.find(&r.click)
	if err != nil {
		return 0, err
	}
	click := clicked(found)
	window := hexbid.ConversionWindow.Microseconds()
	switch {
	case click == 0 && o.now < r.expiry+window:
		return hexbid.EventNoClick, nil
	case click == 0 || o.now >= click.at()+window:
		return hexbid.EventExpired, nil
	}
	if reason, filtered := click.filtered(); filtered && r.event.Verdict != fold.VerdictFiltered {
		r.event.Verdict, r.event.Reason = fold.VerdictFiltered, reason
	}
	return 0, nil
}

// decideClaim finds out whether the viewer has a coupon.
func (o *owner) decideClaim(r *reported) (hexbid.EventOutcome, error) {
	if !r.viewer.named {
		return hexbid.EventNoViewer, nil
	}
	taken, err := o.find(&r.coupon)
	if taken != 0 && r.event.Verdict == fold.VerdictNone {
		r.event.Verdict = fold.VerdictAlready
	}
	return 0, err
}

// price stamps the dates that the event may be charged on, and has the books decide the rest.
func (o *owner) price(e *fold.Event) (err error) {
	if e.Date, err = o.localDate(e.Award.Campaign); err != nil {
		return err
	}
	e.Posted = o.postedDate()
	return o.books.Judge(e)
}

// note keeps at hand what later events need to know of a recorded one before it is on disk, and who is concerned.
func (o *owner) note(r *reported, at fold.Point) {
	e := &r.event
	switch {
	case e.Kind == hexbid.Click:
		var room [fold.AnswerKeyBytes]byte
		key := fold.AppendAnswerKey(room[:0], e.Token, e.Kind, e.Award.ClickExpiry)
		o.recent.put(recentKeyOf(journal.Answers, key), uint64(clickedAt(at.At, &e.Ruling)), at.Sequence, o.synced)
	case e.Kind == hexbid.Conversion:
		o.recent.put(r.conversion.key, at.Sequence, at.Sequence, o.synced)
	case e.Outcome == hexbid.EventGranted:
		o.recent.put(r.coupon.key, at.Sequence, at.Sequence, o.synced)
		o.batch.Rows = append(o.batch.Rows, journal.Row{Table: journal.Viewers,
			Key: CouponKey(r.viewer.pseudonym, e.Award.Campaign), Value: binary.BigEndian.AppendUint64(nil, at.Sequence)})
	}
	if e.Charged > 0 || e.Free > 0 || e.Kind == hexbid.Claim {
		o.batch.touched.campaign(e.Award.Campaign)
		o.batch.touched.advertiser(e.Award.Advertiser)
	}
}
