package bidder

import (
	"fmt"
	"strconv"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// Reason puts a verdict into words. name returns the name of a campaign.
func (v *Verdict) Reason(name func(ordinal uint32) string) string {
	switch v.Rule {
	case Shown:
		return fmt.Sprintf("won slot %d at %s (%s), set by %s", v.Award.Slot, v.Award.Price,
			v.Award.Entry.Pricing, v.Award.SetBy)
	case RuleArea:
		if v.Excluded {
			return "the point is inside an excluded area"
		}
		return fmt.Sprintf("the point is %.0f m outside its area", v.MissedByM)
	case RuleProgram:
		return fmt.Sprintf("its program is not for the viewer's %s", v.Dimension)
	case RuleAudience:
		return fmt.Sprintf("the viewer's %s is not in its audience", v.Dimension)
	case RuleFrequency:
		return v.Frequency.reason()
	case RuleParticipation:
		return v.participationReason()
	case RuleReserve:
		return fmt.Sprintf("its score of %d is below the %d that the market asks for here", v.Entry.Score,
			max(v.Entry.Reserve, 1))
	case RuleOwnBetter:
		return v.ownBetterReason(name(v.Ahead.Ordinal))
	case RuleOutbid:
		return v.outbidReason()
	}
	return plainReasons[v.Rule]
}

// OwnersReason is Reason for the campaign's advertiser, who learns neither scores nor what others pay or bid. name
// returns the name of a campaign, and is called for the advertiser's own alone.
func (v *Verdict) OwnersReason(name func(ordinal uint32) string) string {
	switch v.Rule {
	case Shown:
		if v.Award.Slot > 1 {
			return fmt.Sprintf("won slot %d or a better one", v.Award.Slot)
		}
		return "won slot 1"
	case RuleReserve:
		return "its bid is below what the market asks for here"
	case RuleOwnBetter:
		return fmt.Sprintf("your campaign %s stands before this one; an advertiser takes part with one campaign",
			name(v.Ahead.Ordinal))
	case RuleOutbid:
		return fmt.Sprintf("others stand before it, or less than a step below it, for all %d slots", v.NeededSlot)
	}
	return v.Reason(name)
}

func (v *Verdict) participationReason() string {
	if v.ParticipationPPM == 0 {
		return "pacing holds it back at present, so it takes part in no search"
	}
	return fmt.Sprintf("it takes part in %s %% of the searches that it matches, so that its budget lasts; this one is "+
		"not among them", strconv.FormatFloat(float64(v.ParticipationPPM)/10_000, 'f', -1, 64))
}

// plainReasons are the reasons that say nothing about the request.
var plainReasons = map[Rule]string{
	RuleNotIndexed: "it is not in the index",
	RuleStatus:     "the campaign is paused",
	RuleAdvertiser: "the advertiser is paused",
	RuleBalance:    "its advertiser's balance does not pay for an event",
	RuleBudget:     "its budget is spent",
	RuleReturning: "it serves again since its budget or its advertiser's balance pays for events again, and searches " +
		"find it within seconds",
	RuleSchedule: "its flight has not begun or is over",
	RuleHours:    "it does not serve at this hour of the week",
	RulePlaces:   "it serves around the program's places, and none is approved",
	RuleCategory: "the request filters another category than its program's",
	RulePersonal: "it names something personal, or caps frequency, and the request is not personalised or has no " +
		"user key",
	RuleWords:   "its keywords, or without any its program's names and category, do not meet the words",
	RulePacing:  "pacing holds it back at present, so it takes part with a bid of 0",
	RuleNoSlots: "the request asks for no sponsored slot",
}

const tieReason = "and among equal scores a hash of the request and the campaign decides, this time for the other"

func (v *Verdict) ownBetterReason(better string) string {
	if v.Ahead.Score == v.Entry.Score {
		return fmt.Sprintf("your campaign %s stands before this one: both score %d, %s; an advertiser takes part with one "+
			"campaign", better, v.Entry.Score, tieReason)
	}
	return fmt.Sprintf("your campaign %s stands before this one: it scores %d, this one %d; an advertiser takes part "+
		"with one campaign",
		better, v.Ahead.Score, v.Entry.Score)
}

func (v *Verdict) outbidReason() string {
	if v.Ahead.Score == v.Entry.Score {
		return fmt.Sprintf("slot %d, the last, went to the same score of %d, %s", v.NeededSlot, v.Entry.Score, tieReason)
	}
	return fmt.Sprintf("slot %d, the last, went to a score of %d, this campaign has %d", v.NeededSlot,
		v.Ahead.Score, v.Entry.Score)
}

// BidToWin returns the least bid on the request's host that reaches a verdict's needed score. It returns false when the
// market takes no such bid, or when a higher bid would not help. It would not when what is left of a budget or of the
// balance lowers the bid.
func (s *Snapshot) BidToWin(v *Verdict) (hexbid.Money, bool) {
	c := s.campaigns.at(v.Ordinal)
	if v.Needed == 0 || c.has&hasLoweredBid != 0 {
		return 0, false
	}
	return auction.BidToScore(c.pricing, v.Needed, v.Entry.QualityPPM, v.Entry.MultiplierPPM)
}
