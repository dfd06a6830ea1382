package ledger

import (
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// batch is what the owner judged and the writer commits with one sync, and the requests that wait for it.
type batch struct {
	journal.Batch
	requests []*request
	began    time.Time
	bytes    int                                // of records
	version  uint64                             // of the catalogue
	kept     []journal.Row                      // that need no sync of their own
	seen     map[recentKey]*frequency.Exposures // rows of journal.Viewers that changed
	touched  touched                            // accounts that its records concern
	changes  Changes                            // those accounts, for watchers
	views    []*viewing                         // opened right after the commit
	totals   bool                               // one of them needs the rows of all totals
}

// viewing is a view that a caller waits for.
type viewing struct {
	view journal.View
	err  error
}

// Bounds of a batch. A request is never split, so the last one may exceed them.
const (
	bytesABatch    = 8 << 20
	requestsABatch = 8192
)

func (b *batch) full(records int) bool {
	return len(b.Records) >= records || b.bytes >= bytesABatch || len(b.requests) >= requestsABatch
}

// left returns how long the batch still waits for more. One without records does not wait.
func (b *batch) left(age time.Duration) time.Duration {
	if age == 0 || len(b.Records) == 0 {
		return 0
	}
	return age - time.Since(b.began)
}

// end answers the batch's requests.
func (b *batch) end(err error) {
	for _, r := range b.requests {
		r.answer(err)
	}
}

// append completes a record, applies it to the books and adds it to the batch. ahead is the body as encoded by the
// caller, nil if it is not encoded yet. append returns the record as the chain has it.
func (o *owner) append(body fold.Body, ahead []byte) (fold.Point, error) {
	if ahead == nil {
		ahead = fold.EncodeAhead(body)
	}
	b := o.batch
	o.applying = true
	record := o.books.Next(body)
	encoded := fold.Complete(ahead, &record)
	if err := o.books.Apply(&record, encoded, &b.Batch); err != nil {
		return fold.Point{}, err
	}
	b.Records = append(b.Records, encoded)
	b.bytes += len(encoded)
	o.applying = false
	o.chores.records++
	o.chores.unsettled = true
	return o.books.Last(), nil
}

// write commits batches one after another until there are no more. It tells watchers, answers the batch's requests, and
// then tells the owner how the batch has ended.
func (l *Ledger) write() {
	defer close(l.idle)
	for b := range l.batches {
		began := time.Now()
		err := hexbid.Contain(func() error { return l.commit(b) })
		l.turns.note(Writing, began)
		began = time.Now()
		if err != nil {
			err = l.notWritten(err)
		} else {
			l.announce(b)
			l.open(b.views)
		}
		b.end(err)
		l.turns.note(Answering, began)
		l.written <- err
	}
}

// commit writes a batch. One without anything to sync is written without a sync, or not at all.
func (l *Ledger) commit(b *batch) error {
	if len(b.Records) > 0 || len(b.Rows) > 0 || len(b.Erase) > 0 {
		whole := b.Batch // the owner looks at the length of b's rows meanwhile
		whole.Rows = slices.Concat(b.Rows, b.kept)
		return l.journal.Commit(l.context, &whole)
	}
	if len(b.kept) > 0 {
		return l.journal.Keep(b.kept)
	}
	return nil
}

// announce shows what is on disk now.
func (l *Ledger) announce(b *batch) {
	l.version.Store(b.version)
	l.watchers.tell(&b.changes)
}

// open opens the views that callers wait for. No other batch is written meanwhile, so each shows the state after the
// batch just written.
func (l *Ledger) open(views []*viewing) {
	for _, v := range views {
		v.view, v.err = l.journal.View()
	}
}

// notWritten returns the error for callers whose batch was under way.
func (l *Ledger) notWritten(err error) error {
	l.options.Log.Error("a batch of the ledger was not written", "error", err)
	if kind := hexbid.KindOf(err); kind == hexbid.Exhausted || kind == hexbid.DataLoss {
		return err
	}
	return &hexbid.Error{Kind: hexbid.Unavailable, Field: "ledger", Detail: "nobody knows whether this was written: " +
		"send it again, under the same ids", Err: err}
}
