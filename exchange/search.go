package exchange

import (
	"context"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/ledger/outstanding"
	"github.com/hexbid/hexbid/spans"
	"github.com/hexbid/hexbid/token"
)

// Response is the answer to one search.
type Response struct {
	Sponsored        []Sponsored
	Nearby           []Nearby
	NextPageToken    string
	RequestID        string
	EvaluatedAt      time.Time
	AuctionTook      time.Duration
	SponsoredSkipped bool
	CappedSkipped    bool // capped campaigns sat out, because it was not known in time what the viewer has seen
	NearbyEnd        NearbyEnd
	Notice           string
	Trace            *Trace // when asked for
	// HidesPrices and HidesCampaigns say that the caller may not see what sponsored results cost, and of which campaigns
	// they are. The prices are 0 then; the cards are for everybody, and still name the campaign.
	HidesPrices, HidesCampaigns bool
}

// NearbyEnd says why a nearby list ends.
type NearbyEnd uint8

// The ends of a nearby list.
const (
	NearbyWhole     NearbyEnd = iota // it has everything in the radius, or goes on with the next page
	NearbyOutOfTime                  // its walk took Config.NearbyBudget
	NearbyAtMost                     // its pages have hexbid.MaxNearbyResults together
)

// Sponsored is one won slot.
type Sponsored struct {
	Slot      int
	Campaign  hexbid.UID
	Program   hexbid.UID
	Place     hexbid.UID // the nearest approved; 0 when there is none
	DistanceM float64    // to Place
	Price     hexbid.Money
	Pricing   hexbid.PricingModel
	Token     string
	Cards     Displayed
}

// Displayed has the cards of the records that people see in a result, from Config.Cards. It has none of a record that
// there is not. The bytes are shared, so do not change them.
type Displayed struct{ Program, Place, Campaign []byte }

// Nearby is one program at its nearest approved place.
type Nearby struct {
	Program   hexbid.UID
	Place     hexbid.UID
	DistanceM float64
	Cards     Displayed // without Campaign
}

// Trace is the exhaustive account of an auction.
type Trace struct {
	Snapshot *bidder.Snapshot
	Query    bidder.Query
	Account  *bidder.Account
	Name     func(campaign uint32) string
	// CappedSkipped says that capped campaigns sat out, as in Response.
	CappedSkipped bool
	// Work of the auction's search, as in bidder.Scratch.
	Sifted, Scored int
}

// searching is one search under way.
type searching struct {
	*Exchange
	ctx      context.Context
	request  *hexbid.Request
	query    bidder.Query
	snapshot *bidder.Snapshot
	scratch  *scratch
	awards   []auction.Award // in scratch
	pricing  auction.Pricing // of the awards
	page     *page           // the page that the request asks for; nil for the first
	recorded *spans.Call     // nil for nearly all searches
	out      *Response

	viewer   [16]byte       // the viewer's id, once asked for
	viewerOf *token.Keyring // the keyring that made the id
}

// scratch is the memory of a search. A later search reuses it.
type scratch struct {
	bidder    bidder.Scratch
	refs      [mostCards]bidder.Ref
	cards     [mostCards]shown
	sponsored [hexbid.MaxSlots]hexbid.UID
	lane      *outstanding.Lane // nil without a ledger
	won       [hexbid.MaxSlots]outstanding.Award
}

// mostCards is the most cards that a list of results shows: program and place, and of those that are sponsored the
// campaign too.
const mostCards = max(2*hexbid.MaxNearbyLimit, 3*hexbid.MaxSlots)

// newScratch makes the memory of a search, with a lane for its awards.
func (e *Exchange) newScratch() *scratch {
	s := new(scratch)
	if e.awardsOut != nil {
		s.lane = e.awardsOut.lanes.Lane()
	}
	return s
}

