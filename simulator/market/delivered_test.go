package market_test

import (
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/market"
)

// TestACampaignSaysHowItsDayGoesAndWhy runs two campaigns for some hours: one has far more to spend
// than its searches cost, and one is outbid by it.
func TestACampaignSaysHowItsDayGoesAndWhy(t *testing.T) {
	m, err := market.Open(market.Config{Seed: 5, Start: start, People: crowd{0.2}, Every: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	for name, bid := range map[string]hexbid.Money{"rich": 3_000_000, "outbid": 1_000_000} {
		program := "advertisers/" + name + "/programs/p"
		if err := m.Put(&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/" + name}, DisplayName: name},
			&hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "P", Category: hexbid.Catering,
				Hosts: []hexbid.Host{hexbid.WeChat}, Path: "index"},
			&hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/" + name + "/campaigns/c"}, DisplayName: "c",
				Program: program, Pricing: hexbid.CPC, Bid: bid, DailyBudget: 100_000_000_000,
				Area: hexbid.Area{Everywhere: true}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Run(6 * time.Hour); err != nil {
		t.Fatal(err)
	}
	spend, err := m.Exchange.CampaignSpend(market.Context, hexbid.Account{Name: "advertisers/rich/campaigns/c"})
	if err != nil {
		t.Fatal(err)
	}
	d := spend.Delivery
	if d == nil || d.Status != hexbid.BehindPlan || d.LimitedBy != hexbid.LimitDemand || d.Planned == 0 ||
		d.QualityLowPPM == 0 || d.QualityLowPPM > d.QualityPPM || d.QualityHighPPM < d.QualityPPM || d.CostPerClick == 0 ||
		d.CostPerClick > 3_000_000 || d.Summary == "" || d.AheadPPM > -300_000 {
		t.Errorf("a campaign that wins every search has %+v", d)
	}
}
