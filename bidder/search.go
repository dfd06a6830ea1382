package bidder

import (
	"math/bits"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// Query is one search, worked out once.
type Query struct {
	At      geoindex.Position
	Now     time.Time
	Profile targeting.Profile
	Host    hexbid.Host
	OS      hexbid.OS
	Scene   hexbid.Scene
	// Category filters; CategoryUnknown is any.
	Category hexbid.Category
	Words    targeting.Words
	Slots    int
	Ties     auction.TieBreak
	RadiusM  float64
	Limit    int
}

// NewQuery works out a valid request.
func NewQuery(r *hexbid.Request, requestID string, now time.Time) Query {
	at := geoindex.Locate(r.Point)
	words := targeting.ParseWords(r.Words)
	q := Query{At: at, Now: now, Words: words, Profile: targeting.ProfileOf(r, residence(r.Viewer.HomeRegion, &at), &words), Host: r.Host, OS: r.Viewer.OS, Scene: r.Scene,
		Category: r.Category, Slots: r.Slots, Ties: auction.NewTieBreak(requestID), RadiusM: r.RadiusM, Limit: r.NearbyLimit}
	return q
}

// residence says whether a point is in the viewer's home region, an adcode.
func residence(home string, at *geoindex.Position) hexbid.Residence {
	if home == "" {
		return hexbid.ResidenceUnknown
	}
	if id, err := geoindex.RegionByCode(home); err == nil && at.Regions.Has(id) {
		return hexbid.Resident
	}
	return hexbid.Visitor
}

// Scratch is the memory that a search works in; keep it, one a goroutine.
type Scratch struct {
	board    auction.Board
	cursors  [maxKeys]cursor
	reserves reserveTable
	awards   [hexbid.MaxSlots]auction.Award

	nearest geoindex.Nearest
	need    [3]uint64
	seen    map[uint32]struct{}
	found   [hexbid.MaxNearbyLimit]Found

	// BlocksRead and Scored count the work of the last Search.
	BlocksRead, Scored int
}

// maxKeys is the most keys over one point: every resolution, the regions, and
// everywhere.
const maxKeys = geoindex.Finest + 1 + geoindex.MaxRegionsOver + 1

// cursor is a place in one list.
type cursor struct{ blocks []*block }

// Search runs the auction: the awards, best slot first, in scratch memory that
// the next Search overwrites.
func (s *Snapshot) Search(q *Query, w *Scratch) []auction.Award {
	w.BlocksRead, w.Scored = 0, 0
	if q.Slots == 0 {
		return nil
	}
	w.board.Reset(q.Slots, q.Ties)
	w.reserves.fill(s.reserves, q)
	cursors := s.listsOver(q, w.cursors[:0])
	for {
		best := highest(cursors)
		if best < 0 || cursors[best].blocks[0].cap < w.board.Floor() {
			break
		}
		s.readBlock(cursors[best].blocks[0], q, w)
		cursors[best].blocks = cursors[best].blocks[1:]
	}
	return auction.Price(w.board.Entries(), s.market.pricing(q.Scene, q.Slots), w.awards[:0])
}

// listsOver finds the lists of every key over the point.
func (s *Snapshot) listsOver(q *Query, cursors []cursor) []cursor {
	add := func(k geoindex.Key) {
		if l := s.lists.find(k); l != nil {
			cursors = append(cursors, cursor{l.blocks})
		}
	}
	add(geoindex.Everywhere)
	for _, id := range q.At.Regions.All() {
		add(geoindex.KeyOfRegion(id))
	}
	for left := s.resolutions; left != 0; left &= left - 1 {
		add(geoindex.KeyOfCell(q.At.Cell.Parent(bits.TrailingZeros16(left))))
	}
	return cursors
}

// highest is the cursor whose next block has the highest cap; -1 at the end.
func highest(cursors []cursor) int {
	best, bestCap := -1, int64(-1)
	for i := range cursors {
		if blocks := cursors[i].blocks; len(blocks) > 0 && blocks[0].cap > bestCap {
			best, bestCap = i, blocks[0].cap
		}
	}
	return best
}

// readBlock offers the campaigns of a block that match.
func (s *Snapshot) readBlock(b *block, q *Query, w *Scratch) {
	w.BlocksRead++
	matching := b.audience.Match(&q.Profile, b.all())
	for ; matching != 0; matching &= matching - 1 {
		i := bits.TrailingZeros64(matching)
		p := &b.postings[i]
		if p.cap < w.board.Floor() {
			return // the rest of the block can do no better
		}
		if !s.serves(p.ordinal, q.Now) {
			continue
		}
		c := s.campaigns.at(p.ordinal)
		if b.full>>i&1 == 0 && !c.area.Contains(&q.At) {
			continue
		}
		if !q.Words.None() && !c.keywords.Compete(&q.Words, s.programs.at(c.program).text) {
			continue
		}
		w.Scored++
		candidate := c.candidate(p.ordinal, q.Host, w.reserves[c.category])
		if e, enters := candidate.Enter(); enters {
			w.board.Offer(e)
		}
	}
}

// serves says whether a campaign is active and scheduled at an instant: from
// the bits when the instant is in the quarter hour that was read ahead, else
// from its schedule.
func (s *Snapshot) serves(ordinal uint32, now time.Time) bool {
	word, bit := s.eligibility.at(ordinal/64), uint64(1)<<(ordinal%64)
	if word.active&bit == 0 {
		return false
	}
	if s.Covers(now) {
		return word.timely&bit != 0 && (word.check&bit == 0 || s.campaigns.at(ordinal).schedule.On(now))
	}
	return s.campaigns.at(ordinal).schedule.On(now)
}

func (c *campaign) candidate(ordinal uint32, host hexbid.Host, reserve int64) auction.Candidate {
	bid := c.bid
	if c.hostBids != nil {
		bid = c.hostBids[host]
	}
	return auction.Candidate{Ordinal: ordinal, Advertiser: c.advertiser, CampaignUID: c.uid, Pricing: c.pricing, Bid: bid,
		MultiplierPPM: c.pacingPPM, QualityPPM: c.qualityPPM, Reserve: reserve}
}

// ProgramOf is the program that an award's campaign buys for.
func (s *Snapshot) ProgramOf(campaign uint32) uint32 { return s.campaigns.at(campaign).program }

// AdvertiserOf is the uid of the advertiser that owns a campaign.
func (s *Snapshot) AdvertiserOf(campaign uint32) hexbid.UID { return s.campaigns.at(campaign).owner }

// NearestPlace finds the program's approved place nearest to a point, among
// the program's own, the lowest uid at equal distances; false when it has none.
func (s *Snapshot) NearestPlace(program uint32, from geoindex.Vec) (nearest Found, ok bool) {
	for _, at := range s.programs.at(program).places {
		chord2 := s.places.at(at).site.Vec.Chord2(from)
		if !ok || chord2 < nearest.Chord2 || chord2 == nearest.Chord2 && s.places.at(at).uid < s.places.at(nearest.Place).uid {
			nearest, ok = Found{Place: at, Program: program, Chord2: chord2}, true
		}
	}
	return nearest, ok
}
