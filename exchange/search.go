package exchange

import (
	"context"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
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
	Notice           string
	Trace            *Trace // when asked for
}

// Sponsored is one won slot.
type Sponsored struct {
	Slot      int
	Program   *hexbid.Program
	Campaign  *hexbid.Campaign
	Creative  hexbid.Creative
	Place     *hexbid.Place // nearest approved; nil when there is none
	DistanceM float64       // to Place
	Price     hexbid.Money
	Pricing   hexbid.PricingModel
	Token     string
}

// Nearby is one program at its nearest approved place.
type Nearby struct {
	Program   *hexbid.Program
	Place     *hexbid.Place
	DistanceM float64
}

// Trace is the exhaustive account of an auction.
type Trace struct {
	Snapshot *bidder.Snapshot
	Query    bidder.Query
	Account  *bidder.Account
	Name     func(campaign uint32) string
	// Work of the fast pass.
	Sifted, Scored int
}

// searching is one search on its way.
type searching struct {
	*Exchange
	ctx      context.Context
	request  *hexbid.Request
	query    bidder.Query
	snapshot *bidder.Snapshot
	scratch  *bidder.Scratch
	awards   []auction.Award // in scratch
	pin      *bidder.Pin
	out      *Response

	viewer   [16]byte       // the viewer's, once it is asked for
	viewerOf *token.Keyring // that made it
}

// Search answers a request. Arrived is when it came in, on the wall's clock.
// Errors are *hexbid.Error, or the context's.
func (e *Exchange) Search(ctx context.Context, r *hexbid.Request, arrived time.Time) (*Response, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if err := checkRegion("viewer.home_region", r.Viewer.HomeRegion); err != nil {
		return nil, err
	}
	pin, err := e.openPage(r)
	if err != nil {
		return nil, err
	}
	if pin != nil {
		r.Slots = 0 // sponsored results come with the first page only
	}
	snapshot, now, err := e.indexer.SnapshotNow(ctx)
	if err != nil {
		return nil, err
	}
	out := &Response{RequestID: e.config.RequestID(), EvaluatedAt: now, Notice: e.notice(r.Point)}
	s := &searching{Exchange: e, ctx: ctx, request: r, snapshot: snapshot, pin: pin, out: out,
		query: bidder.NewQuery(r, out.RequestID, out.EvaluatedAt), scratch: e.scratch.Get().(*bidder.Scratch)}
	defer e.scratch.Put(s.scratch)
	s.auction(arrived)
	if r.Trace {
		out.Trace = s.trace()
	}
	if err := s.fillSponsored(); err != nil {
		return nil, err
	}
	if err := s.fillNearby(); err != nil {
		return nil, err
	}
	return out, ctx.Err()
}

// auction runs the auction inside its budget of time. The clock is looked at
// when it would start and when it ends; awards are dropped whole.
func (s *searching) auction(arrived time.Time) {
	if s.query.Slots == 0 {
		return
	}
	started := time.Now()
	if started.Sub(arrived) <= s.config.AuctionBudget {
		s.awards = s.snapshot.Search(&s.query, s.scratch)
		s.out.AuctionTook = time.Since(started)
	}
	if time.Since(arrived) > s.config.AuctionBudget {
		s.awards, s.out.SponsoredSkipped = nil, true
	}
}

func (s *searching) trace() *Trace {
	return &Trace{Snapshot: s.snapshot, Query: s.query, Account: s.snapshot.Plain(&s.query), Name: s.namesIn(s.ctx, s.snapshot),
		Sifted: s.scratch.Sifted, Scored: s.scratch.Scored}
}

func (s *searching) fillSponsored() error {
	for i := range s.awards {
		result, err := s.sponsored(&s.awards[i])
		if hexbid.KindOf(err) == hexbid.NotFound {
			continue // deleted since the snapshot, a moment ago
		}
		if err != nil {
			return err
		}
		s.out.Sponsored = append(s.out.Sponsored, result)
	}
	return nil
}

