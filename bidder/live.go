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
	PacingPPM        int64 // multiplies the bid, in parts per million; auction.PPM until one is handed in
	LoweredByBudget  bool  // what is left of a budget or of the balance makes PacingPPM lower than pacing does
	ParticipationPPM int64 // the share of matching searches that it takes part in; auction.PPM until one is handed in
	QualityPPM       int64 // the chance of a click once seen, in parts per million
	QualityIsPrior   bool  // no quality has been handed in: QualityPPM is its program's, or the prior of the category
	ExploredPPM      int64 // the quality in searches that explore: from QualityPPM to its double
	BudgetSpent      bool  // the campaign does not serve
	FrequencyCapped  bool  // it or its advertiser has a cap, so viewers who have seen it so often do not see it
	NoBalance        bool  // the advertiser cannot pay for an event, so the campaign does not serve
	Returning        bool  // it serves again, after a midnight or a top-up, and searches do not find it yet
}

// Owner names the part of the system that knows one thing about what campaigns are worth right now. Each field of a
// LiveUpdate belongs to one owner, and only that owner sets it.
type Owner uint8

// The owners, each with its fields.
const (
	OwnerLedger  Owner = 1 + iota // BudgetSpent and Left
	OwnerPacing                   // PacingPPM and ParticipationPPM
	OwnerQuality                  // QualityPPM and ExploredPPM
)

var ownerNames = [...]string{OwnerLedger: "ledger", OwnerPacing: "pacing", OwnerQuality: "quality"}

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
	// Withdrawn takes back whatever the owner has handed in about the campaign: its fields return to the initial values.
	Withdrawn   bool
	BudgetSpent bool
	// Left is the most that one event may cost, 0 for no bound. The index lowers the bid so far that the highest bid on
	// any host keeps within it. If that is below the market's minimum bid, the campaign counts as spent.
	Left      hexbid.Money
	PacingPPM int64 // 0 to auction.PPM
	// ParticipationPPM is the share of matching searches that the campaign takes part in, 0 to auction.PPM. Pacing hands
	// it in with every PacingPPM: 0 is no search at all.
	ParticipationPPM int64
	QualityPPM       int64 // 1 to auction.PPM
	// ExploredPPM is the quality in searches that explore: from QualityPPM to its double, and at most auction.PPM. 0
	// stands for QualityPPM. The index rounds it down to a fifteenth of QualityPPM.
	ExploredPPM int64
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
		{OwnerPacing, "pacing_ppm", u.PacingPPM != 0}, {OwnerPacing, "participation_ppm", u.ParticipationPPM != 0},
		{OwnerQuality, "quality_ppm", u.QualityPPM != 0}, {OwnerQuality, "explored_ppm", u.ExploredPPM != 0}} {
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
	case u.ParticipationPPM < 0 || u.ParticipationPPM > auction.PPM:
		return "participation_ppm", fmt.Sprintf("%d is out of range: use 0 to %d", u.ParticipationPPM, auction.PPM)
	case owner == OwnerQuality:
		return u.qualityFault()
	}
	return "", ""
}

func (u *LiveUpdate) qualityFault() (field, why string) {
	if u.QualityPPM < 1 || u.QualityPPM > auction.PPM {
		return "quality_ppm", fmt.Sprintf("%d is out of range: use 1 to %d", u.QualityPPM, auction.PPM)
	}
	most := min(2*u.QualityPPM, auction.PPM)
	if u.ExploredPPM != 0 && (u.ExploredPPM < u.QualityPPM || u.ExploredPPM > most) {
		return "explored_ppm", fmt.Sprintf("%d is out of range: use the quality, %d, to %d, or 0 to explore nothing",
			u.ExploredPPM, u.QualityPPM, most)
	}
	return "", ""
}

// handedIn holds what owners have handed in about one campaign. The zero value says that none has.
type handedIn struct {
	said  worth // by pacing and quality, each part 0 until then
	left  eventBound
	by    ownerBits // owners who have handed something in
	spent bool
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

// with returns the state after an owner's update. Only the owner's fields change.
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
		s.said = s.said.withMultiplier(u.PacingPPM).withParticipation(u.ParticipationPPM)
	case OwnerQuality:
		s.said = s.said.withQuality(u.QualityPPM, u.ExploredPPM)
	}
	return s
}

// worth returns what a campaign is worth, before a budget or a balance lowers its bid. Until pacing hands something in,
// the campaign takes part in every search with its full bid. Until quality does, the prior's quality counts.
func (s handedIn) worth(prior worth) worth {
	now := s.said
	if !s.by.has(OwnerPacing) {
		now = now.withMultiplier(auction.PPM).withParticipation(auction.PPM)
	}
	if !s.by.has(OwnerQuality) {
		now = now.withQuality(prior.qualityPPM(), prior.exploredPPM())
	}
	return now
}

// LiveState returns what this snapshot takes a campaign to be worth, false when it does not have the campaign.
func (s *Snapshot) LiveState(campaign hexbid.UID) (LiveState, bool) {
	i, there := s.ordinalOf(campaign)
	if !there {
		return LiveState{}, false
	}
	c := s.campaigns.at(i)
	return LiveState{PacingPPM: c.worth.multiplierPPM(), LoweredByBudget: c.has&hasLoweredBid != 0,
		ParticipationPPM: c.worth.participationPPM(), QualityPPM: c.worth.qualityPPM(),
		QualityIsPrior: c.has&hasPriorQuality != 0, ExploredPPM: c.worth.exploredPPM(), BudgetSpent: c.state&spent != 0,
		FrequencyCapped: c.has.isCapped(), NoBalance: s.lacksBalance(c), Returning: s.returning.has(i)}, true
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
