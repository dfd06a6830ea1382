package main

import (
	"context"
	"fmt"
	"sync"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// machineAudit keeps its own account of what machines were answered.
type machineAudit struct {
	mu     sync.Mutex // guards the fields below
	ads    map[string]*machineAd
	totals map[string]*machineTotals // by campaign
}

// machineAd is a sponsored result that a viewer got.
type machineAd struct {
	ad
	viewer string
	shown  bool // its impression is recorded
}

// machineTotals are what the events of a campaign came to.
type machineTotals struct {
	impressions, clicks, beyondCap, filtered, charged int64
	countedOfOne                                      int64 // clicks of the one viewer that were not filtered
}

func newMachineAudit() *machineAudit {
	return &machineAudit{ads: map[string]*machineAd{}, totals: map[string]*machineTotals{}}
}

// show notes what a search has answered.
func (a *machineAudit) show(r *pb.SearchNearbyResponse, viewer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range r.GetSponsored() {
		a.ads[s.GetToken()] = &machineAd{ad: ad{s.GetToken(), s.GetCampaign(), s.GetPricingModel(), s.GetPriceMicros()},
			viewer: viewer}
		if a.totals[s.GetCampaign()] == nil {
			a.totals[s.GetCampaign()] = &machineTotals{}
		}
	}
}

// answered takes in first answers. Its error says which rule they break.
func (a *machineAudit) answered(events []*pb.Event, results []*pb.EventResult) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(results) != len(events) {
		return fmt.Errorf("%d events have %d results", len(events), len(results))
	}
	for i, e := range events {
		if err := a.count(a.ads[e.GetToken()], e.GetKind(), results[i]); err != nil {
			return err
		}
		if e.GetKind() == pb.EventKind_EVENT_KIND_CLICK {
			delete(a.ads, e.GetToken())
		}
	}
	return nil
}

func (a *machineAudit) count(one *machineAd, kind pb.EventKind, r *pb.EventResult) error {
	t, isClick := a.totals[one.campaign], kind == pb.EventKind_EVENT_KIND_CLICK
	due := one.checkCharge(kind, r)
	switch r.GetOutcome() {
	case pb.EventOutcome_EVENT_OUTCOME_FILTERED:
		t.filtered++
		if !isClick || r.GetChargedMicros() != 0 {
			return fmt.Errorf("a filtered %s was charged %d", kind, r.GetChargedMicros())
		}
		return nil
	case pb.EventOutcome_EVENT_OUTCOME_BEYOND_CAP:
		t.beyondCap++
		if r.GetChargedMicros() != 0 {
			return fmt.Errorf("a %s beyond a cap was charged %d", kind, r.GetChargedMicros())
		}
	case pb.EventOutcome_EVENT_OUTCOME_CHARGED, pb.EventOutcome_EVENT_OUTCOME_RECORDED:
		if due != nil {
			return due
		}
	default:
		return fmt.Errorf("a %s of a good token is %s", kind, r.GetOutcome())
	}
	t.charged += r.GetChargedMicros()
	if isClick {
		t.clicks++
	}
	if !isClick || !one.shown {
		t.impressions++
	}
	one.shown = true
	if isClick && one.viewer == theOne {
		if t.countedOfOne++; t.countedOfOne > machineRepeats {
			return fmt.Errorf("click %d of one viewer on %s counts", t.countedOfOne, one.campaign)
		}
	}
	return nil
}

// compare returns how the ledger's account differs, and whether too little happened to prove anything.
func (a *machineAudit) compare(ctx context.Context, client pb.LedgerServiceClient) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var filtered int64
	for name, want := range a.totals {
		spend, err := client.GetCampaignSpend(ctx, &pb.GetCampaignSpendRequest{Name: name})
		if err != nil {
			return err
		}
		t := spend.GetTotal()
		got := machineTotals{t.GetImpressions(), t.GetClicks(), t.GetBeyondCap(), t.GetFiltered(), t.GetChargedMicros(),
			want.countedOfOne}
		if got != *want {
			return fmt.Errorf("%s has %+v in the ledger, and clients were answered %+v", name, got, *want)
		}
		filtered += want.filtered
	}
	if filtered == 0 {
		return fmt.Errorf("of %d campaigns no click was filtered", len(a.totals))
	}
	return nil
}
