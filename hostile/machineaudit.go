package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// machineAudit keeps its own account of what machines were answered.
type machineAudit struct {
	began  time.Time
	mu     sync.Mutex // guards the fields below
	ads    map[string]*machineAd
	totals map[string]*machineTotals // by campaign
	sent   map[string]int            // impressions by viewer, answered or not
	seen   int                       // impressions of the one viewer that were not filtered
	unseen int                       // impressions that were filtered
}

// machineAd is a sponsored result that a viewer got.
type machineAd struct {
	ad
	viewer string
	shown  bool // its impression is recorded
	unseen bool // its impression is filtered
}

// machineTotals are what the events of a campaign came to.
type machineTotals struct {
	impressions, clicks, beyondCap, filtered, charged int64
	countedOfOne                                      int64 // clicks of the one viewer that were not filtered
}

func newMachineAudit() *machineAudit {
	return &machineAudit{began: time.Now(), ads: map[string]*machineAd{}, totals: map[string]*machineTotals{},
		sent: map[string]int{}}
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

// send notes the impressions of events that are about to be reported.
func (a *machineAudit) send(events []*pb.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range events {
		if e.GetKind() == pb.EventKind_EVENT_KIND_IMPRESSION {
			a.sent[a.ads[e.GetToken()].viewer]++
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
		return a.filtered(one, isClick, r)
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
	if err := a.unfiltered(one, isClick); err != nil {
		return err
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

// filtered judges a filtered event: it is free, and a viewer's impressions are filtered beyond a limit alone. Cells
// have none too many, because machines click what they see.
func (a *machineAudit) filtered(one *machineAd, isClick bool, r *pb.EventResult) error {
	if r.GetChargedMicros() != 0 {
		return fmt.Errorf("a filtered event was charged %d", r.GetChargedMicros())
	}
	if isClick {
		return nil
	}
	one.unseen = true
	a.unseen++
	if sent := a.sent[one.viewer]; sent <= machineLooks {
		return fmt.Errorf("an impression of a viewer is filtered who has had %d", sent)
	}
	return nil
}

// unfiltered judges an event that is not filtered: no click on a filtered impression is, and of the one viewer no more
// impressions than the limit admits. Its window admits at most twice as many in a minute.
func (a *machineAudit) unfiltered(one *machineAd, isClick bool) error {
	if one.unseen {
		return fmt.Errorf("a click on a filtered impression of %s is not filtered", one.campaign)
	}
	if isClick || one.viewer != theOne {
		return nil
	}
	minutes := int(time.Since(a.began).Minutes()) + 1
	if a.seen++; a.seen > 2*machineLooks*minutes {
		return fmt.Errorf("%d impressions of one viewer count in %d minutes", a.seen, minutes)
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
	if filtered == 0 || a.unseen == 0 {
		return fmt.Errorf("of %d campaigns %d events were filtered, %d impressions among them", len(a.totals), filtered,
			a.unseen)
	}
	return nil
}
