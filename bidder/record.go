package bidder

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// campaign is what an auction reads of one campaign, in one cache line of 64
// bytes: the disc that most buy, and the numbers of a score. What few need
// stands in its detail.
type campaign struct {
	disc       geoindex.Disc
	bid        hexbid.Money
	uid        hexbid.UID // 0 is a free ordinal
	advertiser uint32
	qualityPPM uint32
	pacingPPM  uint32
	pricing    hexbid.PricingModel
	category   hexbid.Category
	has        specificsBits
}

// specificsBits say what a search must ask the specifics for.
type specificsBits uint8

const (
	hasArea     specificsBits = 1 << iota // other than one disc
	hasHostBids                           // other than the bid
)

// detail is the rest of a campaign.
type detail struct {
	version   uint64
	program   uint32
	signature targeting.Signature
	rule      *targeting.Rule
	specifics *specifics // nil of a plain campaign
}

// specifics are what plain campaigns do without.
type specifics struct {
	area     *geoindex.Area
	schedule targeting.Schedule
	keywords *targeting.Keywords
	hostBids *[hexbid.HostCount]hexbid.Money // nil when every host gets the bid
}

var plain = &specifics{schedule: targeting.AlwaysOn}

// ask gives the specifics, of a plain campaign too.
func (d *detail) ask() *specifics {
	if d.specifics == nil {
		return plain
	}
	return d.specifics
}

// contains is the exact test of a campaign's area.
func (s *Snapshot) contains(c *campaign, ordinal uint32, at *geoindex.Position) bool {
	if c.has&hasArea != 0 {
		return s.details.at(ordinal).specifics.area.Contains(at)
	}
	return c.disc.Contains(at)
}

// bidOn is a campaign's bid on a host.
func (s *Snapshot) bidOn(c *campaign, ordinal uint32, host hexbid.Host) hexbid.Money {
	if c.has&hasHostBids != 0 {
		return s.details.at(ordinal).specifics.hostBids[host]
	}
	return c.bid
}

func (s *Snapshot) candidate(ordinal uint32, host hexbid.Host, reserve int64) auction.Candidate {
	c := s.campaigns.at(ordinal)
	return auction.Candidate{Ordinal: ordinal, Advertiser: c.advertiser, CampaignUID: c.uid, Pricing: c.pricing, Bid: s.bidOn(c, ordinal, host),
		MultiplierPPM: int64(c.pacingPPM), QualityPPM: int64(c.qualityPPM), Reserve: reserve}
}

// eligibility holds three bits for each of 64 ordinals.
type eligibility struct {
	active uint64 // neither paused, nor its advertiser, nor out of budget
	timely uint64 // scheduled at some instant of the quarter hour
	check  uint64 // but not at all of them: ask its schedule
}

type program struct {
	uid      hexbid.UID // 0 is a free ordinal
	version  uint64
	gate     *targeting.Rule
	text     targeting.Text // of names, keywords and category, for words
	tags     uint64         // of its sites
	places   []uint32
	buyers   []uint32 // campaigns
	category hexbid.Category
}

type place struct {
	uid     hexbid.UID // 0 is a free ordinal
	version uint64
	point   hexbid.Point
	vec     geoindex.Vec
	cell    geoindex.Cell
	text    targeting.Text // of its name
	program uint32
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
