package ledger

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/traffic"
)

// report is a call of Record on its way: its caller checks and encodes the events, the owner judges them, and the
// caller reads first answers again once all is on disk.
type report struct {
	events  []reported
	answers []Answer
}

// reported is an event of a report.
type reported struct {
	event  fold.Event
	ahead  []byte // the encoded event, without what the owner decides
	expiry int64  // of the click, as a stamp
	viewer viewer

	click, conversion, coupon lookup     // what judging a conversion and a claim needs
	exposed                   []*exposed // what judging an impression needs
	traffic                   traffic.Click
	clicks                    *exposed // the viewer's on the campaign; nil if they are not counted

	settled bool // answered before the owner sees it
	again   bool // answered by the first answer, once the report's batch is on disk
	late    bool // if there is no first answer, it has expired
}

// viewer is the pseudonym of who looked, if the search named one.
type viewer struct {
	named     bool
	pseudonym [16]byte
}

// Record records events and returns the answer to each, in order. What the answers rest on is on disk by then. When the
// context ends, Record returns its error. An event that is queued by then may still be recorded, and gets its first
// answer when it is sent again. The ledger may also still read the awards that the events point to, so they must not
// change.
func (l *Ledger) Record(ctx context.Context, events []Event) ([]Answer, error) {
	p, err := l.prepare(ctx, events)
	if err != nil {
		return nil, err
	}
	if err := l.ask(ctx, newRequest(p.judge)); err != nil {
		return nil, err
	}
	if err := l.settle(ctx, p); err != nil {
		return nil, err
	}
	for i := range p.answers {
		if a := &p.answers[i]; a.Sequence == 0 {
			l.tallies.add(a.Outcome, 1)
		} else if a.Outcome == hexbid.EventFiltered && !a.Again && a.Reason < traffic.ReasonCount {
			l.filtered[a.Reason].Add(1)
		}
	}
	return p.answers, nil
}

// Count counts events that were answered without the ledger: forged and refused ones. A crash may lose the last
// seconds of these counts.
func (l *Ledger) Count(outcome hexbid.EventOutcome, n int) { l.tallies.add(outcome, n) }

// prepare checks and encodes events, and looks up what judging them needs.
func (l *Ledger) prepare(ctx context.Context, events []Event) (*report, error) {
	if len(events) > hexbid.MaxEvents {
		return nil, hexbid.Invalidf("events", "%d events: at most %d a call", len(events), hexbid.MaxEvents)
	}
	now, err := l.clock.stamp()
	if err != nil {
		return nil, err
	}
	p := &report{events: make([]reported, len(events)), answers: make([]Answer, len(events))}
	lookups, erasures := false, l.erasures.Load()
	for i := range events {
		if err := events[i].validate(); err != nil {
			return nil, err
		}
		r := &p.events[i]
		r.prepare(&events[i], erasures)
		r.prepareTraffic(&events[i], l.options.Traffic, erasures)
		if now >= r.expiry+fold.AnswersLast.Microseconds() {
			r.settled, p.answers[i].Outcome = true, hexbid.EventExpired
		} else {
			lookups = lookups || r.needsLookup()
		}
	}
	if !lookups {
		return p, nil
	}
	return p, l.ReadSynced(ctx, p.look)
}

// validate refuses what no client's event turns into.
func (e *Event) validate() error {
	switch {
	case e.Kind == 0 || e.Kind >= hexbid.EventKindCount:
		return hexbid.Invalidf("kind", "%d is no kind of event", e.Kind)
	case e.EventID == "" || len(e.EventID) > hexbid.MaxEventIDBytes:
		return hexbid.Invalidf("event_id", "%q has %d bytes: give 1 to %d", hexbid.Shorten(e.EventID), len(e.EventID),
			hexbid.MaxEventIDBytes)
	case e.Value < 0 || e.Value > hexbid.MaxEventValue || e.Value != 0 && e.Kind != hexbid.Conversion:
		return hexbid.Invalidf("value_micros", "%s of a %s: only a conversion has a value, of at most %d micros",
			e.Value.Micros(), e.Kind, int64(hexbid.MaxEventValue))
	case e.Award == nil:
		return hexbid.Invalidf("token", "is not opened")
	}
	return nil
}

