package bidder

import (
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/targeting"
)

// kept is what only the indexer needs of a campaign.
type kept struct {
	audience targeting.Mask // without its program's gate
	around   uint32         // its number in arounds, 0 unless it goes around places
	cap      capCode        // that it is posted with
	posted   bool
	paused   bool
	spent    bool // its budget
}

// around is the area of a campaign that goes around its program's places, to be
// compiled again when they change.
type around struct{ in, out hexbid.Area }

func areaAroundPlaces(c *hexbid.Campaign) *around {
	if !c.GoesAroundPlaces() {
		return nil
	}
	return &around{c.Area, c.Excluded}
}

// posted implements postingSource.
func (x *Indexer) posted(i uint32) postedAs {
	d := x.details.at(i)
	return postedAs{d.mask, x.specificsOf(i).rule, x.kept.at(i).cap, d.signature, x.campaigns.at(i).advertiser}
}

// PlacesFingerprint stands for a set of places, in any order; a covering that
// goes around them holds as long as it does not change.
func PlacesFingerprint(points []hexbid.Point) (sum uint64) {
	for _, p := range points {
		var b [16]byte
		for i, bits := range []uint64{math.Float64bits(p.Lat), math.Float64bits(p.Lng)} {
			for j := range 8 {
				b[8*i+j] = byte(bits >> (8 * j))
			}
		}
		sum += xxhash.Sum64(b[:])
	}
	return sum
}

func (x *Indexer) putCampaign(r *store.Record, c *hexbid.Campaign) error {
	program, known := x.byName[keyOf(c.Program)]
	if !known {
		return hexbid.Errorf(hexbid.Internal, "campaign.program", "%q is not indexed", c.Program)
	}
	areas := &around{c.Area, c.Excluded}
	area, err := x.compileArea(areas, program)
	if err != nil {
		return err
	}
	schedule, err := targeting.CompileSchedule(c)
	if err != nil {
		return err
	}
	covering := r.Covering
	goesAround := areaAroundPlaces(c)
	if len(covering) == 0 || goesAround != nil && r.CoveredPlaces != PlacesFingerprint(x.placesOf(program)) {
		covering = area.Cover()
	}
	i := x.campaignSlot(c.UID)
	before := x.belonging(i)
	k := x.kept.edit(i)
	audience := targeting.Compile(c)
	x.coverings.set(i, geoindex.PackCovering(nil, covering))
	k.audience, k.paused = audience.Mask(), c.State == hexbid.Paused
	x.arounds.set(&k.around, goesAround)
	own := specifics{schedule: schedule, keywords: targeting.CompileKeywords(c.Keywords), hostBids: hostBids(c)}
	if k.audience.More() {
		own.audience = x.rules.intern(audience)
	}
	x.setNumbers(i, c, program)
	d := x.details.edit(i)
	d.version, d.program = c.Version, program
	x.setSpecifics(d, own)
	x.setArea(i, area)
	x.moveProgram(i, before)
	x.setRule(i)
	x.setState(i)
	return nil
}

// campaignSlot is the ordinal of a campaign, taken off all lists.
func (x *Indexer) campaignSlot(uid hexbid.UID) uint32 {
	i, known := x.campaignOf.get(uid)
	if known {
		x.unpost(i)
		return i
	}
	i = x.ordinals.campaigns.take()
	x.campaignOf.set(uid, i)
	*x.kept.edit(i) = kept{}
	*x.campaigns.edit(i), *x.details.edit(i) = campaign{pacingPPM: auction.PPM}, detail{}
	x.next.Campaigns++
	return i
}

// setNumbers sets what scores are made of; pacing stays.
func (x *Indexer) setNumbers(i uint32, c *hexbid.Campaign, program uint32) {
	hot := x.campaigns.edit(i)
	name, _ := hexbid.ParseName(c.Name) // stored names parse
	category := x.programs.at(program).category
	hot.uid, hot.bid, hot.pricing, hot.category = c.UID, c.Bid, c.Pricing, category
	hot.advertiser, hot.qualityPPM = x.byName[keyOf(name.Owner().String())], uint32(x.market.PriorPPM[category])
	hot.has &^= hasHostBids
	if len(c.HostBids) > 0 {
		hot.has |= hasHostBids
	}
}

// setArea puts one disc beside the numbers, anything else into the specifics.
func (x *Indexer) setArea(i uint32, area *geoindex.Area) {
	hot, d := x.campaigns.edit(i), x.details.edit(i)
	own := *x.specificsOf(i)
	var simple bool
	if hot.disc, simple = area.AsDisc(); simple {
		hot.has, own.area = hot.has&^hasArea, nil
	} else {
		hot.has, own.area = hot.has|hasArea, area
	}
	x.setSpecifics(d, own)
}

// setRule joins a campaign's audience to its program's gate: as masks, or where
// those do not tell all, as rules.
func (x *Indexer) setRule(i uint32) {
	d := x.details.edit(i)
	p := x.programs.at(d.program)
	own := *x.specificsOf(i)
	d.signature = targeting.SignatureOf(own.keywords, p.text)
	mask, told := x.kept.at(i).audience.And(p.gate)
	own.rule = nil
	if !told {
		audience, gate := x.kept.at(i).audience.Audience(), p.gate.Rule()
		if own.audience != nil {
			audience = *own.audience
		}
		rule := audience.And(&gate)
		if mask = rule.Mask(); mask.More() {
			own.rule = x.rules.intern(rule)
		}
	}
	if d.mask = mask; own.rule != x.specificsOf(i).rule {
		x.setSpecifics(d, own)
	}
}

