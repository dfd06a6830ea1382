package exchange

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
)

// delivery returns how a campaign's day goes, nil while searches do not see the campaign. It does not say what limits
// one that is behind.
func (b *books) delivery(s *hexbid.CampaignSpend) *hexbid.Delivery {
	live, seen := b.indexer.Snapshot().LiveState(s.UID)
	if s.Deleted || !seen {
		return nil
	}
	d := &hexbid.Delivery{PacingPPM: live.PacingPPM, ParticipationPPM: live.ParticipationPPM, QualityPPM: live.QualityPPM,
		FilteredPPM: ppmOf(s.Today.Filtered, s.Today.Impressions+s.Today.Clicks+s.Today.Conversions+s.Today.Claims+
			s.Today.Filtered)}
	d.Filtered = b.filtered.of(s.UID, s.LocalDate)
	if estimate, learned := b.learner.estimate(b.ledger.Now(), s.UID); learned {
		d.QualityLowPPM, d.QualityHighPPM = estimate.LowPPM, estimate.HighPPM
	}
	if paid := s.Today.Clicks - s.Today.BudgetExhausted; s.Pricing == hexbid.CPC && paid > 0 {
		d.CostPerClick = s.Today.Charged / hexbid.Money(paid)
	}
	if p, stepped := b.pacer.progressOf(s.UID); stepped && hexbid.Date(p.date) == s.LocalDate && p.budget > 0 {
		d.Planned, d.AheadPPM = p.planned, ppmOf(int64(p.spent-p.planned), int64(p.budget))
		d.Status = statusOf(d.AheadPPM, p.tolerance)
	}
	if s.BudgetSpent {
		d.Status = hexbid.DayDone
	}
	return d
}

// nearlyAll is the part of the tolerance from which on a day is off its plan. The controller lets one that cannot keep
// up fall behind by the tolerance before it plans anew.
const nearlyAll = 0.95

func statusOf(aheadPPM int64, tolerance float64) hexbid.DeliveryStatus {
	switch off := float64(aheadPPM) / auction.PPM; {
	case off > nearlyAll*tolerance:
		return hexbid.AheadOfPlan
	case off < -nearlyAll*tolerance:
		return hexbid.BehindPlan
	}
	return hexbid.OnPlan
}

// ppmOf returns a part of a whole in parts per million.
func ppmOf(part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return int64(float64(part) / float64(whole) * auction.PPM)
}

// explainDelivery adds what limits a campaign that is behind its plan, and puts all of it in words. When too many
// callers have the market look at campaigns already, the limit stays unknown: spend is told all the same.
func (e *Exchange) explainDelivery(ctx context.Context, campaign hexbid.UID, d *hexbid.Delivery) error {
	if d == nil {
		return nil
	}
	unheld := d.PacingPPM == auction.PPM && d.ParticipationPPM == auction.PPM
	if d.Status == hexbid.BehindPlan && unheld {
		tried, err := e.tryRecent(ctx, campaign)
		if err != nil && hexbid.KindOf(err) != hexbid.Exhausted {
			return err
		}
		d.LimitedBy = tried.limit()
	}
	d.Summary = deliveryWords(d)
	return nil
}

// recentSearches keeps the queries of some recent searches in memory, so that a campaign can be tried in them. They are
// never written. A query names no viewer. It knows what its viewer has seen, so that a cap can be found to be what
// limits a campaign; whoever erases a viewer's history therefore forgets all queries.
type recentSearches struct {
	mu      sync.Mutex
	queries [recentKept]bidder.Query
	kept    int // ever
}

const (
	// recentKept is how many queries are kept.
	recentKept = 64
	// oneInSearches is how seldom a query is kept: of a busy market the sample spans seconds, of a quiet one hours.
	oneInSearches = 16
)

// keep keeps one in oneInSearches queries, by the number of the search.
func (r *recentSearches) keep(number int64, q *bidder.Query) {
	if number%oneInSearches != 1 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := &r.queries[r.kept%recentKept]
	*kept = *q
	kept.Trial, kept.Explore = auction.Trial{}, false
	r.kept++
}

// forget drops all queries.
func (r *recentSearches) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queries, r.kept = [recentKept]bidder.Query{}, 0
}

// all returns copies of the kept queries.
func (r *recentSearches) all() []bidder.Query {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]bidder.Query(nil), r.queries[:min(r.kept, recentKept)]...)
}

// tried counts how far a campaign comes in recent searches.
type tried struct{ searches, inArea, inAudience, uncapped, won int }