// prepare encodes an event and says what to look up. It is given the number of erasures of viewers before that is done.
func (r *reported) prepare(e *Event, erasures uint64) {
	r.event = fold.Event{Kind: e.Kind, Token: e.Name, EventID: fold.HashEventID(e.Name, e.Kind, e.EventID),
		Award: fold.AwardOf(e.Award), Value: e.Value, Ruling: fold.Ruling{Verdict: e.Verdict, Reason: e.Reason}}
	r.ahead = fold.EncodeAhead(&r.event)
	r.expiry = e.Award.ClickExpiry.UnixMicro()
	r.viewer = viewer{named: e.Award.HasViewer, pseudonym: e.Award.Viewer}
	switch {
	case e.Kind == hexbid.Conversion:
		r.click, r.conversion = r.clickLookup(), r.conversionLookup()
	case e.Kind == hexbid.Impression || e.Kind == hexbid.Click:
		r.exposed = r.exposedTo(&e.Caps, erasures)
	case e.Kind == hexbid.Claim && r.viewer.named:
		r.coupon = couponLookup(r.viewer.pseudonym, e.Award.Campaign, erasures)
	}
}

// answerKey is the key of the first answer to an event of the same token.
func (r *reported) answerKey(kind hexbid.EventKind) []byte {
	return fold.AnswerKey(r.event.Token, kind, r.event.Award.ClickExpiry)
}

// conversionLookup looks for the record of the token's conversion.
func (r *reported) conversionLookup() lookup {
	key := r.answerKey(hexbid.Conversion)
	return lookup{key: recentKeyOf(journal.Answers, key), read: func(v journal.View) (uint64, error) {
		return readIndex(v, journal.Answers, key)
	}}
}

// clickLookup looks for the token's click, as a clicked.
func (r *reported) clickLookup() lookup {
	key := r.answerKey(hexbid.Click)
	return lookup{key: recentKeyOf(journal.Answers, key), read: func(v journal.View) (uint64, error) {
		sequence, err := readIndex(v, journal.Answers, key)
		if sequence == 0 || err != nil {
			return 0, err
		}
		record, _, err := readRecord(v, sequence)
		if err != nil {
			return 0, err
		}
		if record == nil {
			return 0, missing(sequence)
		}
		event, ok := record.Body.(*fold.Event)
		if !ok {
			return 0, notAnEvent(sequence)
		}
		return uint64(clickedAt(record.At, &event.Ruling)), nil
	}}
}

// clicked is what a conversion needs to know of its click, packed into the value of a lookup. The lowest byte is the
// reason why the click was filtered, the bit above says whether it was, and the rest is the click's stamp. It is 0 for
// no click.
type clicked uint64

const (
	clickFiltered = 1 << 8
	clickStamp    = 9 // the bits below the stamp
)

func clickedAt(stamp int64, r *fold.Ruling) clicked {
	c := clicked(stamp) << clickStamp
	if r.Outcome == hexbid.EventFiltered {
		c |= clickFiltered | clicked(r.Reason)
	}
	return c
}

func (c clicked) at() int64 { return int64(c >> clickStamp) }

// filtered reports whether the click was invalid traffic, and for which reason.
func (c clicked) filtered() (reason uint8, is bool) { return uint8(c), c&clickFiltered != 0 }

// couponLookup looks for a viewer's claim from a campaign: 1 if there is one. A row that is damaged still says so.
func couponLookup(pseudonym [16]byte, campaign hexbid.UID, erasures uint64) lookup {
	key := CouponKey(pseudonym, campaign)
	return lookup{key: recentKeyOf(journal.Viewers, key), ofViewer: true, erasures: erasures,
		read: func(v journal.View) (uint64, error) {
			value, err := v.Get(journal.Viewers, key)
			if value == nil {
				return 0, err
			}
			return 1, err
		}}
}

func (r *reported) needsLookup() bool {
	return r.conversion.read != nil || r.coupon.read != nil || len(r.exposed) > 0 || r.clicks != nil
}

// lookups are what the event needs to have looked up.
func (r *reported) lookups() (needed []*lookup) {
	for _, k := range []*lookup{&r.click, &r.conversion, &r.coupon} {
		if k.read != nil {
			needed = append(needed, k)
		}
	}
	for _, x := range r.exposed {
		needed = append(needed, &x.lookup)
	}
	if r.clicks != nil {
		needed = append(needed, &r.clicks.lookup)
	}
	return needed
}

// look looks up what judging the events needs.
func (p *report) look(v journal.View) error {
	for i := range p.events {
		r := &p.events[i]
		if r.settled {
			continue
		}
		for _, k := range r.lookups() {
			if err := k.look(v); err != nil {
				return err
			}
		}
	}
	return nil
}
