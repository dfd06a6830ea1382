package bidder

import (
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

// TestACapOfACampaignOrOfItsAdvertiserMarksTheCampaign gives and takes both, and deletes the campaign.
func TestACapOfACampaignOrOfItsAdvertiserMarksTheCampaign(t *testing.T) {
	m := newChainMarket(t)
	first := chainCampaign("p", 0, hexbid.Area{Everywhere: true}, hexbid.Area{})
	second := chainCampaign("q", 1, hexbid.Area{Everywhere: true}, hexbid.Area{})
	m.put(t, first, second)
	check := func(when string, wantFirst, wantSecond bool) {
		t.Helper()
		one, _ := m.live(m.uidOf(t, first.Name))
		two, _ := m.live(m.uidOf(t, second.Name))
		if one.FrequencyCapped != wantFirst || two.FrequencyCapped != wantSecond {
			t.Errorf("%s: capped %v and %v, want %v and %v", when, one.FrequencyCapped, two.FrequencyCapped, wantFirst,
				wantSecond)
		}
		if got := m.indexer.Snapshot().HasCaps(); got != (wantFirst || wantSecond) {
			t.Errorf("%s: the market has caps: %v", when, got)
		}
	}
	capped := func(c *hexbid.Campaign, impressions int) *hexbid.Campaign {
		edited := *c
		edited.Cap = hexbid.FrequencyCap{Impressions: impressions, Window: time.Hour}
		return &edited
	}
	ownersCap := func(impressions int) {
		m.put(t, &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "a",
			Cap: hexbid.FrequencyCap{Impressions: impressions}})
	}
	check("without a cap", false, false)
	m.put(t, capped(first, 3))
	check("one campaign has a cap", true, false)
	ownersCap(5)
	check("their advertiser has one too", true, true)
	ownersCap(7)
	m.put(t, capped(first, 0))
	check("their advertiser has one alone", true, true)
	m.put(t, chainCampaign("p", 2, hexbid.Area{Everywhere: true}, hexbid.Area{}))
	if third, _ := m.live(m.uidOf(t, "advertisers/a/campaigns/c2")); !third.FrequencyCapped {
		t.Error("a new campaign does not follow its advertiser's cap")
	}
	m.remove(t, "advertisers/a/campaigns/c2")
	ownersCap(0)
	check("none has one", false, false)
	m.put(t, capped(first, 1))
	m.remove(t, first.Name)
	if m.indexer.publish(); m.indexer.Snapshot().HasCaps() {
		t.Error("a deleted campaign leaves its cap behind")
	}
}
