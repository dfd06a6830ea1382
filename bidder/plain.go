package bidder

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// Rule is the first rule that shuts a campaign out.
type Rule string

// The rules, in the order that they are looked at; Shown is none.
const (
	Shown           Rule = ""
	RuleStatus      Rule = "status"
	RuleSchedule    Rule = "schedule"
	RuleHours       Rule = "hours"
	RuleArea        Rule = "area"
	RulePersonal    Rule = "personalization"
	RuleCategory    Rule = "category"
	RuleAudience    Rule = "audience"
	RuleWords       Rule = "words"
	RuleReserve     Rule = "reserve"
	RuleOwnBetter   Rule = "own_better"
	RuleOutbid      Rule = "outbid"
	RuleNotIndexed  Rule = "not_indexed"
	RuleNoSlotAsked Rule = "no_slots"
)

// Verdict is what became of one campaign in one auction.
type Verdict struct {
	Ordinal   uint32
	Rule      Rule
	MissedByM float64       // RuleArea: infinite when it cannot be told
	Excluded  bool          // RuleArea: inside an excluded shape
	Dimension targeting.Dim // RuleAudience, RulePersonal and RuleCategory
	Entry     auction.Entry // from RuleReserve on
	Needed    int64         // score that was missing: the reserve's, or of the last slot
	Better    uint32        // RuleOwnBetter: the advertiser's better campaign
	Award     auction.Award // Shown
}

// Account is the exhaustive account of one auction.
type Account struct {
	Verdicts   []Verdict // of every campaign whose area holds the point
	Entries    []auction.Entry
	Awards     []auction.Award
	Looked     int // campaigns that were looked at: all of them
	Candidates int // of those, whose area holds the point
	Matches    int // of those, eligible and with a matching audience
}

// Plain evaluates a query by looking at every campaign, with none of the index:
// the oracle of Search.
func (s *Snapshot) Plain(q *Query) *Account {
	a, _ := s.PlainWithin(context.Background(), q) // that context does not end
	return a
}

// PlainWithin is Plain for traces, which ask for all that is shut out, what is off
// included; lists hold only what is on. It lets others run from time to time. Its
// error is the context's, with the account so far.
func (s *Snapshot) PlainWithin(ctx context.Context, q *Query) (*Account, error) {
	a := &Account{}
	var reserves reserveTable
	reserves.fill(s.reserves, q)
	for i := range s.campaigns.len() {
		if err := a.look(ctx); err != nil {
			return a, err
		}
		if c := s.campaigns.at(i); c.uid != 0 && s.contains(c, i, &q.At) {
			a.Candidates++
			a.Verdicts = append(a.Verdicts, s.judge(i, q, &reserves))
		}
	}
	s.rank(a, q)
	return a, nil
}

// looksATurn are campaigns between two looks at a context: some tens of
// microseconds.
const looksATurn = 1024

// look counts a campaign. At every turn it lets searches run that wait for the core,
// and tells whether the context has ended.
func (a *Account) look(ctx context.Context) error {
	if a.Looked++; a.Looked%looksATurn != 0 {
		return nil
	}
	runtime.Gosched()
	return ctx.Err()
}

// judge looks at the rules in order, up to the reserve.
func (s *Snapshot) judge(i uint32, q *Query, reserves *reserveTable) Verdict {
	c, d := s.campaigns.at(i), s.details.at(i)
	schedule := &d.ask(s.specifics).schedule
	v := Verdict{Ordinal: i}
	v.Rule = func() Rule {
		switch {
		case c.state&active == 0:
			return RuleStatus
		case !schedule.InFlight(q.Now):
			return RuleSchedule
		case !schedule.InHours(q.Now):
			return RuleHours
		case !s.contains(c, i, &q.At):
			v.MissedByM, v.Excluded = s.missed(c, d, &q.At)
			return RuleArea
		}
		rule := s.rule(d)
		if dim, missed := rule.FirstMiss(&q.Profile); missed {
			v.Dimension = dim
			return ruleOf(dim)
		}
		if !d.ask(s.specifics).keywords.Compete(&q.Words, s.programs.at(d.program).text) {
			return RuleWords
		}
		candidate := s.candidate(i, q.Host, reserves[c.category])
		entry, enters := candidate.Enter()
		v.Entry, v.Needed = entry, max(entry.Reserve, 1)
		if !enters {
			return RuleReserve
		}
		return Shown
	}()
	return v
}

// missed tells how far a point is from a campaign's area, and whether it is in
// an excluded shape.
func (s *Snapshot) missed(c *campaign, d *detail, at *geoindex.Position) (metres float64, excluded bool) {
	if c.has&hasArea == 0 {
		return c.disc.MissedByM(at), false
	}
	own := d.ask(s.specifics)
	metres = math.Inf(1)
	if own.area != nil {
		metres = own.area.MissedByM(at)
	}
	if chord2 := s.placeChord2(d.program, at); own.places.in > 0 && !math.IsInf(chord2, 1) {
		metres = min(metres, geoindex.MetresOfChord2(chord2)-geoindex.MetresOfChord2(own.places.in))
	}
	return metres, s.excludes(d, own, at)
}

