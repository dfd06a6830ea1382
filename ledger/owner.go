package ledger

import (
	"fmt"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/traffic"
)

// How the owner works. Callers check and encode what they bring, look up in the journal what judging will need, and
// queue. The owner judges queued requests one after another: it stamps, asks the books, and applies the record to them.
// So the books run ahead of the disk by the batch that is being written and the one being gathered. Whoever sees the
// books is answered after the batch that it saw. While the writer syncs, the owner gathers the next batch, which grows
// until the writer is free: the longer a sync takes, the larger the next batch.
//
// Books that say more than the disk are useless: when a batch is not written, they are dropped with all that was judged
// by them, and made anew from the journal. The callers learn that nothing of theirs may be there.

// owner is the state that one goroutine owns.
type owner struct {
	ledger   *Ledger
	books    *fold.Books
	version  uint64 // of the catalogue; the books learn it with the next terms or checkpoint
	now      int64  // the stamp of the request in work
	batch    *batch // being gathered, nil at first
	under    *batch // the writer's, nil when it is free
	synced   uint64 // the last record that is on disk
	recent   recent[uint64]
	seen     recent[*frequency.Exposures] // rows of journal.Viewers
	erasures uint64                       // of viewers
	traffic  *traffic.Filter
	dates    dates
	tally    hourTally
	chores   chores

	applying bool      // books are being changed: a panic leaves them useless
	lost     error     // why there are no books, nil if there are
	retryAt  time.Time // when they may be made anew
}

// tickEvery is how often the owner looks at the clock without being asked.
const tickEvery = 100 * time.Millisecond

// run judges requests until the ledger closes.
func (o *owner) run() {
	l := o.ledger
	defer close(l.ended)
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		if r := o.waiting(); r != nil {
			o.take(r)
			continue
		}
		o.handOver()
		select {
		case r := <-o.queue():
			o.take(r)
		case <-o.aged():
		case err := <-l.written:
			o.concluded(err)
		case h := <-l.holds:
			h.answer(o.hold(h))
		case <-ticker.C:
			o.take(newTick())
		case <-l.closing:
			o.end()
			return
		}
	}
}

// queue returns the queue of requests, nil while the batch is full.
func (o *owner) queue() <-chan *request {
	if o.batch != nil && o.batch.full(o.ledger.options.BatchRecords) {
		return nil
	}
	return o.ledger.queue
}

// waiting returns a request that waits already, nil if there is none. It learns first whether the writer is free,
// because a writer without a batch is lost time.
func (o *owner) waiting() *request {
	select {
	case err := <-o.ledger.written:
		o.concluded(err)
		o.handOver()
	default:
	}
	select {
	case r := <-o.queue():
		return r
	default:
		return nil
	}
}

// take lets a request do its work. A fault while books change costs the batch, because others may be judged by it.
func (o *owner) take(r *request) {
	if !r.take() {
		return
	}
	if err := o.ready(); err != nil {
		r.answer(err)
		return
	}
	if o.batch == nil {
		o.begin()
	}
	o.batch.requests = append(o.batch.requests, r)
	o.applying = false
	began := time.Now()
	if err := hexbid.Contain(func() error { return r.do(o) }); err != nil {
		o.failed(r, err)
	}
	o.ledger.turns.note(r.work, began)
	if o.batch != nil {
		o.batch.version = o.version
	}
}

// begin begins a batch. One that is gathered while another is written will be about as large.
func (o *owner) begin() {
	o.batch = &batch{began: time.Now(), Batch: journal.Batch{After: o.books.Last().Sequence}}
	if o.under != nil {
		o.batch.Records = make([][]byte, 0, len(o.under.Records))
		o.batch.Rows = make([]journal.Row, 0, len(o.under.Rows))
	}
}

// failed ends a request that could not do its work.
func (o *owner) failed(r *request, err error) {
	if o.applying {
		o.drop(o.ledger.notWritten(err))
		return
	}
	if hexbid.KindOf(err) == hexbid.Internal {
		o.ledger.options.Log.Error("the ledger could not judge a request", "error", err)
		err = hexbid.Errorf(hexbid.Internal, "ledger", "the request could not be judged: the server's log says why")
	}
	r.refused = err
}

