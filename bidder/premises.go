package bidder

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
)

// premises says where the one place of a campaign's program is, as the campaign's postings tell it. A search then knows
// without the campaign's record about how far the place is at least, and so how much distance lowers the score at
// least.
type premises struct {
	spot geoindex.Spot
	are  premisesKind
}

type premisesKind uint8

const (
	severalPlaces premisesKind = iota // or not known: postings tell nothing
	onePlace
	noPlace
)

func premisesOf(at placing) premises {
	switch {
	case at.only.is:
		return premises{geoindex.SpotOf(at.only.vec), onePlace}
	case at.several:
		return premises{}
	}
	return premises{are: noPlace}
}

// whereabouts returns what a posting under a key tells.
func (s *postingState) whereabouts(key geoindex.Key) geoindex.Whereabouts {
	if !s.lowers {
		return 0
	}
	switch s.are {
	case noPlace:
		return geoindex.NoPoint
	case onePlace:
		if _, isCell := key.CellResolution(); isCell {
			return geoindex.Cell(key).Whereabouts(s.spot)
		}
	}
	return 0
}

// leastLoweredPPM is the least quality of campaigns of which postings tell where their program is. It keeps the bound
// exact: a quality is at least 1 however small the factors are. So no score is lower than a bid times 1, and that is no
// more than the cap times 1/leastLoweredPPM, the least factor by which a search lowers a cap.
const leastLoweredPPM = 1000

// lowers reports whether the distance lowers the score of a campaign in proportion.
func (p *postings) lowers(i uint32) bool {
	c := p.records.campaigns.at(i)
	return p.byPlace && c.pricing != hexbid.CPM && c.worth.qualityPPM() >= leastLoweredPPM
}

// settle sets where the place of a campaign's program is. It takes a campaign off its lists if its postings tell
// something else, and reports whether it did.
func (p *postings) settle(i uint32, now premises) (unposted bool) {
	state := p.states.at(i)
	if (premises{state.spot, state.are}) == now {
		return false
	}
	if unposted = state.posted; unposted {
		p.unpost(i)
	}
	state.spot, state.are = now.spot, now.are
	return unposted
}
