package exchange

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/outstanding"
	"github.com/hexbid/hexbid/token"
)

// RecordEvents opens the tokens of a report and has the ledger record the events. When it returns, everything that the
// results rest on is on disk. They are in the order of the events.
//
// A token that does not open is answered as forged, and one that another client was given as refused. Neither leaves a
// record or uses anything up. An error means that nothing was recorded, or that it is not known: the same events with
// the same ids then get their first answers. Errors are *hexbid.Error, or the context's.
func (e *Exchange) RecordEvents(ctx context.Context, r *hexbid.EventReport) ([]hexbid.EventResult, error) {
	if err := e.admit(ctx, access.RecordEvents, ""); err != nil {
		return nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	l, err := e.ledger()
	if err != nil {
		return nil, err
	}
	recorded := e.config.Spans.Of(ctx)
	stage := recorded.Stage("open")
	opened := openEvents(e.keys.Ring(), r, returnerOf(ctx, r.ClientID, l.Now()))
	e.putCaps(opened.events)
	stage.End()
	stage = recorded.Stage("ledger")
	err = opened.record(ctx, l, e)
	stage.End()
	if err != nil {
		return nil, err
	}
	e.overDelivered.Add(int64(opened.free))
	return opened.results, nil
}

// HidePrices leaves out of the answers to events what was charged, unless the caller may see what sponsored results
// cost. Whoever counts what was charged does so before.
func HidePrices(ctx context.Context, results []hexbid.EventResult) {
	if p := hexbid.PrincipalOf(ctx); !hidesPrices(&p) {
		return
	}
	for i := range results {
		results[i].Charged = 0
	}
}

// putCaps gives events the frequency caps in force. A write of a cap is acknowledged when searches see it, so it counts
// from then on.
func (e *Exchange) putCaps(events []ledger.Event) {
	snapshot := e.indexer.Snapshot()
	for i := range events {
		if award := events[i].Award; award.HasViewer {
			events[i].Caps = e.lastCaps.of(snapshot, award.Campaign)
		}
	}
}

// ledger returns the ledger, or an error in a market without money.
func (e *Exchange) ledger() (*ledger.Ledger, error) {
	if e.config.Ledger == nil {
		return nil, hexbid.Errorf(hexbid.Unavailable, "", "this market has no ledger: nothing is billed here")
	}
	return e.config.Ledger, nil
}

// openedEvents are the events of a report.
type openedEvents struct {
	results  []hexbid.EventResult
	events   []ledger.Event // those whose token is the client's
	at       []int          // where each of them stands in the report
	awards   []token.Award  // theirs
	answered [hexbid.EventOutcomeCount]int
	free     hexbid.Money // what budgets and balances did not pay for
}

// openEvents opens the tokens of a report, and answers the events that are no matter for the ledger.
func openEvents(ring *token.Keyring, r *hexbid.EventReport, by returner) *openedEvents {
	n := len(r.Events)
	o := &openedEvents{results: make([]hexbid.EventResult, n), events: make([]ledger.Event, 0, n), at: make([]int, 0, n),
		awards: make([]token.Award, 0, n)}
	for i := range r.Events {
		event := &r.Events[i]
		award, name, err := ring.OpenAward(event.Token)
		switch {
		case err != nil:
			o.answer(i, hexbid.EventForged)
		case !by.mayReturn(&award):
			o.answer(i, hexbid.EventRefused)
		default:
			o.awards, o.at = append(o.awards, award), append(o.at, i)
			o.events = append(o.events, ledger.Event{Kind: event.Kind, Name: name, Award: &o.awards[len(o.awards)-1],
				EventID: event.ID, Value: event.Value})
			o.results[i].Pricing = award.Basis.Pricing
		}
	}
	return o
}

func (o *openedEvents) answer(i int, outcome hexbid.EventOutcome) {
	o.results[i].Outcome = outcome
	o.answered[outcome]++
}

// record has the ledger answer the events that are left. It takes the awards of new ones out, and tells delivery.
func (o *openedEvents) record(ctx context.Context, l *ledger.Ledger, e *Exchange) error {
	if err := l.Failure(); err != nil { // also when all are answered: a failed ledger would lose the counts
		return err
	}
	if len(o.events) > 0 {
		answers, err := l.Record(ctx, o.events)
		if err != nil {
			return err
		}
		now := l.Now()
		for j := range answers {
			a := &answers[j]
			o.result(j, a)
			if !a.Again {
				o.first(&happening{&o.events[j], a.Outcome, a.Charged, a.Implied, now, a.Reason, a.Date}, e)
				e.viewers.happened(&o.events[j], a.Counted)
			}
		}
	}
	for outcome, n := range o.answered {
		if n > 0 {
			l.Count(hexbid.EventOutcome(outcome), n)
		}
	}
	return nil
}

func (o *openedEvents) result(j int, a *ledger.Answer) {
	r := &o.results[o.at[j]]
	r.Outcome, r.Charged, r.Sequence, r.Hash, r.Repeated = a.Outcome, a.Charged, a.Sequence, a.Hash, a.Again
}

// first tells delivery, and the estimate of awards out, of an event that was answered for the first time.
func (o *openedEvents) first(h *happening, e *Exchange) {
	e.awardsOut.happened(h.Award, h.Kind, h.outcome)
	e.delivery.happened(h)
	if h.outcome == hexbid.EventBudgetExhausted {
		o.free += outstanding.PriceOfEvent(h.Award.Basis.Pricing, h.Award.Price)
	}
}

// Filtered returns how many events were filtered since the start, by the names of reasons. It is nil in a market
// without a ledger.
func (e *Exchange) Filtered() (byReason map[string]uint64) {
	if e.config.Ledger == nil {
		return nil
	}
	return e.config.Ledger.Filtered()
}

// LedgerTurns returns how long the ledger's turns of a kind of work took; the zero Turns in a market without a ledger.
func (e *Exchange) LedgerTurns(work ledger.Work) ledger.Turns {
	if e.config.Ledger == nil {
		return ledger.Turns{}
	}
	return e.config.Ledger.Turns(work)
}

// OverDelivery returns the price of all events since the start that were shown free, because a budget or a balance did
// not pay for them.
func (e *Exchange) OverDelivery() hexbid.Money { return hexbid.Money(e.overDelivered.Load()) }
