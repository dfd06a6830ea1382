package bidder

import (
	"cmp"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/quality"
)

// MarketOf returns the market by the operator's rules. What they leave out is the default market's, with distances that
// count by their prior. An error of kind Invalid names what auctions do not cover.
func MarketOf(rules *hexbid.Market) (Market, error) {
	m := DefaultMarket()
	for _, p := range rules.Priors {
		m.PriorPPM[p.Category] = p.PPM
	}
	if len(rules.PositionFactors) > 0 {
		m.PositionFactors, m.PositionsPinned = slices.Clone(rules.PositionFactors), true
	}
	m.Mechanism = cmp.Or(rules.Mechanism, hexbid.MechanismGSP)
	m.MechanismOf = map[hexbid.Scene]hexbid.Mechanism{}
	for _, s := range rules.SceneMechanisms {
		m.MechanismOf[s.Scene] = s.Mechanism
	}
	m.Reserves, m.Increment = slices.Clone(rules.Reserves), rules.Increment
	m.MinimumBid[hexbid.CPC], m.MinimumBid[hexbid.CPM] = rules.MinimumBidCPC, rules.MinimumBidCPM
	m.Distance = quality.PriorDistances()
	if rules.Distance != nil {
		var err error
		if m.Distance, err = distancesOf(rules.Distance); err != nil {
			return m, err
		}
		m.DistancePinned = true
	}
	return m, m.Validate()
}

// distancesOf returns the operator's table of distances by band, with a factor for every category.
func distancesOf(table *hexbid.DistanceTable) (d quality.Distances, err error) {
	if len(table.Factors) == 0 {
		return d, nil // distance does not count
	}
	d.EndsM = slices.Clone(table.EndsM)
	d.FactorPPM = make([]quality.Categories, len(d.EndsM)+1)
	of := map[hexbid.Category]*hexbid.CategoryDistance{}
	for i := range table.Factors {
		of[table.Factors[i].Category] = &table.Factors[i]
	}
	for c := range hexbid.CategoryCount {
		f := of[c]
		if f == nil {
			f = of[hexbid.CategoryUnknown]
		}
		if f == nil && c != hexbid.CategoryUnknown {
			return d, hexbid.Invalidf("market.distance.factors", "has none for %s: name every category, or add one entry "+
				"without a category for all others", c)
		}
		if f != nil {
			setFactors(&d, c, f)
		}
	}
	if of[hexbid.CategoryUnknown] == nil { // no program is of no category
		setFactors(&d, hexbid.CategoryUnknown, &table.Factors[0])
	}
	return d, nil
}

// setFactors sets a category's factors in all bands.
func setFactors(d *quality.Distances, c hexbid.Category, f *hexbid.CategoryDistance) {
	for band, ppm := range f.FactorPPM {
		d.FactorPPM[band][c] = ppm
	}
	if d.WithoutPlacePPM[c] = f.WithoutPlacePPM; f.WithoutPlacePPM == 0 {
		d.WithoutPlacePPM[c] = f.FactorPPM[len(f.FactorPPM)-1]
	}
}

// TableOf returns a table of distances as the operator writes it.
func TableOf(d *quality.Distances) *hexbid.DistanceTable {
	table := &hexbid.DistanceTable{EndsM: d.EndsM}
	if !d.Count() {
		return table
	}
	for c := hexbid.CategoryUnknown + 1; c < hexbid.CategoryCount; c++ {
		f := hexbid.CategoryDistance{Category: c, WithoutPlacePPM: d.WithoutPlacePPM[c]}
		for band := range d.FactorPPM {
			f.FactorPPM = append(f.FactorPPM, d.FactorPPM[band][c])
		}
		table.Factors = append(table.Factors, f)
	}
	return table
}

// Priors returns the priors of every category that a program may have.
func (m *Market) Priors() (all []hexbid.CategoryPrior) {
	for c := hexbid.CategoryUnknown + 1; c < hexbid.CategoryCount; c++ {
		all = append(all, hexbid.CategoryPrior{Category: c, PPM: m.PriorPPM[c]})
	}
	return all
}
