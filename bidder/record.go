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
	has        campaignBits
	state      servingState
}

// servingState is what the indexer works out ahead, so that a search seldom asks a
// schedule; and for explanations, why a campaign is not active.
type servingState uint8

const (
	active      servingState = 1 << iota // none of the last four
	timely                               // scheduled at some instant of the quarter hour
	check                                // but not at all of them: ask its schedule
	paused                               // by its own state
	ownerPaused                          // its advertiser is
	spent                                // its budget is
	capped                               // its frequency is
)

// campaignBits say what a search must ask the specifics for, and where the quality is
// from.
type campaignBits uint8

const (
	hasArea         campaignBits = 1 << iota // other than one disc
	hasHostBids                              // other than the bid
	hasPriorQuality                          // of its category: none has been handed in
)

// detail is the rest of a campaign.
type detail struct {
	version   uint64
	signature targeting.Signature
	mask      targeting.Mask
	program   uint32
	specifics uint32 // its number, 0 of a plain campaign
	links            // among the campaigns of its program
}

func (d *detail) tied() *links { return &d.links }

// specifics are what plain campaigns do without.
type specifics struct {
	area     *geoindex.Area // nil for none but the discs around places
	places   nearPlaces
	schedule targeting.Schedule
	keywords *targeting.Keywords
	hostBids *[hexbid.HostCount]hexbid.Money // nil when every host gets the bid
	audience *targeting.Rule                 // nil when a mask says all of it
	rule     *targeting.Rule                 // with the program's gate; nil when the mask says all
}

// nearPlaces says how near a point must be to an approved place of the campaign's
// program to be in its area, and to be excluded from it: squared chords, 0 where
// places do not matter.
type nearPlaces struct{ in, out float64 }

func nearPlacesOf(c *hexbid.Campaign) (n nearPlaces) {
	if c.Area.AroundPlacesM > 0 {
		n.in = geoindex.Chord2OfM(c.Area.AroundPlacesM)
	}
	if c.Excluded.AroundPlacesM > 0 {
		n.out = geoindex.Chord2OfM(c.Excluded.AroundPlacesM)
	}
	return n
}

// arePlain says that there is nothing but what a plain campaign does without.
func (s *specifics) arePlain() bool {
	return s.area == nil && s.places == (nearPlaces{}) && s.schedule.IsAlwaysOn() && s.keywords == nil && s.hostBids == nil && s.audience == nil && s.rule == nil
}

var plain = &specifics{schedule: targeting.AlwaysOn}

// ask gives the specifics, of a plain campaign too.
func (d *detail) ask(all sparse[specifics]) *specifics {
	if own := all.get(d.specifics); own != nil {
		return own
	}
	return plain
}

// specificsOf are those of a campaign.
func (s *Snapshot) specificsOf(ordinal uint32) *specifics {
	return s.details.at(ordinal).ask(s.specifics)
}

// admits says whether a campaign's audience has the viewer.
func (s *Snapshot) admits(ordinal uint32, q *Query) bool {
	d, want := s.details.at(ordinal), q.Profile.Want()
	return want.Admits(d.mask) && (!d.mask.More() || d.ask(s.specifics).rule.Matches(&q.Profile))
}

// rule is what admits says in the plain form.
func (s *Snapshot) rule(d *detail) targeting.Rule {
	if d.mask.More() {
		return *d.ask(s.specifics).rule
	}
	return d.mask.Rule()
}

// contains is the exact test of a campaign's area.
func (s *Snapshot) contains(c *campaign, ordinal uint32, at *geoindex.Position) bool {
	if c.has&hasArea == 0 {
		return c.disc.Contains(at)
	}
	d := s.details.at(ordinal)
	own := d.ask(s.specifics)
	if own.places == (nearPlaces{}) {
		return own.area.Contains(at)
	}
	return s.includes(d, own, at) && !s.excludes(d, own, at)
}

// includes is the exact test of what an area names, places among it.
func (s *Snapshot) includes(d *detail, own *specifics, at *geoindex.Position) bool {
	return own.places.in > 0 && s.placeChord2(d.program, at) <= own.places.in || own.area != nil && own.area.Includes(at)
}

// excludes is the exact test of what an area excludes, places among it.
func (s *Snapshot) excludes(d *detail, own *specifics, at *geoindex.Position) bool {
	return own.places.out > 0 && s.placeChord2(d.program, at) <= own.places.out || own.area != nil && own.area.Excludes(at)
}

// placeChord2 is the squared chord to the nearest approved place of a program,
// infinite when it has none.
func (s *Snapshot) placeChord2(number uint32, at *geoindex.Position) float64 {
	p := s.programs.at(number)
	if tree := s.trees.get(p.tree); tree != nil {
		return at.ClosestIn(tree)
	}
	_, chord2 := s.nearestInChain(p, at.Vec)
	return chord2
}

// bidOn is a campaign's bid on a host.
func (s *Snapshot) bidOn(c *campaign, ordinal uint32, host hexbid.Host) hexbid.Money {
	if c.has&hasHostBids != 0 {
		return s.specificsOf(ordinal).hostBids[host]
	}
	return c.bid
}

// enter writes a campaign's entry into e, where a copy of what was just written would
// be waited for. It says whether the entry reaches its reserve.
func (s *Snapshot) enter(e *auction.Entry, ordinal uint32, host hexbid.Host, reserves *reserveTable) bool {
	c := s.campaigns.at(ordinal)
	e.Ordinal, e.Advertiser, e.CampaignUID, e.Pricing, e.Bid = ordinal, c.advertiser, c.uid, c.pricing, s.bidOn(c, ordinal, host)
	e.MultiplierPPM, e.QualityPPM, e.Reserve = int64(c.pacingPPM), int64(c.qualityPPM), reserves[c.category]
	return e.Enter()
}

// serves says whether a campaign is active and scheduled at the query's instant:
// from the state when the quarter hour was read ahead, else from its schedule.
func (s *Snapshot) serves(c *campaign, ordinal uint32, q *Query, ahead bool) bool {
	switch {
	case c.state&active == 0:
		return false
	case ahead && c.state&(timely|check) != timely|check:
		return c.state&timely != 0
	}
	return s.specificsOf(ordinal).schedule.On(q.Now)
}

type program struct {
	uid      hexbid.UID // 0 is a free ordinal
	version  uint64
	gate     targeting.Mask
	text     targeting.Text // of names, keywords and category, for words
	tags     uint64         // of its sites
	places   uint32         // where the chain of its places starts
	placed   uint32         // how many those are
	tree     uint32         // number of the tree of its places, 0 where they are few
	buyers   uint32         // and that of its campaigns
	links                   // among the programs of its advertiser
	category hexbid.Category
}

func (p *program) tied() *links { return &p.links }

type place struct {
	uid     hexbid.UID // 0 is a free ordinal
	version uint64
	vec     geoindex.Vec
	cell    geoindex.Cell
	text    targeting.Text // of its name
	program uint32
	links   // among the places of its program
}

func (p *place) tied() *links { return &p.links }

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
