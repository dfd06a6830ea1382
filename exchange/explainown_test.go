package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
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

func TestStepsOfScores(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		score := rapid.Int64Range(0, 1e15).Draw(t, "score")
		step := stepAbove(score)
		if step <= score || step > score+1+(score+10)/10 || stepAbove(step-1) != step {
			t.Fatalf("the step above %d is %d", score, step)
		}
	})
}

// withinStep draws another score of the same step.
func withinStep(t *rapid.T, score int64) int64 {
	above := stepAbove(score)
	below := int64(0)
	for next := int64(1); next < above; next += (next + 9) / 10 {
		below = next
	}
	return rapid.Int64Range(below, above-1).Draw(t, "within the step")
}

// Whatever bids and qualities a member's campaigns have, nothing that an explanation tells of rivals changes while
// their scores stay within their steps. So no number of explanations tells a score finer than a step.
func TestExplanationsTellAMemberNothingFinerThanAStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Int64Range(1, 1e7), 0, bidder.MostRivals).Draw(t, "scores")
		same := make([]int64, len(scores))
		for i, score := range scores {
			same[i] = withinStep(t, score)
		}
		rivals := func(scores []int64) (entries []auction.Entry) {
			for _, score := range slices.Backward(slices.Sorted(slices.Values(scores))) {
				entries = append(entries, auction.Entry{Score: score})
			}
			return entries
		}
		v := bidder.Verdict{Entry: auction.Entry{Score: rapid.Int64Range(1, 1e7).Draw(t, "own"),
			Candidate: auction.Candidate{Reserve: rapid.Int64Range(0, 1e7).Draw(t, "reserve")}},
			Rule: rapid.SampledFrom([]bidder.Rule{bidder.Shown, bidder.RuleOutbid, bidder.RuleOwnBetter,
				bidder.RuleReserve}).Draw(t, "rule")}
		if v.Rule == bidder.RuleOwnBetter {
			v.Ahead.Score = v.Entry.Score + rapid.Int64Range(0, 1e6).Draw(t, "own better")
		}
		slots := rapid.IntRange(1, bidder.MostRivals).Draw(t, "slots")
		told := func(rule bidder.Rule, scores []int64) string {
			x := Explanation{Verdict: v, Query: bidder.Query{Slots: slots}, RivalsHidden: true}
			x.Verdict.Rule = rule
			x.standInSteps(rivals(scores))
			return fmt.Sprint(x.Rank, x.Verdict.Rule, x.Verdict.Award.Slot, x.Verdict.Needed, x.Verdict.NeededSlot)
		}
		if one, other := told(v.Rule, scores), told(v.Rule, same); one != other {
			t.Fatalf("rivals %v show as %q, and %v of the same steps as %q", scores, one, same, other)
		}
		// Nor does it tell which of the two the search itself found, which is exact.
		if v.Rule == bidder.Shown || v.Rule == bidder.RuleOutbid {
			if one, other := told(bidder.Shown, scores), told(bidder.RuleOutbid, scores); one != other {
				t.Fatalf("%q, and %q", one, other)
			}
		}
	})
}

// The rank is told below the slots too, to the owner in steps and to the operator as it is.
func TestAnExplanationTellsTheRankBelowTheSlots(t *testing.T) {
	b, own, _ := openTenants(t)
	r := at(hub)
	r.Slots = 1
	explain := func(ctx context.Context) *Explanation {
		t.Helper()
		x, err := b.Explain(ctx, own.campaign(), r)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	viewer := memberOf(own, hexbid.LevelViewer)
	for i := range 12 {
		rival := tenant{id: fmt.Sprintf("rival-%d", i)}
		all := rival.resources()
		all[3].(*hexbid.Campaign).Bid, all[3].(*hexbid.Campaign).DailyBudget = 20_000_000, 2_000_000_000
		if err := firstRejection(b.Import(ctx, all, false)); err != nil {
			t.Fatal(err)
		}
		x, exact := explain(viewer), explain(ctx)
		// The other tenant bids the same as this one, so it is ahead by a step.
		if want := min(i+3, 10); x.Rank != want || x.Verdict.Rule != bidder.RuleOutbid || x.Advice.Bid <= 20_000_000 {
			t.Errorf("behind %d rivals it is told rank %d: %q, advised %s", i+1, x.Rank, x.Reason, x.Advice.Bid)
		}
		if low, high := min(i+2, 10), min(i+3, 10); exact.Rank < low || exact.Rank > high {
			t.Errorf("behind %d rivals the operator is told rank %d", i+1, exact.Rank)
		}
	}
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
	var refused *hexbid.Error
	x.used = map[hexbid.UID]int{1: 2}
	err := x.take(1, start.Add(time.Hour+20*time.Minute))
	if !errors.As(err, &refused) || refused.Retry != 40*time.Minute {
		t.Errorf("twenty minutes into an hour: %v, %+v", err, refused)
	}
}
