package audit

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// link is a record of the chain.
type link struct {
	*fold.Record
	encoded []byte
	hash    fold.Hash
}

// foldRecords folds the records after the base, each once the next one has confirmed its hash. It reports whether all
// of them could be folded.
func (a *auditor) foldRecords() (whole bool, err error) {
	var last *link
	stopped := false
	err = a.View.Scan(journal.Records, fold.RecordKey(a.base.Sequence+1), nil, func(key, value []byte) (bool, error) {
		next := a.read(last, key, value)
		if stopped = next == nil || last != nil && !a.fold(last); stopped {
			return false, nil
		}
		last = next
		return true, a.pause(next.Sequence)
	})
	if err == nil && !stopped && last != nil {
		stopped = !a.fold(last)
	}
	return !stopped, err
}

// progressEvery is how many records lie between two looks at the context.
const progressEvery = 1 << 14

func (a *auditor) pause(sequence uint64) error {
	if sequence%progressEvery != 0 && sequence != a.View.Last() {
		return nil
	}
	if a.Progress != nil {
		a.Progress(sequence-a.base.Sequence, a.View.Last()-a.base.Sequence)
	}
	return a.ctx.Err()
}

// read decodes a record that must follow another one. It returns nil after a fault.
func (a *auditor) read(last *link, key, value []byte) *link {
	before := a.base
	if last != nil {
		before = fold.Point{Sequence: last.Sequence, Tail: last.hash}
	}
	a.at = before.Sequence + 1
	if sequence := binary.BigEndian.Uint64(key); sequence != a.at {
		a.wrong(a.at, a.place(), "none; the next is "+recordName(sequence))
		return nil
	}
	encoded := slices.Clone(value)
	record, err := fold.Decode(encoded)
	if err != nil {
		a.wrong(a.at, "a record", fmt.Sprintf("%d bytes: %v", len(value), err))
		return nil
	}
	next := &link{record, encoded, fold.HashOf(encoded)}
	if record.Sequence != a.at {
		a.wrong(a.at, a.place(), recordName(record.Sequence)+" in its place")
		return nil
	}
	if record.Previous != before.Tail {
		a.broken(before, next)
		return nil
	}
	return next
}

// broken finds out which of two neighbours was changed, when the second holds another hash than the first one has: if
// the second is what the record after it says, it is the first.
func (a *auditor) broken(before fold.Point, next *link) {
	if a.confirmed(next) || before.Sequence == a.base.Sequence {
		a.wrong(max(before.Sequence, 1), hashText(next.Previous)+", which "+recordName(next.Sequence)+" holds",
			hashText(before.Tail))
		return
	}
	a.wrong(next.Sequence, hashText(before.Tail)+" of the record before", hashText(next.Previous))
}

// confirmed reports whether the record after one, or somebody who knows the tail, has the same hash of it.
func (a *auditor) confirmed(l *link) bool {
	for _, known := range a.Known {
		if known.Sequence == l.Sequence {
			return known.Tail == l.hash
		}
	}
	value, err := a.View.Get(journal.Records, fold.RecordKey(l.Sequence+1))
	if err != nil || value == nil {
		return false
	}
	after, err := fold.Decode(value)
	return err == nil && after.Previous == l.hash
}

// fold applies a record to the books, and takes in the rows that follow from it.
func (a *auditor) fold(l *link) bool {
	a.at = l.Sequence
	a.verifyKnown(l.Sequence, l.hash)
	var w journal.Batch
	err := hexbid.Contain(func() error { return a.apply(l, &w) })
	if err != nil {
		a.wrong(l.Sequence, "what follows from the records before", err.Error())
		return false
	}
	a.rows.put(w.Rows)
	if l.Sequence == a.marks.settled {
		a.settle()
	}
	a.count(l)
	return true
}

// apply applies a record. Where the rows of the state stand for it, they are written as its owner did.
func (a *auditor) apply(l *link, w *journal.Batch) error {
	if checkpoint, ok := l.Body.(*fold.Checkpoint); ok && l.Sequence == a.marks.checkpoint {
		a.books.Advance(l.At, w)
		var state journal.Batch
		a.books.Checkpoint(checkpoint.CatalogueVersion, &state)
		a.rows.settle(state.Rows)
	}
	return a.books.Apply(l.Record, l.encoded, w)
}

func (a *auditor) settle() {
	var w journal.Batch
	a.books.Settle(&w)
	a.rows.settle(w.Rows)
	a.keepEver()
}

// count counts what a report tells.
func (a *auditor) count(l *link) {
	a.Records++
	a.Last = a.books.Last()
	switch body := l.Body.(type) {
	case *fold.Checkpoint:
		a.Checkpoints++
	case *fold.HourClosed:
		a.Hours++
		a.joinLinks(l.Sequence, body)
		a.lastClosed, a.lastClosedAt = *body, l.At
	case *fold.Compacted:
		a.compacted(l.Sequence, body)
	case *fold.Credit:
		a.credited(l.Sequence, body)
	case *fold.Event:
		if body.Charged > 0 {
			a.Charges++
			a.Charged += body.Charged
		}
	}
}

// credited compares the charges that a credit names with their records. The books know of a charge only what credits
// say of it.
func (a *auditor) credited(sequence uint64, credit *fold.Credit) {
	for i, charge := range credit.Charges {
		want := fmt.Sprintf("a credit for record %d of %d micros of campaign %d", charge, credit.Charged[i], credit.Campaign)
		encoded, err := a.View.Get(journal.Records, fold.RecordKey(charge))
		if err != nil || encoded == nil {
			a.wrong(sequence, "a credit for a charge that is there", want)
			continue
		}
		record, err := fold.Decode(encoded)
		if err != nil {
			continue // that record has its own fault
		}
		event, ok := record.Body.(*fold.Event)
		if !ok || event.Award.Campaign != credit.Campaign || event.Charged != credit.Charged[i] {
			a.wrong(sequence, "a credit for what was charged", want)
		}
	}
}

// compacted compares what a record says of the state that compaction has left with that state.
func (a *auditor) compacted(sequence uint64, body *fold.Compacted) {
	if body.Upto == a.base.Sequence && body.Digest != a.baseDigest {
		a.wrong(sequence, fmt.Sprintf("state %x after record %d", a.baseDigest, body.Upto),
			fmt.Sprintf("state %x", body.Digest))
	}
}