func ruleOf(d targeting.Dim) Rule {
	switch d {
	case targeting.Personal:
		return RulePersonal
	case targeting.Category:
		return RuleCategory
	case targeting.Intent:
		return RuleWords
	}
	return RuleAudience
}

// rank sorts what entered, keeps the best of each advertiser, prices, and
// completes the verdicts.
func (s *Snapshot) rank(a *Account, q *Query) {
	best := map[uint32]auction.Entry{}
	var entries []auction.Entry
	for i := range a.Verdicts {
		if a.Verdicts[i].Rule == Shown {
			entries = append(entries, a.Verdicts[i].Entry)
		}
		if r := a.Verdicts[i].Rule; r == Shown || r == RuleReserve {
			a.Matches++
		}
	}
	slices.SortFunc(entries, func(x, y auction.Entry) int { return q.compareEntries(&x, &y) })
	for _, e := range entries {
		if _, has := best[e.Advertiser]; !has {
			best[e.Advertiser] = e
			a.Entries = append(a.Entries, e)
		}
	}
	a.Awards = auction.Price(a.Entries, s.market.pricing(q.Scene, q.Slots), nil)
	for i := range a.Verdicts {
		if v := &a.Verdicts[i]; v.Rule == Shown {
			a.settle(v, best[v.Entry.Advertiser], q.Slots)
		}
	}
}

// compareEntries orders entries as an auction ranks them, the best first.
func (q *Query) compareEntries(x, y *auction.Entry) int {
	return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(q.Ties.Hash(y.CampaignUID), q.Ties.Hash(x.CampaignUID)),
		cmp.Compare(x.CampaignUID, y.CampaignUID))
}

// settle tells a winner from a campaign that lost to its own advertiser's
// better one, or to others.
func (a *Account) settle(v *Verdict, best auction.Entry, slots int) {
	won := slices.IndexFunc(a.Awards, func(w auction.Award) bool { return w.Entry.Ordinal == v.Ordinal })
	switch {
	case won >= 0:
		v.Award = a.Awards[won]
	case slots == 0:
		v.Rule = RuleNoSlotAsked
	case best.Ordinal != v.Ordinal:
		v.Rule, v.Better, v.Needed = RuleOwnBetter, best.Ordinal, best.Score
	default:
		v.Rule, v.Needed = RuleOutbid, a.Awards[len(a.Awards)-1].Entry.Score
	}
}

// Reason says a verdict in words; name tells that of a campaign.
func (v *Verdict) Reason(name func(ordinal uint32) string) string {
	switch v.Rule {
	case Shown:
		return fmt.Sprintf("won slot %d at %s (%s), set by %s", v.Award.Slot, v.Award.Price, v.Award.Entry.Pricing, v.Award.SetBy)
	case RuleStatus:
		return "the campaign or its advertiser is paused, or its budget is spent"
	case RuleSchedule:
		return "the flight has not begun or is over"
	case RuleHours:
		return "it does not serve at this hour of the week"
	case RuleArea:
		return areaReason(v)
	case RulePersonal:
		return "it names something personal, or caps frequency, and the request is not personalised or has no user key"
	case RuleCategory:
		return "the request filters another category"
	case RuleAudience:
		return fmt.Sprintf("the viewer's %s is not in its audience", v.Dimension)
	case RuleWords:
		return "its keywords, or without any its program's names and category, do not meet the words"
	case RuleReserve:
		return fmt.Sprintf("its score %d is below the reserve %d", v.Entry.Score, v.Needed)
	case RuleOwnBetter:
		return fmt.Sprintf("its advertiser enters with %s, which ranks higher", name(v.Better))
	case RuleOutbid:
		return fmt.Sprintf("outbid: its score %d does not reach the last slot's %d", v.Entry.Score, v.Needed)
	case RuleNoSlotAsked:
		return "the request asks for no sponsored slot"
	}
	return "it is not in the index"
}

func areaReason(v *Verdict) string {
	switch {
	case v.Excluded:
		return "the point is inside an excluded area"
	case math.IsInf(v.MissedByM, 1):
		return "its area is empty: the program has no approved place"
	}
	return fmt.Sprintf("the point is %.0f m outside its area", v.MissedByM)
}

// BidNeeded is the bid, on the request's host, that would reach a verdict's
// needed score; 0 when more money is not what is missing.
func (s *Snapshot) BidNeeded(v *Verdict) hexbid.Money {
	if v.Rule != RuleReserve && v.Rule != RuleOutbid && v.Rule != RuleOwnBetter {
		return 0
	}
	c := s.campaigns.at(v.Ordinal)
	return auction.BidToScore(c.pricing, v.Needed, int64(c.qualityPPM), int64(c.pacingPPM))
}
