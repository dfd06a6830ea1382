package peers

import (
	"slices"

	"github.com/golang/geo/s1"
	"github.com/golang/geo/s2"

	"github.com/hexbid/hexbid"
)

// S2 is golang/geo. It covers each circle with at most eight cells. A query looks up the ancestors of the cell over its
// point and then takes the exact test.
type S2 struct {
	circles []Circle
	under   map[s2.CellID][]int32 // by descending bid
	levels  []int                 // that some cell has
}

const s2Cells = 8

// Name implements Peer.
func (*S2) Name() string { return "golang/geo" }

// Load implements Peer.
func (s *S2) Load(circles []Circle) error {
	s.circles, s.under = circles, map[s2.CellID][]int32{}
	coverer := s2.RegionCoverer{MinLevel: 2, MaxLevel: 16, LevelMod: 1, MaxCells: s2Cells}
	var used [31]bool
	for i := range circles {
		c := &circles[i]
		center := s2.PointFromLatLng(s2.LatLngFromDegrees(c.Center.Lat, c.Center.Lng))
		for _, cell := range coverer.Covering(s2.CapFromCenterAngle(center, s1.Angle(c.RadiusM/hexbid.EarthRadiusM))) {
			s.under[cell] = append(s.under[cell], int32(i))
			used[cell.Level()] = true
		}
	}
	for level, is := range used {
		if is {
			s.levels = append(s.levels, level)
		}
	}
	for _, list := range s.under {
		slices.SortFunc(list, func(a, b int32) int { return int(circles[b].Bid - circles[a].Bid) })
	}
	return nil
}

// TopTen implements Peer. It leaves a list once the list's bids are below the tenth bid that it has kept.
func (s *S2) TopTen(q *Query, into []int) ([]int, error) {
	b := best{circles: s.circles}
	leaf := s2.CellIDFromLatLng(s2.LatLngFromDegrees(q.At.Lat, q.At.Lng))
	for _, level := range s.levels {
		for _, i := range s.under[leaf.Parent(level)] {
			c := &s.circles[i]
			if b.n == Ten && c.Bid <= s.circles[b.ids[Ten-1]].Bid {
				break
			}
			if c.covers(q) {
				b.offer(int(i))
			}
		}
	}
	return b.append(into), nil
}

// Close implements Peer.
func (*S2) Close() error { return nil }