// ready returns why nothing can be judged now. Books that were dropped are made anew, at most once a second.
func (o *owner) ready() error {
	if err := o.ledger.journal.Failure(); err != nil {
		return err
	}
	if o.lost == nil {
		return nil
	}
	if o.under != nil || time.Now().Before(o.retryAt) {
		return o.lost
	}
	if err := hexbid.Contain(func() error { return o.load(o.ledger.context) }); err != nil {
		o.lose(fmt.Errorf("the ledger cannot be read again: %w", err))
		return o.lost
	}
	o.lost = nil
	o.ledger.lost.Store(nil)
	return nil
}

// drop fails the batch being gathered and the books that it was judged by.
func (o *owner) drop(err error) {
	if b := o.batch; b != nil {
		o.batch = nil
		b.end(err)
	}
	o.books = nil
	o.lose(err)
}

// lose notes that there are no books for now.
func (o *owner) lose(err error) {
	o.lost, o.retryAt = err, time.Now().Add(time.Second)
	o.ledger.lost.Store(&err)
}

// handOver gives the batch to the writer if it is free, and the batch full or old enough.
func (o *owner) handOver() {
	if o.batch != nil && o.under == nil &&
		(o.batch.full(o.ledger.options.BatchRecords) || o.batch.left(o.ledger.options.BatchAge) <= 0) {
		o.send()
	}
}

// aged returns a channel that tells when the batch is old enough for the free writer, nil if it has none.
func (o *owner) aged() <-chan time.Time {
	if o.batch == nil || o.under != nil {
		return nil
	}
	return time.After(o.batch.left(o.ledger.options.BatchAge))
}

// send gives the batch to the free writer.
func (o *owner) send() {
	if err := hexbid.Contain(o.finish); err != nil {
		o.drop(o.ledger.notWritten(err))
		return
	}
	o.under, o.batch = o.batch, nil
	o.ledger.batches <- o.under
}

// finish completes the batch: with a checkpoint if one is due, the rows of totals if somebody waits for them, and
// what watchers will learn.
func (o *owner) finish() error {
	b := o.batch
	began := time.Now()
	if err := o.checkpointIfDue(); err != nil {
		return err
	}
	o.ledger.turns.note(Checkpointing, began)
	if b.totals {
		o.settle()
	}
	b.writeSeen()
	b.Tail = o.books.Last().Tail
	if o.ledger.watched.Load() > 0 {
		began := time.Now()
		o.tell(b)
		o.ledger.turns.note(Telling, began)
	}
	return nil
}

// concluded learns how the batch under way has ended.
func (o *owner) concluded(err error) {
	b := o.under
	o.under = nil
	if err != nil {
		o.drop(err)
		return
	}
	o.synced = max(o.synced, b.After+uint64(len(b.Records)))
}

// flush waits until all that was judged is on disk.
func (o *owner) flush() error {
	for o.under != nil || o.batch != nil {
		if o.under == nil {
			o.send()
			continue
		}
		o.concluded(<-o.ledger.written)
	}
	return o.lost
}

// hold runs a request's work when all that was judged is on disk. Nothing is judged meanwhile. It takes the request
// last, so that a caller who goes while the disk is busy holds nothing.
func (o *owner) hold(r *request) error {
	if err := o.ready(); err != nil {
		return err
	}
	if err := o.flush(); err != nil {
		return err
	}
	if !r.take() {
		return nil
	}
	return hexbid.Contain(func() error { return r.do(o) })
}

// end writes what is judged, with totals and a checkpoint, and refuses the requests that still wait.
func (o *owner) end() {
	if o.ready() == nil {
		o.take(newRequest(func(o *owner) error {
			o.settle()
			return o.checkpoint()
		}))
		_ = o.flush() // its requests are answered
	} else if o.under != nil {
		o.concluded(<-o.ledger.written)
	}
	for {
		select {
		case r := <-o.ledger.queue:
			if r.take() {
				r.answer(errClosed)
			}
		default:
			return
		}
	}
}
