package bidder

import (
	"bytes"
	"cmp"
	"log/slog"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// postings is the room of the lists that campaigns stand in, and of what they are posted with. It puts campaigns into
// the lists and takes them off again.
//
// A campaign's postings are found by what they were made with, so that must not change while they stand. relist is
// therefore the only way to change it. It first takes off every posting that the new listing changes.
type postings struct {
	records     *records
	surrounds   *surrounds
	lists       lists
	states      growing[postingState] // by campaign
	coverings   coverings             // by campaign, without those of surrounds
	unpacked    []geoindex.Posting    // the covering read last
	waiting     []uint32              // campaigns to be posted
	returns     returns               // campaigns that come back in portions
	returning   ordinalBitsWriter     // those of them that are to be posted when the turn of their entry comes
	leaving     []ranked              // campaigns that leave the lists in portions, in the order of lists
	moving      []ranked              // campaigns whose caps change in portions, in the order of lists
	portionSize int                   // campaigns of a portion of moving
	ahead       func(i uint32) int64  // the best score by the coming market; nil for none
	off         map[uint32]time.Time  // campaigns that are still posted, and since when they are off
	byPlace     bool                  // postings tell where places are
	log         *slog.Logger
}

// postingState says whether and how a campaign is posted.
type postingState struct {
	cap     capCode // that the campaign is posted with
	posted  bool
	waiting bool // to be posted
	queued  bool // an entry of the queue of returns is the campaign's
	lowers  bool // its postings tell where its program is
	shape   shape
	are     premisesKind
	spot    geoindex.Spot
}

// shape holds the properties of a campaign's areas that decide how it is posted.
type shape struct {
	onlyAround     bool // its area is the discs around places and nothing else
	excludes       bool // it excludes something
	excludesPlaces bool // it excludes, among others, the discs around places
}

func shapeOf(c *hexbid.Campaign) shape {
	s := shape{excludes: !c.Excluded.IsEmpty(), excludesPlaces: c.Excluded.AroundPlacesM > 0}
	s.onlyAround = c.Area.OnlyAroundPlaces() && !s.excludes
	return s
}

// listing decides in which lists a campaign stands and with what, except for its cap.
type listing struct {
	gated
	keyworded bool
	shape     shape
	around    uint32 // number of its surround, 0 for none
	covering  []byte // packed, without the discs around places
}

// gated is a campaign's audience joined to its program's gate, and the signature of
// the words of both.
type gated struct {
	mask      targeting.Mask
	rule      *targeting.Rule // nil when the mask holds all of it
	signature targeting.Signature
}

func newPostings(r *records, s *surrounds, byPlace bool, log *slog.Logger) *postings {
	return &postings{records: r, surrounds: s, off: map[uint32]time.Time{}, byPlace: byPlace, log: log}
}

// add makes room for a campaign, not posted yet.
func (p *postings) add(i uint32) {
	p.states.clear(i)
	p.surrounds.add(i)
}

// drop forgets a campaign. Records must still have it.
func (p *postings) drop(i uint32) {
	p.unpost(i)
	p.surrounds.join(i, 0)
	p.coverings.set(i, nil)
}

// listingOf returns a campaign's present listing.
func (p *postings) listingOf(i uint32) listing {
	d, own := p.records.details.at(i), p.records.specificsOf(i)
	return listing{gated{d.mask, own.rule, d.signature}, own.keywords.HasWanted(), p.shapeOf(i), p.surrounds.numberOf(i),
		p.coverings.at(i)}
}

func (l *listing) equals(m *listing) bool {
	return l.gated == m.gated && l.keyworded == m.keyworded && l.shape == m.shape && l.around == m.around &&
		bytes.Equal(l.covering, m.covering)
}

// relist changes a campaign's listing together with its specifics. A campaign stays posted if its listing is the same,
// as after most changes, which touch a bid or a budget. It also stays posted if only its words differ.
func (p *postings) relist(i uint32, own specifics, now listing) {
	before := p.listingOf(i)
	otherWords := before.signature != now.signature
	if before.signature = now.signature; !before.equals(&now) {
		p.unpost(i)
	}
	p.surrounds.join(i, now.around)
	p.coverings.set(i, now.covering)
	p.states.at(i).shape = now.shape
	d := p.records.details.edit(i)
	d.mask, d.signature, own.rule = now.mask, now.signature, now.rule
	p.records.setSpecifics(i, own)
	if otherWords {
		p.reword(i)
	}
}

// reword makes anew the blocks that hold the words of a campaign. Few blocks do: single postings hold no words, and
// searches read those from the campaign's record.
func (p *postings) reword(i uint32) {
	if !p.states.at(i).posted {
		return
	}
	p.each(i, p.surrounds.of(i), func(key uint64, as posting) {
		if b := p.lists.at(key).blockOf(&as); b != nil && b.words != nil {
			p.lists.note(key, as, true)
			p.lists.note(key, as, false)
		}
	})
}

func (p *postings) shapeOf(i uint32) shape { return p.states.at(i).shape }

// posted implements postingSource.
func (p *postings) posted(i uint32) postedAs {
	d := p.records.details.at(i)
	return postedAs{d.mask, p.records.specificsOf(i).rule, p.states.at(i).cap, d.signature,
		p.records.campaigns.at(i).advertiser}
}

// twofold is the difference between the codes of two scores of which one is twice the other.
const twofold = 1 << mantissaBits

// post marks a campaign to be posted; postWaiting then puts it into the lists of its covering. Until then the campaign
// may change many times. A campaign whose score has risen above its cap is posted anew, because the cap must bound the
// score. So is one whose score has fallen to half, because it would clog the heads of lists.
func (p *postings) post(i uint32) {
	delete(p.off, i)
	state := p.states.at(i)
	p.returning.set(i, false)
	if cap := p.capOf(i); state.posted &&
		(cap > state.cap || cap+twofold <= state.cap || p.lowers(i) != state.lowers) {
		p.unpost(i)
	}
	if !state.posted && !state.waiting {
		state.waiting = true
		p.waiting = append(p.waiting, i)
	}
}

// hold leaves the postings of a campaign that is off in place for a while, because it may be on again in a moment.
func (p *postings) hold(i uint32, now time.Time) {
	state := p.states.at(i)
	state.waiting = false
	p.returning.set(i, false)
	if _, known := p.off[i]; state.posted && !known {
		p.off[i] = now
	}
}

// offFor is how long a campaign may be off before it leaves the lists. There it slows searches down.
const offFor = 5 * time.Second

// unpost takes a campaign off its lists.
func (p *postings) unpost(i uint32) {
	delete(p.off, i)
	state := p.states.at(i)
	state.waiting = false
	p.returning.set(i, false)
	if state.posted {
		state.posted = false
		p.noteAll(i, p.surrounds.of(i), true)
	}
}

// postWaiting posts the campaigns that wait, and a portion of those that come back if one is due. Their surrounds must
// cover the present places already.
func (p *postings) postWaiting(around coveredPlaces) {
	for _, i := range p.waiting {
		p.postNow(i, around)
	}
	p.waiting, p.returns.atOnce = p.waiting[:0], 0
	if p.returns.due {
		p.postReturns(around)
		p.returns.due = false
	}
}

// postNow posts a campaign if it still waits.
func (p *postings) postNow(i uint32, around coveredPlaces) {
	state := p.states.at(i)
	if !state.waiting {
		return
	}
	state.waiting, state.posted, state.cap, state.lowers = false, true, p.capOf(i), p.lowers(i)
	if p.noteAll(i, around.filledOf(i), false); p.lists.edits.n >= mostEdits {
		p.lists.apply(p)
	}
}

// freezeInto shares the present lists with a snapshot.
func (p *postings) freezeInto(s *Snapshot) {
	p.lists.apply(p)
	p.lists.freezeInto(s)
	s.Returning, s.Leaving, s.Moving = p.returns.Len(), len(p.off), len(p.moving)
	s.returning = p.returning.freeze()
}

// noteAll notes an edit for every list that a campaign stands in.
func (p *postings) noteAll(i uint32, around *surround, going bool) {
	p.each(i, around, func(key uint64, as posting) { p.lists.note(key, as, going) })
}

// each visits every list that a campaign stands in. around is its surround, nil for none. A cell that both its own
// covering and its surround hold has one posting.
func (p *postings) each(i uint32, around *surround, visit func(key uint64, as posting)) {
	own := p.covering(i)
	for _, at := range own {
		if around == nil || around.at(at.Key).Touched == 0 {
			p.eachKind(i, at, visit)
		}
	}
	if around != nil {
		around.each(func(at geoindex.Posting) { p.eachKind(i, p.joined(i, at, own), visit) })
	}
}

// eachKind visits the lists under one key: of the kind that the campaign stands in, or of both kinds if it stands in
// both.
func (p *postings) eachKind(i uint32, at geoindex.Posting, visit func(key uint64, as posting)) {
	d, state := p.records.details.at(i), p.states.at(i)
	as := posting{postingMask(d.mask, at), i, state.cap.at(state.whereabouts(at.Key))}
	keyworded := p.records.specificsOf(i).keywords.HasWanted()
	if keyworded {
		visit(uint64(at.Key)|withKeywords, as)
	}
	if !keyworded || d.mask.AdmitsNoWords() {
		visit(uint64(at.Key), as)
	}
}

// note notes an edit of a campaign's posting under one key.
func (p *postings) note(i uint32, at geoindex.Posting, going bool) {
	p.eachKind(i, at, func(key uint64, as posting) { p.lists.note(key, as, going) })
}

// followCells changes the postings of a surround's members under the cells that have changed.
func (p *postings) followCells(of *surround, cells []cellChange) {
	if len(cells) == 0 {
		return
	}
	for _, i := range of.members {
		if p.states.at(i).posted {
			p.followCellsOf(i, cells)
		}
	}
}

func (p *postings) followCellsOf(i uint32, cells []cellChange) {
	own := p.covering(i)
	for _, c := range cells {
		before, now := p.joined(i, c.before, own), p.joined(i, c.now, own)
		if before == now {
			continue
		}
		if before.Touched != 0 {
			p.note(i, before, true)
		}
		if now.Touched != 0 {
			p.note(i, now, false)
		}
	}
}

// joined joins a surround's posting to a member's own posting under the same cell. own is sorted by key. If the member
// excludes something, the surround fills no child, because the exact test must decide.
func (p *postings) joined(i uint32, around geoindex.Posting, own []geoindex.Posting) geoindex.Posting {
	if p.shapeOf(i).excludes {
		around.Full = 0
	}
	at, both := slices.BinarySearchFunc(own, around.Key, func(p geoindex.Posting, key geoindex.Key) int {
		return cmp.Compare(p.Key, key)
	})
	if both {
		around.Touched |= own[at].Touched
		around.Full |= own[at].Full
	}
	return around
}

// covering unpacks a campaign's own covering, without its surround. The next call overwrites the result.
func (p *postings) covering(i uint32) []geoindex.Posting {
	unpacked, err := geoindex.UnpackCovering(p.unpacked[:0], p.coverings.at(i))
	if err != nil {
		p.log.Error("a covering does not unpack", "uid", p.records.campaigns.at(i).uid, "error", err)
		return nil
	}
	if p.unpacked = unpacked; p.shapeOf(i).excludesPlaces {
		for j := range unpacked { // only surrounds cover places
			unpacked[j].Full = 0
		}
	}
	return unpacked
}
