package bidder

import (
	"fmt"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// LiveState is what a campaign is worth right now, as searches use it. It is no part of the catalogue, so an edit of
// the campaign does not change it.
type LiveState struct {
	PacingPPM       int64 // multiplies the bid, in parts per million; auction.PPM until one is handed in
	LoweredByBudget bool  // what is left of a budget or of the balance makes PacingPPM lower than pacing does
	QualityPPM      int64 // the chance of a click once seen, in parts per million
	QualityIsPrior  bool  // no quality has been handed in: QualityPPM is the prior of the program's category
	BudgetSpent     bool  // the campaign does not serve
	FrequencyCapped bool  // the campaign does not serve
	NoBalance       bool  // the advertiser cannot pay for an event, so the campaign does not serve
}

// Owner names the part of the system that knows one thing about what campaigns are worth right now. Each field of a
// LiveUpdate belongs to one owner, and only that owner sets it.
type Owner uint8

// The owners, each with its field.
const (
	OwnerLedger    Owner = 1 + iota // BudgetSpent and Left
	OwnerPacing                     // PacingPPM
	OwnerQuality                    // QualityPPM
	OwnerFrequency                  // FrequencyCapped
)

var ownerNames = [...]string{OwnerLedger: "ledger", OwnerPacing: "pacing", OwnerQuality: "quality",
	OwnerFrequency: "frequency"}

// String returns the owner's name.
func (o Owner) String() string {
	if o.isKnown() {
		return ownerNames[o]
	}
	return fmt.Sprintf("owner %d", uint8(o))
}

func (o Owner) isKnown() bool { return o >= OwnerLedger && int(o) < len(ownerNames) }

// LiveUpdate is what one owner hands in about one campaign. The fields of other owners stay zero.
type LiveUpdate struct {
	Campaign hexbid.UID
	// Withdrawn takes back whatever the owner has handed in about the campaign: its field returns to the initial value.
	Withdrawn   bool
	BudgetSpent bool
	// Left is the most that one event may cost, 0 for no bound. The index lowers the bid so far that the highest bid on
	// any host keeps within it. If that is below the market's minimum bid, the campaign counts as spent.
	Left            hexbid.Money
	PacingPPM       int64 // 0 to auction.PPM
	QualityPPM      int64 // 1 to auction.PPM
	FrequencyCapped bool
}

// MaxLiveUpdates is the most updates of one hand-in. Applying so many takes the indexer some tens of milliseconds.
const MaxLiveUpdates = 10_000

// checkUpdates refuses updates that an owner may not hand in. Its error names the field.
func checkUpdates(owner Owner, updates []LiveUpdate) error {
	if !owner.isKnown() {
		return hexbid.Invalidf("owner", "%d is not known: use %d to %d", uint8(owner), OwnerLedger, len(ownerNames)-1)
	}
	if len(updates) > MaxLiveUpdates {
		return hexbid.Invalidf("updates", "has %d entries: hand in at most %d at a time", len(updates), MaxLiveUpdates)
	}
	for i := range updates {
		if field, why := updates[i].fault(owner); field != "" {
			return hexbid.Invalidf(fmt.Sprintf("updates[%d].%s", i, field), "%s", why)
		}
	}
	return nil
}

// fault returns the first field that an owner may not set so, and why; both are empty when the update is valid.
func (u *LiveUpdate) fault(owner Owner) (field, why string) {
	if u.Campaign == 0 {
		return "campaign", "is missing: give the campaign's uid"
	}
	for _, f := range [...]struct {
		owner Owner
		name  string
		isSet bool
	}{{OwnerLedger, "budget_spent", u.BudgetSpent}, {OwnerLedger, "left", u.Left != 0},
		{OwnerPacing, "pacing_ppm", u.PacingPPM != 0}, {OwnerQuality, "quality_ppm", u.QualityPPM != 0},
		{OwnerFrequency, "frequency_capped", u.FrequencyCapped}} {
		if f.isSet && f.owner != owner {
			return f.name, fmt.Sprintf("belongs to the owner %s, not to %s: leave it out", f.owner, owner)
		}
	}
	switch {
	case u.Withdrawn:
	case u.Left < 0:
		return "left", fmt.Sprintf("%d is negative: use 0 for no bound, and budget_spent where nothing is left", u.Left)
	case u.PacingPPM < 0 || u.PacingPPM > auction.PPM:
		return "pacing_ppm", fmt.Sprintf("%d is out of range: use 0 to %d", u.PacingPPM, auction.PPM)
	case owner == OwnerQuality && (u.QualityPPM < 1 || u.QualityPPM > auction.PPM):
		return "quality_ppm", fmt.Sprintf("%d is out of range: use 1 to %d", u.QualityPPM, auction.PPM)
	}
	return "", ""
}

// handedIn holds what owners have handed in about one campaign. The zero value says that none has.
type handedIn struct {
	pacingPPM, qualityPPM uint32
	left                  eventBound
	by                    ownerBits // owners who have handed something in
	spent, capped         bool
}

// eventBound is the most micros that one event may cost, 0 for no bound.
type eventBound uint32

// boundOf returns the bound by what is left. No event costs more than the highest bid for a click, so from there on
// nothing is bounded.
func boundOf(left hexbid.Money) eventBound {
	if left >= hexbid.MaxBidCPC {
		return 0
	}
	return eventBound(left)
}

// multiplier returns the highest multiplier, in parts per million, with which an event of a campaign keeps within the
// bound. highest is its highest bid on any host.
func (b eventBound) multiplier(pricing hexbid.PricingModel, highest hexbid.Money) int64 {
	if b == 0 {
		return auction.PPM
	}
	return auction.MultiplierWithin(pricing, highest, hexbid.Money(b))
}

// ownerBits is a set of owners.
type ownerBits uint8

func (b ownerBits) has(o Owner) bool { return b>>o&1 == 1 }

// with returns the state after an owner's update. Only the owner's field changes.
func (s handedIn) with(owner Owner, u *LiveUpdate) handedIn {
	s.by |= 1 << owner
	if u.Withdrawn {
		s.by &^= 1 << owner
		u = &LiveUpdate{}
	}
	switch owner {
	case OwnerLedger:
		s.spent, s.left = u.BudgetSpent, boundOf(u.Left)
	case OwnerPacing:
		s.pacingPPM = uint32(u.PacingPPM)
	case OwnerQuality:
		s.qualityPPM = uint32(u.QualityPPM)
	case OwnerFrequency:
		s.capped = u.FrequencyCapped
	}
	return s
}

// factors returns the numbers that a score multiplies the bid by. The prior counts until a quality is handed in.
func (s handedIn) factors(priorPPM int64) (pacingPPM, qualityPPM uint32) {
	pacingPPM, qualityPPM = auction.PPM, uint32(priorPPM)
	if s.by.has(OwnerPacing) {
		pacingPPM = s.pacingPPM
	}
	if s.by.has(OwnerQuality) {
		qualityPPM = s.qualityPPM
	}
	return pacingPPM, qualityPPM
}

// LiveState returns what this snapshot takes a campaign to be worth, false when it does not have the campaign.
func (s *Snapshot) LiveState(campaign hexbid.UID) (LiveState, bool) {
	i, there := s.ordinalOf(campaign)
	if !there {
		return LiveState{}, false
	}
	c := s.campaigns.at(i)
	return LiveState{PacingPPM: int64(c.pacingPPM), LoweredByBudget: c.has&hasLoweredBid != 0,
		QualityPPM: int64(c.qualityPPM), QualityIsPrior: c.has&hasPriorQuality != 0, BudgetSpent: c.state&spent != 0,
		FrequencyCapped: c.state&capped != 0, NoBalance: s.lacksBalance(c)}, true
}

// EventPrices returns the least that an event of a campaign must pay for in this market, and the most that one costs at
// the campaign's bids. It returns false for a campaign that the snapshot does not have.
func (s *Snapshot) EventPrices(campaign hexbid.UID) (least, dearest hexbid.Money, there bool) {
	i, there := s.ordinalOf(campaign)
	if !there {
		return 0, 0, false
	}
	c := s.campaigns.at(i)
	highest := c.bid
	if bids := s.specificsOf(i).hostBids; bids != nil {
		highest = slices.Max(bids[:])
	}
	if c.pricing == hexbid.CPM {
		highest /= 1000
	}
	return s.market.LeastEvent(c.pricing), highest, true
}

// LeastEvent returns what one event costs at the least bid that the market takes: a click, or one impression.
func (m *Market) LeastEvent(pricing hexbid.PricingModel) hexbid.Money {
	bid := m.leastBid(pricing)
	if pricing == hexbid.CPM {
		return (bid + 999) / 1000
	}
	return bid
}

// leastBid returns the least bid that the market takes.
func (m *Market) leastBid(pricing hexbid.PricingModel) hexbid.Money {
	least, _ := pricing.BidLimits()
	return max(least, m.MinimumBid[pricing])
}
