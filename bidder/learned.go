package bidder

import (
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/quality"
)

// Learned is the part of a market that is learned from events. It applies to every campaign alike; what is learned of
// single campaigns comes through HandIn. What is nil or zero stays as the operator has it.
type Learned struct {
	PositionFactors []int64       `json:"positionFactors,omitempty"`
	FactorsOnRender []int64       `json:"factorsOnRender,omitempty"`
	SceneFactorPPM  *SceneFactors `json:"sceneFactorPPM,omitempty"`
	// Distance has the ends of the bands of the operator's own table.
	Distance *quality.Distances `json:"distance,omitempty"`
}

// With returns the market with what was learned, but for what the operator has pinned, as a version of its own.
func (m *Market) With(l *Learned, version uint64) *Market {
	learned := *m
	learned.Version = version
	if l.SceneFactorPPM != nil {
		learned.SceneFactorPPM = *l.SceneFactorPPM
	}
	if l.PositionFactors != nil && !m.PositionsPinned {
		learned.PositionFactors = l.PositionFactors
	}
	if l.FactorsOnRender != nil && !m.PositionsPinned {
		learned.FactorsOnRender = l.FactorsOnRender
	}
	if l.Distance != nil && !m.DistancePinned && slices.Equal(l.Distance.EndsM, m.Distance.EndsM) {
		learned.Distance = *l.Distance
	}
	return &learned
}

// SceneFactors are factors by host and scene, in parts per million. 0 is a whole.
type SceneFactors [hexbid.HostCount][hexbid.SceneCount]int64

// SceneFactors returns the factors of host and scene that the snapshot's searches follow, each from 1 to auction.PPM.
func (s *Snapshot) SceneFactors() [hexbid.HostCount][hexbid.SceneCount]int64 {
	factors := s.market.SceneFactorPPM
	for host := range factors {
		for scene, ppm := range factors[host] {
			if ppm == 0 {
				factors[host][scene] = auction.PPM
			}
		}
	}
	return factors
}

// Distances returns the table of distances that the snapshot's searches follow.
func (s *Snapshot) Distances() *quality.Distances { return &s.market.Distance }
