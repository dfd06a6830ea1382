package bidder

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// campaign holds what an auction reads of one campaign, in one cache line of 64 bytes: the disc, which is the whole
// area of most and marks the one place of the campaign's program, and the numbers of a score. Its detail holds what few
// searches need.
type campaign struct {
	disc       geoindex.Disc
	bid        hexbid.Money
	uid        hexbid.UID // 0 is a free ordinal
	worth      worth
	advertiser uint32
	pricing    hexbid.PricingModel
	category   hexbid.Category
	has        campaignBits
	state      servingState
}

// servingState is computed ahead by the indexer, so that a search seldom evaluates a schedule. It also records why a
// campaign is not active, for explanations.
type servingState uint8

const (
	active      servingState = 1 << iota // none of the last five bits is set
	timely                               // scheduled at some instant of the quarter hour
	check                                // and not scheduled at some other: evaluate its schedule
	paused                               // by its own state
	ownerPaused                          // by the state of its advertiser
	spent                                // its budget is spent
	idle                                 // it takes part in no search
	unfunded                             // its advertiser cannot pay for an event of it
)

// campaignBits say which rare tests a search must make, when it must read the specifics, and where the quality and the
// multiplier come from.
type campaignBits uint8

const (
	hasArea         campaignBits = 1 << iota // another area than one disc
	hasHostBids                              // other bids than the one in the record
	hasPriorQuality                          // its program's or the prior of its category: no quality has been handed in
	hasLoweredBid                            // its multiplier is what a budget or the balance leaves, below that of pacing
	hasCap                                   // a frequency cap of its own
	hasOwnersCap                             // a frequency cap of its advertiser
	takesPart                                // in a share of the matching searches, not in all
	hasNoPlace                               // its program has no approved place
)

// isCapped reports whether a campaign or its advertiser has a frequency cap.
func (b campaignBits) isCapped() bool { return b&(hasCap|hasOwnersCap) != 0 }

// detail holds the rest of a campaign.
type detail struct {
	version   uint64
	signature targeting.Signature
	mask      targeting.Mask
	program   uint32
	specifics uint32 // index of its specifics, 0 for none
	links            // in the chain of its program's campaigns
}

func (d *detail) tied() *links { return &d.links }

// specifics holds the parts that most campaigns do without.
type specifics struct {
	area     *geoindex.Area // nil when it has only the discs around places
	places   nearPlaces
	schedule targeting.Schedule
	keywords *targeting.Keywords
	hostBids *[hexbid.HostCount]hexbid.Money // nil when every host gets the bid
	audience *targeting.Rule                 // nil when a mask holds all of it
	rule     *targeting.Rule                 // joined to the program's gate; nil when the mask holds all of it
	cap      *hexbid.FrequencyCap            // nil when it has none of its own
	mode     pacing.Mode
	target   hexbid.Money // of a click, on average; 0 for none
}

// nearPlaces holds two squared chords to the nearest approved place of the campaign's program. A point nearer than in
// is in the campaign's area; a point nearer than out is excluded from it. 0 means that places do not matter.
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

// arePlain reports whether a campaign needs no specifics.
func (s *specifics) arePlain() bool {
	return s.area == nil && s.places == (nearPlaces{}) && s.schedule.IsAlwaysOn() && s.keywords == nil &&
		s.hostBids == nil && s.audience == nil && s.rule == nil && s.cap == nil && s.mode == pacing.Even && s.target == 0
}

var plain = &specifics{schedule: targeting.AlwaysOn}

// ask returns the campaign's specifics, empty ones for a plain campaign.
func (d *detail) ask(all sparse[specifics]) *specifics {
	if own := all.get(d.specifics); own != nil {
		return own
	}
	return plain
}

// specificsOf returns a campaign's specifics.
func (s *Snapshot) specificsOf(ordinal uint32) *specifics {
	return s.details.at(ordinal).ask(s.specifics)
}

// admits reports whether a campaign's audience has the viewer.
func (s *Snapshot) admits(ordinal uint32, q *Query) bool {
	d, want := s.details.at(ordinal), q.Profile.Want()
	return want.Admits(d.mask) && (!d.mask.More() || d.ask(s.specifics).rule.Matches(&q.Profile))
}

