package ledger

import (
	"errors"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Events that billed nothing are most of a journal. Once they are older than the retention, compaction removes their
// records; their hourly totals stay, as do all other records. It goes on in steps. A step folds some thousand records
// into a second set of books, the base, writes the rows of the base that changed, and erases records, in one batch with
// a record that commits to the base's digest. So a kill leaves the step done or not begun, and a verifier folds from
// the base on.

// Bounds of a step.
const (
	recordsAStep = 4096
	bytesAStep   = 4 << 20
)

// compactor compacts in a goroutine of its own. It holds the base only while it works.
type compactor struct {
	ledger *Ledger
	base   *fold.Books
}

// step is the batch that one step of compaction adds.
type step struct {
	rows  journal.Batch // rows and erased records
	upto  uint64
	run   run
	bytes int
	count int
}

// run is consecutive records that are to be erased.
type run struct{ from, to uint64 }

// compact compacts when the owner says so, until the ledger closes.
func (l *Ledger) compact() {
	defer close(l.compacted)
	c := &compactor{ledger: l}
	for {
		select {
		case <-l.compactSoon:
		case <-l.ended:
			return
		}
		err := hexbid.Contain(c.compact)
		c.base = nil
		l.compactions.Add(1)
		if err != nil && !errors.Is(err, errClosed) && l.context.Err() == nil {
			l.options.Log.Error("records past the retention stay for now", "error", err)
		}
	}
}

// compact takes steps until nothing is left to compact.
func (c *compactor) compact() error {
	for {
		more, err := c.step()
		if !more || err != nil {
			return err
		}
		if err := c.ledger.context.Err(); err != nil {
			return err
		}
	}
}

// step takes one step. It reports whether there may be more to compact.
func (c *compactor) step() (more bool, err error) {
	var limit uint64
	var now int64
	if err := c.ledger.readBooks(c.ledger.context, func(o *owner) error {
		limit, now = o.chores.checkpointed, o.now
		return nil
	}); err != nil {
		return false, err
	}
	s := &step{}
	if err := c.ledger.reading(func(v journal.View) error { return c.gather(v, s, limit, now) }); err != nil {
		return false, err
	}
	if s.upto == 0 {
		return false, nil
	}
	s.erase()
	digest := c.base.CheckpointBase(&s.rows)
	return true, c.ledger.ask(c.ledger.context, newRequest(func(o *owner) error {
		return o.compact(s, &fold.Compacted{Upto: s.upto, Digest: digest})
	}))
}

// gather folds records into the base: those up to a sequence that are past the retention and that no answer is read
// from.
func (c *compactor) gather(v journal.View, s *step, limit uint64, now int64) (err error) {
	if c.base == nil {
		if c.base, err = fold.RestoreBase(v); err != nil {
			return err
		}
	}
	cutoff := now - c.ledger.options.Retention.Microseconds()
	from := fold.RecordKey(c.base.Last().Sequence + 1)
	return v.Scan(journal.Records, from, fold.RecordKey(limit+1), func(_, encoded []byte) (bool, error) {
		record, err := fold.Decode(encoded)
		if err != nil {
			return false, err
		}
		if record.At >= cutoff || answered(record, now) {
			return false, nil
		}
		if err := c.base.Apply(record, encoded, nil); err != nil {
			return false, err
		}
		s.add(record, len(encoded))
		return s.count < recordsAStep && s.bytes < bytesAStep, nil
	})
}

// answered reports whether an event may still be sent again and get its first answer.
func answered(r *fold.Record, now int64) bool {
	event, ok := r.Body.(*fold.Event)
	return ok && now < event.Award.ClickExpiry*1000+fold.AnswersLast.Microseconds()
}

// add takes in a record that is compacted.
func (s *step) add(r *fold.Record, bytes int) {
	s.upto = r.Sequence
	s.count++
	s.bytes += bytes
	if event, ok := r.Body.(*fold.Event); !ok || event.Charged > 0 {
		return
	}
	if s.run.to != r.Sequence {
		s.erase()
		s.run.from = r.Sequence
	}
	s.run.to = r.Sequence + 1
}

// erase adds the run of records to those that are erased.
func (s *step) erase() {
	if s.run.from > 0 {
		s.rows.Erase = append(s.rows.Erase, journal.Range{Table: journal.Records, From: fold.RecordKey(s.run.from),
			To: fold.RecordKey(s.run.to)})
	}
	s.run = run{}
}

// compact adds a step to the batch.
func (o *owner) compact(s *step, body *fold.Compacted) error {
	if err := o.readClock(); err != nil {
		return err
	}
	if _, err := o.append(body, nil); err != nil {
		return err
	}
	o.batch.Rows = append(o.batch.Rows, s.rows.Rows...)
	o.batch.Erase = append(o.batch.Erase, s.rows.Erase...)
	return nil
}

// compactIfDue wakes the compactor once an hour, and soon after a start.
func (o *owner) compactIfDue() {
	hour := fold.HourOf(o.now)
	if hour == o.chores.compactHour {
		return
	}
	o.chores.compactHour = hour
	select {
	case o.ledger.compactSoon <- struct{}{}:
	default: // it works still
	}
}
