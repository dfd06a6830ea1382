package exchange

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/outstanding"
	"github.com/hexbid/hexbid/token"
)

// awardsOut estimates what awards that are still out will cost. Searches leave their awards in lanes, without a lock.
// One goroutine moves them into the book and keeps the book's rows in the ledger. Events take their awards out.
type awardsOut struct {
	lanes   *outstanding.Lanes
	factors func(*token.Award) []int64 // position factors that an award was made by; set before the first event
	ledger  *ledger.Ledger
	log     *slog.Logger
	turned  chan struct{}                        // has an element when budgets should look at some awards out
	left    func(a *outstanding.Award, at int64) // is told of every award; set before the first search

	mu      sync.Mutex // guards the fields below; no search takes it
	book    *outstanding.Book
	drained int64 // when the lanes were last drained, Unix milliseconds
}

const (
	drainEvery = 10 * time.Millisecond
	keepEvery  = time.Second
)

// newAwardsOut goes on with what the ledger has kept of awards that are still out.
func newAwardsOut(ctx context.Context, config *Config) (*awardsOut, error) {
	o := &awardsOut{lanes: outstanding.NewLanes(runtime.GOMAXPROCS(0)), ledger: config.Ledger, log: config.Log,
		turned: make(chan struct{}, 1), left: func(*outstanding.Award, int64) {}}
	var unread int
	if err := o.ledger.Read(ctx, func(v journal.View) (err error) {
		o.book, unread, err = outstanding.Restore(config.ClickExpiry, o.now(), func(visit journal.Visit) error {
			return v.Scan(journal.Outstanding, nil, nil, visit)
		})
		return err
	}); err != nil {
		return nil, err
	}
	if unread > 0 {
		o.log.Warn("some estimates of awards still out cannot be read and are left out", "rows", unread)
	}
	return o, nil
}

func (o *awardsOut) now() int64 { return o.ledger.Now().UnixMilli() }

// follow drains the lanes and keeps the rows until the context ends. The last rows say that this was in order.
func (o *awardsOut) follow(ctx context.Context) {
	drain, keep := time.NewTicker(drainEvery), time.NewTicker(keepEvery)
	defer drain.Stop()
	defer keep.Stop()
	kept := true
	for {
		select {
		case <-drain.C:
			o.drain()
		case <-keep.C:
			kept = o.keep(false, kept)
		case <-ctx.Done():
			o.drain()
			o.keep(true, kept)
			return
		}
	}
}

// drain moves the awards of searches into the book.
func (o *awardsOut) drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drainLocked()
}

func (o *awardsOut) drainLocked() {
	o.drained = o.now()
	o.book.Advance(o.drained)
	o.lanes.Drain(func(a *outstanding.Award) {
		o.book.Add(a)
		o.left(a, o.drained)
	}, o.book.AddSpilled)
	o.turn()
}

// turn wakes budgets to look at the awards out. The caller holds the lock.
func (o *awardsOut) turn() {
	if !o.book.HasNoticed() {
		return
	}
	select {
	case o.turned <- struct{}{}:
	default:
	}
}

// takeNoticed returns whose awards out budgets should look at.
func (o *awardsOut) takeNoticed() outstanding.Noticed {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.book.TakeNoticed()
}

// knows tells the book what a campaign or an advertiser has left, as outstanding.Book.Knows documents.
func (o *awardsOut) knows(uid hexbid.UID, advertiser bool, left hexbid.Money) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.book.Knows(uid, advertiser, left)
}

// pay makes the book follow advertisers that pay ahead.
func (o *awardsOut) pay(advertisers []hexbid.UID) {
	if len(advertisers) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.book.Follow(advertisers)
}

// keep writes the rows that changed. It logs the first of several failures, and returns whether it succeeded.
func (o *awardsOut) keep(stopping, before bool) bool {
	o.mu.Lock()
	rows := o.book.Rows(stopping)
	o.mu.Unlock()
	err := o.ledger.KeepOutstanding(rows)
	if err != nil && before {
		o.log.Warn("the expected spend of awards still out cannot be kept", "error", err)
	}
	return err == nil
}

// campaign returns what the awards of a campaign that are still out will cost.
func (o *awardsOut) campaign(uid hexbid.UID) outstanding.Out {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.book.Campaign(uid)
}

// pace returns what the awards of a campaign that are still out will cost, and how many more or fewer events come than
// by the prior.
func (o *awardsOut) pace(uid hexbid.UID, pricing hexbid.PricingModel) (outstanding.Out, float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.book.Campaign(uid), o.book.Factor(uid, pricing)
}

// advertiser returns what the awards of an advertiser that are still out will cost.
func (o *awardsOut) advertiser(uid hexbid.UID) outstanding.Out {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.book.Advertiser(uid)
}

// of returns what the estimate keeps of an award that was made by these position factors. It is on the path of
// searches.
func (o *awardsOut) of(a *auction.Award, advertiser hexbid.UID, factors []int64) outstanding.Award {
	e := &a.Entry
	award := outstanding.Award{Campaign: e.CampaignUID, Advertiser: advertiser, Pricing: e.Pricing,
		Price:  outstanding.PriceOfEvent(e.Pricing, a.Price),
		Chance: outstanding.Chance(e.Pricing, e.QualityPPM, a.Slot, factors)}
	if e.Reserve > 0 {
		award.EntryPPM = uint32(auction.MultiplierToReach(e.Pricing, e.Bid, e.Reserve, e.QualityPPM))
	}
	return award
}

// happened takes the award of an event out, once the event is recorded for the first time. Events that nobody pays for
// change nothing: impressions of CPC awards, clicks of CPM awards whose impression was recorded, conversions and
// claims.
func (o *awardsOut) happened(a *token.Award, kind hexbid.EventKind, outcome hexbid.EventOutcome) {
	billable := outcome == hexbid.EventCharged || outcome == hexbid.EventBudgetExhausted
	pricing := a.Basis.Pricing
	switch {
	case !fold.UsesUp(outcome) || a.Slot < 1 || a.Slot > hexbid.MaxSlots:
		return
	case pricing == hexbid.CPC && kind == hexbid.Click:
	case pricing == hexbid.CPM && kind == hexbid.Impression:
	case pricing == hexbid.CPM && kind == hexbid.Click && billable: // it implies its impression
	default:
		return
	}
	award := outstanding.Award{Campaign: a.Campaign, Advertiser: a.Advertiser, Pricing: pricing,
		Price:  outstanding.PriceOfEvent(pricing, a.Price),
		Chance: outstanding.Chance(pricing, a.Basis.QualityPPM, a.Slot, o.factors(a))}
	o.mu.Lock()
	defer o.mu.Unlock()
	issued := a.IssuedAt.UnixMilli()
	if issued >= o.drained { // the award may still be in its lane
		o.drainLocked()
	}
	o.book.Happen(&award, issued, billable)
	o.turn()
}

// AwardsOut is what the market has out.
type AwardsOut struct {
	Expected hexbid.Money // cost of awards whose events are still to come
	Events   float64      // that are expected of them
	Spilled  int64        // awards since the start that were counted for a group of campaigns, for want of room
}

// AwardsOut returns what the market has out, nothing in a market without a ledger.
func (e *Exchange) AwardsOut() AwardsOut {
	o := e.awardsOut
	if o == nil {
		return AwardsOut{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.book.Market()
	return AwardsOut{out.Expected, out.Events, o.lanes.Spilled()}
}
