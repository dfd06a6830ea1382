package bidder

import (
	"bytes"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/targeting"
)

// kept is what only the indexer needs of a campaign.
type kept struct {
	audience targeting.Mask // without its program's gate
	around   uint32         // its number in surrounds, 0 unless it goes around places
	member   uint32         // its place among the surround's members
	cap      capCode        // that it is posted with
	posted   bool
	waiting  bool // for the publication, to be posted
	paused   bool
	shape    shape
}

// shape is what its areas tell of how a campaign is posted.
type shape struct {
	onlyAround     bool // its area is the discs around places and nothing else
	excludes       bool // something
	excludesPlaces bool // the discs around places, among others
}

func shapeOf(c *hexbid.Campaign) shape {
	s := shape{excludes: !c.Excluded.IsEmpty(), excludesPlaces: c.Excluded.AroundPlacesM > 0}
	s.onlyAround = c.Area.OnlyAroundPlaces() && !s.excludes
	return s
}

// aroundOf is the number of the surround that a campaign is posted around, or 0.
func (x *Indexer) aroundOf(c *hexbid.Campaign, program uint32) uint32 {
	if c.Area.AroundPlacesM == 0 {
		return 0
	}
	return x.surroundAt(program, c.Area.AroundPlacesM)
}

// posted implements postingSource.
func (x *Indexer) posted(i uint32) postedAs {
	d := x.details.at(i)
	return postedAs{d.mask, x.specificsOf(i).rule, x.kept.at(i).cap, d.signature, x.campaigns.at(i).advertiser}
}

func (x *Indexer) putCampaign(r *store.Record, c *hexbid.Campaign) error {
	program, known := x.byName[keyOf(c.Program)]
	if !known {
		return hexbid.Errorf(hexbid.Internal, "campaign.program", "%q is not indexed", c.Program)
	}
	area, err := geoindex.CompileArea(&c.Area, &c.Excluded, &x.interner)
	if err != nil {
		return err
	}
	schedule, err := targeting.CompileSchedule(c)
	if err != nil {
		return err
	}
	covering := r.Covering
	if len(covering) == 0 {
		covering = area.Cover()
	}
	i := x.campaignSlot(c.UID)
	before := x.belonging(i)
	audience := targeting.Compile(c)
	own := specifics{schedule: schedule, keywords: targeting.CompileKeywords(c.Keywords), hostBids: hostBids(c)}
	if audience.Mask().More() {
		own.audience = x.rules.intern(audience)
	}
	x.setStanding(i, &own, standing{x.gatedBy(program, audience.Mask(), &own), own.keywords.HasWanted(),
		shapeOf(c), x.aroundOf(c, program), geoindex.PackCovering(nil, covering)})
	x.setNumbers(i, c, program)
	d, k := x.details.edit(i), x.kept.edit(i)
	d.version, d.program = c.Version, program
	k.audience, k.paused = audience.Mask(), c.State == hexbid.Paused
	x.setArea(i, area, nearPlacesOf(c))
	x.moveProgram(i, before)
	x.setState(i)
	return nil
}

// standing is what decides where a campaign is posted and with what, but for its cap.
type standing struct {
	gated
	keyworded bool
	shape     shape
	around    uint32 // number of a surround
	covering  []byte // packed, of all but the discs around places
}

// standingOf is a campaign's at present.
func (x *Indexer) standingOf(i uint32) standing {
	d, k, own := x.details.at(i), x.kept.at(i), x.specificsOf(i)
	return standing{gated{d.mask, own.rule, d.signature}, own.keywords.HasWanted(), k.shape, k.around, x.coverings.at(i)}
}

func (s *standing) equals(t *standing) bool {
	return s.gated == t.gated && s.keyworded == t.keyworded && s.shape == t.shape && s.around == t.around && bytes.Equal(s.covering, t.covering)
}

// setStanding changes what decides where a campaign is posted, and its specifics. One
// that stands as it did stays posted: most changes are of a bid or a budget.
func (x *Indexer) setStanding(i uint32, own *specifics, now standing) {
	if before := x.standingOf(i); !before.equals(&now) {
		x.unpost(i)
	}
	x.joinSurround(i, now.around)
	x.coverings.set(i, now.covering)
	d := x.details.edit(i)
	d.mask, d.signature, own.rule = now.mask, now.signature, now.rule
	x.kept.edit(i).shape = now.shape
	x.setSpecifics(d, *own)
}

// campaignSlot is the ordinal of a campaign, known or new.
func (x *Indexer) campaignSlot(uid hexbid.UID) uint32 {
	i, known := x.campaignOf.get(uid)
	if known {
		return i
	}
	i = x.ordinals.campaigns.take()
	x.campaignOf.set(uid, i)
	*x.kept.edit(i) = kept{}
	*x.campaigns.edit(i), *x.details.edit(i) = campaign{}, detail{}
	x.live.arrive(uid)
	x.next.Campaigns++
	return i
}

