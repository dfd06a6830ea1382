package ledger

import (
	"bytes"
	"encoding/binary"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Frequency caps are counted here, before the record. The owner decides in one order, so it knows which impression of a
// viewer is the first beyond a cap, and stamps the verdict. The rows that it counts by go into the batch of the record:
// they and the chain are on disk together, or not at all.
//
// The caller reads a viewer's rows ahead, and the owner lays over them what it judged since.

// exposed is a row of exposures that an impression counts in, as its caller read it.
type exposed struct {
	limit   hexbid.FrequencyCap
	seen    *frequency.Exposures
	damaged bool // the row does not decode; seen is empty
	lookup
}

// exposedTo returns the rows that an event counts in if it is an impression or implies one. Without a pseudonym there
// is nobody to count by.
func (r *reported) exposedTo(caps *frequency.Caps, erasures uint64) (rows []*exposed) {
	if !r.viewer.named {
		return nil
	}
	a := &r.event.Award
	for _, x := range [...]struct {
		limit   *hexbid.FrequencyCap
		subject hexbid.UID
		mark    byte
	}{{&caps.Campaign, a.Campaign, campaignMark}, {&caps.Advertiser, a.Advertiser, advertiserMark}} {
		if x.limit.Impressions > 0 {
			rows = append(rows, exposedOf(*x.limit, viewerKey(r.viewer.pseudonym, x.subject, x.mark), erasures))
		}
	}
	return rows
}

func exposedOf(limit hexbid.FrequencyCap, key []byte, erasures uint64) *exposed {
	x := &exposed{limit: limit}
	x.lookup = lookup{key: recentKeyOf(journal.Viewers, key), ofViewer: true, erasures: erasures,
		read: func(v journal.View) (_ uint64, err error) {
			x.seen, x.damaged, err = readExposures(v, key)
			return x.seen.Ever, err
		}}
	return x
}

// readExposures reads a row, an empty one if there is none. A row that does not decode is empty too: it must not stop
// the events of its viewer for ever, nor those that are reported with them.
func readExposures(v journal.View, key []byte) (seen *frequency.Exposures, damaged bool, err error) {
	value, err := v.Get(journal.Viewers, key)
	if value == nil || err != nil {
		return new(frequency.Exposures), false, err
	}
	x, failure := frequency.Decode(value)
	return &x, failure != nil, nil
}

// countExposures stamps an impression that is beyond a cap. It looks at every row, so that all of them are at hand when
// the impression is counted.
func (o *owner) countExposures(r *reported) error {
	isImpression := r.event.Kind == hexbid.Impression || !o.books.Used(hexbid.Impression, r.event.Token)
	if !isImpression || r.event.Verdict == fold.VerdictFiltered {
		return nil
	}
	for _, x := range r.exposed {
		var err error
		if x.seen, err = o.exposures(x); err != nil {
			return err
		}
		if !x.seen.Allow(&x.limit, o.now) {
			r.event.Verdict = fold.VerdictBeyondCap
		}
	}
	return nil
}

// exposures returns a row with all that was judged.
func (o *owner) exposures(x *exposed) (*frequency.Exposures, error) {
	if seen := o.seen.get(x.key); seen != nil {
		return seen, nil
	}
	err := o.refresh(&x.lookup, o.seen.olderFrom)
	if x.damaged {
		o.ledger.options.Log.Error("a row of what a viewer has seen or clicked cannot be read: it counts anew",
			"of", x.subject())
	}
	return x.seen, err
}

// subject returns the campaign or advertiser of the row.
func (x *exposed) subject() uint64 { return binary.BigEndian.Uint64(x.key.bytes()[pseudonymBytes:]) }

// noteExposures counts a recorded impression in the rows of its caps, whatever its outcome: the viewer saw it. Filtered
// ones nobody saw. It returns the stamp that the rows have, 0 if none counts.
func (o *owner) noteExposures(r *reported, at fold.Point) (counted int64) {
	e := &r.event
	if e.Outcome == hexbid.EventFiltered || e.Kind != hexbid.Impression && !e.Implies {
		return 0
	}
	for _, x := range r.exposed {
		counted = at.At
		x.seen.Add(counted)
		o.seen.put(x.key, x.seen, at.Sequence, o.synced)
		o.batch.see(x)
	}
	return counted
}

// see keeps a row to be written with the batch, however often it changes before.
func (b *batch) see(x *exposed) {
	if b.seen == nil {
		b.seen = map[recentKey]*frequency.Exposures{}
	}
	b.seen[x.key] = x.seen
}

// writeSeen puts the rows of exposures that changed.
func (b *batch) writeSeen() {
	for key, seen := range b.seen {
		b.Rows = append(b.Rows, journal.Row{Table: journal.Viewers, Key: bytes.Clone(key.bytes()),
			Value: seen.AppendTo(nil)})
	}
	b.seen = nil
}
