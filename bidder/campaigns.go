package bidder

import (
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// putCampaign indexes a campaign as written. covering is the packed covering of its area, without the discs around
// places.
func (x *index) putCampaign(c *hexbid.Campaign, covering []byte) error {
	program, known := x.records.byName[keyOf(c.Program)]
	if !known {
		return hexbid.Errorf(hexbid.Internal, "campaign.program", "%q is not indexed", c.Program)
	}
	area, err := geoindex.CompileArea(&c.Area, &c.Excluded, &x.interner)
	if err != nil {
		return err
	}
	schedule, err := targeting.CompileSchedule(c)
	if err != nil {
		return err
	}
	i, isNew := x.records.campaignSlot(c.UID)
	if isNew {
		x.postings.add(i)
		x.live.arrive(c.UID)
	}
	audience := targeting.Compile(c)
	own := specifics{schedule: schedule, keywords: targeting.CompileKeywords(c.Keywords), hostBids: hostBids(c),
		cap: someCap(c.Cap), mode: pacing.ModeOf(c), target: c.TargetCost}
	if audience.Mask().More() {
		own.audience = x.rules.intern(audience)
	}
	x.setAnchors(i, own.anchors())
	x.postings.relist(i, own, listing{x.gatedBy(program, audience.Mask(), &own), own.keywords.HasWanted(),
		shapeOf(c), x.surrounds.number(program, c.Area.AroundPlacesM), covering})
	x.records.setProgram(i, program, isNew)
	x.records.details.edit(i).version = c.Version
	*x.records.terms.at(i) = terms{audience.Mask(), c.State == hexbid.Paused}
	x.setNumbers(i, c, program)
	x.setArea(i, area, nearPlacesOf(c))
	x.postings.settle(i, premisesOf(x.marks.set(i)))
	x.setState(i)
	return nil
}

func (x *index) deleteCampaign(i uint32) {
	x.postings.drop(i)
	x.setAnchors(i, nil)
	x.live.leave(x.records.campaigns.at(i).uid)
	x.records.dropCampaign(i)
}

// setAnchors replaces the tokens that lead to a campaign. Most changes leave them as they are.
func (x *index) setAnchors(i uint32, now []string) {
	if before := x.records.specificsOf(i).anchors(); !slices.Equal(before, now) {
		x.words.anchor(i, before, now)
	}
}

// anchors returns the tokens that lead to a campaign with keywords.
func (s *specifics) anchors() []string {
	if !s.keywords.HasWanted() {
		return nil
	}
	return s.keywords.Anchors()
}

// hostBids returns the bid by host, nil when all hosts get the same bid.
func hostBids(c *hexbid.Campaign) *[hexbid.HostCount]hexbid.Money {
	if len(c.HostBids) == 0 {
		return nil
	}
	var bids [hexbid.HostCount]hexbid.Money
	for host := range bids {
		bids[host] = c.BidOn(hexbid.Host(host))
	}
	return &bids
}

// setNumbers sets the numbers that a score is computed from.
func (x *index) setNumbers(i uint32, c *hexbid.Campaign, program uint32) {
	hot := x.records.campaigns.edit(i)
	name, _ := hexbid.ParseName(c.Name) // stored names parse
	hot.bid, hot.pricing, hot.category = c.Bid, c.Pricing, x.records.programs.at(program).category
	hot.advertiser = x.records.byName[keyOf(name.Owner().String())]
	hot.has &^= hasHostBids
	if len(c.HostBids) > 0 {
		hot.has |= hasHostBids
	}
	x.setFactors(i)
}

// setFactors copies a campaign's live state into its record, with the bits that lead searches to the rare parts. What a
// budget or the balance leaves may lower the multiplier.
func (x *index) setFactors(i uint32) {
	c := x.records.campaigns.at(i)
	state := x.live.of(c.uid)
	now := state.worth(x.priorOf(i))
	within := x.multiplierWithin(i, state.left)
	isLowered := within < now.multiplierPPM()
	if isLowered {
		now = now.withMultiplier(within)
	}
	has := c.has
	for _, b := range [...]struct {
		bit campaignBits
		is  bool
	}{{hasPriorQuality, !state.by.has(OwnerQuality)}, {hasLoweredBid, isLowered},
		{hasCap, x.records.specificsOf(i).cap != nil}, {hasOwnersCap, x.records.advertisers.at(c.advertiser).cap != 0},
		{takesPart, now.participationPPM() < auction.PPM}} {
		if has &^= b.bit; b.is {
			has |= b.bit
		}
	}
	if c.worth != now || c.has != has {
		x.records.setBits(i, has)
		x.records.campaigns.edit(i).worth = now
	}
}

// multiplierWithin returns the highest multiplier with which an event of a campaign keeps within what is left of its
// budgets and of its advertiser's balance.
func (x *index) multiplierWithin(i uint32, left eventBound) int64 {
	c := x.records.campaigns.at(i)
	balance := x.balances.of(c.advertiser).left
	if left == 0 && balance == 0 {
		return auction.PPM
	}
	highest := x.records.highestBid(i)
	return min(left.multiplier(c.pricing, highest), balance.multiplier(c.pricing, highest))
}

// pays reports whether a bound leaves a campaign with a bid that the market takes.
func (x *index) pays(i uint32, bound eventBound) bool {
	if bound == 0 {
		return true
	}
	c, highest := x.records.campaigns.at(i), x.records.highestBid(i)
	paced, _ := auction.Pace(c.pricing, highest, bound.multiplier(c.pricing, highest), 0)
	return paced >= x.market.leastBid(c.pricing)
}

// setArea stores a single disc in the campaign's record, and any other area in its specifics.
func (x *index) setArea(i uint32, area *geoindex.Area, near nearPlaces) {
	if x.postings.shapeOf(i).onlyAround {
		x.setAround(i)
		return
	}
	hot, own := x.records.campaigns.edit(i), *x.records.specificsOf(i)
	var simple bool
	if hot.disc, simple = area.AsDisc(); simple && near == (nearPlaces{}) {
		hot.has, own.area, own.places = hot.has&^hasArea, nil, nearPlaces{}
	} else {
		hot.has, own.area, own.places = hot.has|hasArea, area, near
	}
	x.records.setSpecifics(i, own)
}

// setAround sets the area of a campaign that buys the discs around its program's places and nothing else. A program
// with one place gives one disc, which the campaign's record holds.
func (x *index) setAround(i uint32) {
	hot, around := x.records.campaigns.edit(i), x.surrounds.of(i)
	own := *x.records.specificsOf(i)
	own.area = nil
	if around.alone.is {
		hot.disc = geoindex.NewDisc(around.alone.vec, around.radiusM)
		hot.has, own.places = hot.has&^hasArea, nearPlaces{}
	} else {
		hot.has, own.places = hot.has|hasArea, nearPlaces{in: geoindex.Chord2OfM(around.radiusM)}
	}
	x.records.setSpecifics(i, own)
}

// gatedBy joins an audience to a program's gate: as masks, or as rules where masks cannot hold the result.
func (x *index) gatedBy(program uint32, audience targeting.Mask, own *specifics) gated {
	p := x.records.programs.at(program)
	g := gated{signature: targeting.SignatureOf(own.keywords, p.text)}
	mask, told := audience.And(p.gate)
	if g.mask = mask; told {
		return g
	}
	whole, gate := audience.Audience(), p.gate.Rule()
	if own.audience != nil {
		whole = *own.audience
	}
	rule := whole.And(&gate)
	if g.mask = rule.Mask(); g.mask.More() {
		g.rule = x.rules.intern(rule)
	}
	return g
}

// followProgram copies what a campaign takes from its program. The campaign stays posted unless its listing changes.
func (x *index) followProgram(i uint32) {
	program := x.records.details.at(i).program
	if category := x.records.programs.at(program).category; category != x.records.campaigns.at(i).category {
		x.records.campaigns.edit(i).category = category
		x.setFactors(i)
	}
	own, now := *x.records.specificsOf(i), x.postings.listingOf(i)
	now.gated = x.gatedBy(program, x.records.terms.at(i).audience, &own)
	x.postings.relist(i, own, now)
	x.setState(i)
}

// setState computes a campaign's state. It posts a campaign that is on now or will be within the next quarter hour.
func (x *index) setState(i uint32) {
	if x.updateState(i) {
		x.postings.post(i)
	} else {
		x.postings.hold(i, x.clock())
	}
}

// followLive lets a campaign follow its live state and its advertiser's balance. One of many that come back may have to
// queue.
func (x *index) followLive(i uint32) {
	x.setFactors(i)
	if x.updateState(i) {
		x.postings.bringBack(i)
	} else {
		x.postings.hold(i, x.clock())
	}
}

// updateState computes a campaign's state. It reports whether the campaign is on now or will be within the next quarter
// hour.
func (x *index) updateState(i uint32) (on bool) {
	state := x.standstill(i)
	if state == 0 {
		state = active
	}
	schedule := &x.records.specificsOf(i).schedule
	some, all := schedule.DuringQuarter(x.quarter)
	soon, _ := schedule.DuringQuarter(x.quarter.Add(targeting.Quarter))
	if some {
		state |= timely
	}
	if some && !all {
		state |= check
	}
	if x.records.campaigns.at(i).state != state {
		x.records.campaigns.edit(i).state = state
	}
	return state&active != 0 && (some || soon)
}

// standstill returns the reason why a campaign is not active, 0 when it is.
func (x *index) standstill(i uint32) (state servingState) {
	c := x.records.campaigns.at(i)
	live, funds := x.live.of(c.uid), x.balances.of(c.advertiser)
	for _, cause := range [...]struct {
		holds bool
		state servingState
	}{{x.records.terms.at(i).paused, paused}, {x.records.accounts.at(c.advertiser).paused, ownerPaused},
		{funds.none || !x.pays(i, funds.left), unfunded}, {live.spent || !x.pays(i, live.left), spent},
		{live.by.has(OwnerPacing) && live.said.participationPPM() == 0, idle}} {
		if cause.holds {
			state |= cause.state
		}
	}
	return state
}