// setNumbers sets what scores are made of.
func (x *Indexer) setNumbers(i uint32, c *hexbid.Campaign, program uint32) {
	hot := x.campaigns.edit(i)
	name, _ := hexbid.ParseName(c.Name) // stored names parse
	category := x.programs.at(program).category
	hot.uid, hot.bid, hot.pricing, hot.category = c.UID, c.Bid, c.Pricing, category
	hot.advertiser = x.byName[keyOf(name.Owner().String())]
	hot.has &^= hasHostBids
	if len(c.HostBids) > 0 {
		hot.has |= hasHostBids
	}
	x.setFactors(i)
}

// setArea puts one disc beside the numbers, anything else into the specifics.
func (x *Indexer) setArea(i uint32, area *geoindex.Area, near nearPlaces) {
	if x.kept.at(i).shape.onlyAround {
		x.setAround(i)
		return
	}
	hot, d := x.campaigns.edit(i), x.details.edit(i)
	own := *x.specificsOf(i)
	var simple bool
	if hot.disc, simple = area.AsDisc(); simple && near == (nearPlaces{}) {
		hot.has, own.area, own.places = hot.has&^hasArea, nil, nearPlaces{}
	} else {
		hot.has, own.area, own.places = hot.has|hasArea, area, near
	}
	x.setSpecifics(d, own)
}

// setAround is setArea of a campaign that goes around places and nowhere else: around
// the only place of its program it buys one disc.
func (x *Indexer) setAround(i uint32) {
	hot, d, s := x.campaigns.edit(i), x.details.edit(i), x.surroundOf(i)
	own := *x.specificsOf(i)
	own.area = nil
	if s.alone.is {
		hot.disc = geoindex.NewDisc(s.alone.vec, s.radiusM)
		hot.has, own.places = hot.has&^hasArea, nearPlaces{}
	} else {
		hot.has, own.places = hot.has|hasArea, nearPlaces{in: geoindex.Chord2OfM(s.radiusM)}
	}
	x.setSpecifics(d, own)
}

// gated is a campaign's audience joined to its program's gate, and the signature of
// the words of both.
type gated struct {
	mask      targeting.Mask
	rule      *targeting.Rule // nil when the mask says all
	signature targeting.Signature
}

// gatedBy joins an audience to a program's gate: as masks, or where those do not tell
// all, as rules.
func (x *Indexer) gatedBy(program uint32, audience targeting.Mask, own *specifics) gated {
	p := x.programs.at(program)
	g := gated{signature: targeting.SignatureOf(own.keywords, p.text)}
	mask, told := audience.And(p.gate)
	if g.mask = mask; told {
		return g
	}
	whole, gate := audience.Audience(), p.gate.Rule()
	if own.audience != nil {
		whole = *own.audience
	}
	rule := whole.And(&gate)
	if g.mask = rule.Mask(); g.mask.More() {
		g.rule = x.rules.intern(rule)
	}
	return g
}

// reindex takes over what a campaign has from its program. It stays posted unless
// that changes what it is posted with.
func (x *Indexer) reindex(i uint32) {
	hot := x.campaigns.edit(i)
	if category := x.programs.at(x.details.at(i).program).category; category != hot.category {
		hot.category = category
		x.setFactors(i)
	}
	own, now := *x.specificsOf(i), x.standingOf(i)
	now.gated = x.gatedBy(x.details.at(i).program, x.kept.at(i).audience, &own)
	x.setStanding(i, &own, now)
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
		x.words.anchor(i, before.anchors, now.anchors)
	}
}

func (x *Indexer) deleteCampaign(i uint32) {
	x.unpost(i)
	was := x.belonging(i)
	leave(&x.details, &x.programs.edit(was.program).buyers, i)
	x.words.anchor(i, was.anchors, nil)
	x.specifics.set(&x.details.edit(i).specifics, nil)
	x.joinSurround(i, 0)
	x.campaignOf.drop(x.campaigns.at(i).uid)
	x.live.leave(x.campaigns.at(i).uid)
	*x.campaigns.edit(i), *x.details.edit(i), *x.kept.edit(i) = campaign{}, detail{}, kept{}
	x.coverings.set(i, nil)
	x.ordinals.campaigns.giveBack(i)
	x.next.Campaigns--
}

