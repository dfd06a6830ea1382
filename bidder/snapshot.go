package bidder

import (
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// Snapshot is the market at one version of the catalogue. It never changes.
type Snapshot struct {
	Version   uint64
	Campaigns int // in the catalogue
	Programs  int
	Places    int // approved

	quarter     time.Time // schedules are read ahead for the quarter hour from here
	campaigns   paged[campaign]
	eligibility paged[eligibility]
	programs    paged[program]
	places      paged[place]
	lists       directory
	resolutions uint16 // bit r: some posting is under a cell of resolution r
	sites       *geoindex.Tree
	market      *Market
	reserves    []reserveRule
}

// campaign is all that the auction needs of one campaign, and its name.
type campaign struct {
	name       string // "" is a free ordinal
	uid        hexbid.UID
	version    uint64
	owner      hexbid.UID // the advertiser
	advertiser uint32
	program    uint32
	pricing    hexbid.PricingModel
	category   hexbid.Category
	bid        hexbid.Money
	hostBids   *[hexbid.HostCount]hexbid.Money // nil when every host gets bid
	qualityPPM int64
	pacingPPM  int64
	cap        int64 // the best score it can have
	area       *geoindex.Area
	rule       *targeting.Rule
	schedule   *targeting.Schedule
	keywords   *targeting.Keywords // nil when it has none
}

// eligibility holds three bits for each of 64 ordinals.
type eligibility struct {
	active uint64 // neither paused nor its advertiser
	timely uint64 // scheduled at some instant of the quarter hour
	check  uint64 // but not at all of them: ask its schedule
}

type program struct {
	name     string // "" is a free ordinal
	uid      hexbid.UID
	version  uint64
	category hexbid.Category
	gate     *targeting.Rule
	text     []string // tokens of names, keywords and category, for words
	places   []uint32
}

type place struct {
	name    string // "" is a free ordinal
	uid     hexbid.UID
	version uint64
	program uint32
	point   hexbid.Point
	text    []string // tokens of its name
	site    geoindex.Site
}

// Tags of a site: what a query may need, so that whole cells are passed over.
// Unknown hosts and systems have bits too, for programs that admit them.
const (
	hostTags     = 0  // bits 0-15
	osTags       = 16 // bits 16-23
	categoryTags = 24 // bits 24 and above
)

func siteTags(p *hexbid.Program) (tags uint64) {
	tags = 1 << hostTags // a request without a host sees every program
	for _, h := range p.Hosts {
		tags |= 1 << (hostTags + uint(h))
	}
	for _, os := range p.OS {
		tags |= 1 << (osTags + uint(os))
	}
	if len(p.OS) == 0 {
		tags |= (1<<hexbid.OSCount - 1) << osTags
	}
	return tags | 1<<(categoryTags+uint(p.Category))
}

// Ref names a record for whoever shows it: its version guards against a late
// reader.
type Ref struct {
	Name    string
	UID     hexbid.UID
	Version uint64
}

// CampaignRef refers to an award's campaign.
func (s *Snapshot) CampaignRef(ordinal uint32) Ref {
	c := s.campaigns.at(ordinal)
	return Ref{c.name, c.uid, c.version}
}

// ProgramRef refers to a program.
func (s *Snapshot) ProgramRef(ordinal uint32) Ref {
	p := s.programs.at(ordinal)
	return Ref{p.name, p.uid, p.version}
}

// PlaceRef refers to a place.
func (s *Snapshot) PlaceRef(ordinal uint32) Ref {
	p := s.places.at(ordinal)
	return Ref{p.name, p.uid, p.version}
}

// PlacePoint is where a place is.
func (s *Snapshot) PlacePoint(ordinal uint32) hexbid.Point { return s.places.at(ordinal).point }

// Covers says whether schedules were read ahead for an instant.
func (s *Snapshot) Covers(at time.Time) bool {
	return !at.Before(s.quarter) && at.Before(s.quarter.Add(targeting.Quarter))
}

// MechanismIn is what winners pay by in a scene.
func (s *Snapshot) MechanismIn(scene hexbid.Scene) auction.Mechanism {
	return s.market.pricing(scene, 0).Mechanism
}

// PositionFactors are the market's.
func (s *Snapshot) PositionFactors() []int64 { return s.market.PositionFactors }
