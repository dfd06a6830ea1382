package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// eventAudit keeps its own account of what clients were answered to events, and compares it with the ledger. It shares
// no code with either.
type eventAudit struct {
	mu        sync.Mutex // guards the fields below
	ads       map[string]*ad
	answers   map[reported]*pb.EventResult
	usedBy    map[use]string // event id that used up a token's kind
	sequences map[uint64]reported
}

// ad is a sponsored result.
type ad struct {
	token, campaign string
	pricing         pb.PricingModel
	price           int64
}

// use is a token's kind, which one event uses up.
type use struct {
	token string
	kind  pb.EventKind
}

// reported is an event as a client named it.
type reported struct {
	use
	id string
}

func newEventAudit() *eventAudit {
	return &eventAudit{ads: map[string]*ad{}, answers: map[reported]*pb.EventResult{}, usedBy: map[use]string{},
		sequences: map[uint64]reported{}}
}

// show notes ads that a search answered with.
func (a *eventAudit) show(r *pb.SearchNearbyResponse) (shown []*ad) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range r.GetSponsored() {
		one := &ad{s.GetToken(), s.GetCampaign(), s.GetPricingModel(), s.GetPriceMicros()}
		a.ads[one.token] = one
		shown = append(shown, one)
	}
	return shown
}

// answered takes in the answer to an event of a token that the service gave out. Its error says which rule the answer
// breaks.
func (a *eventAudit) answered(e *pb.Event, r *pb.EventResult) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := use{e.GetToken(), e.GetKind()}
	name := reported{of, e.GetEventId()}
	if before := a.answers[name]; before != nil {
		return sameAnswer(before, r)
	}
	a.answers[name] = r
	switch r.GetOutcome() {
	case pb.EventOutcome_EVENT_OUTCOME_CHARGED, pb.EventOutcome_EVENT_OUTCOME_RECORDED:
	case pb.EventOutcome_EVENT_OUTCOME_DUPLICATE:
		return unrecorded(r)
	default:
		return fmt.Errorf("an event of a good token is %s", r.GetOutcome())
	}
	if other, used := a.usedBy[of]; used {
		return fmt.Errorf("a token's %s is recorded as %q and as %q", of.kind, other, name.id)
	}
	a.usedBy[of] = name.id
	if other, given := a.sequences[r.GetSequence()]; given || r.GetSequence() == 0 || len(r.GetChainHash()) != 32 {
		return fmt.Errorf("record %d, with a hash of %d bytes, was given before: %v (%v)", r.GetSequence(),
			len(r.GetChainHash()), given, other.kind)
	}
	a.sequences[r.GetSequence()] = name
	return a.ads[of.token].checkCharge(of.kind, r)
}

func sameAnswer(first, again *pb.EventResult) error {
	if first.GetOutcome() != again.GetOutcome() || first.GetChargedMicros() != again.GetChargedMicros() ||
		first.GetSequence() != again.GetSequence() || !bytes.Equal(first.GetChainHash(), again.GetChainHash()) {
		return fmt.Errorf("an event was answered %v, and then %v", first, again)
	}
	return nil
}

func unrecorded(r *pb.EventResult) error {
	if r.GetChargedMicros() != 0 || r.GetSequence() != 0 || len(r.GetChainHash()) != 0 {
		return fmt.Errorf("%s has a record: %v", r.GetOutcome(), r)
	}
	return nil
}

// checkCharge compares a charge with the ad's price. A click that implies its impression may pay for that.
func (a *ad) checkCharge(kind pb.EventKind, r *pb.EventResult) error {
	due, implied := int64(0), int64(0)
	switch {
	case a.pricing == pb.PricingModel_PRICING_MODEL_CPC && kind == pb.EventKind_EVENT_KIND_CLICK:
		due = a.price
	case a.pricing == pb.PricingModel_PRICING_MODEL_CPM && kind == pb.EventKind_EVENT_KIND_IMPRESSION:
		due = a.price / 1000
	case a.pricing == pb.PricingModel_PRICING_MODEL_CPM && kind == pb.EventKind_EVENT_KIND_CLICK:
		implied = a.price / 1000
	}
	if charged := r.GetChargedMicros(); charged != due && charged != implied {
		return fmt.Errorf("a %s at a price of %d was charged %d", kind, a.price, charged)
	}
	return nil
}

// campaignSums is what a campaign's events come to.
type campaignSums struct{ impressions, clicks, charged int64 }

func (a *eventAudit) sums() map[string]campaignSums {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[string]campaignSums{}
	for of, id := range a.usedBy {
		one := a.ads[of.token]
		s := out[one.campaign]
		s.charged += a.answers[reported{of, id}].GetChargedMicros()
		switch of.kind {
		case pb.EventKind_EVENT_KIND_IMPRESSION:
			s.impressions++
		case pb.EventKind_EVENT_KIND_CLICK:
			s.clicks++
			if _, seen := a.usedBy[use{of.token, pb.EventKind_EVENT_KIND_IMPRESSION}]; !seen {
				s.impressions++ // the click implied it
			}
		}
		out[one.campaign] = s
	}
	return out
}

// compare returns how the ledger's account of campaigns differs from the audit's. All events must have been answered.
func (a *eventAudit) compare(ctx context.Context, client pb.LedgerServiceClient, campaigns []string) error {
	sums := a.sums()
	for _, name := range campaigns {
		spend, err := client.GetCampaignSpend(ctx, &pb.GetCampaignSpendRequest{Name: name})
		if err != nil {
			return err
		}
		t := spend.GetTotal()
		if got := (campaignSums{t.GetImpressions(), t.GetClicks(), t.GetChargedMicros()}); got != sums[name] {
			return fmt.Errorf("%s has %+v in the ledger, and clients were answered %+v", name, got, sums[name])
		}
	}
	return nil
}

// events counts the events that were recorded.
func (a *eventAudit) events() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.usedBy)
}
