// Package ledger owns money: it records events and changes of budgets and balances in a journal, and answers from it.
//
// One goroutine, the owner, holds the books (package fold) and judges everything in one order. It gathers what it
// judges into batches. Another goroutine, the writer, commits one batch at a time. A caller learns its answer only
// after the sync of the batch that its answer rests on. So nothing is acknowledged that a crash could take back.
//
// The owner stamps: it reads the clock, time zones and what is known of viewers, and writes what it read into the
// record. The fold reads records alone, so the same journal always gives the same books.
package ledger

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/await"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/traffic"
	"github.com/hexbid/hexbid/token"
)

// Event is an event with the content of its opened token.
type Event struct {
	Kind    hexbid.EventKind
	Name    token.Name
	Award   *token.Award
	EventID string       // the client's own name for the event, 1 to hexbid.MaxEventIDBytes
	Value   hexbid.Money // of a conversion
	Verdict fold.Verdict // on the viewer; the ledger itself finds out who has a coupon already
	Reason  uint8        // why it is filtered; the ledger itself judges clicks by Options.Traffic
	// Caps are the frequency caps in force, which impressions of the award's viewer are counted by.
	Caps frequency.Caps
}

// Answer is the outcome of an event.
type Answer struct {
	Outcome hexbid.EventOutcome
	Charged hexbid.Money
	// Sequence and Hash name the event's record. They are zero for an event that was answered without one.
	Sequence uint64
	Hash     [32]byte
	// Counted is the stamp under which an impression counts towards Event.Caps; 0 if it does not.
	Counted int64
	Again   bool // it is the first answer to this event, given once more
	Implied bool // a click that stands for its impression too
	// Reason is why the event is filtered, if it is.
	Reason traffic.Reason
	Date   int32 // the campaign's local date, days since 1970, of an event with a record
}

// Moved is the answer to a movement or a credit.
type Moved struct {
	Sequence uint64 // of its record
	Hash     [32]byte
	At       time.Time // the record's stamp
	Posted   int32     // the date that statements list it under, days since 1970
	Amount   hexbid.Money
	Balance  hexbid.Money // of the advertiser right after it
	Again    bool         // it is the first answer to this request id, given once more
}

// Ledger is an open ledger. Its methods may be called from any goroutine. Errors are *hexbid.Error: Unavailable while
// nothing can be acknowledged, Exhausted when the disk is nearly full, DataLoss if the journal is damaged, others as
// the methods say; or a context's.
type Ledger struct {
	options  Options
	journal  journal.Journal
	clock    *clock
	zones    zones
	answers  answerCache
	tallies  tallies
	filtered [traffic.ReasonCount]atomic.Uint64 // first answers since the start
	watchers watchers
	watched  atomic.Int32
	version  atomic.Uint64 // of the catalogue, as what is on disk has it
	lost     atomic.Pointer[error]
	erasures atomic.Uint64 // of viewers
	left     await.LeftBehind
	turns    turns

	queue   chan *request
	queued  atomic.Uint64 // requests so far
	holds   chan *request
	batches chan *batch // to the writer
	written chan error  // from the writer: how the one batch that it has ended

	context context.Context // of commits
	cancel  context.CancelFunc
	closing chan struct{} // closed by Close
	once    sync.Once
	ended   chan struct{} // the owner has ended
	idle    chan struct{} // the writer has ended

	compactSoon chan struct{} // to the compactor
	compacted   chan struct{} // the compactor has ended
	compactions atomic.Uint64 // how often it has worked
}

// Open opens the ledger that a journal holds, and begins one in an empty journal. When the context ends, Open returns
// its error. A read or a write that is under way then goes on alone, and the journal's Close waits for it.
func Open(ctx context.Context, o Options) (*Ledger, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	l := &Ledger{options: o, journal: o.Journal, zones: zones{load: o.LoadLocation},
		queue: make(chan *request, requestsWaiting), holds: make(chan *request), batches: make(chan *batch),
		written: make(chan error, 1), closing: make(chan struct{}), ended: make(chan struct{}), idle: make(chan struct{}),
		compactSoon: make(chan struct{}, 1), compacted: make(chan struct{})}
	l.context, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	first := &owner{ledger: l}
	if err := l.left.Within(ctx, func() error { return first.open(ctx) }); err != nil {
		l.cancel()
		return nil, err
	}
	go l.write()
	go first.run()
	go l.compact()
	if err := l.ask(ctx, newRequest((*owner).beginFirst)); err != nil {
		l.closeWithin(ctx)
		return nil, err
	}
	return l, nil
}

// closeWithin closes the ledger. If the context ends meanwhile, the ledger closes by itself when the disk answers.
func (l *Ledger) closeWithin(ctx context.Context) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = l.Close() // it never fails
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	}
}

// open reads the books and starts the clock where they end.
func (o *owner) open(ctx context.Context) (err error) {
	if err := o.load(ctx); err != nil {
		return err
	}
	o.ledger.version.Store(o.version)
	o.ledger.clock, err = startClock(&o.ledger.options, o.books.Last().At)
	return err
}

// Failed is closed when the journal has failed. From then on nothing is acknowledged, and Failure says why.
func (l *Ledger) Failed() <-chan struct{} { return l.journal.Failed() }

// Failure returns why nothing can be acknowledged at present, nil if all is well. Beside a failed journal that is a
// full disk or a wrong clock, which pass.
func (l *Ledger) Failure() error {
	if err := l.journal.Failure(); err != nil {
		return err
	}
	if lost := l.lost.Load(); lost != nil {
		return *lost
	}
	_, err := l.clock.stamp()
	return err
}

// Close writes what is queued and a checkpoint, and ends the ledger. The journal stays open. Reads that are left behind
// (Read) may go on; the journal's Close waits for their views.
func (l *Ledger) Close() error {
	l.once.Do(func() {
		close(l.closing)
		<-l.ended
		close(l.batches)
		<-l.idle
		l.cancel()
		<-l.compacted
	})
	return nil
}
