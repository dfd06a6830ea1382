package bidder

import (
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// Query is a request with everything computed that a search needs of it.
type Query struct {
	At      geoindex.Position
	Now     time.Time
	Profile targeting.Profile
	Host    hexbid.Host
	OS      hexbid.OS
	Scene   hexbid.Scene
	// Category filters by category; CategoryUnknown admits any.
	Category hexbid.Category
	Words    targeting.Words
	Slots    int
	Ties     auction.TieBreak
	// Trial may change the winners of two neighbouring slots. The zero value does not.
	Trial auction.Trial
	// History is what the viewer has seen of capped campaigns, with stamps of the clock that Now is read from. nil is not
	// known: campaigns with a cap then sit out unless they serve viewers without a history.
	History *frequency.History
	// Explore says that the request tries campaigns of which little is known: they take part with their explored
	// quality, which is at most twice the ordinary one.
	Explore bool
	// Way is how the client reports impressions, which decides what slots are worth.
	Way quality.Way
	// The nearby list alone reads these. It has what is nearer than RadiusM, and at most Limit programs. It leaves out
	// the programs to skip, named by uid so that a later snapshot skips the same ones. With a pin it continues after
	// the pin.
	RadiusM float64
	Limit   int
	Skip    []hexbid.UID
	After   *Pin
}

// NewQuery computes the query of a valid request. A viewer with a user key has a history without exposures, until the
// caller puts in the real one.
func NewQuery(r *hexbid.Request, requestID string, now time.Time) Query {
	at := geoindex.Locate(r.Point)
	words := targeting.ParseWords(r.Words)
	q := Query{At: at, Now: now, Words: words, Profile: targeting.ProfileOf(r, residence(r.Viewer.HomeRegion, &at),
		&words), Host: r.Host, OS: r.Viewer.OS, Scene: r.Scene,
		Category: r.Category, Slots: r.Slots, Ties: auction.NewTieBreak(requestID), RadiusM: r.RadiusM, Limit: r.NearbyLimit}
	if r.Personalized() && r.Viewer.UserKey != "" {
		q.History = frequency.None
	}
	return q
}

// residence reports whether a point is in the viewer's home region, an adcode.
func residence(home string, at *geoindex.Position) hexbid.Residence {
	if home == "" {
		return hexbid.ResidenceUnknown
	}
	if id, err := geoindex.RegionByCode(home); err == nil && at.Regions.Has(id) {
		return hexbid.Resident
	}
	return hexbid.Visitor
}

// Scratch is the memory that a search works in. Keep one for each goroutine and reuse it.
type Scratch struct {
	board   auction.Board
	floor   capCode // a campaign with a lower cap cannot win
	slack   capCode // how far above its cap a score may be
	ahead   bool    // schedules were evaluated ahead for the query's instant
	onBoard [4]onBoard
	oldest  uint8                           // index in onBoard to overwrite next
	cursors [2 * maxKeys]cursor             // in both kinds of lists
	views   [2 * maxKeys]geoindex.Viewpoint // of the cursors
	outlook geoindex.Outlook
	batch   [mostInBatch]match
	batched int
	enough  int // matches in a batch from which they are tested
	near    [mostInBatch]near
	bands   knownBands // of the programs whose places were asked for
	fetched hexbid.UID // stops the compiler from dropping the loads of a batch
	conditions
	entries [hexbid.MaxSlots + 1]auction.Entry
	priced  int // of entries, in the last Search
	awards  [hexbid.MaxSlots]auction.Award
	few     [fewCampaigns]uint32

	nearest    geoindex.Nearest
	need       [3]uint64
	seen       groups
	found      [hexbid.MaxNearbyLimit]Found
	listed     int  // of found
	listGoesOn bool // the list has more than its limit

	// Sifted, Tested and Scored count the work of the last Search: postings whose masks or rows were compared,
	// campaigns whose records were read, and campaigns that reached the auction. Asked counts the programs whose places
	// were looked up.
	Sifted, Tested, Scored, Asked int
}

// maxKeys is the most keys over one point: one for every resolution, the regions, and everywhere.
const maxKeys = geoindex.Finest + 1 + geoindex.MaxRegionsOver + 1

// The number of a cursor must fit beside a bit.
const _ = 1<<7 - uint(2*maxKeys)

// match is a posting whose mask matches, or a campaign whose rows in a block match.
type match struct {
	posting
	found uint8 // the lowest bit: its area surely holds the point; the others: the number of the cursor
}

func (x *match) isInside() bool { return x.found&1 == 1 }

func (x *match) cursor() uint8 { return x.found >> 1 }

// onBoard is an advertiser that has an entry on the board. Its further campaigns with lower caps cannot matter, and an
// advertiser may own thousands of the best.
type onBoard struct {
	advertiser uint32
	best       capCode // a campaign with a lower cap cannot better its entry; 0 for none
}

// isOutdone reports whether a campaign with a cap cannot better its advertiser's entry.
func (w *Scratch) isOutdone(advertiser uint32, cap capCode) bool {
	for i := range w.onBoard {
		if w.onBoard[i].advertiser == advertiser && cap < w.onBoard[i].best {
			return true
		}
	}
	return false
}

// bound returns the least cap of a campaign that may reach a score.
func (w *Scratch) bound(score int64) capCode { return max(capOf(score), w.slack) - w.slack }

// noteOnBoard records the score of an advertiser's entry on the board.
func (w *Scratch) noteOnBoard(advertiser uint32, score int64) {
	for i := range w.onBoard {
		if w.onBoard[i].advertiser == advertiser {
			w.onBoard[i].best = w.bound(score)
			return
		}
	}
	w.onBoard[w.oldest%uint8(len(w.onBoard))] = onBoard{advertiser, w.bound(score)}
	w.oldest++
}

// A batch fetches the records of its matches together, because a core waits for six to ten cache lines no longer than
// for one. enough matches are tested before the batch is full: if all pass, they fill the board of ten slots.
//
// Where distance counts, several batches would be tested before the scores on the board end the search. It waits for
// memory less often when it tests enoughByDistance at once.
const (
	enough           = 11
	enoughByDistance = 24
	mostInBatch      = enoughByDistance - 1 + mostAtATurn
)

// Search runs the auction and returns the awards, best slot first. They lie in scratch memory, which the next Search
// overwrites.
func (s *Snapshot) Search(q *Query, w *Scratch) []auction.Award {
	s.reset(q, w)
	if q.Slots == 0 {
		return nil
	}
	cursors := w.cursors[:0]
	if q.Words.None() {
		cursors = s.listsOver(q, 0, w, cursors)
	} else {
		cursors = s.searchWords(q, w, cursors)
	}
	s.searchLists(cursors, q, w)
	return s.price(q, w)
}

// reset clears what a former Search left: a Search that panicked half-way leaves matches in the batch. A search writes
// everything else in the scratch before it reads it.
func (s *Snapshot) reset(q *Query, w *Scratch) {
	if s.distances != nil {
		w.bands, w.outlook = knownBands{}, q.At.Outlook()
	}
	w.Sifted, w.Tested, w.Scored, w.Asked, w.batched = 0, 0, 0, 0, 0
	w.floor, w.ahead, w.onBoard, w.oldest = 0, s.Covers(q.Now), [4]onBoard{}, 0
	w.board.Reset(q.Slots, q.Ties)
	w.conditions.set(s, q)
	if w.enough = enough; s.distances != nil {
		w.enough = enoughByDistance
	}
	if w.slack = 0; q.Explore { // an explored quality is at most twice the ordinary one, which caps bound
		w.slack = twofold
	}
}

// searchWords offers the campaigns that compete on words and returns the cursors still to be read. There are two kinds:
// campaigns with keywords, and those whose programs have the words. For a kind with few matches the index leads to them
// directly. For a kind with many, the search must still read the kind's lists.
func (s *Snapshot) searchWords(q *Query, w *Scratch, cursors []cursor) []cursor {
	if few, ok := s.fewNamed(&q.Words, w.few[:0]); ok {
		s.offerFew(few, q, w)
	} else {
		cursors = s.listsOver(q, 0, w, cursors)
	}
	if few, ok := s.words.fewAnchored(&q.Words, w.few[:0]); ok {
		s.offerFew(few, q, w)
	} else {
		cursors = s.listsOver(q, withKeywords, w, cursors)
	}
	return cursors
}

// price computes the entries on the board and awards the slots.
func (s *Snapshot) price(q *Query, w *Scratch) []auction.Award {
	standings := w.board.Standings()
	for i := range standings {
		s.enter(&w.entries[i], standings[i].Ordinal, q, w)
	}
	w.priced = len(standings)
	return auction.Price(w.entries[:len(standings)], s.PricingOf(q), w.awards[:0])
}

// offerFew offers campaigns that the word index found.
func (s *Snapshot) offerFew(ordinals []uint32, q *Query, w *Scratch) {
	for _, ordinal := range ordinals {
		if w.batched > w.enough {
			s.offerBatch(q, w)
		}
		w.batch[w.batched] = match{posting: posting{targeting.AskRule, ordinal, mostCap}}
		w.batched++
	}
	s.offerBatch(q, w)
}

// offerBatch tests the batched matches and offers those that pass.
func (s *Snapshot) offerBatch(q *Query, w *Scratch) {
	batch := w.batch[:w.batched]
	w.batched = 0
	if !q.Words.None() {
		batch = s.mayCompete(batch, q, w)
	}
	if s.distances != nil {
		batch = s.distances.narrow(batch, w)
	}
	fetched := w.fetched
	for i := range batch {
		fetched ^= s.campaigns.at(batch[i].ordinal).uid
	}
	w.fetched = fetched
	if s.distances != nil {
		s.offerByDistance(batch, q, w)
		return
	}
	for i := range batch {
		if batch[i].cap >= w.floor {
			s.offer(&batch[i], q, w)
		}
	}
}

// mayCompete keeps the matches of a batch whose word signature may match the request. It loads what it reads of all of
// them together, and likewise the programs of those kept.
func (s *Snapshot) mayCompete(batch []match, q *Query, w *Scratch) []match {
	fetched := w.fetched
	for i := range batch {
		fetched ^= hexbid.UID(s.details.at(batch[i].ordinal).signature)
	}
	may := batch[:0]
	for i := range batch {
		if d := s.details.at(batch[i].ordinal); d.signature.MayCompete(&q.Words) {
			may = append(may, batch[i])
		}
	}
	for i := range may {
		fetched ^= s.programs.at(s.details.at(may[i].ordinal).program).uid
	}
	w.fetched = fetched
	return may
}

// offer tests a match where distance does not count, and offers it if it passes.
func (s *Snapshot) offer(x *match, q *Query, w *Scratch) {
	if _, score, enters := s.scoreOf(x, q, w); enters {
		s.stand(s.campaigns.at(x.ordinal), x.ordinal, score, q, w)
	}
}

// scoreOf tests a match and returns its paced bid and its score, before distance lowers it. It returns false for a
// match that fails a test, or whose score is below its reserve.
func (s *Snapshot) scoreOf(x *match, q *Query, w *Scratch) (paced hexbid.Money, score int64, enters bool) {
	w.Tested++
	c := s.campaigns.at(x.ordinal)
	if !s.serves(c, x.ordinal, q, w.ahead) {
		return 0, 0, false
	}
	if !x.isInside() && !s.contains(c, x.ordinal, &q.At) {
		return 0, 0, false
	}
	if x.mask.More() && !s.admits(x.ordinal, q) {
		return 0, 0, false
	}
	if !q.Words.None() && !s.competes(x.ordinal, q) {
		return 0, 0, false
	}
	w.Scored++
	paced, score = auction.Pace(c.pricing, s.bidOn(c, x.ordinal, q.Host), c.worth.multiplierPPM(), w.quality(c.worth))
	return paced, score, auction.Enters(score, w.reserves[c.category]) && !s.broke.has(c.advertiser)
}

// stand offers a campaign with its score to the board, unless its participation or a cap keeps it from this search.
func (s *Snapshot) stand(c *campaign, ordinal uint32, score int64, q *Query, w *Scratch) {
	if c.has&(takesPart|hasCap|hasOwnersCap) != 0 && (score < w.board.Floor() || !s.isIn(c, ordinal, q)) {
		return
	}
	if best, again := w.board.Offer(auction.Standing{Score: score, CampaignUID: c.uid, Ordinal: ordinal,
		Advertiser: c.advertiser}); again {
		w.noteOnBoard(c.advertiser, best)
	}
	w.floor = w.bound(w.board.Floor())
}

// isIn makes the tests that only campaigns with a participation or a cap need.
func (s *Snapshot) isIn(c *campaign, ordinal uint32, q *Query) bool {
	if c.has&takesPart != 0 && !q.Ties.TakesPart(c.uid, c.worth.participationPPM()) {
		return false
	}
	return !c.has.isCapped() || s.capsAllow(c, ordinal, q)
}

// competes makes the exact test of words, for a campaign whose signature may match.
func (s *Snapshot) competes(ordinal uint32, q *Query) bool {
	d := s.details.at(ordinal)
	return d.ask(s.specifics).keywords.Compete(&q.Words, s.programs.at(d.program).text)
}
