package bidder

import (
	"math"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// Snapshot is the market at one version of the catalogue. It never changes.
type Snapshot struct {
	Version   uint64
	Campaigns int // in the catalogue
	Programs  int
	Places    int // approved
	Returning int // campaigns that wait to come back to the lists
	Leaving   int // campaigns that do not serve and are still in the lists
	Moving    int // campaigns in the lists whose caps or whereabouts are to change

	publication uint64    // number of snapshots published before it
	quarter     time.Time // schedules are evaluated ahead for the quarter hour that begins here
	campaigns   paged[campaign]
	details     paged[detail]
	specifics   sparse[specifics]
	programs    paged[program]
	places      paged[place]
	trees       sparse[geoindex.Tree] // of the places of programs with many
	lists       table[posting, tail]
	returning   ordinalBits // campaigns that serve again and are not in the lists yet
	words       wordIndex
	resolutions uint32 // bit r: some posting has a cell of resolution r; otherKeys: some posting has another key
	sites       *geoindex.Tree
	advertisers paged[advertiser]
	caps        sparse[hexbid.FrequencyCap] // of advertisers
	capped      int                         // campaigns with a cap, or whose advertiser has one
	broke       ordinalBits                 // advertisers without balance
	market      *Market
	reserves    []reserveRule
	distances   *distances
	campaignOf  *sharedUIDs // always the present state; this snapshot's records tell whether an entry holds here
}

// Ref refers to a record for display. Its version tells a late reader whether the record is still the same.
type Ref struct {
	UID     hexbid.UID
	Version uint64
}

// CampaignRef returns the reference to an award's campaign.
func (s *Snapshot) CampaignRef(ordinal uint32) Ref {
	return Ref{s.campaigns.at(ordinal).uid, s.details.at(ordinal).version}
}

// ProgramRef returns the reference to a program.
func (s *Snapshot) ProgramRef(ordinal uint32) Ref {
	p := s.programs.at(ordinal)
	return Ref{p.uid, p.version}
}

// PlaceRef returns the reference to a place.
func (s *Snapshot) PlaceRef(ordinal uint32) Ref {
	p := s.places.at(ordinal)
	return Ref{p.uid, p.version}
}

// ProgramOf returns the program that an award's campaign buys for.
func (s *Snapshot) ProgramOf(campaign uint32) uint32 { return s.details.at(campaign).program }

// AdvertiserOf returns the uid of the advertiser that owns a campaign.
func (s *Snapshot) AdvertiserOf(campaign uint32) hexbid.UID {
	return s.advertisers.at(s.campaigns.at(campaign).advertiser).uid
}

// Showing holds what an award displays.
type Showing struct {
	Campaign Ref
	Program  Ref
	Place    Ref     // the program's approved place nearest to the viewer; zero for none
	Chord2   float64 // squared chord to Place
	program  uint32
}

// Showings returns what awards display to a viewer, in the order of the awards. It reads the same record of all awards
// before the next record, because loads that do not depend on each other overlap.
func (s *Snapshot) Showings(awards []auction.Award, from geoindex.Vec) (shown [hexbid.MaxSlots]Showing) {
	for i := range awards {
		shown[i].program = s.ProgramOf(awards[i].Entry.Ordinal)
		shown[i].Campaign = s.CampaignRef(awards[i].Entry.Ordinal)
	}
	for i := range awards {
		shown[i].Program = s.ProgramRef(shown[i].program)
	}
	for i := range awards {
		shown[i].Place, shown[i].Chord2 = s.nearestPlace(shown[i].program, from)
	}
	return shown
}

// nearestPlace returns the program's approved place nearest to a point, of equally near ones that of the lowest uid.
func (s *Snapshot) nearestPlace(number uint32, from geoindex.Vec) (nearest Ref, chord2 float64) {
	p := s.programs.at(number)
	if tree := s.trees.get(p.tree); tree != nil {
		site, chord2 := tree.Closest(from)
		return s.PlaceRef(site.Ordinal), chord2
	}
	found, chord2 := s.nearestInChain(p, from)
	if found == nil {
		return Ref{}, 0
	}
	return Ref{found.uid, found.version}, chord2
}

// nearestInChain is nearestPlace for a program with few places. It compares each.
func (s *Snapshot) nearestInChain(of *program, from geoindex.Vec) (nearest *place, least float64) {
	least = math.Inf(1)
	for at := of.places; at != 0; {
		p := s.places.at(at - 1)
		if chord2 := p.vec.Chord2(from); chord2 < least || chord2 == least && p.uid < nearest.uid {
			nearest, least = p, chord2
		}
		at = p.next
	}
	return nearest, least
}

// Covers reports whether schedules were evaluated ahead for an instant.
func (s *Snapshot) Covers(at time.Time) bool {
	return !at.Before(s.quarter) && at.Before(s.quarter.Add(targeting.Quarter))
}

// Holds reports whether the lists have every campaign that is scheduled at an instant. They do for the quarter hour
// evaluated ahead and for the next.
func (s *Snapshot) Holds(at time.Time) bool {
	return !at.Before(s.quarter) && at.Before(s.quarter.Add(2*targeting.Quarter))
}

// MechanismIn returns the mechanism that decides what winners pay in a scene.
func (s *Snapshot) MechanismIn(scene hexbid.Scene) hexbid.Mechanism {
	return s.market.pricing(scene, 0, quality.WhenSeen).Mechanism
}

// PositionFactors returns the market's position factors for a query's client.
func (s *Snapshot) PositionFactors(q *Query) []int64 { return s.market.FactorsOf(q.Way) }
