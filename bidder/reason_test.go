package bidder

import (
	"context"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/frequency"
)

// TestTheReasonOfACapSaysWhatTheViewerHasSeen shows one campaign to viewers with different histories.
func TestTheReasonOfACapSaysWhatTheViewerHasSeen(t *testing.T) {
	m := newChainMarket(t)
	c := chainCampaign("p", 0, hexbid.Area{Everywhere: true}, hexbid.Area{})
	c.Cap = hexbid.FrequencyCap{Impressions: 3, Window: 24 * time.Hour}
	owner := &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "a",
		Cap: hexbid.FrequencyCap{Impressions: 5, ServeUncapped: true}}
	m.put(t, owner, c)
	m.indexer.publish()
	campaign, advertiser := m.uidOf(t, c.Name), m.uidOf(t, owner.Name)
	history := func(subject hexbid.UID, ages ...time.Duration) *frequency.History {
		seen := frequency.Seen{Subject: subject}
		for _, age := range ages {
			seen.Add(testStart.Add(-age).UnixMicro())
		}
		return frequency.NewHistory([]frequency.Seen{seen})
	}
	const day = 24 * time.Hour
	viewer := hexbid.Viewer{Age: 30, UserKey: "u"}
	for name, x := range map[string]struct {
		seen *frequency.History
		want string
	}{
		"unknown": {nil, "how often the viewer has seen it is not known, and its frequency cap is " +
			"without serve_uncapped"},
		"none":          {frequency.None, ""},
		"two":           {history(campaign, 1, 2), ""},
		"third expired": {history(campaign, 1, 2, day), ""},
		"three": {history(campaign, 1, 2, day-1000), "the viewer has seen it 3 times in the last 24 hours; its frequency " +
			"cap is 3"},
		"five of all": {history(advertiser, 1, 2, day, 50*day, 60*day), "the viewer has seen its advertiser's campaigns 5 " +
			"times ever; the advertiser's frequency cap is 5"},
	} {
		q := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 1, Viewer: viewer}, "r", testStart)
		q.History = x.seen
		v, _, err := m.indexer.Snapshot().Explain(context.Background(), &q, campaign, new(Scratch))
		if err != nil {
			t.Fatal(err)
		}
		if reason := v.Reason(nil); (v.Rule == RuleFrequency) != (x.want != "") || x.want != "" && reason != x.want {
			t.Errorf("%s: %s: %s\nwant %s", name, v.Rule, reason, x.want)
		}
	}
}

func TestTheReasonOfAParticipationSaysItsShare(t *testing.T) {
	for ppm, want := range map[int64]string{
		400_000: "it takes part in 40 % of the searches that it matches, so that its budget lasts; this one is not " +
			"among them",
		0: "pacing holds it back at present, so it takes part in no search",
	} {
		if got := (&Verdict{Rule: RuleParticipation, ParticipationPPM: ppm}).Reason(nil); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestAnExploredQualityRanksAndPricesAndSaysSo: of two equal bids the one that is explored leads, and pays by its
// explored quality what the other's score demands.
func TestAnExploredQualityRanksAndPricesAndSaysSo(t *testing.T) {
	m := newTestMarket(t, 7, hangzhou)
	for _, name := range []string{"advertisers/a", "advertisers/b"} {
		m.commit(t, &hexbid.Advertiser{Meta: hexbid.Meta{Name: name}},
			&hexbid.Program{Meta: hexbid.Meta{Name: name + "/programs/p"}, Category: hexbid.Shopping},
			&hexbid.Campaign{Meta: hexbid.Meta{Name: name + "/campaigns/c"}, Program: name + "/programs/p",
				Pricing: hexbid.CPC, Bid: 1_000_000, Area: hexbid.Area{Everywhere: true}})
	}
	uidOf := func(name string) hexbid.UID {
		r, err := m.store.Get(context.Background(), name)
		if err != nil {
			t.Fatal(err)
		}
		return r.Meta().UID
	}
	known, young := uidOf("advertisers/a/campaigns/c"), uidOf("advertisers/b/campaigns/c")
	m.indexer.handInAll(t, []stated{{campaign: known, pacingPPM: auction.PPM, qualityPPM: 30_000},
		{campaign: young, pacingPPM: auction.PPM, qualityPPM: 20_000, exploredPPM: 40_000}})
	q := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 1}, "r", m.now)
	var w Scratch
	for explore, want := range map[bool]auction.Award{
		false: {Price: 666_667, Entry: auction.Entry{Candidate: auction.Candidate{CampaignUID: known, QualityPPM: 30_000}}},
		true: {Price: 750_000, Entry: auction.Entry{Candidate: auction.Candidate{CampaignUID: young, QualityPPM: 40_000},
			Explored: true}},
	} {
		q.Explore = explore
		got := m.indexer.Snapshot().Search(&q, &w)[0]
		if got.Entry.CampaignUID != want.Entry.CampaignUID || got.Entry.QualityPPM != want.Entry.QualityPPM ||
			got.Entry.Explored != want.Entry.Explored || got.Price != want.Price {
			t.Errorf("exploring %v: %+v, want %+v", explore, got, want)
		}
	}
}
