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
	// Work of the fast pass.
	BlocksRead, Scored int
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
	out := &Response{RequestID: e.config.RequestID(), EvaluatedAt: e.config.Clock()}
	s := e.indexer.Snapshot()
	if !s.Covers(out.EvaluatedAt) {
		e.indexer.NoteStale()
	}
	q := bidder.NewQuery(r, out.RequestID, out.EvaluatedAt)
	w := e.scratch.Get().(*bidder.Scratch)
	defer e.scratch.Put(w)
	awards := e.auction(s, &q, w, arrived, out)
	if r.Trace {
		out.Trace = &Trace{Snapshot: s, Query: q, Account: s.Plain(&q), BlocksRead: w.BlocksRead, Scored: w.Scored}
	}
	if err := e.fillSponsored(ctx, s, &q, r, awards, out); err != nil {
		return nil, err
	}
	if err := e.fillNearby(ctx, s, &q, r, awards, pin, w, out); err != nil {
		return nil, err
	}
	out.Notice = e.notice(r.Point)
	return out, ctx.Err()
}

// auction runs the auction inside its budget of time. The clock is looked at
// when it would start and when it ends; awards are dropped whole.
func (e *Exchange) auction(s *bidder.Snapshot, q *bidder.Query, w *bidder.Scratch, arrived time.Time, out *Response) []auction.Award {
	if q.Slots == 0 {
		return nil
	}
	started := time.Now()
	if started.Sub(arrived) > e.config.AuctionBudget {
		out.SponsoredSkipped = true
		return nil
	}
	awards := s.Search(q, w)
	out.AuctionTook = time.Since(started)
	if time.Since(arrived) > e.config.AuctionBudget {
		out.SponsoredSkipped = true
		return nil
	}
	return awards
}

func (e *Exchange) fillSponsored(ctx context.Context, s *bidder.Snapshot, q *bidder.Query, r *hexbid.Request, awards []auction.Award, out *Response) error {
	for i := range awards {
		a := &awards[i]
		program := s.ProgramOf(a.Entry.Ordinal)
		result := Sponsored{Slot: a.Slot, Price: a.Price, Pricing: a.Entry.Pricing}
		var err error
		if result.Campaign, err = displayAs[*hexbid.Campaign](ctx, e.display, s.CampaignRef(a.Entry.Ordinal)); err == nil {
			result.Program, err = displayAs[*hexbid.Program](ctx, e.display, s.ProgramRef(program))
		}
		if found, ok := s.NearestPlace(program, q.At.Vec); ok && err == nil {
			result.Place, err = displayAs[*hexbid.Place](ctx, e.display, s.PlaceRef(found.Place))
			result.DistanceM = geoindex.MetresOfChord2(found.Chord2)
		}
		if hexbid.KindOf(err) == hexbid.NotFound {
			continue // deleted since the snapshot, a moment ago
		}
		if err != nil {
			return err
		}
		result.Creative = completed(result.Campaign.CreativeFor(r.Host), result.Program)
		result.Token = e.sealAward(s, q, r, a, out)
		out.Sponsored = append(out.Sponsored, result)
	}
	return nil
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

func (e *Exchange) sealAward(s *bidder.Snapshot, q *bidder.Query, r *hexbid.Request, a *auction.Award, out *Response) string {
	ring := e.keys.Ring()
	award := token.Award{
		Campaign: a.Entry.CampaignUID, Advertiser: s.AdvertiserOf(a.Entry.Ordinal), Price: a.Price, Pricing: a.Entry.Pricing, Slot: a.Slot,
		Host: r.Host, Scene: r.Scene, Cell: uint64(q.At.Cell.Parent(tokenResolution)), QualityPPM: a.Entry.QualityPPM, ClientID: r.ClientID,
		IssuedAt: out.EvaluatedAt, ClickExpiry: out.EvaluatedAt.Add(e.config.ClickExpiry),
	}
	if r.Personalized() && r.Viewer.UserKey != "" {
		award.HasViewer, award.Viewer = true, ring.Pseudonym(r.Viewer.UserKey)
	}
	return ring.SealAward(&award)
}

func (e *Exchange) fillNearby(ctx context.Context, s *bidder.Snapshot, q *bidder.Query, r *hexbid.Request, awards []auction.Award, pin *bidder.Pin,
	w *bidder.Scratch, out *Response) error {
	var skip [hexbid.MaxSlots]uint32
	for i := range awards {
		skip[i] = s.ProgramOf(awards[i].Entry.Ordinal)
	}
	list, more := s.Nearby(q, skip[:len(awards)], pin, w)
	out.Nearby = make([]Nearby, 0, len(list))
	for _, f := range list {
		program, err := displayAs[*hexbid.Program](ctx, e.display, s.ProgramRef(f.Program))
		var at *hexbid.Place
		if err == nil {
			at, err = displayAs[*hexbid.Place](ctx, e.display, s.PlaceRef(f.Place))
		}
		if hexbid.KindOf(err) == hexbid.NotFound {
			continue // deleted since the snapshot, a moment ago
		}
		if err != nil {
			return err
		}
		out.Nearby = append(out.Nearby, Nearby{program, at, geoindex.MetresOfChord2(f.Chord2)})
	}
	if more {
		out.NextPageToken = e.sealPage(r, s.Pin(list[len(list)-1]))
	}
	return nil
}

// Explanation is the verdict on one campaign in one search.
type Explanation struct {
	Verdict   bidder.Verdict
	Snapshot  *bidder.Snapshot
	RequestID string
}

// Explain says what becomes of a campaign in a search, by the plain
// evaluation. Errors are *hexbid.Error.
func (e *Exchange) Explain(ctx context.Context, campaign string, r *hexbid.Request) (*Explanation, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if _, err := hexbid.ParseNameOf(hexbid.KindCampaign, "name", campaign); err != nil {
		return nil, err
	}
	if _, err := e.store.Get(ctx, campaign); err != nil {
		return nil, err
	}
	out := &Explanation{Snapshot: e.indexer.Snapshot(), RequestID: e.config.RequestID()}
	q := bidder.NewQuery(r, out.RequestID, e.config.Clock())
	out.Verdict = out.Snapshot.Explain(&q, campaign)
	return out, nil
}