// reindex takes over what a campaign has from its program.
func (x *Indexer) reindex(i uint32) {
	x.unpost(i)
	hot := x.campaigns.edit(i)
	if category := x.programs.at(x.details.at(i).program).category; category != hot.category {
		hot.category, hot.qualityPPM = category, uint32(x.market.PriorPPM[category])
	}
	x.setRule(i)
	x.setState(i)
}

// belonging is what leads to a campaign.
type belonging struct {
	isNew   bool
	program uint32
	anchors []string // tokens
}

func (x *Indexer) belonging(i uint32) belonging {
	d := x.details.at(i)
	b := belonging{isNew: d.version == 0, program: d.program}
	if keywords := x.specificsOf(i).keywords; keywords.HasWanted() {
		b.anchors = keywords.Anchors()
	}
	return b
}

// moveProgram makes a campaign one that its program, and words, lead to, and no
// longer what it was before. Most changes are to neither.
func (x *Indexer) moveProgram(i uint32, before belonging) {
	now := x.belonging(i)
	if before.isNew || before.program != now.program {
		if !before.isNew {
			leave(&x.details, &x.programs.edit(before.program).buyers, i)
		}
		join(&x.details, &x.programs.edit(now.program).buyers, i)
	}
	if !slices.Equal(now.anchors, before.anchors) {
		x.wordEdits.anchor(before.anchors, i, false)
		x.wordEdits.anchor(now.anchors, i, true)
	}
}

func (x *Indexer) deleteCampaign(i uint32) {
	x.unpost(i)
	was := x.belonging(i)
	leave(&x.details, &x.programs.edit(was.program).buyers, i)
	x.wordEdits.anchor(was.anchors, i, false)
	x.specifics.set(&x.details.edit(i).specifics, nil)
	x.arounds.set(&x.kept.edit(i).around, nil)
	x.campaignOf.drop(x.campaigns.at(i).uid)
	*x.campaigns.edit(i), *x.details.edit(i), *x.kept.edit(i) = campaign{}, detail{}, kept{}
	x.coverings.set(i, nil)
	x.ordinals.campaigns.giveBack(i)
	x.next.Campaigns--
}

// setState works out a campaign's state, and posts one that is on, or will be in
// the next quarter hour. A campaign that goes off stays posted for a while: it
// may be back in a moment.
func (x *Indexer) setState(i uint32) {
	k, state := x.kept.edit(i), servingState(0)
	if !k.paused && !k.spent && !x.accounts.at(x.campaigns.at(i).advertiser).paused {
		state |= active
	}
	schedule := &x.specificsOf(i).schedule
	some, all := schedule.DuringQuarter(x.next.quarter)
	soon, _ := schedule.DuringQuarter(x.next.quarter.Add(targeting.Quarter))
	if some {
		state |= timely
	}
	if some && !all {
		state |= check
	}
	if x.campaigns.at(i).state != state {
		x.campaigns.edit(i).state = state
	}
	switch {
	case state&active != 0 && (some || soon):
		delete(x.off, i)
		x.post(i)
	case k.posted:
		if _, known := x.off[i]; !known {
			x.off[i] = x.clock()
		}
	}
}

// offFor is how long a campaign may be off before it leaves the lists, where it
// would stand in the way of those behind it.
const offFor = 5 * time.Second

// mostUnposted bounds what one publication takes off the lists.
const mostUnposted = 20_000

// unpostOff takes campaigns off the lists that have been off for long; it says
// whether there were any.
func (x *Indexer) unpostOff() bool {
	n := 0
	for i, since := range x.off {
		if x.clock().Sub(since) < offFor {
			continue
		}
		x.unpost(i)
		if n++; n == mostUnposted {
			break
		}
	}
	return n > 0
}

// scoreOf is the best score that a campaign can have at present.
func (x *Indexer) scoreOf(i uint32) int64 {
	c := x.campaigns.at(i)
	bid := c.bid
	if bids := x.specificsOf(i).hostBids; bids != nil {
		bid = slices.Max(bids[:])
	}
	_, score := auction.Pace(c.pricing, bid, int64(c.pacingPPM), int64(c.qualityPPM))
	return score
}

// post puts a campaign on the lists of its covering.
func (x *Indexer) post(i uint32) {
	k := x.kept.edit(i)
	if k.posted {
		return
	}
	k.posted, k.cap = true, capOf(x.scoreOf(i))
	x.noteEdits(i, false)
}

// unpost takes a campaign off its lists.
func (x *Indexer) unpost(i uint32) {
	delete(x.off, i)
	if k := x.kept.edit(i); k.posted {
		k.posted = false
		x.noteEdits(i, true)
	}
}

// noteEdits notes an edit for every list that a campaign stands in.
func (x *Indexer) noteEdits(i uint32, going bool) {
	mask, cap := x.details.at(i).mask, x.kept.at(i).cap
	keyworded := x.specificsOf(i).keywords.HasWanted()
	for _, p := range x.covering(i) {
		if keyworded {
			x.edits.note(uint64(p.Key)|withKeywords, posting{postingMask(mask, p), i, cap}, going)
		}
		if !keyworded || mask.AdmitsNoWords() {
			x.edits.note(uint64(p.Key), posting{postingMask(mask, p), i, cap}, going)
		}
	}
}

// covering unpacks where a campaign is posted; the next call overwrites it.
func (x *Indexer) covering(i uint32) []geoindex.Posting {
	postings, err := geoindex.UnpackCovering(x.unpacked[:0], x.coverings.at(i))
	if err != nil {
		x.log.Error("a covering does not unpack", "uid", x.campaigns.at(i).uid, "error", err)
		return nil
	}
	x.unpacked = postings
	return postings
}