// setState works out a campaign's state, and posts one that is on, or will be in
// the next quarter hour. A campaign that goes off stays posted for a while: it
// may be back in a moment.
func (x *Indexer) setState(i uint32) {
	k, state := x.kept.edit(i), x.standstill(i)
	if state == 0 {
		state = active
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
		return
	}
	k.waiting = false
	if k.posted {
		if _, known := x.off[i]; !known {
			x.off[i] = x.clock()
		}
	}
}

// standstill tells what keeps a campaign from being active, 0 when nothing does.
func (x *Indexer) standstill(i uint32) (state servingState) {
	c := x.campaigns.at(i)
	live := x.live.of(c.uid)
	if x.kept.at(i).paused {
		state |= paused
	}
	if x.accounts.at(c.advertiser).paused {
		state |= ownerPaused
	}
	if live.spent {
		state |= spent
	}
	if live.capped {
		state |= capped
	}
	return state
}

// offFor is how long a campaign may be off before it leaves the lists, where it
// would stand in the way of those behind it.
const offFor = 5 * time.Second

// mostUnposted and mostUnpostedEdits bound what one publication takes off the lists,
// by campaigns and by the lists that they stand in.
const (
	mostUnposted      = 20_000
	mostUnpostedEdits = 1 << 18
)

// unpostOff takes campaigns off the lists that have been off for long; it says
// whether there were any.
func (x *Indexer) unpostOff() bool {
	n := 0
	for i, since := range x.off {
		if x.clock().Sub(since) < offFor {
			continue
		}
		x.unpost(i)
		if n++; n == mostUnposted || x.edits.n > mostUnpostedEdits {
			break
		}
	}
	return n > 0
}

// twofold is the difference of codes whose scores are twice each other.
const twofold = 1 << mantissaBits

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

// post puts a campaign on the lists of its covering, at the next publication: until
// then it may change many times. One that is posted with a cap which its score no
// longer fits is posted anew.
func (x *Indexer) post(i uint32) {
	k := x.kept.edit(i)
	if cap := capOf(x.scoreOf(i)); k.posted && (cap > k.cap || cap+twofold <= k.cap) {
		x.unpost(i)
	}
	if !k.posted && !k.waiting {
		k.waiting = true
		x.waitingPosts = append(x.waitingPosts, i)
	}
}

// postWaiting posts those that wait for the publication.
func (x *Indexer) postWaiting() {
	for _, i := range x.waitingPosts {
		k := x.kept.edit(i)
		if !k.waiting {
			continue
		}
		k.waiting, k.posted, k.cap = false, true, capOf(x.scoreOf(i))
		if s := x.surroundOf(i); s != nil && !s.filled {
			x.fill(s)
		}
		if x.noteEdits(i, false); x.edits.n >= mostEdits {
			x.applyEdits()
		}
	}
	x.waitingPosts = x.waitingPosts[:0]
}

// unpost takes a campaign off its lists.
func (x *Indexer) unpost(i uint32) {
	delete(x.off, i)
	k := x.kept.edit(i)
	k.waiting = false
	if k.posted {
		k.posted = false
		x.noteEdits(i, true)
	}
}

// noteEdits notes an edit for every list that a campaign stands in: under one cell it
// has one posting, of its own covering and its surround's.
func (x *Indexer) noteEdits(i uint32, going bool) {
	own, s := x.covering(i), x.surroundOf(i)
	for _, p := range own {
		if s == nil || s.at(p.Key).Touched == 0 {
			x.noteEdit(i, p, going)
		}
	}
	if s != nil {
		s.each(func(p geoindex.Posting) { x.noteEdit(i, x.joined(i, p, own), going) })
	}
}

// noteEdit notes an edit of one posting, for both kinds of lists where it stands in
// both.
func (x *Indexer) noteEdit(i uint32, p geoindex.Posting, going bool) {
	d := x.details.at(i)
	as := posting{postingMask(d.mask, p), i, x.kept.at(i).cap}
	keyworded := x.specificsOf(i).keywords.HasWanted()
	if keyworded {
		x.edits.note(uint64(p.Key)|withKeywords, as, going)
	}
	if !keyworded || d.mask.AdmitsNoWords() {
		x.edits.note(uint64(p.Key), as, going)
	}
}

// covering unpacks where a campaign is posted, but for its surround; the next call overwrites it.
func (x *Indexer) covering(i uint32) []geoindex.Posting {
	postings, err := geoindex.UnpackCovering(x.unpacked[:0], x.coverings.at(i))
	if err != nil {
		x.log.Error("a covering does not unpack", "uid", x.campaigns.at(i).uid, "error", err)
		return nil
	}
	if x.unpacked = postings; x.kept.at(i).shape.excludesPlaces {
		for j := range postings { // a covering knows nothing of places
			postings[j].Full = 0
		}
	}
	return postings
}
