package exchange

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
)

// budgets tells the index what campaigns and advertisers have left. It follows the accounts of the ledger, the awards
// that are still out, and the local midnights at which daily budgets begin anew. One goroutine does all of it.
//
// It holds a purse of some hundred bytes for each campaign that has spent something, or had awards out, since its last
// midnight. It looks at a purse when the book of awards out notices the campaign, not at every award. A change costs a
// hand-in only where it changes what the index does.
type budgets struct {
	ledger  *ledger.Ledger
	indexer *bidder.Indexer
	awards  *awardsOut
	alerts  func(campaign hexbid.UID, spent bool) // is told when a budget is spent, and when no longer
	log     *slog.Logger
	outage  *outage

	watch     *ledger.Watch
	minimums  [hexbid.PricingCount]hexbid.Money // least bids of the market by which purses were judged
	calendar  calendar
	purses    map[hexbid.UID]*purse
	accounts  map[hexbid.UID]*account // of prepaid advertisers
	due       due
	low       due          // what awards still out hold back: it changes as they get older
	returning []hexbid.UID // campaigns that midnight has given a budget again

	mu    sync.Mutex // guards edits
	edits []bidEdit  // raised bids that searches may not see yet
}

// due is a set of accounts to be looked at.
type due struct{ campaigns, advertisers map[hexbid.UID]struct{} }

func newDue() due { return due{map[hexbid.UID]struct{}{}, map[hexbid.UID]struct{}{}} }

const (
	// sweepEvery spaces the looks at the calendar and at what awards out hold back.
	sweepEvery = 50 * time.Millisecond
	// mostReturning is how many campaigns that return after a midnight are handed in at a time, so that campaigns whose
	// budgets end meanwhile do not wait long.
	mostReturning = 2000
)

func newBudgets(e *Exchange) *budgets {
	return &budgets{ledger: e.config.Ledger, indexer: e.indexer, awards: e.awardsOut,
		alerts:   func(campaign hexbid.UID, spent bool) { e.alerts.exhausted(campaign, spent) },
		log:      e.config.Log,
		outage:   &e.outage,
		minimums: e.config.Market.MinimumBid,
		calendar: calendar{numbers: map[string]uint16{}}, purses: map[hexbid.UID]*purse{},
		accounts: map[hexbid.UID]*account{}, due: newDue(), low: newDue()}
}

// accountsAPart is the most accounts of a kind in one part of what a watch lists first.
const accountsAPart = 10_000

// open reads all accounts and hands in what they have left, before the first search.
func (b *budgets) open(ctx context.Context) error {
	b.watch = b.ledger.Watch()
	for {
		part, err := b.watch.Next(ctx)
		if err != nil {
			return err
		}
		b.take(&part)
		campaigns, advertisers := b.updates()
		for some := range slices.Chunk(campaigns, bidder.MaxLiveUpdates) {
			if err := b.indexer.HandInFirst(bidder.OwnerLedger, some); err != nil {
				return err
			}
		}
		for some := range slices.Chunk(advertisers, bidder.MaxLiveUpdates) {
			if err := b.indexer.HandInAdvertisersFirst(some); err != nil {
				return err
			}
		}
		if len(part.Campaigns) < accountsAPart && len(part.Advertisers) < accountsAPart {
			return nil
		}
	}
}

// run hands in what changes until the context ends.
func (b *budgets) run(ctx context.Context) {
	defer b.watch.Close()
	changes := make(chan ledger.Changes)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { b.follow(ctx, changes) })
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	goOn := make(chan struct{})
	close(goOn)
	for {
		var some chan struct{} // is ready while campaigns return
		if len(b.returning) > 0 {
			some = goOn
		}
		select {
		case <-some:
			b.letReturn()
		case c := <-changes:
			b.take(&c)
		case <-b.awards.turned:
			b.lookAtAwards(ctx)
		case <-sweep.C:
			b.sweep(b.ledger.Now())
		case <-ctx.Done():
			return
		}
		if err := b.handIn(ctx); err != nil {
			if ctx.Err() == nil {
				b.log.Error("budgets cannot be handed in", "error", err)
			}
			return
		}
	}
}

// step does everything that is due at present.
func (b *budgets) step(ctx context.Context) error {
	c, err := b.watch.Waiting(ctx)
	if err != nil {
		return err
	}
	b.take(&c)
	b.lookAtAwards(ctx)
	b.sweep(b.ledger.Now())
	if err = b.handIn(ctx); err != nil {
		return err
	}
	for len(b.returning) > 0 {
		b.letReturn()
		if err = b.handIn(ctx); err != nil {
			return err
		}
	}
	return nil
}

// follow passes the changes of accounts on. While one is handed in, the next ones gather into one.
func (b *budgets) follow(ctx context.Context, to chan<- ledger.Changes) {
	for {
		c, err := b.watch.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				b.log.Error("budgets do not follow the ledger any more", "error", err)
			}
			return
		}
		select {
		case to <- c:
		case <-ctx.Done():
			return
		}
	}
}

// take fills purses and accounts by what the ledger says.
func (b *budgets) take(c *ledger.Changes) {
	now := b.ledger.Now()
	for i := range c.Campaigns {
		b.fill(&c.Campaigns[i], now)
	}
	var prepaid []hexbid.UID
	for i := range c.Advertisers {
		a := &c.Advertisers[i]
		if a.Prepaid && b.accounts[a.Advertiser] == nil {
			prepaid = append(prepaid, a.Advertiser)
		}
		b.fillAccount(a)
	}
	b.awards.pay(prepaid)
}