// rule returns the rule that admits evaluates, in the plain form.
func (s *Snapshot) rule(d *detail) targeting.Rule {
	if d.mask.More() {
		return *d.ask(s.specifics).rule
	}
	return d.mask.Rule()
}

// contains makes the exact test of a campaign's area.
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

// includes makes the exact test of the included area, places among it.
func (s *Snapshot) includes(d *detail, own *specifics, at *geoindex.Position) bool {
	return own.places.in > 0 && s.placeChord2(d.program, at) <= own.places.in || own.area != nil && own.area.Includes(at)
}

// excludes makes the exact test of the excluded area, places among it.
func (s *Snapshot) excludes(d *detail, own *specifics, at *geoindex.Position) bool {
	return own.places.out > 0 && s.placeChord2(d.program, at) <= own.places.out || own.area != nil && own.area.Excludes(at)
}

// placeChord2 returns the squared chord to the nearest approved place of a program, infinite when it has none.
func (s *Snapshot) placeChord2(number uint32, at *geoindex.Position) float64 {
	p := s.programs.at(number)
	if tree := s.trees.get(p.tree); tree != nil {
		return at.ClosestIn(tree)
	}
	_, chord2 := s.nearestInChain(p, at.Vec)
	return chord2
}

// bidOn returns a campaign's bid on a host.
func (s *Snapshot) bidOn(c *campaign, ordinal uint32, host hexbid.Host) hexbid.Money {
	if c.has&hasHostBids != 0 {
		return s.specificsOf(ordinal).hostBids[host]
	}
	return c.bid
}

// enter writes a campaign's entry into e instead of returning a copy. Copying an entry that was just written stalls on
// the store buffer.
func (s *Snapshot) enter(e *auction.Entry, ordinal uint32, q *Query, w *Scratch) {
	c := s.campaigns.at(ordinal)
	e.Ordinal, e.Advertiser, e.CampaignUID, e.Pricing, e.Bid = ordinal, c.advertiser, c.uid, c.pricing,
		s.bidOn(c, ordinal, q.Host)
	e.Prediction = auction.Prediction{BasePPM: w.basePPM(c.worth), ScenePPM: w.scenePPM, DistancePPM: auction.PPM}
	e.Explored = e.Prediction.BasePPM > c.worth.qualityPPM()
	e.MultiplierPPM, e.QualityPPM, e.Reserve = c.worth.multiplierPPM(), w.quality(c.worth), w.reserves[c.category]
	if band := s.bandOf(ordinal, q, w); band != 0 {
		e.Prediction.Band, e.Prediction.DistancePPM = band, s.distances.factorPPM(band, c.category)
		e.QualityPPM = auction.LowerQuality(e.QualityPPM, e.Prediction.DistancePPM)
	}
	e.Enter()
}

// serves reports whether a campaign is active and scheduled at the query's instant. ahead says that its state was
// computed for the quarter hour of that instant; otherwise serves evaluates its schedule.
func (s *Snapshot) serves(c *campaign, ordinal uint32, q *Query, ahead bool) bool {
	switch {
	case c.state&active == 0:
		return false
	case ahead && c.state&(timely|check) != timely|check:
		return c.state&timely != 0
	}
	return s.specificsOf(ordinal).schedule.On(q.Now)
}

type advertiser struct {
	uid hexbid.UID
	cap uint32 // index of its frequency cap, 0 for none
}

type program struct {
	uid      hexbid.UID // 0 is a free ordinal
	version  uint64
	gate     targeting.Mask
	text     targeting.Text // of names, keywords and category, to match words with
	tags     uint64         // of its sites
	places   uint32         // where the chain of its places starts
	placed   uint32         // number of those
	tree     uint32         // index of the tree of its places, 0 when they are few
	buyers   uint32         // start of the chain of its campaigns
	links                   // in the chain of its advertiser's programs
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
	links   // in the chain of its program's places
}

func (p *place) tied() *links { return &p.links }

// These constants lay out the tags of a site. A query needs some of them, so it skips whole cells that have none.
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