// tryRecent tries a campaign in recent searches, as if they came now. All of it is one turn. For a member, whether the
// campaign wins follows from its rivals' scores in steps, as in explanations: with the exact ones, an advertiser who
// sets one bid after another could read off what the rivals bid.
func (e *Exchange) tryRecent(ctx context.Context, campaign hexbid.UID) (t tried, err error) {
	done, err := e.exhaustive.take(ctx)
	if err != nil {
		return t, err
	}
	defer done()
	snapshot, now, err := e.indexer.SnapshotNow(ctx)
	if err != nil {
		return t, err
	}
	work := e.scratch.Get().(*scratch)
	defer e.scratch.Put(work)
	queries, hidden := e.recent.all(), e.own(ctx) != nil
	for i := range queries {
		x := Explanation{Snapshot: snapshot, Query: queries[i], RivalsHidden: hidden}
		x.Query.Now = now
		if err := x.judge(ctx, campaign, &work.bidder); err != nil {
			return t, err
		}
		t.count(x.Verdict.Rule)
	}
	return t, nil
}

// count counts a search by the rule that kept the campaign out of it. Rules that no request changes are not counted.
func (t *tried) count(rule bidder.Rule) {
	switch rule {
	case bidder.RuleArea:
		t.searches++
	case bidder.RuleCategory, bidder.RuleProgram, bidder.RulePersonal, bidder.RuleAudience, bidder.RuleWords:
		t.searches, t.inArea = t.searches+1, t.inArea+1
	case bidder.RuleFrequency:
		t.searches, t.inArea, t.inAudience = t.searches+1, t.inArea+1, t.inAudience+1
	case bidder.RuleReserve, bidder.RuleOutbid, bidder.RulePacing:
		t.searches, t.inArea, t.inAudience, t.uncapped = t.searches+1, t.inArea+1, t.inAudience+1, t.uncapped+1
	case bidder.Shown:
		t.searches, t.inArea, t.inAudience, t.uncapped, t.won = t.searches+1, t.inArea+1, t.inAudience+1,
			t.uncapped+1, t.won+1
	}
}

// limit returns the step after the area that loses the most. A campaign that wins at least half of what reaches it
// lacks searches.
func (t *tried) limit() hexbid.DeliveryLimit {
	if t.searches == 0 {
		return hexbid.LimitUnspecified
	}
	limit, least := hexbid.LimitDemand, 0.5
	for _, step := range []struct {
		limit          hexbid.DeliveryLimit
		passed, before int
	}{{hexbid.LimitAudience, t.inAudience, t.inArea}, {hexbid.LimitCap, t.uncapped, t.inAudience},
		{hexbid.LimitBid, t.won, t.uncapped}} {
		if step.before == 0 {
			break
		}
		if share := float64(step.passed) / float64(step.before); share < least {
			limit, least = step.limit, share
		}
	}
	return limit
}

var statusWords = [hexbid.DeliveryStatusCount]string{hexbid.OnPlan: "on plan", hexbid.AheadOfPlan: "ahead of its plan",
	hexbid.BehindPlan: "behind its plan", hexbid.DayDone: "its budget is spent"}

var limitWords = [hexbid.DeliveryLimitCount]string{
	hexbid.LimitDemand:   "too few searches come from its area in its hours",
	hexbid.LimitBid:      "others outbid it, or its bid is below the reserve",
	hexbid.LimitCap:      "viewers have seen it as often as a frequency cap allows",
	hexbid.LimitAudience: "its audience leaves most viewers out",
}

// deliveryWords puts a delivery in words.
func deliveryWords(d *hexbid.Delivery) string {
	var parts []string
	switch {
	case d.Status == hexbid.DayDone || d.Status == hexbid.OnPlan:
		parts = append(parts, statusWords[d.Status])
	case d.Status != hexbid.DeliveryUnspecified:
		off := max(d.AheadPPM, -d.AheadPPM)
		parts = append(parts, fmt.Sprintf("%s by %.1f %% of the day's budget", statusWords[d.Status], float64(off)/10_000))
	}
	if d.LimitedBy != hexbid.LimitUnspecified {
		parts = append(parts, limitWords[d.LimitedBy])
	} else if d.Status == hexbid.BehindPlan && (d.PacingPPM < auction.PPM || d.ParticipationPPM < auction.PPM) {
		parts = append(parts, "what it missed is spread over the rest of the day")
	}
	if d.PacingPPM < auction.PPM {
		parts = append(parts, fmt.Sprintf("bids %.1f %% of its bid", float64(d.PacingPPM)/10_000))
	}
	if d.ParticipationPPM < auction.PPM {
		parts = append(parts, fmt.Sprintf("takes part in %.1f %% of the searches", float64(d.ParticipationPPM)/10_000))
	}
	return strings.Join(parts, "; ")
}
