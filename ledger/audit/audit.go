// Package audit verifies a ledger: it folds the records of a journal again and compares everything that the journal
// says with what follows from them. It never writes.
//
// What it finds: a record that was changed, removed or added; a checkpoint, a root of an hour or a row of a table that
// does not follow from the records; balances that differ by a micro; a tail that is missing, if somebody knows the
// tail.
//
// What it cannot find: what lies outside the chain (histories of viewers, counts of events that made no record), and a
// journal that was made anew as a whole. Against the latter keep the sequence and the hash of an acknowledgement, or
// the roots of hours, somewhere else.
package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Options say what to verify, and against what.
type Options struct {
	View journal.View
	// Known are records that are known from elsewhere: from a witness, or from somebody who keeps acknowledgements.
	Known []Known
	// Now is when the journal is verified. Answers to events are forgotten some days later, records or not.
	Now time.Time
	// Progress is told of the records that are verified and of all, now and then; nil tells nobody.
	Progress func(done, total uint64)
}

// Known is a record that somebody knows the hash of.
type Known struct {
	fold.Point        // without the stamp
	By         string // who knows it, as in "the witness"
	// Within says that the journal itself says it. Then it tells nothing about a tail that is missing altogether.
	Within bool
}

// Report is what a verification found.
type Report struct {
	First       uint64     // the first record that was folded; those before are compacted, or First is 1
	Last        fold.Point // the last record that was folded
	Records     uint64     // that were folded
	Checkpoints int        // whose digests were compared
	Hours       int        // whose roots were compared
	Charges     uint64     // under these roots or folded
	Charged     hexbid.Money
	Campaigns   int
	Advertisers int
	Rows        uint64 // that were compared with what follows from the records
	// TailWitnessed reports whether somebody beside the journal knows its last record: then nothing after it is
	// missing.
	TailWitnessed bool
	Faults        []Fault // in the order in which they were found, at most MaxFaults
	OmittedFaults int
}

// MaxFaults is the most faults that a report lists.
const MaxFaults = 100

// OK reports whether nothing is wrong.
func (r *Report) OK() bool { return len(r.Faults) == 0 }

// Fault is something that is wrong.
type Fault struct {
	Sequence uint64 // of the record that it is about; 0 for none
	Place    string // the record or the row
	Expected string
	Found    string
}

// String writes the fault in a line.
func (f Fault) String() string {
	return fmt.Sprintf("%s: expected %s, found %s", f.Place, f.Expected, f.Found)
}

// Verify folds a journal and returns what it found. A fault is no error; the error is the context's, or that of a view
// that cannot be read for another reason than damage.
func Verify(ctx context.Context, o Options) (*Report, error) {
	a := newAuditor(ctx, o, nil)
	err := a.verify()
	if hexbid.KindOf(err) == hexbid.DataLoss {
		a.fault(Fault{Sequence: a.at, Place: a.place(), Expected: "readable data", Found: err.Error()})
		err = nil
	}
	return &a.Report, err
}

func newAuditor(ctx context.Context, o Options, suspects map[part]bool) *auditor {
	return &auditor{Options: o, ctx: ctx, rows: newExpected(suspects)}
}

// auditor is a verification under way.
type auditor struct {
	Options
	Report
	ctx   context.Context
	books *fold.Books
	base  fold.Point // the record that compaction has reached; zero for none
	// baseDigest is the digest of the state after base.
	baseDigest fold.Digest
	marks      marks
	rows       expected
	earlier    earlier
	ever       ever
	// lastClosed is the last hour that was closed, at lastClosedAt.
	lastClosed   fold.HourClosed
	lastClosedAt int64
	at           uint64 // the record at hand, 0 for none
	doing        string // what is read, when no record is at hand
}

// place names what is at hand.
func (a *auditor) place() string {
	if a.at > 0 {
		return recordName(a.at)
	}
	return a.doing
}

func (a *auditor) fault(f Fault) {
	if len(a.Faults) == MaxFaults {
		a.OmittedFaults++
		return
	}
	a.Faults = append(a.Faults, f)
}

// wrong adds a fault of a record.
func (a *auditor) wrong(sequence uint64, expected, found string) {
	a.fault(Fault{Sequence: sequence, Place: recordName(sequence), Expected: expected, Found: found})
}

func (a *auditor) verify() error {
	whole, err := a.foldAll()
	if err != nil {
		return err
	}
	a.verifyTail()
	a.Campaigns, a.Advertisers = a.books.Counts()
	if !whole {
		return nil // rows cannot be compared with books that stopped half-way
	}
	return a.compareRows()
}

// foldAll folds all that is retained. It reports whether the last record was reached.
func (a *auditor) foldAll() (whole bool, err error) {
	a.doing = "the state that compaction has left"
	if a.books, err = fold.RestoreBase(a.View); err != nil {
		return false, err
	}
	a.base, a.baseDigest = a.books.Last(), a.books.Digest()
	a.First, a.Last = a.base.Sequence+1, a.base
	if a.base.Sequence > 0 && a.rows.suspects == nil {
		a.rows.settled = map[row][]byte{}
	}
	if err := a.prepare(); err != nil {
		return false, err
	}
	if err := a.readEarlier(); err != nil {
		return false, err
	}
	return a.foldRecords()
}

// marks are the records at which a journal last wrote rows that stand for all records before.
type marks struct {
	checkpoint uint64 // rows of accounts and used tokens; 0 for none
	settled    uint64 // rows of totals; 0 for none
}

// prepare reads what the rows of the journal stand for.
func (a *auditor) prepare() (err error) {
	a.doing = "the journal's marks"
	if a.marks.checkpoint, err = fold.CheckpointAt(a.View); err != nil {
		return err
	}
	if a.marks.settled, err = fold.SettledAt(a.View); err != nil {
		return err
	}
	for _, mark := range []uint64{a.marks.checkpoint, a.marks.settled} {
		if mark > a.View.Last() {
			a.wrong(a.View.Last()+1, fmt.Sprintf("records up to %d, which rows stand for", mark), "the end of the log")
		}
	}
	return a.expectBase()
}

// expectBase takes in the rows of state that compaction has left. A checkpoint adds what changed since.
func (a *auditor) expectBase() error {
	return a.View.Scan(journal.Base, []byte{1}, nil, func(key, value []byte) (bool, error) {
		a.rows.setState(journal.Row{Table: journal.Table(key[0]), Key: key[1:], Value: value})
		return true, nil
	})
}

// verifyTail compares the last record with what others know of it.
func (a *auditor) verifyTail() {
	for _, known := range a.Known {
		if known.Sequence > a.View.Last() {
			a.wrong(a.View.Last()+1, fmt.Sprintf("records up to %d with hash %x, which %s knows", known.Sequence,
				known.Tail, known.By), "the end of the log")
		}
		a.TailWitnessed = a.TailWitnessed || !known.Within && known.Sequence >= a.View.Last()
	}
}

// verifyKnown compares a record's hash with what others know of it.
func (a *auditor) verifyKnown(sequence uint64, hash fold.Hash) {
	for _, known := range a.Known {
		if known.Sequence == sequence && known.Tail != hash {
			a.wrong(sequence, fmt.Sprintf("hash %x, which %s knows", known.Tail, known.By), hashText(hash))
		}
	}
}

func recordName(sequence uint64) string { return fmt.Sprintf("record %d", sequence) }

func hashText(h fold.Hash) string { return fmt.Sprintf("hash %x", h[:]) }
