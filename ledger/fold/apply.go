package fold

import (
	"encoding/binary"
	"fmt"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Apply takes a record in. Rows that follow from it go to w, which is nil when the record is replayed and its rows are
// there already. Those of totals may be behind on disk, and Settle puts them. The error is of kind DataLoss, for a
// record that does not follow the last one or that says other than the books judge. The books are of no use then.
func (b *Books) Apply(r *Record, encoded []byte, w *journal.Batch) error {
	if err := b.follows(r); err != nil {
		return err
	}
	b.Advance(r.At, w)
	b.rows.touch(&b.state)
	now := Point{Sequence: r.Sequence, Tail: HashOf(encoded), At: r.At}
	if err := b.take(r.Body, &now, encoded, w); err != nil {
		return err
	}
	if _, opens := r.Body.(*HourOpened); !opens { // which stands between a judgement and its record
		b.judged.event = nil
	}
	b.last = now
	return nil
}

// follows checks that a record goes on where the last one ended.
func (b *Books) follows(r *Record) error {
	_, opens := r.Body.(*Epoch)
	switch {
	case r.Sequence != b.last.Sequence+1:
		return faulty(r.Sequence, "does not follow record %d", b.last.Sequence)
	case r.Previous != b.last.Tail:
		return faulty(r.Sequence, "holds another hash of the record before than that has")
	case r.At < b.last.At:
		return faulty(r.Sequence, "has the stamp %d, before %d of the record before", r.At, b.last.At)
	case b.state.epoch == 0 && !opens:
		return faulty(r.Sequence, "is the first one and opens no epoch")
	}
	return nil
}

// faulty says what is wrong with a record.
func faulty(sequence uint64, format string, args ...any) error {
	return hexbid.Errorf(hexbid.DataLoss, recordName(sequence), format, args...)
}

// take applies a body.
func (b *Books) take(body Body, now *Point, encoded []byte, w *journal.Batch) error {
	switch body := body.(type) {
	case *Event:
		return b.takeEvent(body, now, encoded, w)
	case *Terms:
		return b.takeTerms(body, now, w)
	case *AdvertiserTerms:
		return b.takeAdvertiserTerms(body, now, w)
	case *Movement:
		return b.takeMovement(body, now, w)
	case *Credit:
		return b.takeCredit(body, now, w)
	case *HourOpened:
		return b.takeHourOpened(body, now, w)
	case *HourClosed:
		return b.takeHourClosed(body, now, w)
	case *Checkpoint:
		return b.takeCheckpoint(body, now, w)
	case *Compacted:
		return b.takeCompacted(body, now)
	case *Epoch:
		return b.takeEpoch(body, now)
	}
	return faulty(now.Sequence, "is of no kind that there is")
}

// put adds a row to a batch, if there is one.
func put(w *journal.Batch, t journal.Table, key, value []byte) {
	if w != nil {
		w.Rows = append(w.Rows, journal.Row{Table: t, Key: key, Value: value})
	}
}

// nothing is the value of a row that says all in its key. A nil value would delete the row.
var nothing = []byte{}

func (b *Books) takeEvent(e *Event, now *Point, encoded []byte, w *journal.Batch) error {
	c, err := b.judgeAgain(e, now)
	if err != nil {
		return err
	}
	b.useUp(e)
	if w != nil {
		key := AppendAnswerKey(b.block.cut(AnswerKeyBytes), e.Token, e.Kind, e.Award.ClickExpiry)
		put(w, journal.Answers, key, binary.BigEndian.AppendUint64(b.block.cut(8), now.Sequence))
	}
	b.state.posted = e.Posted
	b.count(c, e, w)
	if e.Outcome == hexbid.EventGranted {
		c.couponFor(e.Award.Host).taken++
	}
	if e.Charged == 0 {
		return nil
	}
	b.settleOn(c.advertiser, e.Posted, w)
	c.advertiser.charge(e.Charged)
	b.post(c, e.Posted, e.Charged, 0, w)
	return b.addLeaf(e, now, encoded, w)
}

// useUp remembers what an event uses up of its token, and how an impression came out.
func (b *Books) useUp(e *Event) {
	if e.Kind != hexbid.Conversion {
		b.use(useKind(e.Kind), e)
	}
	if e.Implies {
		b.use(useKind(hexbid.Impression), e)
	}
	if as := impressionAs(e.Outcome); as != 0 && e.Kind == hexbid.Impression {
		b.use(as, e)
	}
}

// count adds an event to its campaign's totals.
func (b *Books) count(c *campaign, e *Event, w *journal.Batch) {
	delta := Totals{Charged: e.Charged, Free: e.Free}
	if e.Outcome == hexbid.EventFiltered {
		delta.Filtered = 1
		b.add(c, e.Date, &delta, w)
		return
	}
	switch e.Kind {
	case hexbid.Impression:
		delta.Impressions = 1
	case hexbid.Click:
		delta.Clicks = 1
	case hexbid.Conversion:
		delta.Conversions, delta.ConversionValue = 1, e.Value
	}
	if e.Implies {
		delta.Impressions = 1
	}
	switch e.Outcome {
	case hexbid.EventBudgetExhausted:
		delta.Exhausted = 1
	case hexbid.EventBeyondCap:
		delta.BeyondCap = 1
	case hexbid.EventGranted:
		delta.Claims = 1
	}
	b.add(c, e.Date, &delta, w)
}

// charge debits the balance of a prepaid advertiser. A postpaid one owes the amount.
func (a *advertiser) charge(amount hexbid.Money) {
	a.Ever.Charged += amount
	a.Today.Charged += amount
	if a.Prepaid {
		a.Ever.Balance -= amount
	} else {
		a.Ever.Owed += amount
	}
	a.Today.Balance, a.Today.Owed = a.Ever.Balance, a.Ever.Owed
}

func (b *Books) takeCheckpoint(k *Checkpoint, now *Point, w *journal.Batch) error {
	b.state.catalogueVersion = k.CatalogueVersion
	campaigns, advertisers := b.Counts()
	if digest := b.rows.sum(); digest != k.Digest {
		return faulty(now.Sequence, "commits to the state %x; the records before it make %x", k.Digest, digest)
	}
	if k.Campaigns != uint64(campaigns) || k.Advertisers != uint64(advertisers) {
		return faulty(now.Sequence, "counts %d campaigns and %d advertisers; there are %d and %d", k.Campaigns,
			k.Advertisers, campaigns, advertisers)
	}
	put(w, journal.Meta, []byte(checkpointKey), encodePoint(now, k.Digest))
	return nil
}

func (b *Books) takeCompacted(k *Compacted, now *Point) error {
	if k.Upto < b.state.compacted || k.Upto >= now.Sequence {
		return faulty(now.Sequence, "says that records up to %d may have been removed; up to %d were before", k.Upto,
			b.state.compacted)
	}
	b.state.compacted = k.Upto
	return nil
}

func (b *Books) takeEpoch(e *Epoch, now *Point) error {
	if e.Number != b.state.epoch+1 {
		return faulty(now.Sequence, "opens epoch %d after epoch %d", e.Number, b.state.epoch)
	}
	b.state.epoch, b.state.epochID = e.Number, e.ID
	b.state.issuedBefore = max(b.state.issuedBefore, e.IssuedBefore)
	return nil
}

func recordName(sequence uint64) string { return fmt.Sprintf("record %d", sequence) }