// sponsored completes an award with what people see, and seals its token.
func (s *searching) sponsored(a *auction.Award) (out Sponsored, err error) {
	program := s.snapshot.ProgramOf(a.Entry.Ordinal)
	out = Sponsored{Slot: a.Slot, Price: a.Price, Pricing: a.Entry.Pricing}
	if out.Campaign, err = displayAs[*hexbid.Campaign](s.ctx, s.display, s.snapshot.CampaignRef(a.Entry.Ordinal)); err != nil {
		return out, err
	}
	if out.Program, err = displayAs[*hexbid.Program](s.ctx, s.display, s.snapshot.ProgramRef(program)); err != nil {
		return out, err
	}
	if found, ok := s.snapshot.NearestPlace(program, s.query.At.Vec); ok {
		out.DistanceM = geoindex.MetresOfChord2(found.Chord2)
		if out.Place, err = displayAs[*hexbid.Place](s.ctx, s.display, s.snapshot.PlaceRef(found.Place)); err != nil {
			return out, err
		}
	}
	out.Creative = completed(out.Campaign.CreativeFor(s.request.Host), out.Program)
	if c := out.Creative.Coupon; c != nil && !s.out.EvaluatedAt.Before(c.ValidUntil) {
		out.Creative.Coupon = nil // no longer valid: the creative shows without it
	}
	out.Token = s.sealAward(a)
	return out, nil
}

// completed fills what a creative leaves to its program.
func completed(c hexbid.Creative, p *hexbid.Program) hexbid.Creative {
	if c.Title == "" {
		c.Title = p.DisplayName
	}
	if c.Path == "" {
		c.Path = p.Path
	}
	if c.ImageURI == "" {
		c.ImageURI = p.IconURI
	}
	return c
}

// tokenResolution is the H3 resolution of the cell in a token: some five
// square kilometres, never the exact point.
const tokenResolution = 7

func (s *searching) sealAward(a *auction.Award) string {
	ring, r := s.keys.Ring(), s.request
	award := token.Award{
		Campaign: a.Entry.CampaignUID, Advertiser: s.snapshot.AdvertiserOf(a.Entry.Ordinal), Price: a.Price, Pricing: a.Entry.Pricing, Slot: a.Slot,
		Host: r.Host, Scene: r.Scene, Cell: uint64(s.query.At.Cell.Parent(tokenResolution)), QualityPPM: a.Entry.QualityPPM, ClientID: r.ClientID,
		IssuedAt: s.out.EvaluatedAt, ClickExpiry: s.out.EvaluatedAt.Add(s.config.ClickExpiry),
	}
	if r.Personalized() && r.Viewer.UserKey != "" {
		if s.viewerOf != ring {
			s.viewer, s.viewerOf = ring.Pseudonym(r.Viewer.UserKey), ring
		}
		award.HasViewer, award.Viewer = true, s.viewer
	}
	return ring.SealAward(&award)
}

func (s *searching) fillNearby() error {
	var skip [hexbid.MaxSlots]uint32 // sponsored in this answer already
	for i := range s.awards {
		skip[i] = s.snapshot.ProgramOf(s.awards[i].Entry.Ordinal)
	}
	list, more := s.snapshot.Nearby(&s.query, skip[:len(s.awards)], s.pin, s.scratch)
	s.out.Nearby = make([]Nearby, 0, len(list))
	for _, f := range list {
		near, err := s.nearby(f)
		if hexbid.KindOf(err) == hexbid.NotFound {
			continue // deleted since the snapshot, a moment ago
		}
		if err != nil {
			return err
		}
		s.out.Nearby = append(s.out.Nearby, near)
	}
	if more {
		s.out.NextPageToken = s.sealPage(s.request, s.snapshot.Pin(list[len(list)-1]))
	}
	return nil
}

func (s *searching) nearby(f bidder.Found) (out Nearby, err error) {
	out.DistanceM = geoindex.MetresOfChord2(f.Chord2)
	if out.Program, err = displayAs[*hexbid.Program](s.ctx, s.display, s.snapshot.ProgramRef(f.Program)); err != nil {
		return out, err
	}
	out.Place, err = displayAs[*hexbid.Place](s.ctx, s.display, s.snapshot.PlaceRef(f.Place))
	return out, err
}
