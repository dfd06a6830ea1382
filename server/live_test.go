package server

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

// TestACampaignIsReadWithItsLiveState: Get, List and Explain give what owners have handed in,
// and why the campaign does not serve; a write that says another changes nothing.
func TestACampaignIsReadWithItsLiveState(t *testing.T) {
	s := openService(t, store.NewMemory())
	mustImport(t, s, &hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a/campaigns/c"}, DisplayName: "C",
		Program: "advertisers/a/programs/p", Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 10_000_000,
		Area: hexbid.Area{Everywhere: true}})
	get := func() *pb.Campaign {
		c, err := s.GetCampaign(ctx, &pb.GetCampaignRequest{Name: "advertisers/a/campaigns/c"})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	check := func(want *pb.LiveState, reason string) {
		t.Helper()
		got := get()
		list, err := s.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: "advertisers/a"})
		if err != nil {
			t.Fatal(err)
		}
		x, err := s.Explain(ctx, &pb.ExplainRequest{Name: got.GetName(),
			Request: &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30, Longitude: 120}}})
		if err != nil {
			t.Fatal(err)
		}
		for name, live := range map[string]*pb.LiveState{"get": got.GetLiveState(),
			"list": list.GetCampaigns()[0].GetLiveState(), "explain": x.GetLiveState()} {
			if !proto.Equal(live, want) {
				t.Errorf("%s: %v, want %v", name, live, want)
			}
		}
		if got.GetServing() != (reason == "") || got.GetNotServingReason() != reason ||
			list.GetCampaigns()[0].GetNotServingReason() != reason {
			t.Errorf("serving %v, %q, want %q", got.GetServing(), got.GetNotServingReason(), reason)
		}
	}
	prior := &pb.LiveState{PacingMultiplierPpm: 1_000_000, ParticipationPpm: 1_000_000, QualityPpm: 30_000,
		QualityIsPrior: true, ExploredQualityPpm: 60_000}
	check(prior, "")
	uid := hexbid.UID(get().GetUid())
	for owner, u := range map[bidder.Owner]bidder.LiveUpdate{bidder.OwnerLedger: {BudgetSpent: true},
		bidder.OwnerPacing:  {PacingPPM: 250_000, ParticipationPPM: 400_000},
		bidder.OwnerQuality: {QualityPPM: 45_000, ExploredPPM: 60_000}} {
		u.Campaign = uid
		if err := s.exchange().HandIn(ctx, owner, []bidder.LiveUpdate{u}); err != nil {
			t.Fatal(err)
		}
	}
	want := &pb.LiveState{PacingMultiplierPpm: 250_000, ParticipationPpm: 400_000, QualityPpm: 45_000,
		ExploredQualityPpm: 60_000, BudgetSpent: true}
	check(want, "its budget is spent")
	written := get()
	written.LiveState, written.BidMicros = prior, 2_000_000
	if _, err := s.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{Campaign: written}); err != nil {
		t.Fatal(err)
	}
	check(want, "its budget is spent")
	owner, err := s.GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: "advertisers/a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.exchange().HandInAdvertisers(ctx, []bidder.AdvertiserUpdate{{Advertiser: hexbid.UID(owner.GetUid()),
		NoBalance: true, Left: 100_000}}); err != nil {
		t.Fatal(err)
	}
	want.NoBalance, want.LoweredByBudget, want.PacingMultiplierPpm = true, true, 50_000
	check(want, "its advertiser's balance does not pay for an event")
}

// TestAnEditOfACapSaysFromWhenItCounts: a first cap, and one with a window that becomes one for ever. Other edits of
// caps say nothing.
func TestAnEditOfACapSaysFromWhenItCounts(t *testing.T) {
	s := openService(t, store.NewMemory())
	mustImport(t, s, &hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a/campaigns/c"}, DisplayName: "C",
		Program: "advertisers/a/programs/p", Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 10_000_000,
		Area: hexbid.Area{Everywhere: true}})
	for _, edit := range []struct {
		to   *pb.FrequencyCap
		says string
	}{
		{nil, ""},
		{&pb.FrequencyCap{Impressions: 3, Window: durationpb.New(time.Hour)}, "counts from now on"},
		{&pb.FrequencyCap{Impressions: 4, Window: durationpb.New(2 * time.Hour)}, ""},
		{&pb.FrequencyCap{Impressions: 4}, "30 days"},
		{&pb.FrequencyCap{Impressions: 5}, ""},
		{&pb.FrequencyCap{Impressions: 5, Window: durationpb.New(time.Hour)}, ""},
		{nil, ""},
		{&pb.FrequencyCap{Impressions: 5}, "counts from now on"},
	} {
		c, err := s.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{Campaign: &pb.Campaign{
			Name: "advertisers/a/campaigns/c", FrequencyCap: edit.to},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"frequency_cap"}}})
		if err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(c.GetNotices(), "; "); !strings.Contains(said, edit.says) || edit.says == "" && said != "" {
			t.Errorf("an edit to %v says %q, want %q", edit.to, said, edit.says)
		}
	}
}
