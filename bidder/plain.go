package bidder

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"slices"

	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// Rule names the first rule that shuts a campaign out.
type Rule string

// The rules, in the order of their evaluation. Shown means that none shuts the campaign out. ExplainResponse in
// campaign_service.proto documents each.
const (
	Shown             Rule = ""
	RuleNotIndexed    Rule = "not_indexed"
	RuleStatus        Rule = "status"
	RuleAdvertiser    Rule = "advertiser"
	RuleBalance       Rule = "balance"
	RuleBudget        Rule = "budget"
	RuleReturning     Rule = "returning"
	RuleSchedule      Rule = "schedule"
	RuleHours         Rule = "hours"
	RulePlaces        Rule = "places"
	RuleArea          Rule = "area"
	RuleCategory      Rule = "category"
	RuleProgram       Rule = "program"
	RulePersonal      Rule = "personalization"
	RuleAudience      Rule = "audience"
	RuleWords         Rule = "words"
	RuleFrequency     Rule = "frequency"
	RuleNoSlots       Rule = "no_slots"
	RuleParticipation Rule = "participation"
	RulePacing        Rule = "pacing"
	RuleReserve       Rule = "reserve"
	RuleOwnBetter     Rule = "own_better"
	RuleOutbid        Rule = "outbid"
)

// Verdict is the result of one campaign in one auction.
type Verdict struct {
	Ordinal   uint32
	Rule      Rule
	MissedByM float64       // RuleArea
	Excluded  bool          // RuleArea: inside an excluded shape
	Dimension targeting.Dim // which one differs, of RuleProgram and RuleAudience
	Entry     auction.Entry // from RuleNoSlots on
	// ParticipationPPM is the share of matching searches that the campaign takes part in, from RuleNoSlots on.
	ParticipationPPM int64
	Ahead            auction.Entry // RuleOwnBetter: the advertiser's better entry; RuleOutbid: the last winner
	// Needed is the least score that wins a slot whatever the request's id, and Slot the slot that it wins at least.
	// Both are set for RuleReserve, RuleOwnBetter and RuleOutbid.
	Needed     int64
	NeededSlot int
	Award      auction.Award // Shown
	Frequency  Exposure      // RuleFrequency
}

// Account is the exhaustive account of one auction.
type Account struct {
	Verdicts   []Verdict // of every campaign whose area holds the point
	Entries    []auction.Entry
	Awards     []auction.Award
	Looked     int // campaigns evaluated: all of them
	Candidates int // the evaluated campaigns whose area holds the point
	Matches    int // the candidates that are eligible and whose audience matches
}

// Plain evaluates a query by looking at every campaign, without the index. It is the oracle of Search.
func (s *Snapshot) Plain(q *Query) *Account {
	a, _ := s.PlainWithin(context.Background(), q) // this context never ends
	return a
}

// PlainWithin is Plain for traces, which also ask about campaigns that are off; the lists hold only those that are on.
// It yields the core from time to time. Its error is the context's, returned with the account so far.
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

// looksATurn is the number of campaigns between two checks of the context: some tens of microseconds.
const looksATurn = 1024

// look counts a campaign. Once a turn it yields the core to waiting searches and returns the context's error.
func (a *Account) look(ctx context.Context) error {
	if a.Looked++; a.Looked%looksATurn != 0 {
		return nil
	}
	runtime.Gosched()
	return ctx.Err()
}

// judge evaluates the rules in order, up to the reserve.
func (s *Snapshot) judge(i uint32, q *Query, reserves *reserveTable) Verdict {
	v := Verdict{Ordinal: i}
	for _, rules := range [...]func(*Verdict, *Query) Rule{s.judgeServing, s.judgePoint, s.judgeViewer, s.judgeCaps} {
		if v.Rule = rules(&v, q); v.Rule != Shown {
			return v
		}
	}
	var enters bool
	v.Entry, enters = s.plainEntry(i, q, reserves)
	v.ParticipationPPM = s.campaigns.at(i).worth.participationPPM()
	switch {
	case q.Slots == 0:
		v.Rule = RuleNoSlots
	case !q.Ties.TakesPart(v.Entry.CampaignUID, v.ParticipationPPM):
		v.Rule = RuleParticipation
	case v.Entry.MultiplierPPM == 0:
		v.Rule = RulePacing
	case !enters:
		v.Rule = RuleReserve
	}
	return v
}