// Search answers a request that arrived at an instant of the wall clock. Errors are *hexbid.Error, or the context's.
func (e *Exchange) Search(ctx context.Context, r *hexbid.Request, arrived time.Time) (*Response, error) {
	if err := e.admit(ctx, access.SearchNearby, ""); err != nil {
		return nil, err
	}
	r.ClientID, r.ClientUID = clientOf(ctx, r.ClientID)
	if r.Trace {
		if err := e.admit(ctx, access.Trace, ""); err != nil {
			return nil, err
		}
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if err := checkRegion("viewer.home_region", r.Viewer.HomeRegion); err != nil {
		return nil, err
	}
	page, err := e.openPage(r)
	if err != nil {
		return nil, err
	}
	if page != nil {
		r.Slots = 0 // only the first page has sponsored results
	}
	snapshot, now, err := e.indexer.SnapshotNow(ctx)
	if err != nil {
		return nil, err
	}
	out := &Response{RequestID: e.config.RequestID(), EvaluatedAt: now, Notice: e.notice(r.Point)}
	s := &searching{Exchange: e, ctx: ctx, request: r, snapshot: snapshot, page: page, out: out,
		query: bidder.NewQuery(r, out.RequestID, out.EvaluatedAt), scratch: e.scratch.Get().(*scratch),
		recorded: e.config.Spans.Of(ctx)}
	defer e.scratch.Put(s.scratch)
	e.positions.put(&s.query, r, &e.config)
	s.recall()
	s.query.Explore = s.query.Ties.Explores(int64(e.config.ExploreShare * auction.PPM))
	s.auction(arrived)
	if r.Trace {
		if out.Trace, err = s.trace(); err != nil {
			return nil, err
		}
	}
	if err := s.fillSponsored(); err != nil {
		return nil, err
	}
	if err := s.fillNearby(); err != nil {
		return nil, err
	}
	out.hide(ctx)
	return out, ctx.Err()
}

// hide leaves out what the caller may not see.
func (r *Response) hide(ctx context.Context) {
	p := hexbid.PrincipalOf(ctx)
	if p.Role != hexbid.Searcher {
		return
	}
	r.HidesPrices, r.HidesCampaigns = hidesPrices(&p), p.Grants == nil || !p.Grants.Campaigns
	for i := range r.Sponsored {
		if r.HidesPrices {
			r.Sponsored[i].Price = 0
		}
	}
}

// hidesPrices reports whether a caller may not see what sponsored results cost.
func hidesPrices(p *hexbid.Principal) bool {
	return p.Role == hexbid.Searcher && (p.Grants == nil || !p.Grants.Prices)
}

// recall finds out what the viewer has seen of capped campaigns. Only a market that has some needs to know.
func (s *searching) recall() {
	if s.query.History == nil || s.query.Slots == 0 || s.viewers == nil || !s.snapshot.HasCaps() {
		return
	}
	stage := s.recorded.Stage("history")
	s.query.History = s.viewers.history(s.ctx, s.pseudonym(), s.out.EvaluatedAt.Add(s.ledgerTime.ahead()))
	s.out.CappedSkipped = s.query.History == nil
	stage.End()
}

// pseudonym returns the viewer's id under the present keyring.
func (s *searching) pseudonym() [16]byte {
	if ring := s.keys.Ring(); s.viewerOf != ring {
		s.viewer, s.viewerOf = ring.Pseudonym(s.request.Viewer.UserKey), ring
	}
	return s.viewer
}

// auction runs the auction within its time budget. It reads the clock before and after. An auction that is late loses
// all its awards.
func (s *searching) auction(arrived time.Time) {
	s.scratch.bidder.Sifted, s.scratch.bidder.Scored = 0, 0 // they hold those of the previous search
	if s.query.Slots == 0 {
		return
	}
	s.recent.keep(s.searched.Add(1), &s.query)
	if s.outage.isTooLong() {
		s.out.SponsoredSkipped = true
		return
	}
	defer s.recorded.Stage("auction").End()
	started := time.Now()
	if started.Sub(arrived) <= s.config.AuctionBudget {
		s.awards = s.snapshot.Search(&s.query, &s.scratch.bidder)
		if int(s.query.Trial.Pair) >= len(s.awards) { // a slot of the pair is empty
			s.query.Trial = auction.Trial{}
		}
		s.out.AuctionTook = time.Since(started)
		s.sample()
	}
	if time.Since(arrived) > s.config.AuctionBudget {
		s.awards, s.out.SponsoredSkipped = nil, true
	}
}

// trace waits for its turn and makes the account of every campaign.
func (s *searching) trace() (*Trace, error) {
	done, err := s.exhaustive.take(s.ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	account, err := s.snapshot.PlainWithin(s.ctx, &s.query)
	if err != nil {
		return nil, err
	}
	return &Trace{Snapshot: s.snapshot, Query: s.query, Account: account, Name: s.namesIn(s.ctx, s.snapshot),
		CappedSkipped: s.out.CappedSkipped, Sifted: s.scratch.bidder.Sifted, Scored: s.scratch.bidder.Scored}, nil
}

func (s *searching) fillSponsored() error {
	if len(s.awards) == 0 {
		return nil
	}
	defer s.recorded.Stage("cards").End()
	s.pricing = s.snapshot.PricingOf(&s.query)
	shown := s.snapshot.Showings(s.awards, s.query.At.Vec)
	cards, err := s.cardsOfAwards(shown[:len(s.awards)])
	if err != nil {
		return err
	}
	defer clear(cards)
	s.out.Sponsored = make([]Sponsored, 0, len(s.awards))
	won := s.scratch.won[:0]
	for i := range s.awards {
		program, place, campaign := &cards[3*i], &cards[3*i+1], &cards[3*i+2]
		if program.leftOut || place.leftOut || campaign.leftOut {
			continue
		}
		a := &s.awards[i]
		s.out.Sponsored = append(s.out.Sponsored, Sponsored{Slot: a.Slot, Campaign: shown[i].Campaign.UID,
			Program: shown[i].Program.UID, Place: shown[i].Place.UID, DistanceM: geoindex.MetresOfChord2(shown[i].Chord2),
			Price: a.Price, Pricing: a.Entry.Pricing, Token: s.sealAward(a),
			Cards: Displayed{program.card, place.card, campaign.card}})
		if s.scratch.lane != nil {
			won = append(won, s.awardOut(a))
		}
	}
	if len(won) > 0 {
		s.scratch.lane.Add(won)
	}
	return nil
}

// cardsOfAwards returns the cards of each award's program, place and campaign, in turn. They are in the memory of the
// search.
func (s *searching) cardsOfAwards(awards []bidder.Showing) ([]shown, error) {
	refs, cards := s.scratch.refs[:3*len(awards)], s.scratch.cards[:3*len(awards)]
	for i := range awards {
		refs[3*i], refs[3*i+1], refs[3*i+2] = awards[i].Program, awards[i].Place, awards[i].Campaign
	}
	return cards, s.display.show(s.ctx, refs, cards)
}

// awardOut returns an award as it is counted until its token has come back.
func (s *searching) awardOut(a *auction.Award) outstanding.Award {
	out := s.awardsOut.of(a, s.snapshot.AdvertiserOf(a.Entry.Ordinal), s.pricing.Factors)
	out.Trial = positionIn(s.trialOf(a), a.Slot, s.query.Way).Code()
	return out
}

// tokenResolution is the H3 resolution of the cell in a token: some five square kilometres. A token never holds the
// exact point.
const tokenResolution = 7

func (s *searching) sealAward(a *auction.Award) string {
	ring, r, issued := s.keys.Ring(), s.request, s.out.EvaluatedAt.Add(s.ledgerTime.ahead())
	award := token.Award{
		RequestID: s.out.RequestID, Campaign: a.Entry.CampaignUID, Advertiser: s.snapshot.AdvertiserOf(a.Entry.Ordinal),
		Price: a.Price, Slot: a.Slot, Host: r.Host, Scene: r.Scene, Cell: uint64(s.query.At.Cell.Parent(tokenResolution)),
		ClientID: r.ClientID, ClientUID: r.ClientUID, MarketVersion: s.snapshot.MarketVersion(), Basis: a.Basis(&s.pricing),
		Prediction: a.Entry.Prediction, Explored: a.Entry.Explored, Trial: s.trialOf(a),
		IssuedAt: issued, ClickExpiry: issued.Add(s.config.ClickExpiry),
	}
	if r.Personalized() && r.Viewer.UserKey != "" {
		award.HasViewer, award.Viewer = true, s.pseudonym()
		s.rememberAward(a, &award)
	}
	return ring.SealAward(&award)
}

// trialOf returns the trial that an award is part of, none for awards outside its pair.
func (s *searching) trialOf(a *auction.Award) auction.Trial {
	if s.query.Trial.Concerns(a.Slot) {
		return s.query.Trial
	}
	return auction.Trial{}
}

// rememberAward counts an award of a capped campaign as an impression of the viewer, until its own is recorded.
func (s *searching) rememberAward(a *auction.Award, sealed *token.Award) {
	if s.viewers == nil || !s.snapshot.IsCapped(a.Entry.Ordinal) {
		return
	}
	caps, _ := s.snapshot.CapsOf(sealed.Campaign)
	s.viewers.awards.add(sealed.Viewer, cappedAward{sealed.Campaign,
		impressionOf(&caps, sealed.Campaign, sealed.Advertiser, stampOfAward(sealed.IssuedAt))})
}

func (s *searching) fillNearby() error {
	depth := s.nearbyQuery()
	stage := s.recorded.Stage("nearby")
	list, more, err := s.walkNearby()
	stage.End()
	if err != nil {
		return err
	}
	defer s.recorded.Stage("cards").End()
	refs, cards := s.scratch.refs[:2*len(list)], s.scratch.cards[:2*len(list)]
	for i, f := range list { // a loop of its own, so that these loads overlap
		refs[2*i], refs[2*i+1] = s.snapshot.ProgramRef(f.Program), s.snapshot.PlaceRef(f.Place)
	}
	if err := s.display.show(s.ctx, refs, cards); err != nil {
		return err
	}
	defer clear(cards)
	s.out.Nearby = make([]Nearby, 0, len(list))
	for i := range list {
		program, place := &cards[2*i], &cards[2*i+1]
		if program.leftOut || place.leftOut {
			continue
		}
		s.out.Nearby = append(s.out.Nearby, Nearby{refs[2*i].UID, refs[2*i+1].UID,
			geoindex.MetresOfChord2(list[i].Chord2), Displayed{Program: program.card, Place: place.card}})
	}
	switch depth += len(list); {
	case more && depth >= hexbid.MaxNearbyResults:
		s.out.NearbyEnd = NearbyAtMost
	case more:
		s.out.NextPageToken = s.sealPage(s.request, &page{s.snapshot.Pin(list[len(list)-1]), depth, s.query.Skip})
	}
	return nil
}

// nearbyQuery completes the query with the position of the requested page. It returns the number of results on the
// pages before.
func (s *searching) nearbyQuery() (depth int) {
	s.query.Skip = s.sponsoredPrograms(s.scratch.sponsored[:0])
	if s.page != nil {
		s.query.After, depth = &s.page.pin, s.page.depth
	}
	s.query.Limit = min(s.query.Limit, hexbid.MaxNearbyResults-depth)
	return depth
}

// stepsATurn is the number of steps of a walk between two looks at the clock: some tens of microseconds. Nearly all
// walks take fewer and read no clock.
const stepsATurn = 4096

// walkNearby finds the programs of the page within the time budget.
func (s *searching) walkNearby() (list []bidder.Found, more bool, err error) {
	work, ends := &s.scratch.bidder, time.Time{}
	s.snapshot.StartNearby(&s.query, work)
	for !s.snapshot.ContinueNearby(&s.query, stepsATurn, work) {
		if err := s.ctx.Err(); err != nil {
			return nil, false, err
		}
		now := s.config.Stopwatch()
		if ends.IsZero() {
			ends = now.Add(s.config.NearbyBudget)
		}
		if !now.Before(ends) {
			s.out.NearbyEnd = NearbyOutOfTime
			break
		}
	}
	list, more = work.NearbyFound()
	return list, more, nil
}

// sponsoredPrograms appends the programs that the first page sponsors, because no page of the nearby list repeats them.
func (s *searching) sponsoredPrograms(uids []hexbid.UID) []hexbid.UID {
	if s.page != nil {
		return s.page.sponsored
	}
	for i := range s.awards {
		uids = append(uids, s.snapshot.ProgramRef(s.snapshot.ProgramOf(s.awards[i].Entry.Ordinal)).UID)
	}
	return uids
}
