package main

import (
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Short names of the contract's kinds and outcomes.
const (
	impression = pb.EventKind_EVENT_KIND_IMPRESSION
	click      = pb.EventKind_EVENT_KIND_CLICK
	conversion = pb.EventKind_EVENT_KIND_CONVERSION

	charged   = pb.EventOutcome_EVENT_OUTCOME_CHARGED
	recorded  = pb.EventOutcome_EVENT_OUTCOME_RECORDED
	exhausted = pb.EventOutcome_EVENT_OUTCOME_BUDGET_EXHAUSTED
	beyondCap = pb.EventOutcome_EVENT_OUTCOME_BEYOND_CAP
	filtered  = pb.EventOutcome_EVENT_OUTCOME_FILTERED
	duplicate = pb.EventOutcome_EVENT_OUTCOME_DUPLICATE
)

// award is a sponsored result that a search has returned, and everything that clients reported of it.
type award struct {
	campaign    *campaign
	token       string
	viewer      string    // the search's user key; empty for none
	searched    time.Time // before the search
	offered     time.Time // after its answer
	priceMicros int64
	model       pb.PricingModel
	events      []*event // sent, in no order
}

// costMicros returns what a first event of a kind costs when nothing of the award has been charged before.
func (a *award) costMicros(kind pb.EventKind) int64 {
	switch {
	case a.model == pb.PricingModel_PRICING_MODEL_CPC && kind == click:
		return a.priceMicros
	case a.model == pb.PricingModel_PRICING_MODEL_CPM && kind != conversion:
		return a.priceMicros / 1000 // a click implies the impression
	}
	return 0
}

// event is one event that a client has sent. Its answer is the first that came.
type event struct {
	award       *award
	kind        pb.EventKind
	id          string
	valueMicros int64
	sent        time.Time // before its first call
	answered    time.Time // after the call that was answered
	answer      *pb.EventResult
}

// message returns the event as clients send it.
func (e *event) message() *pb.Event {
	return &pb.Event{Kind: e.kind, Token: e.award.token, EventId: e.id, ValueMicros: e.valueMicros}
}

// used reports whether the event has used up its kind, so that the ledger has a record of it.
func (e *event) used() bool { return e.answer != nil && e.answer.GetOutcome() != duplicate }

// sameAnswer reports whether two answers say the same. Only the first of them may be the first answer.
func sameAnswer(a, b *pb.EventResult) bool {
	return a.GetOutcome() == b.GetOutcome() && a.GetChargedMicros() == b.GetChargedMicros() &&
		a.GetSequence() == b.GetSequence() && string(a.GetChainHash()) == string(b.GetChainHash())
}
