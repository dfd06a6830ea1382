package exchange

import (
	"context"
	"fmt"
	"math/big"
	"math/bits"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
)

// MarketForecast is what a change of the market would do, by the sample of the last hour's auctions.
type MarketForecast struct {
	Auctions, Sampled           uint64 // auctions of the hour, and those of them in the sample
	SampledWinners              uint64 // slots that are won in the sample, by the rules in force
	BelowReservePPM             int64  // of those winners: the new reserves keep them out
	ChangedPPM                  int64  // of those slots: another campaign or nobody wins them
	WinnersBefore, WinnersAfter uint64 // slots won in the hour
	RevenueBefore, RevenueAfter hexbid.Money
	// BelowMinimumCPC and BelowMinimumCPM count active campaigns whose bid is below the new least bid.
	BelowMinimumCPC, BelowMinimumCPM int
	Notices                          []string
}

// ForecastMarket says what other rules would do. It changes nothing.
func (e *Exchange) ForecastMarket(ctx context.Context, rules *hexbid.Market) (*MarketForecast, error) {
	if err := e.admit(ctx, access.UpdateMarket, hexbid.MarketName); err != nil {
		return nil, err
	}
	if err := CheckMarket(rules); err != nil {
		return nil, err
	}
	next, err := bidder.MarketOf(rules)
	if err != nil {
		return nil, err
	}
	done, err := e.exhaustive.take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	snapshot := e.indexer.Snapshot()
	c := newWhatIf(snapshot, e.market.withLearned(&next, snapshot.MarketVersion()))
	for _, minute := range e.market.sample.lastHour(e.config.Clock().Unix() / 60) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.add(&minute)
	}
	out := c.forecast()
	below, err := snapshot.ActiveBelow(ctx, next.MinimumBid)
	out.BelowMinimumCPC, out.BelowMinimumCPM = below[hexbid.CPC], below[hexbid.CPM]
	return out, err
}

// withLearned returns the operator's rules with what had been learned in a version, as they would come into force.
func (m *market) withLearned(rules *bidder.Market, version uint64) *bidder.Market {
	one := m.recentOf(version)
	if one == nil { // without a ledger nothing is learned
		return rules.With(&bidder.Learned{}, version)
	}
	return rules.With(&one.Learned, version)
}

// whatIf adds up what two markets make of the same auctions.
type whatIf struct {
	now           *bidder.Market
	before, after *bidder.Replay
	otherBands    bool
	out           MarketForecast
	belowReserve  uint64 // sampled winners
	changed       uint64 // sampled slots
	winners       [2]big.Rat
	revenue       [2]big.Rat // micros
}

func newWhatIf(s *bidder.Snapshot, next *bidder.Market) *whatIf {
	now := s.Market()
	return &whatIf{now: now, before: bidder.NewReplay(s, now), after: bidder.NewReplay(s, next),
		otherBands: !slices.Equal(now.Distance.EndsM, next.Distance.EndsM)}
}

// add adds the auctions of a minute. Each sampled one stands for its part of the minute.
func (c *whatIf) add(m *minuteSample) {
	var winners [2]uint64
	var revenue [2]big.Int // millionths of micros
	c.out.Auctions += m.auctions
	c.out.Sampled += uint64(len(m.sampled))
	for i := range m.sampled {
		a := &m.sampled[i]
		before := slices.Clone(c.before.Run(a))
		after := c.after.Run(a)
		c.compare(before, after)
		quality := map[hexbid.UID]int64{}
		for _, w := range c.before.Candidates() {
			quality[w.CampaignUID] = w.QualityPPM
		}
		for k, awards := range [...][]auction.Award{before, after} {
			winners[k] += uint64(len(awards))
			revenue[k].Add(&revenue[k], new(big.Int).SetUint64(expected(a, awards, c.now, quality)))
		}
	}
	part := big.NewRat(1, 1).SetFrac(new(big.Int).SetUint64(m.auctions), big.NewInt(int64(len(m.sampled))))
	for k := range winners {
		addPart(&c.winners[k], new(big.Int).SetUint64(winners[k]), part)
		addPart(&c.revenue[k], &revenue[k], part)
	}
}

// addPart adds an amount times a part.
func addPart(sum *big.Rat, amount *big.Int, part *big.Rat) {
	sum.Add(sum, new(big.Rat).Mul(new(big.Rat).SetInt(amount), part))
}

// compare counts the winners that other rules keep out, and the slots that go elsewhere.
func (c *whatIf) compare(before, after []auction.Award) {
	c.out.SampledWinners += uint64(len(before))
	for i := range before {
		uid := before[i].Entry.CampaignUID
		if !c.after.Entered(uid) {
			c.belowReserve++
		}
		if i >= len(after) || after[i].Entry.CampaignUID != uid {
			c.changed++
		}
	}
}

// expected returns what the awards of an auction are expected to bring, in millionths of micros. What people do is
// taken from the market in force: the chances of clicks are in quality, and those that slots are seen in its factors.
func expected(a *bidder.SampledAuction, awards []auction.Award, now *bidder.Market,
	quality map[hexbid.UID]int64) (sum uint64) {
	for i := range awards {
		w := &awards[i]
		worth := uint64(w.Price) * 1000 // an impression, in millionths: a thousandth of the price, times 10⁶
		if w.Entry.Pricing == hexbid.CPC {
			worth = uint64(w.Price) * uint64(quality[w.Entry.CampaignUID]) // at most 10¹⁵
		}
		high, low := bits.Mul64(worth, uint64(now.SeenPPM(a, w.Slot)))
		seen, _ := bits.Div64(high, low, auction.PPM) // the factor is at most a whole
		sum += seen
	}
	return sum
}

// forecast returns the sums.
func (c *whatIf) forecast() *MarketForecast {
	out := c.out
	if out.SampledWinners > 0 {
		out.BelowReservePPM = int64(c.belowReserve * auction.PPM / out.SampledWinners)
		out.ChangedPPM = int64(c.changed * auction.PPM / out.SampledWinners)
	}
	out.WinnersBefore, out.WinnersAfter = whole(&c.winners[0], 1), whole(&c.winners[1], 1)
	out.RevenueBefore = hexbid.Money(whole(&c.revenue[0], auction.PPM))
	out.RevenueAfter = hexbid.Money(whole(&c.revenue[1], auction.PPM))
	switch {
	case out.Sampled == 0:
		out.Notices = append(out.Notices, "no auction of the last hour is sampled: nothing is forecast of winners and "+
			"revenue. The sample begins anew with the server")
	case out.SampledWinners < fewWinners:
		out.Notices = append(out.Notices, fmt.Sprintf("only %d winners are sampled: parts are rough", out.SampledWinners))
	}
	if c.otherBands && out.Sampled > 0 {
		out.Notices = append(out.Notices, "the bands of distance end elsewhere: distances are reckoned from the middle of "+
			"the sampled cells, some kilometre off")
	}
	return &out
}

// fewWinners is how many sampled winners give parts that are off by three per cent at most, mostly.
const fewWinners = 1000

// whole divides a sum and rounds down.
func whole(sum *big.Rat, by int64) uint64 {
	quotient := new(big.Int).Quo(sum.Num(), new(big.Int).Mul(sum.Denom(), big.NewInt(by)))
	return quotient.Uint64()
}
