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

// postings is the room of who stands in which list, and with what. It takes campaigns to
// the lists and off them again.
//
// A campaign's postings are found by what they were made with, so that must not change
// while they stand. relist is therefore the one way to change it: whatever stands otherwise
// than the new listing says is taken off first.
type postings struct {
	records   *records
	surrounds *surrounds
	lists     lists
	states    growing[postingState] // by campaign
	coverings coverings             // by campaign, but for its surround's
	unpacked  []geoindex.Posting    // the covering last read
	waiting   []uint32              // campaigns that are to be posted
	off       map[uint32]time.Time  // campaigns that are still posted, though off since
	log       *slog.Logger
}

// postingState is how a campaign stands.
type postingState struct {
	cap     capCode // that it is posted with
	posted  bool
	waiting bool // to be posted
	shape   shape
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

// listing is what decides in which lists a campaign stands and with what, but for its cap.
type listing struct {
	gated
	keyworded bool
	shape     shape
	around    uint32 // number of a surround
	covering  []byte // packed, of all but the discs around places
}

// gated is a campaign's audience joined to its program's gate, and the signature of
// the words of both.
type gated struct {
	mask      targeting.Mask
	rule      *targeting.Rule // nil when the mask says all
	signature targeting.Signature
}

func newPostings(r *records, s *surrounds, log *slog.Logger) *postings {
	return &postings{records: r, surrounds: s, off: map[uint32]time.Time{}, log: log}
}

// add makes room for a campaign, which is not posted yet.
func (p *postings) add(i uint32) {
	p.states.clear(i)
	p.surrounds.add(i)
}

// drop forgets a campaign, while records still have it.
func (p *postings) drop(i uint32) {
	p.unpost(i)
	p.surrounds.join(i, 0)
	p.coverings.set(i, nil)
}

// listingOf is a campaign's at present.
func (p *postings) listingOf(i uint32) listing {
	d, own := p.records.details.at(i), p.records.specificsOf(i)
	return listing{gated{d.mask, own.rule, d.signature}, own.keywords.HasWanted(), p.shapeOf(i), p.surrounds.numberOf(i), p.coverings.at(i)}
}

func (l *listing) equals(m *listing) bool {
	return l.gated == m.gated && l.keyworded == m.keyworded && l.shape == m.shape && l.around == m.around && bytes.Equal(l.covering, m.covering)
}

// relist changes a campaign's listing, and its specifics with it. One that is listed as it
// was stays posted: most changes are of a bid or a budget. So does one of which the words
// alone are others.
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

// reword makes the blocks anew that have the words of a campaign. Few do: postings are
// without words, and searches read them from the campaign's record.
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
	return postedAs{d.mask, p.records.specificsOf(i).rule, p.states.at(i).cap, d.signature, p.records.campaigns.at(i).advertiser}
}

// twofold is the difference of codes whose scores are twice each other.
const twofold = 1 << mantissaBits

// post has a campaign stand in the lists of its covering, from postWaiting on: until then
// it may change many times. One whose score has risen above the cap that it is posted with,
// which would no longer bound it, is posted anew; so is one whose score has fallen to half,
// where it would clog the heads of lists.
func (p *postings) post(i uint32) {
	delete(p.off, i)
	state := p.states.at(i)
	if cap := capOf(p.records.bestScore(i)); state.posted && (cap > state.cap || cap+twofold <= state.cap) {
		p.unpost(i)
	}
	if !state.posted && !state.waiting {
		state.waiting = true
		p.waiting = append(p.waiting, i)
	}
}

// hold leaves a campaign that is off where it stands for a while: it may be back in a
// moment.
func (p *postings) hold(i uint32, now time.Time) {
	state := p.states.at(i)
	state.waiting = false
	if _, known := p.off[i]; state.posted && !known {
		p.off[i] = now
	}
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
func (p *postings) unpostOff(now time.Time) bool {
	n := 0
	for i, since := range p.off {
		if now.Sub(since) < offFor {
			continue
		}
		p.unpost(i)
		if n++; n == mostUnposted || p.lists.edits.n > mostUnpostedEdits {
			break
		}
	}
	return n > 0
}

// unpost takes a campaign off its lists.
func (p *postings) unpost(i uint32) {
	delete(p.off, i)
	state := p.states.at(i)
	state.waiting = false
	if state.posted {
		state.posted = false
		p.noteAll(i, p.surrounds.of(i), true)
	}
}

// postWaiting posts the campaigns that wait for it. Their surrounds must cover the places
// that there are.
func (p *postings) postWaiting(around coveredPlaces) {
	for _, i := range p.waiting {
		state := p.states.at(i)
		if !state.waiting {
			continue
		}
		state.waiting, state.posted, state.cap = false, true, capOf(p.records.bestScore(i))
		if p.noteAll(i, around.filledOf(i), false); p.lists.edits.n >= mostEdits {
			p.lists.apply(p)
		}
	}
	p.waiting = p.waiting[:0]
}

// freezeInto gives the lists as they are to a snapshot.
func (p *postings) freezeInto(s *Snapshot) {
	p.lists.apply(p)
	p.lists.freezeInto(s)
}

// noteAll notes an edit for every list that a campaign stands in.
func (p *postings) noteAll(i uint32, around *surround, going bool) {
	p.each(i, around, func(key uint64, as posting) { p.lists.note(key, as, going) })
}

// each visits every list that a campaign stands in: under one cell it has one posting, of
// its own covering and its surround's, which is nil for none.
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

// eachKind visits the lists under one key that a campaign stands in, of both kinds where
// it stands in both.
func (p *postings) eachKind(i uint32, at geoindex.Posting, visit func(key uint64, as posting)) {
	d := p.records.details.at(i)
	as := posting{postingMask(d.mask, at), i, p.states.at(i).cap}
	keyworded := p.records.specificsOf(i).keywords.HasWanted()
	if keyworded {
		visit(uint64(at.Key)|withKeywords, as)
	}
	if !keyworded || d.mask.AdmitsNoWords() {
		visit(uint64(at.Key), as)
	}
}

// note notes an edit of what is posted of a campaign under one key.
func (p *postings) note(i uint32, at geoindex.Posting, going bool) {
	p.eachKind(i, at, func(key uint64, as posting) { p.lists.note(key, as, going) })
}

// followCells changes what is posted of a surround's members under cells that have changed.
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

// joined joins a surround's posting to the one under the same cell of a member's own
// covering, which is in order of key. Where a member excludes something the surround
// fills no child: the exact test decides.
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

// covering unpacks where a campaign is posted, but for its surround; the next call overwrites it.
func (p *postings) covering(i uint32) []geoindex.Posting {
	unpacked, err := geoindex.UnpackCovering(p.unpacked[:0], p.coverings.at(i))
	if err != nil {
		p.log.Error("a covering does not unpack", "uid", p.records.campaigns.at(i).uid, "error", err)
		return nil
	}
	if p.unpacked = unpacked; p.shapeOf(i).excludesPlaces {
		for j := range unpacked { // a covering knows nothing of places
			unpacked[j].Full = 0
		}
	}
	return unpacked
}
