package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/outstanding"
	invalid "github.com/hexbid/hexbid/ledger/traffic" // its name is that of the pacer's traffic here
)

// delivery learns from awards and events what campaigns are worth, and hands it in. Searches never ask it.
//
// It has parts, each of which learns one thing. It tells parts of awards and of events, lets them do what is due, and
// keeps what they have learned in the ledger's journal. What is kept is no money: a crash loses the last seconds of it.
type delivery struct {
	ledger  *ledger.Ledger
	indexer *bidder.Indexer
	log     *slog.Logger
	parts

	// Of the goroutine that steps:
	stepped time.Time // the last step
	kept    time.Time // when rows were last kept
	failed  bool      // the last rows could not be kept
}

// parts are the parts of delivery, in a list for each thing that a part may do. A part is in the lists of what it does.
// Any goroutine may call awardLearners and eventLearners, also while another is in the other methods. One goroutine
// calls the other methods: first restore, for each row, then opened, then those of a step.
type parts struct {
	all      []part
	keepers  []keeper
	ofAwards []awardLearner
	ofEvents []eventLearner
	steppers []stepper // in the order of their steps, before valuers
	valuers  []valuer  // the most urgent first
}

// part learns one thing, and goes on after a restart with what rows say of it.
type part interface {
	// letter is the first byte of the keys of its rows.
	letter() byte
	// restore takes in a row that was kept before an instant, the latest. Its error says that the row cannot be read, or
	// says something of later; the part goes on without.
	restore(latest time.Time, key, value []byte) error
}

// keeper is a part whose rows are written every now and then. A crash may lose the last of them.
type keeper interface {
	// rows returns the rows that have changed since the last call. A nil value deletes a row.
	rows() []journal.Row
}

// awardLearner is a part that learns from awards.
type awardLearner interface {
	// awarded takes in an award that left in the answer to a search, at an instant in Unix milliseconds.
	awarded(a *outstanding.Award, at int64)
}

// eventLearner is a part that learns from events.
type eventLearner interface {
	// happened takes in an event that was answered for the first time. The event may come before its award.
	happened(e *happening)
}

// stepper is a part that has something to do as time passes.
type stepper interface {
	// step does what is due at an instant.
	step(ctx context.Context, now time.Time) error
}

// valuer is a part that says what campaigns are worth.
type valuer interface {
	// owner is whose updates those of opened and value are.
	owner() bidder.Owner
	// opened returns what to hand in before the first search. It is called once, when the rows of all parts are restored.
	opened(now time.Time) []bidder.LiveUpdate
	// value does what is due at an instant. It returns what to hand in, at most so many updates, the most urgent first;
	// what does not fit follows in later steps.
	value(ctx context.Context, now time.Time, room int) ([]bidder.LiveUpdate, error)
}

// happening is an event that was answered for the first time.
type happening struct {
	*ledger.Event
	outcome hexbid.EventOutcome
	charged hexbid.Money
	implied bool           // a click that stands for its impression too
	at      time.Time      // the ledger's time
	reason  invalid.Reason // why it is filtered, if it is
	date    int32          // the campaign's local date, of an event with a record
}

const (
	// stepEvery spaces the steps of delivery.
	stepEvery = 100 * time.Millisecond
	// updatesASecond bounds what all parts hand in together, so that publications stay short.
	updatesASecond = 10_000
)

// newDelivery makes the parts of a market.
func newDelivery(e *Exchange) *delivery {
	return &delivery{ledger: e.config.Ledger, indexer: e.indexer, log: e.config.Log, parts: e.learns()}
}

// learns makes the parts of delivery.
func (e *Exchange) learns() parts {
	pacer, slots, learner, filtered := newPacer(e), e.positions, newLearner(e), newFiltered()
	e.pacer, e.learner, e.filtered = pacer, learner, filtered
	distances := newDistances(e)
	market := e.market.learnFrom(e, slots.learn, learner.learn, distances.learn)
	market.goOn = append(market.goOn, distances.goOnFrom)
	return parts{
		all:      []part{pacer, slots, distances, market, learner, filtered},
		keepers:  []keeper{pacer, slots, distances, learner, filtered},
		ofAwards: []awardLearner{pacer, slots},
		ofEvents: []eventLearner{pacer, slots, distances, learner, filtered},
		steppers: []stepper{slots, market, filtered},
		valuers:  []valuer{pacer, learner},
	}
}

// restore reads what was learned before.
func (d *delivery) restore(ctx context.Context) error {
	d.stepped = d.ledger.Now()
	d.kept = d.stepped
	return d.ledger.Read(ctx, func(view journal.View) error {
		for _, p := range d.all {
			if err := d.restorePart(view, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// open hands in what was learned before, ahead of the first search.
func (d *delivery) open() error {
	for _, p := range d.valuers {
		for some := range slices.Chunk(p.opened(d.stepped), bidder.MaxLiveUpdates) {
			if err := d.indexer.HandInFirst(p.owner(), some); err != nil {
				return err
			}
		}
	}
	return nil
}

// restorePart gives a part its rows. Rows that it cannot read are left out, and it learns anew what they said.
func (d *delivery) restorePart(view journal.View, p part) error {
	unread, err := scanLearned(view, p.letter(), func(key, value []byte) error {
		return p.restore(d.stepped.Add(clocksMayDiffer), key, value)
	})
	if unread > 0 {
		d.log.Warn("some of what was learned from events cannot be read and is left out", "of", string(p.letter()), "rows",
			unread)
	}
	return err
}

// follow steps until the context ends.
func (d *delivery) follow(ctx context.Context) {
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	defer d.keep()
	for {
		select {
		case <-tick.C:
			if err := d.step(ctx, d.ledger.Now()); err != nil && ctx.Err() == nil {
				d.log.Error("what was learned from events does not reach searches", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// step lets every part do what is due, and returns when searches use what they hand in. A part that fails holds up no
// other.
func (d *delivery) step(ctx context.Context, now time.Time) (failed error) {
	room := int(min(now.Sub(d.stepped), time.Second) * updatesASecond / time.Second)
	d.stepped = now
	for _, p := range d.steppers {
		failed = errors.Join(failed, p.step(ctx, now))
	}
	failed = errors.Join(failed, d.value(ctx, now, room))
	if now.Sub(d.kept) >= keepEvery {
		d.kept = now
		d.keep()
	}
	return failed
}

// value hands in what campaigns are worth now, at most so many updates.
func (d *delivery) value(ctx context.Context, now time.Time, room int) error {
	for _, p := range d.valuers {
		updates, err := p.value(ctx, now, room)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(updates, bidder.MaxLiveUpdates) {
			if err := d.indexer.HandIn(ctx, p.owner(), some); err != nil {
				return fmt.Errorf("handing in %s: %w", p.owner(), err)
			}
		}
		room -= len(updates)
	}
	return nil
}

// keep writes the rows that have changed. It logs the first of several failures.
func (d *delivery) keep() {
	var rows []journal.Row
	for _, p := range d.keepers {
		rows = append(rows, p.rows()...)
	}
	if len(rows) == 0 {
		return
	}
	err := keepLearned(d.ledger, rows)
	if err != nil && !d.failed {
		d.log.Warn("what was learned from events cannot be kept", "error", err)
	}
	d.failed = err != nil
}

func (d *delivery) awarded(a *outstanding.Award, at int64) {
	for _, p := range d.ofAwards {
		p.awarded(a, at)
	}
}

func (d *delivery) happened(e *happening) {
	for _, p := range d.ofEvents {
		p.happened(e)
	}
}
