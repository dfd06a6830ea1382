package ledger

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/traffic"
)

// Impressions and clicks of invalid traffic are found here, before the record. The owner stamps the verdict and the
// reason, and the fold charges nothing. An event that is expired or a duplicate is not judged. A filtered click
// implies no impression, so it counts towards no frequency cap.
//
// A viewer's clicks on a campaign are rows of journal.Viewers, in the form of exposures. Like those they go into the
// batch of the record, so a restart forgets none. All other counts are in memory and begin anew with the owner's
// books.

// prepareTraffic notes what judging a click, or counting an impression, needs of its award.
func (r *reported) prepareTraffic(e *Event, limits traffic.Limits, erasures uint64) {
	a := e.Award
	if e.Kind == hexbid.Impression {
		r.traffic.Cell, r.traffic.HasViewer, r.traffic.Viewer = a.Cell, a.HasViewer, a.Viewer
	}
	if e.Kind != hexbid.Click {
		return
	}
	r.traffic = traffic.Click{IssuedAt: a.IssuedAt.UnixMicro(), Client: a.ClientID, Cell: a.Cell,
		HasViewer: a.HasViewer, Viewer: a.Viewer}
	if limits.RepeatClicks > 0 && a.HasViewer {
		limit := hexbid.FrequencyCap{Impressions: limits.RepeatClicks, Window: limits.RepeatWindow}
		r.clicks = exposedOf(limit, viewerKey(a.Viewer, a.Campaign, clicksMark), erasures)
	}
}

// filter judges an impression or a click, and stamps one that is invalid traffic. An event that its caller has judged
// keeps its verdict.
func (o *owner) filter(r *reported) error {
	switch {
	case r.event.Verdict == fold.VerdictFiltered:
	case r.event.Kind == hexbid.Impression:
		if reason := o.traffic.JudgeImpression(r.impression(o.now)); reason != traffic.Valid {
			r.event.Verdict, r.event.Reason = fold.VerdictFiltered, uint8(reason)
		}
	case r.event.Kind == hexbid.Click:
		return o.filterClick(r)
	}
	return nil
}

// impression is what the filter looks at of an impression.
func (r *reported) impression(at int64) *traffic.Impression {
	c := &r.traffic
	return &traffic.Impression{At: at, Cell: c.Cell, HasViewer: c.HasViewer, Viewer: c.Viewer}
}

func (o *owner) filterClick(r *reported) (err error) {
	c := &r.traffic
	c.At, c.HasImpression = o.now, o.books.Used(hexbid.Impression, r.event.Token)
	if r.clicks != nil {
		if r.clicks.seen, err = o.exposures(r.clicks); err != nil {
			return err
		}
		c.Earlier = r.clicks.seen.Stamps
	}
	if reason := o.traffic.Judge(c); reason != traffic.Valid {
		r.event.Verdict, r.event.Reason = fold.VerdictFiltered, uint8(reason)
		o.tellOfClient(c, reason)
	}
	return nil
}

// tellEvery spaces messages about clients.
const tellEvery = 60_000_000 // microseconds

// tellOfClient logs which client's clicks are filtered for want of impressions, because its operator can mend that.
func (o *owner) tellOfClient(c *traffic.Click, reason traffic.Reason) {
	if reason == traffic.WithoutImpression && o.now >= o.chores.toldAt+tellEvery {
		o.chores.toldAt = o.now
		o.ledger.options.Log.Warn("clicks of a client are filtered, because too many come without their impressions",
			"client", c.Client)
	}
}

// noteTraffic counts a recorded click or impression.
func (o *owner) noteTraffic(r *reported, at fold.Point) {
	switch e := &r.event; {
	case e.Kind == hexbid.Impression:
		reason := traffic.Valid
		if e.Outcome == hexbid.EventFiltered {
			reason = traffic.Reason(e.Reason)
		}
		o.traffic.Seen(r.impression(at.At), reason)
	case e.Kind != hexbid.Click:
	case e.Outcome != hexbid.EventFiltered:
		o.traffic.Clicked(&r.traffic, traffic.Valid)
		o.noteClick(r, at)
	default:
		o.traffic.Clicked(&r.traffic, traffic.Reason(e.Reason))
	}
}

// noteClick counts a click that was not filtered in the viewer's row of the campaign.
func (o *owner) noteClick(r *reported, at fold.Point) {
	if x := r.clicks; x != nil {
		x.seen.Add(at.At)
		o.seen.put(x.key, x.seen, at.Sequence, o.synced)
		o.batch.see(x)
	}
}

// Filtered returns how many events were filtered since the start, by the names of reasons.
func (l *Ledger) Filtered() map[string]uint64 {
	byReason := make(map[string]uint64, traffic.ReasonCount)
	for reason := range traffic.ReasonCount {
		byReason[reason.String()] = l.filtered[reason].Load()
	}
	return byReason
}
