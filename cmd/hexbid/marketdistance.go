package main

import (
	"maps"
	"slices"

	"github.com/hexbid/hexbid"
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

// table returns the table of a section, nil for a file without one.
func (s *distanceSection) table() (*hexbid.DistanceTable, error) {
	if s == nil {
		return nil, nil
	}
	t := &hexbid.DistanceTable{EndsM: s.EndsM}
	named := map[string]bool{}
	for name := range s.FactorPPM {
		named[name] = true
	}
	for name := range s.WithoutPlacePPM {
		named[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		f, err := s.category(name)
		if err != nil {
			return nil, err
		}
		t.Factors = append(t.Factors, f)
	}
	return t, nil
}

// category returns what the section says of a category. What it leaves out is that of anyCategory.
func (s *distanceSection) category(name string) (f hexbid.CategoryDistance, err error) {
	if name != anyCategory {
		if f.Category, err = hexbid.ParseCategory(name); err != nil {
			return f, hexbid.Invalidf("market.distance", "%v", err)
		}
	}
	for _, of := range []string{anyCategory, name} {
		if factors, there := s.FactorPPM[of]; there {
			f.FactorPPM = factors
		}
		if ppm, there := s.WithoutPlacePPM[of]; there {
			f.WithoutPlacePPM = ppm
		}
	}
	return f, nil
}

// sameDistances reports whether two tables say the same.
func sameDistances(a, b *hexbid.DistanceTable) bool {
	if a == nil || b == nil {
		return a == b
	}
	same := func(a, b hexbid.CategoryDistance) bool {
		return a.Category == b.Category && a.WithoutPlacePPM == b.WithoutPlacePPM && slices.Equal(a.FactorPPM, b.FactorPPM)
	}
	return slices.Equal(a.EndsM, b.EndsM) && slices.EqualFunc(a.Factors, b.Factors, same)
}
