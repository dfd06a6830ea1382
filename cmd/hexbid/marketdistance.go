package main

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/quality"
)

// distanceSection is the operator's own table of distances. It pins the factors. An empty one says that distance does
// not count.
type distanceSection struct {
	EndsM []float64 `yaml:"ends_m"`
	// FactorPPM are the factors by category, from the nearest band to the farthest. Those of anyCategory are for all
	// categories that are not named.
	FactorPPM map[string][]int64 `yaml:"factor_ppm"`
	// WithoutPlacePPM are those of programs without a place, the farthest band's where they are left out.
	WithoutPlacePPM map[string]int64 `yaml:"without_place_ppm"`
}

// anyCategory names all categories that are not named.
const anyCategory = "any"

func (s *distanceSection) addTo(m *bidder.Market) error {
	m.Distance, m.DistancePinned = quality.Distances{}, true
	if len(s.EndsM)+len(s.FactorPPM)+len(s.WithoutPlacePPM) == 0 {
		return nil
	}
	d := &m.Distance
	d.EndsM, d.FactorPPM = s.EndsM, make([]quality.Categories, len(s.EndsM)+1)
	err := eachCategory("market.distance.factor_ppm", s.FactorPPM, func(c hexbid.Category, factors []int64) error {
		return setFactors(d, c, factors)
	})
	if err != nil {
		return err
	}
	d.WithoutPlacePPM = d.FactorPPM[len(d.FactorPPM)-1]
	return eachCategory("market.distance.without_place_ppm", s.WithoutPlacePPM, func(c hexbid.Category, ppm int64) error {
		d.WithoutPlacePPM[c] = ppm
		return nil
	})
}

// setFactors sets the factors of a category, one for each band.
func setFactors(d *quality.Distances, c hexbid.Category, factors []int64) error {
	if len(factors) != len(d.FactorPPM) {
		return hexbid.Invalidf("market.distance.factor_ppm", "%d factors for %s: use %d, one more than there are ends",
			len(factors), c, len(d.FactorPPM))
	}
	for band, ppm := range factors {
		d.FactorPPM[band][c] = ppm
	}
	return nil
}

// eachCategory visits the values of a table by category: first that of anyCategory for every category, then the others.
func eachCategory[V any](field string, table map[string]V, visit func(hexbid.Category, V) error) error {
	if all, there := table[anyCategory]; there {
		for c := range hexbid.CategoryCount {
			if err := visit(c, all); err != nil {
				return err
			}
		}
	}
	for name, v := range table {
		if name == anyCategory {
			continue
		}
		c, err := hexbid.ParseCategory(name)
		if err != nil {
			return hexbid.Invalidf(field, "%v", err)
		}
		if err := visit(c, v); err != nil {
			return err
		}
	}
	return nil
}
