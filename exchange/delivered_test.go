package exchange

import (
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/frequency"
)

func TestWhatLimitsACampaignIsTheStepThatLosesTheMost(t *testing.T) {
	for _, c := range []struct {
		rules map[bidder.Rule]int
		want  hexbid.DeliveryLimit
	}{
		{nil, hexbid.LimitUnspecified},
		{map[bidder.Rule]int{bidder.RuleStatus: 9, bidder.RuleParticipation: 9, bidder.RuleHours: 9},
			hexbid.LimitUnspecified},
		{map[bidder.Rule]int{bidder.RuleArea: 60}, hexbid.LimitDemand},
		{map[bidder.Rule]int{bidder.RuleArea: 60, bidder.Shown: 4}, hexbid.LimitDemand},
		{map[bidder.Rule]int{bidder.RuleArea: 10, bidder.RuleOutbid: 8, bidder.Shown: 4}, hexbid.LimitBid},
		{map[bidder.Rule]int{bidder.RuleReserve: 8, bidder.RulePacing: 1, bidder.Shown: 4}, hexbid.LimitBid},
		{map[bidder.Rule]int{bidder.RuleAudience: 40, bidder.RuleOutbid: 8, bidder.Shown: 4}, hexbid.LimitAudience},
		{map[bidder.Rule]int{bidder.RuleProgram: 3, bidder.RuleFrequency: 20, bidder.RuleOutbid: 2, bidder.Shown: 1},
			hexbid.LimitCap},
		{map[bidder.Rule]int{bidder.RuleFrequency: 20}, hexbid.LimitCap},
	} {
		var counted tried
		for rule, n := range c.rules {
			for range n {
				counted.count(rule)
			}
		}
		if got := counted.limit(); got != c.want {
			t.Errorf("%v: %d, want %d", c.rules, got, c.want)
		}
	}
}

func TestADayIsOnPlanWithinItsTolerance(t *testing.T) {
	for _, c := range []struct {
		ahead     int64
		tolerance float64
		want      hexbid.DeliveryStatus
	}{{0, 0.02, hexbid.OnPlan}, {18_900, 0.02, hexbid.OnPlan}, {-18_900, 0.02, hexbid.OnPlan},
		{19_100, 0.02, hexbid.AheadOfPlan}, {-19_999, 0.02, hexbid.BehindPlan}, {-90_000, 0.1, hexbid.OnPlan}} {
		if got := statusOf(c.ahead, c.tolerance); got != c.want {
			t.Errorf("%d ppm ahead with a tolerance of %v is %d, want %d", c.ahead, c.tolerance, got, c.want)
		}
	}
}

func TestADeliveryReadsAsWords(t *testing.T) {
	d := hexbid.Delivery{Status: hexbid.BehindPlan, AheadPPM: -61_000, LimitedBy: hexbid.LimitBid, PacingPPM: auction.PPM,
		ParticipationPPM: 400_000}
	want := "behind its plan by 6.1 % of the day's budget; others outbid it, or its bid is below the reserve; " +
		"takes part in 40.0 % of the searches"
	if got := deliveryWords(&d); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for status := range hexbid.DeliveryStatusCount {
		d := hexbid.Delivery{Status: status, PacingPPM: auction.PPM, ParticipationPPM: auction.PPM}
		if words := deliveryWords(&d); strings.HasPrefix(words, " ") || words == "" && status != hexbid.DeliveryUnspecified {
			t.Errorf("status %d reads %q", status, words)
		}
	}
}

// TestSomeRecentSearchesAreKeptUntilAnErasure keeps no trial of a query, and what its viewer has seen until somebody
// erases a history.
func TestSomeRecentSearchesAreKeptUntilAnErasure(t *testing.T) {
	var r recentSearches
	for n := int64(1); n <= 5*recentKept*oneInSearches; n++ {
		r.keep(n, &bidder.Query{Slots: int(n), Explore: true, Trial: auction.Trial{Pair: 1, Swapped: true},
			History: frequency.None})
	}
	all := r.all()
	if len(all) != recentKept {
		t.Fatalf("%d queries are kept, not %d", len(all), recentKept)
	}
	for _, q := range all {
		if q.Explore || q.Trial != (auction.Trial{}) || q.History != frequency.None || q.Slots%oneInSearches != 1 ||
			q.Slots <= 4*recentKept*oneInSearches {
			t.Errorf("kept %+v", q)
		}
	}
	if r.forget(); len(r.all()) != 0 {
		t.Errorf("%d queries outlive an erasure", len(r.all()))
	}
	r.keep(1, &bidder.Query{Slots: 1})
	if all := r.all(); len(all) != 1 || all[0].Slots != 1 {
		t.Errorf("after an erasure it keeps %+v", all)
	}
}
