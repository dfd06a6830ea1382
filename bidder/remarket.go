package bidder

import (
	"context"
	"slices"

	"github.com/hexbid/hexbid/bidder/auction"
)

// SetMarket puts another version of the market into force. It returns once searches follow it: at the next publication,
// or if priors rise, when all campaigns can follow them together. It passes changes of the catalogue as HandIn does. An
// error of kind Invalid names what auctions do not cover; nothing has changed then. The others are those of HandIn. A
// call while another waits takes its place, and both return when the later version is in force.
func (x *Indexer) SetMarket(ctx context.Context, m *Market) error {
	if err := m.Validate(); err != nil {
		return err
	}
	if err := x.hand(ctx, handIn{market: m}); err != nil {
		return err
	}
	return x.await(ctx, func() bool { return x.Snapshot().MarketVersion() >= m.Version })
}

// SetMarketFirst is SetMarket for use before Load, as HandInFirst is.
func (x *Indexer) SetMarketFirst(m *Market) error {
	if err := m.Validate(); err != nil {
		return err
	}
	x.setMarket(m)
	return nil
}

// A market comes into force in one publication, so every search sees all campaigns by the same rules. Priors are in the
// records of campaigns, and a cap must bound a score before a search may see the score. A market in which priors rise
// therefore waits: first the campaigns whose caps are too low are posted anew, in portions, with caps for both markets.
// Then one publication changes the records of all campaigns. Campaigns whose caps are then too high follow in portions;
// until then they only make searches slower.

// setMarket puts another version of the market into force, now or as soon as caps bound the scores.
func (x *index) setMarket(m *Market) {
	x.coming, x.postings.ahead, x.postings.moving = m, nil, nil
	if m.PriorPPM != x.market.PriorPPM {
		x.postings.ahead = x.comingScore
		x.postings.moveAll(func(i uint32, state *postingState) bool { return x.postings.capOf(i) > state.cap })
	}
	x.turnMarket()
}

// latestMarket returns the market that is coming into force, or else the one in force.
func (x *index) latestMarket() *Market {
	if x.coming != nil {
		return x.coming
	}
	return x.market
}

// comingScore returns the best score of a campaign by the priors of the coming market, 0 for one whose quality is not a
// prior.
func (x *index) comingScore(i uint32) int64 {
	if !x.hasPrior(i) {
		return 0
	}
	c := x.records.campaigns.at(i)
	_, score := auction.Pace(c.pricing, x.records.highestBid(i), c.worth.multiplierPPM(), x.coming.PriorPPM[c.category])
	return score
}

// hasPrior reports whether the quality of a campaign is the prior of its category.
func (x *index) hasPrior(i uint32) bool {
	if x.records.campaigns.at(i).has&hasPriorQuality == 0 {
		return false
	}
	_, known := x.programs.of[x.records.programs.at(x.records.details.at(i).program).uid]
	return !known
}

// turnMarket puts the coming market into force once all caps bound the scores by it. Every publication calls it.
func (x *index) turnMarket() {
	if x.coming == nil || len(x.postings.moving) > 0 {
		return
	}
	before := x.market
	x.market, x.coming, x.postings.ahead = x.coming, nil, nil
	x.distances, x.reserves = compileDistances(&x.market.Distance), compileReserves(x.market.Reserves)
	turned := x.postings.byPlace != x.market.Distance.Count()
	x.postings.byPlace = x.market.Distance.Count()
	if before.PriorPPM != x.market.PriorPPM {
		x.followPriors()
	}
	if turned || before.PriorPPM != x.market.PriorPPM {
		x.postings.moveAll(x.postings.isStale)
	}
	if before.MinimumBid != x.market.MinimumBid {
		x.followMinimumBids()
	}
}

// followPriors copies the priors into the records of the campaigns whose quality they are. Caps bound the new scores
// already.
func (x *index) followPriors() {
	for i := range x.records.all() {
		if x.hasPrior(i) {
			x.setFactors(i)
		}
	}
}

// followMinimumBids judges anew whether what is left pays for an event of a campaign.
func (x *index) followMinimumBids() {
	for i := range x.records.all() {
		c := x.records.campaigns.at(i)
		if x.live.of(c.uid).left != 0 || x.balances.of(c.advertiser).left != 0 {
			x.followLive(i)
		}
	}
}

// capOf returns the cap that a campaign must be posted with: of its best score, by the coming market too.
func (p *postings) capOf(i uint32) capCode {
	score := p.records.bestScore(i)
	if p.ahead != nil {
		score = max(score, p.ahead(i))
	}
	return capOf(score)
}

// isStale reports whether the cap of a posted campaign is too high, or its postings tell of places though they need
// not, or do not though they may. Until it is posted anew, it only makes searches slower.
func (p *postings) isStale(i uint32, state *postingState) bool {
	return p.capOf(i)+twofold <= state.cap || p.lowers(i) != state.lowers
}

// mostPortions is about how many portions a rise of priors takes at most. In a large market its portions are therefore
// larger than others. They change more neighbours of each list at once, which takes half the work, and rest less.
// Meanwhile other changes wait, on a busy machine up to some seconds.
const mostPortions = 128

// portionOf returns how many campaigns a portion of a rise moves.
func portionOf(campaigns int) int { return max(mostMoved, campaigns/mostPortions) }

// moveAll has the posted campaigns that a function selects change their caps in portions, in the order of lists.
func (p *postings) moveAll(selects func(i uint32, state *postingState) bool) {
	p.moving = nil
	for i := range p.records.all() {
		if state := p.states.at(i); state.posted && selects(i, state) {
			p.moving = append(p.moving, ranked{state.cap, i})
		}
	}
	slices.SortFunc(p.moving, ranked.compare)
	if p.portionSize = mostMoved; p.ahead != nil {
		p.portionSize = portionOf(len(p.moving))
	}
}

// movePortion posts a portion of the campaigns anew whose caps have to change. One that is off the lists by now, or
// about to leave them, gets its cap when it comes back.
func (p *postings) movePortion() {
	before, mostEdits := p.lists.edits.ever, p.portionSize*mostMovedEdits/mostMoved
	for n := 0; n < p.portionSize && len(p.moving) > 0 && p.lists.edits.ever-before < mostEdits; n++ {
		i := p.moving[0].ordinal
		p.moving = p.moving[1:]
		if _, off := p.off[i]; p.states.at(i).posted && !off {
			p.post(i)
		}
	}
	if len(p.moving) == 0 {
		p.moving = nil
	}
}
