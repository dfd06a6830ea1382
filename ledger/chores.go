package ledger

import (
	"io"
	"time"

	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// chores is what the owner does by itself as time passes, also when nobody calls.
type chores struct {
	records      int    // since the last checkpoint
	checkpointAt int64  // stamp of the last one
	checkpointed uint64 // its record
	unsettled    bool   // records may have changed totals whose rows are not written
	settledAt    int64  // stamp of the last time that all of them were written
	tallyAt      int64  // stamp of the last look at the tallies
	answersFrom  uint32 // the hour that first answers are erased up to
	compactHour  uint32 // when the compactor was woken last
	toldAt       int64  // stamp of the last message about a client whose clicks are filtered
}

// tallyEvery is how often counts of events without a record are written.
const tallyEvery = time.Second

// settleEvery is how far rows of totals may be behind when nobody reads them. ReadTotals has them written before.
// Settling seldom spares most of them: at a high rate, ten times a second would write as many rows of totals as of
// events.
const settleEvery = time.Minute

// readClock takes the present stamp, and brings the books to it. It fails while the clock is wrong.
func (o *owner) readClock() error {
	stamp, err := o.ledger.clock.stamp()
	if err != nil {
		return err
	}
	o.now = stamp
	if stamp == o.books.Last().At {
		return nil
	}
	rows := len(o.batch.Rows)
	o.applying = true
	o.books.Advance(stamp, &o.batch.Batch)
	o.applying = false
	if len(o.batch.Rows) > rows { // of an hour that has ended, maybe without a record that says so
		o.settle()
	}
	return o.closeHour()
}

// closeHour ends the tree of an hour that has passed.
func (o *owner) closeHour() error {
	if closed := o.books.HourToClose(); closed != nil {
		_, err := o.append(closed, nil)
		return err
	}
	return nil
}

// openHour begins the tree of the present hour, before its first charge.
func (o *owner) openHour() error {
	hour, due := o.books.HourToOpen()
	if !due {
		return nil
	}
	opened := &fold.HourOpened{Hour: hour}
	if _, err := io.ReadFull(o.ledger.options.Random, opened.Salt[:]); err != nil {
		return err
	}
	_, err := o.append(opened, nil)
	return err
}

// tick does the chores that are due. While the clock is wrong there are none.
func (o *owner) tick() error {
	if o.readClock() != nil {
		return nil // the callers hear of it, and so does whoever asks for the ledger's health
	}
	if o.now >= o.chores.settledAt+settleEvery.Microseconds() {
		o.settle()
	}
	o.writeTally()
	o.forgetAnswers()
	o.compactIfDue()
	return nil
}

// settle writes the rows of totals. They follow from records that are on disk before them or with them.
func (o *owner) settle() {
	if o.chores.unsettled {
		defer o.ledger.turns.note(Settling, time.Now())
		o.applying = true
		o.books.Settle(&o.batch.Batch)
		o.applying, o.chores.unsettled, o.chores.settledAt = false, false, o.now
	}
}

// writeTally writes the counts of events without a record. Those of a new hour, and of the present one after a start,
// begin with what the journal has. What cannot be read waits for the next time.
func (o *owner) writeTally() {
	if o.now < o.chores.tallyAt+tallyEvery.Microseconds() {
		return
	}
	o.chores.tallyAt = o.now
	if hour := fold.HourOf(o.now); o.tally.hour != hour {
		if o.ledger.reading(func(v journal.View) (err error) {
			o.tally, err = readTally(v, hour)
			return err
		}) != nil {
			o.tally = hourTally{}
			return
		}
	}
	o.batch.kept = append(o.batch.kept, o.tally.gather(&o.ledger.tallies)...)
}

// forgetAnswers erases first answers that nobody is given any more, an hour at a time.
func (o *owner) forgetAnswers() {
	from := fold.HourOf(o.now - fold.AnswersLast.Microseconds())
	if o.now < fold.AnswersLast.Microseconds() || from <= o.chores.answersFrom {
		return
	}
	o.chores.answersFrom = from
	o.batch.Erase = append(o.batch.Erase, journal.Range{Table: journal.Answers, To: fold.AnswersFrom(from)})
}
