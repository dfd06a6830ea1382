package exchange

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/store"
)

// An explanation tells a member whether a campaign won, and a bid that would do, and nothing that moves with a rival's
// bid by less than a step.
func TestAnExplanationForItsOwnerHidesRivals(t *testing.T) {
	b, own, other := openTenants(t)
	r := at(hub)
	r.Slots = 1
	raise := func(x tenant, bid hexbid.Money) {
		t.Helper()
		if _, err := b.Update(ctx, x.campaign(), store.AnyVersion, false, func(p hexbid.Resource) (hexbid.Resource, error) {
			next := *p.(*hexbid.Campaign)
			next.Bid, next.DailyBudget = bid, 100*bid
			return &next, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	explain := func() *Explanation {
		t.Helper()
		x, err := b.Explain(memberOf(own, hexbid.LevelViewer), own.campaign(), r)
		if err != nil {
			t.Fatal(err)
		}
		v := &x.Verdict
		if !x.RivalsHidden || v.Needed != 0 || v.Entry.Score != 0 || v.Ahead.Score != 0 || v.Ahead.CampaignUID != 0 ||
			v.Award.Price != 0 || strings.Contains(x.Reason, "score") || strings.Contains(x.Reason, other.advertiser()) {
			t.Errorf("%q: %+v", x.Reason, v)
		}
		return x
	}
	raise(other, 3_000_000)
	lost := explain()
	if lost.Verdict.Rule != bidder.RuleOutbid || lost.Advice.Bid <= 3_000_000 || lost.Advice.Bid > 3_310_000 {
		t.Errorf("%s, advised to bid %s", lost.Verdict.Rule, lost.Advice.Bid)
	}
	raise(other, 3_000_100)
	if again := explain(); again.Advice != lost.Advice || again.Reason != lost.Reason {
		t.Errorf("a hundred micros more show: %+v %q, before %+v %q", again.Advice, again.Reason, lost.Advice, lost.Reason)
	}
	raise(own, lost.Advice.Bid)
	if won := explain(); won.Verdict.Rule != bidder.Shown || won.Reason != "won slot 1" {
		t.Errorf("the advice wins nothing: %q", won.Reason)
	}
	if all, err := b.Explain(ctx, own.campaign(), r); err != nil || all.RivalsHidden || all.Verdict.Award.Price == 0 {
		t.Errorf("the operator is told %+v, %v", all, err)
	}
}

func TestStepsOfBids(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := hexbid.Money(rapid.Int64Range(1, 1e12).Draw(t, "bid"))
		step := roundedUp(m)
		if step < m || step > m+(m+9)/10 || roundedUp(step) != step {
			t.Fatalf("%d is rounded to %d", m, step)
		}
	})
}

func TestExplanationsAreCountedByTheHour(t *testing.T) {
	x := explains{atMost: 2}
	start := time.Unix(3600*1000, 0)
	for i, c := range []struct {
		advertiser hexbid.UID
		after      time.Duration
		refused    bool
	}{{1, 0, false}, {1, time.Second, false}, {1, 59 * time.Minute, true}, {2, 59 * time.Minute, false},
		{1, time.Hour, false}} {
		if err := x.take(c.advertiser, start.Add(c.after)); (hexbid.KindOf(err) == hexbid.Exhausted &&
			err != nil) != c.refused {
			t.Errorf("%d: %v", i, err)
		}
	}
}