// fill fills a campaign's purse. A campaign that has spent nothing needs none. A deleted one whose remainder holds it
// back keeps its purse, because its uid may come back.
func (b *budgets) fill(s *ledger.Standing, now time.Time) {
	uid := s.Campaign
	known := b.purses[uid]
	if s.Deleted && (known == nil || !known.told.HoldsBack()) {
		b.drop(uid)
		return
	}
	filled := purseOf(s, b.calendar.zone(s.Zone, now))
	if known == nil {
		if filled.isFullOn(s.LocalDate) {
			return
		}
		known = &purse{}
		b.purses[uid] = known
	}
	filled.told = known.told
	*known = filled
	b.due.campaigns[uid] = struct{}{}
}

// drop forgets a campaign of which there is nothing to say, until it has an award again.
func (b *budgets) drop(uid hexbid.UID) {
	b.awards.knows(uid, false, 0)
	delete(b.purses, uid)
	delete(b.low.campaigns, uid)
}

func (b *budgets) fillAccount(a *fold.AdvertiserAccount) {
	known := b.accounts[a.Advertiser]
	if known == nil {
		if !a.Prepaid {
			return
		}
		known = &account{}
		b.accounts[a.Advertiser] = known
	}
	known.balance = fold.NoLimit
	if a.Prepaid {
		known.balance = a.Ever.Balance
	}
	b.due.advertisers[a.Advertiser] = struct{}{}
}

// lookAtAwards makes accounts due whose awards out may matter. It asks the ledger for campaigns that have no purse.
func (b *budgets) lookAtAwards(ctx context.Context) {
	noticed := b.awards.takeNoticed()
	for _, uid := range noticed.Advertisers {
		b.due.advertisers[uid] = struct{}{}
	}
	var unknown []hexbid.UID
	for _, uid := range noticed.Campaigns {
		if b.purses[uid] == nil {
			unknown = append(unknown, uid)
		}
		b.due.campaigns[uid] = struct{}{}
	}
	now := b.ledger.Now()
	for some := range slices.Chunk(unknown, ledger.MaxAccounts) {
		standings, err := b.ledger.Standings(ctx, some)
		if err != nil {
			return // the ledger has failed, or the server stops
		}
		for i := range standings {
			if s := &standings[i]; !s.Deleted {
				p := purseOf(s, b.calendar.zone(s.Zone, now))
				b.purses[s.Campaign] = &p
			}
		}
	}
}

// raised takes note of raised bids. Any goroutine may call it.
func (b *budgets) raised(edits []bidEdit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.edits = append(b.edits, edits...)
}

// takeEdits makes the campaigns due whose raised bids searches see by now.
func (b *budgets) takeEdits() {
	seen := b.indexer.Snapshot().Version
	b.mu.Lock()
	defer b.mu.Unlock()
	b.edits = slices.DeleteFunc(b.edits, func(e bidEdit) bool {
		if e.version <= seen && b.purses[e.campaign] != nil {
			b.due.campaigns[e.campaign] = struct{}{}
		}
		return e.version <= seen
	})
}

// sweep makes due what changes without a word of the ledger: with time, with bids, and with midnight.
func (b *budgets) sweep(now time.Time) {
	b.outage.look(b.ledger.Failure() != nil)
	b.takeEdits()
	b.followMinimums()
	for uid := range b.low.campaigns {
		b.due.campaigns[uid] = struct{}{}
	}
	for uid := range b.low.advertisers {
		b.due.advertisers[uid] = struct{}{}
	}
	if turned := b.calendar.turn(now); turned != nil {
		b.beginDay(turned)
	}
}

// letReturn makes some of the campaigns due that return.
func (b *budgets) letReturn() {
	n := min(mostReturning, len(b.returning))
	for _, uid := range b.returning[:n] {
		b.due.campaigns[uid] = struct{}{}
	}
	if b.returning = b.returning[n:]; len(b.returning) == 0 {
		b.returning = nil
	}
}

// beginDay lets the campaigns of some zones return, some at a time. It drops purses that say nothing any more.
func (b *budgets) beginDay(turned map[uint16]bool) {
	for uid, p := range b.purses {
		switch {
		case !turned[p.zone]:
		case p.told.HoldsBack():
			b.returning = append(b.returning, uid)
		case p.isFullOn(b.calendar.zones[p.zone].date):
			b.drop(uid)
		}
	}
}

// handIn hands in what is due. Campaigns and advertisers go to the door together, for the same publication.
func (b *budgets) handIn(ctx context.Context) error {
	campaigns, advertisers := b.updates()
	if len(advertisers) == 0 {
		return b.handInCampaigns(ctx, campaigns)
	}
	failed := make(chan error, 1)
	go func() { failed <- b.handInAdvertisers(ctx, advertisers) }()
	return errors.Join(b.handInCampaigns(ctx, campaigns), <-failed)
}

func (b *budgets) handInCampaigns(ctx context.Context, campaigns []bidder.LiveUpdate) error {
	for some := range slices.Chunk(campaigns, bidder.MaxLiveUpdates) {
		if err := b.indexer.HandIn(ctx, bidder.OwnerLedger, some); err != nil {
			return err
		}
	}
	return nil
}

func (b *budgets) handInAdvertisers(ctx context.Context, advertisers []bidder.AdvertiserUpdate) error {
	for some := range slices.Chunk(advertisers, bidder.MaxLiveUpdates) {
		if err := b.indexer.HandInAdvertisers(ctx, some); err != nil {
			return err
		}
	}
	return nil
}