// judgeServing returns the rule that keeps a campaign from serving at all or now.
func (s *Snapshot) judgeServing(v *Verdict, q *Query) Rule {
	c := s.campaigns.at(v.Ordinal)
	state := c.state
	schedule := &s.specificsOf(v.Ordinal).schedule
	switch {
	case state&paused != 0:
		return RuleStatus
	case state&ownerPaused != 0:
		return RuleAdvertiser
	case s.lacksBalance(c):
		return RuleBalance
	case state&spent != 0:
		return RuleBudget
	case !schedule.InFlight(q.Now):
		return RuleSchedule
	case !schedule.InHours(q.Now):
		return RuleHours
	case s.returning.has(v.Ordinal):
		return RuleReturning
	}
	return Shown
}

// judgePoint returns the rule that keeps a campaign from serving at the request's point.
func (s *Snapshot) judgePoint(v *Verdict, q *Query) Rule {
	c := s.campaigns.at(v.Ordinal)
	if s.contains(c, v.Ordinal, &q.At) {
		return Shown
	}
	v.MissedByM, v.Excluded = s.missed(c, s.details.at(v.Ordinal), &q.At)
	if !v.Excluded && math.IsInf(v.MissedByM, 1) {
		v.MissedByM = 0
		return RulePlaces
	}
	return RuleArea
}

// judgeViewer evaluates the program's gate first, then the audience, then the words. The index stores the audience
// joined to the gate.
func (s *Snapshot) judgeViewer(v *Verdict, q *Query) Rule {
	d := s.details.at(v.Ordinal)
	gate := s.programs.at(d.program).gate.Rule()
	dimension, missed := gate.FirstMiss(&q.Profile)
	switch {
	case missed && dimension == targeting.Category:
		return RuleCategory
	case missed:
		v.Dimension = dimension
		return RuleProgram
	}
	joined := s.rule(d)
	dimension, missed = joined.FirstMiss(&q.Profile)
	switch {
	case missed && dimension == targeting.Personal:
		return RulePersonal
	case missed && dimension == targeting.Intent:
		return RuleWords
	case missed:
		v.Dimension = dimension
		return RuleAudience
	case !s.competes(v.Ordinal, q):
		return RuleWords
	}
	return Shown
}

// missed returns how far a point is from a campaign's area, and whether the point is in an excluded shape.
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

// rank sorts the entries, keeps the best of each advertiser, prices them, and completes the verdicts.
func (s *Snapshot) rank(a *Account, q *Query) {
	best := map[uint32]auction.Entry{}
	var entries []auction.Entry
	for i := range a.Verdicts {
		if a.Verdicts[i].Rule == Shown {
			entries = append(entries, a.Verdicts[i].Entry)
		}
		if a.Verdicts[i].Entry.CampaignUID != 0 {
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
	a.Awards = auction.Price(a.Entries, s.PricingOf(q), nil)
	for i := range a.Verdicts {
		if v := &a.Verdicts[i]; v.Rule == Shown || v.Rule == RuleReserve {
			a.conclude(v, best[v.Entry.Advertiser], q.Slots)
		}
	}
}

// compareEntries orders entries as an auction does, the best first.
func (q *Query) compareEntries(x, y *auction.Entry) int {
	return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(q.Ties.Hash(y.CampaignUID), q.Ties.Hash(x.CampaignUID)),
		cmp.Compare(x.CampaignUID, y.CampaignUID))
}

// conclude decides whether a campaign won, lost to its own advertiser's better campaign, or lost to others. For a loser
// it computes what the campaign would need.
func (a *Account) conclude(v *Verdict, best auction.Entry, slots int) {
	won := slices.IndexFunc(a.Awards, func(w auction.Award) bool { return w.Entry.Ordinal == v.Ordinal })
	switch {
	case won >= 0:
		v.Award = a.Awards[won]
		return
	case v.Rule == RuleReserve:
	case best.Ordinal != v.Ordinal:
		v.Rule, v.Ahead = RuleOwnBetter, best
	default:
		v.Rule, v.Ahead = RuleOutbid, a.Awards[len(a.Awards)-1].Entry
	}
	v.Needed, v.NeededSlot = a.toWin(&v.Entry, slots)
}

// toWin returns the least score with which an entry that won nothing would win a slot whatever the request's id, and
// the slot that it would win at least. The rival is the advertiser's own winner; without one and without a free slot,
// it is the winner of the last slot. An equal score would leave the slot to the tie-breaking hash, so the score must
// exceed the rival's.
func (a *Account) toWin(e *auction.Entry, slots int) (score int64, slot int) {
	least := max(e.Reserve, 1)
	for i := range a.Awards {
		if own := &a.Awards[i]; own.Entry.Advertiser == e.Advertiser {
			return max(least, own.Entry.Score+1), own.Slot
		}
	}
	if len(a.Awards) < slots {
		return least, len(a.Awards) + 1
	}
	return max(least, a.Awards[len(a.Awards)-1].Entry.Score+1), slots
}
