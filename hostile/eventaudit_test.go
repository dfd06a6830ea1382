package main

import (
	"bytes"
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// audited returns an audit of one CPM ad whose impression was charged and whose click was recorded.
func audited(t *testing.T) *eventAudit {
	t.Helper()
	a := newEventAudit()
	a.show(&pb.SearchNearbyResponse{Sponsored: []*pb.SponsoredResult{{Token: "t", Campaign: "c", PriceMicros: 5000,
		PricingModel: pb.PricingModel_PRICING_MODEL_CPM}}})
	for _, e := range []struct {
		kind pb.EventKind
		r    *pb.EventResult
	}{{1, charged(1, 5)}, {2, recorded(2)}} {
		if err := a.answered(&pb.Event{Kind: e.kind, Token: "t", EventId: "a"}, e.r); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func charged(sequence uint64, micros int64) *pb.EventResult {
	return &pb.EventResult{Outcome: pb.EventOutcome_EVENT_OUTCOME_CHARGED, ChargedMicros: micros, Sequence: sequence,
		ChainHash: make([]byte, 32)}
}

func recorded(sequence uint64) *pb.EventResult {
	r := charged(sequence, 0)
	r.Outcome = pb.EventOutcome_EVENT_OUTCOME_RECORDED
	return r
}

func TestWrongAnswersToEventsAreSeen(t *testing.T) {
	duplicate := &pb.EventResult{Outcome: pb.EventOutcome_EVENT_OUTCOME_DUPLICATE}
	withRecord := proto.Clone(charged(3, 0)).(*pb.EventResult)
	withRecord.Outcome = duplicate.GetOutcome()
	otherHash := charged(1, 5)
	otherHash.ChainHash = bytes.Repeat([]byte{1}, 32)
	for name, c := range map[string]struct {
		kind   pb.EventKind
		id     string
		answer *pb.EventResult
		seen   bool
	}{
		"the first answer again":         {1, "a", charged(1, 5), false},
		"a duplicate":                    {1, "b", duplicate, false},
		"another charge":                 {1, "a", charged(1, 6), true},
		"another record":                 {1, "a", charged(2, 5), true},
		"another hash":                   {1, "a", otherHash, true},
		"charged twice":                  {1, "b", charged(3, 5), true},
		"a duplicate that has a record":  {1, "b", withRecord, true},
		"forged, though it is not":       {3, "a", &pb.EventResult{Outcome: pb.EventOutcome_EVENT_OUTCOME_FORGED}, true},
		"the sequence of another record": {3, "a", recorded(2), true},
		"no sequence":                    {3, "a", recorded(0), true},
		"a price that is not the ad's":   {3, "a", charged(3, 7), true},
	} {
		if err := audited(t).answered(&pb.Event{Kind: c.kind, Token: "t", EventId: c.id}, c.answer); (err != nil) != c.seen {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// spends is a ledger of one campaign.
type spends struct {
	pb.LedgerServiceClient
	totals *pb.EventTotals
}

func (s spends) GetCampaignSpend(context.Context, *pb.GetCampaignSpendRequest,
	...grpc.CallOption) (*pb.CampaignSpend, error) {
	return &pb.CampaignSpend{Total: s.totals}, nil
}

func TestALedgerThatDiffersFromTheAnswersIsSeen(t *testing.T) {
	for _, c := range []struct {
		totals *pb.EventTotals
		seen   bool
	}{
		{&pb.EventTotals{Impressions: 1, Clicks: 1, ChargedMicros: 5}, false},
		{&pb.EventTotals{Impressions: 1, Clicks: 1, ChargedMicros: 4}, true},
		{&pb.EventTotals{Impressions: 2, Clicks: 1, ChargedMicros: 5}, true},
		{&pb.EventTotals{Impressions: 1, ChargedMicros: 5}, true},
	} {
		if err := audited(t).compare(t.Context(), spends{totals: c.totals}, []string{"c"}); (err != nil) != c.seen {
			t.Errorf("%v: %v", c.totals, err)
		}
	}
}

func TestAnImpliedImpressionCounts(t *testing.T) {
	a := audited(t)
	delete(a.usedBy, use{"t", 1})
	if got, want := a.sums()["c"], (campaignSums{1, 1, 0}); got != want {
		t.Errorf("%+v: want %+v", got, want)
	}
}
