package bidder

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/geoindex"
)

// Market is the rules of the auction as searches follow them: the operator's (MarketOf), with what was learned (With).
type Market struct {
	// Version rises, from 1, with each change of the operator's rules and of what is learned (Learned). Tokens carry it,
	// so that an auditor knows which market an award followed.
	Version uint64
	// PriorPPM is the predicted chance of a click on a seen impression, by category, in parts per million. It is the
	// quality of every campaign until clicks are learned.
	PriorPPM [hexbid.CategoryCount]int64
	// Reserves are floors. The highest that applies to a candidate counts.
	Reserves []hexbid.Reserve
	// Mechanism decides what winners pay. MechanismOf overrides it in the scenes that it names.
	Mechanism   hexbid.Mechanism
	MechanismOf map[hexbid.Scene]hexbid.Mechanism
	// Increment is added to a price that another entry or a reserve sets.
	Increment hexbid.Money
	// PositionFactors are the chances that the slots are seen, relative to the first slot and in any common unit.
	PositionFactors []int64
	// SceneFactorPPM multiplies the quality of every campaign in searches from a host and a scene, in parts per million.
	// It is at most auction.PPM, because a campaign's own quality bounds what it is worth anywhere. 0 is auction.PPM.
	SceneFactorPPM [hexbid.HostCount][hexbid.SceneCount]int64
	// PositionsPinned says that PositionFactors are the operator's for good, whatever is learned of slots.
	PositionsPinned bool
	// FactorsOnRender are those of clients that report an impression as soon as it is drawn; nil for PositionFactors.
	FactorsOnRender []int64
	// Distance says how quality falls with the distance to a program's nearest place. The zero value is not at all.
	Distance quality.Distances
	// DistancePinned says that Distance is the operator's for good, whatever is learned of distances.
	DistancePinned bool
	// MinimumBid is the least bid by pricing model, checked when a campaign is uploaded.
	MinimumBid [hexbid.PricingCount]hexbid.Money
}

// DefaultMarket has priors of 1.2 % to 3 %, no reserve, no increment and no
// minimum bid.
func DefaultMarket() Market {
	m := Market{Version: 1, Mechanism: hexbid.MechanismGSP,
		PositionFactors: []int64{1000, 720, 560, 460, 390, 340, 300, 270, 245, 225}}
	for c := range m.PriorPPM {
		m.PriorPPM[c] = 20_000
	}
	for c, ppm := range map[hexbid.Category]int64{hexbid.Catering: 30_000, hexbid.LifeServices: 28_000,
		hexbid.Travel:  25_000,
		hexbid.Leisure: 25_000, hexbid.Shopping: 22_000, hexbid.Finance: 12_000, hexbid.Government: 15_000} {
		m.PriorPPM[c] = ppm
	}
	return m
}

// pricing returns the rules by which an auction of so many slots in a scene is priced.
func (m *Market) pricing(scene hexbid.Scene, slots int, way quality.Way) auction.Pricing {
	mechanism, own := m.MechanismOf[scene]
	if !own {
		mechanism = m.Mechanism
	}
	return auction.Pricing{Mechanism: mechanism, Slots: slots, Increment: m.Increment, Factors: m.FactorsOf(way)}
}

// FactorsOf returns the position factors of clients that report impressions in a way.
func (m *Market) FactorsOf(way quality.Way) []int64 {
	if way == quality.OnRender && m.FactorsOnRender != nil {
		return m.FactorsOnRender
	}
	return m.PositionFactors
}

// PricingOf returns the rules by which the auction of a query is priced.
func (s *Snapshot) PricingOf(q *Query) auction.Pricing {
	p := s.market.pricing(q.Scene, q.Slots, q.Way)
	p.Trial = q.Trial
	return p
}

// Market returns the market that the snapshot's auctions follow. It never changes.
func (s *Snapshot) Market() *Market { return s.market }

// MarketVersion returns the version of the market that the snapshot's auctions follow.
func (s *Snapshot) MarketVersion() uint64 { return s.market.Version }

// Validate refuses a market that the arithmetic of package auction does not cover. Its error names the setting.
func (m *Market) Validate() error {
	if m.Version < 1 || m.Version > math.MaxInt64 {
		return hexbid.Invalidf("market.version", "%d is out of range: use 1 to %d", m.Version, uint64(math.MaxInt64))
	}
	for c, ppm := range m.PriorPPM {
		if ppm < 1 || ppm > auction.PPM {
			return hexbid.Invalidf("market.prior_ppm", "%d for %s is out of range: use 1 to %d", ppm,
				hexbid.Category(c), auction.PPM)
		}
	}
	if err := m.checkMechanisms(); err != nil {
		return err
	}
	if err := checkFactors("market.position_factors", m.PositionFactors); err != nil {
		return err
	}
	if m.FactorsOnRender != nil {
		if err := checkFactors("market.factors_on_render", m.FactorsOnRender); err != nil {
			return err
		}
	}
	for host := range m.SceneFactorPPM {
		for scene, ppm := range m.SceneFactorPPM[host] {
			if ppm < 0 || ppm > auction.PPM {
				return hexbid.Invalidf("market.scene_factor_ppm", "%d for %s and %s is out of range: use 0 to %d", ppm,
					hexbid.Host(host), hexbid.Scene(scene), auction.PPM)
			}
		}
	}
	if err := m.Distance.Validate(); err != nil {
		return err
	}
	if m.Increment < 0 || m.Increment > hexbid.MaxBidCPC {
		return hexbid.Invalidf("market.increment", "%s is out of range: use 0 to %s", m.Increment, hexbid.MaxBidCPC)
	}
	for i, r := range m.Reserves {
		field := fmt.Sprintf("market.reserves[%d]", i)
		if r.PerThousand < 0 || r.PerThousand > hexbid.MaxBidCPM {
			return hexbid.Invalidf(field+".per_thousand", "%s is out of range: use 0 to %s", r.PerThousand, hexbid.MaxBidCPM)
		}
		if r.Region != "" {
			if _, err := geoindex.RegionByCode(r.Region); err != nil {
				return hexbid.Invalidf(field+".region", "%v", err)
			}
		}
	}
	return nil
}

// checkMechanisms refuses mechanisms that no auction has.
func (m *Market) checkMechanisms() error {
	for _, used := range append(slices.Collect(maps.Values(m.MechanismOf)), m.Mechanism) {
		if used == hexbid.MechanismUnspecified || used >= hexbid.MechanismCount {
			return hexbid.Invalidf("market.mechanism", "%s is not known: use gsp, vcg or first_price", used)
		}
	}
	return nil
}

// checkFactors refuses position factors that auctions do not cover.
func checkFactors(field string, factors []int64) error {
	if len(factors) < hexbid.MaxSlots {
		return hexbid.Invalidf(field, "has %d entries: give one for each of %d slots", len(factors), hexbid.MaxSlots)
	}
	falling := slices.IsSortedFunc(factors, func(a, b int64) int { return int(b - a) })
	if !falling || slices.Min(factors) < 1 || factors[0] > 1_000_000 {
		return hexbid.Invalidf(field, "%v: use whole numbers from 1 to 1000000, none above the one before", factors)
	}
	return nil
}
