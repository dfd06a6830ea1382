package ledger

import (
	"context"
	"slices"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
)

// touched is the accounts that records concern, some of them more than once.
type touched struct{ campaigns, advertisers []hexbid.UID }

func (t *touched) campaign(uid hexbid.UID)   { t.campaigns = append(t.campaigns, uid) }
func (t *touched) advertiser(uid hexbid.UID) { t.advertisers = append(t.advertisers, uid) }

// each returns accounts once each.
func each(uids []hexbid.UID) []hexbid.UID {
	slices.Sort(uids)
	return slices.Compact(uids)
}

// tell collects for watchers how the accounts stand that a batch has touched.
func (o *owner) tell(b *batch) {
	for _, uid := range each(b.touched.campaigns) {
		if account, found := o.books.Campaign(uid); found {
			b.changes.Campaigns = append(b.changes.Campaigns, o.standing(&account))
		}
	}
	for _, uid := range each(b.touched.advertisers) {
		if account, found := o.books.Advertiser(uid); found {
			b.changes.Advertisers = append(b.changes.Advertisers, account)
		}
	}
	b.changes.AsOf = o.books.Last().Sequence
}

// Changes are accounts as they stand after the last change that is durable.
type Changes struct {
	Campaigns   []Standing
	Advertisers []fold.AdvertiserAccount
	AsOf        uint64 // the last record that the accounts include
}

// none reports whether no account has changed.
func (c *Changes) none() bool { return len(c.Campaigns) == 0 && len(c.Advertisers) == 0 }

// Watch tells of accounts that have changed. One goroutine at a time calls Next and Waiting.
type Watch struct {
	ledger *Ledger
	change chan struct{} // has room for one: something waits

	mu          sync.Mutex // guards the fields below
	campaigns   map[hexbid.UID]Standing
	advertisers map[hexbid.UID]advertiserAsOf

	// The first calls of Next list all accounts, from these uids on. Next alone uses them.
	listing              bool
	campaign, advertiser hexbid.UID
}

type advertiserAsOf struct {
	account fold.AdvertiserAccount
	asOf    uint64
}

// accountsAPart is how many accounts a call of Next lists at first.
const accountsAPart = 10_000

// Watch begins to watch accounts. Close ends it.
func (l *Ledger) Watch() *Watch {
	w := &Watch{ledger: l, change: make(chan struct{}, 1), campaigns: map[hexbid.UID]Standing{},
		advertisers: map[hexbid.UID]advertiserAsOf{}, listing: true}
	l.watchers.add(w)
	l.watched.Add(1)
	return w
}

// Close ends the watch.
func (w *Watch) Close() {
	if w.ledger.watchers.remove(w) {
		w.ledger.watched.Add(-1)
	}
}

// Next waits for changes and returns them, each account once however often it changed. The first calls return all
// accounts, deleted ones too, at most 10,000 of each kind a call.
func (w *Watch) Next(ctx context.Context) (Changes, error) {
	if w.listing {
		return w.list(ctx)
	}
	for {
		if c := w.take(); !c.none() {
			return c, nil
		}
		select {
		case <-w.change:
		case <-ctx.Done():
			return Changes{}, ctx.Err()
		case <-w.ledger.ended:
			return Changes{}, errClosed
		}
	}
}

// Waiting is Next for a caller who does not wait: without a change it returns none.
func (w *Watch) Waiting(ctx context.Context) (Changes, error) {
	if w.listing {
		return w.list(ctx)
	}
	return w.take(), nil
}

// list returns the next part of all accounts. Changes that wait and are older than the part are dropped.
func (w *Watch) list(ctx context.Context) (Changes, error) {
	var read Changes
	campaign, advertiser := w.campaign, w.advertiser
	err := w.ledger.readBooks(ctx, func(o *owner) error {
		part := Changes{Advertisers: o.books.Advertisers(advertiser, accountsAPart), AsOf: o.books.Last().Sequence}
		for _, account := range o.books.Campaigns(campaign, accountsAPart) {
			part.Campaigns = append(part.Campaigns, o.standing(&account))
		}
		read = part
		return nil
	})
	if err != nil {
		return Changes{}, err
	}
	c := read
	if n := len(c.Campaigns); n > 0 {
		w.campaign = c.Campaigns[n-1].Campaign
	}
	if n := len(c.Advertisers); n > 0 {
		w.advertiser = c.Advertisers[n-1].Advertiser
	}
	w.listing = len(c.Campaigns) == accountsAPart || len(c.Advertisers) == accountsAPart
	w.forget(&c)
	return c, nil
}

// forget drops waiting changes that a listed part includes.
func (w *Watch) forget(c *Changes) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range c.Campaigns {
		if waiting, found := w.campaigns[c.Campaigns[i].Campaign]; found && waiting.AsOf <= c.AsOf {
			delete(w.campaigns, waiting.Campaign)
		}
	}
	for i := range c.Advertisers {
		if waiting, found := w.advertisers[c.Advertisers[i].Advertiser]; found && waiting.asOf <= c.AsOf {
			delete(w.advertisers, waiting.account.Advertiser)
		}
	}
}

// take returns what waits.
func (w *Watch) take() (c Changes) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, standing := range w.campaigns {
		c.Campaigns = append(c.Campaigns, standing)
		c.AsOf = max(c.AsOf, standing.AsOf)
	}
	for _, advertiser := range w.advertisers {
		c.Advertisers = append(c.Advertisers, advertiser.account)
		c.AsOf = max(c.AsOf, advertiser.asOf)
	}
	clear(w.campaigns)
	clear(w.advertisers)
	return c
}

// tell adds changes to those that wait.
func (w *Watch) tell(c *Changes) {
	w.mu.Lock()
	for _, standing := range c.Campaigns {
		w.campaigns[standing.Campaign] = standing
	}
	for _, account := range c.Advertisers {
		w.advertisers[account.Advertiser] = advertiserAsOf{account, c.AsOf}
	}
	w.mu.Unlock()
	select {
	case w.change <- struct{}{}:
	default:
	}
}

// watchers is the watches of a ledger.
type watchers struct {
	mu  sync.Mutex // guards all
	all map[*Watch]struct{}
}

func (s *watchers) add(w *Watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*Watch]struct{}{}
	}
	s.all[w] = struct{}{}
}

func (s *watchers) remove(w *Watch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found := s.all[w]
	delete(s.all, w)
	return found
}

func (s *watchers) tell(c *Changes) {
	if c.none() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.all {
		w.tell(c)
	}
}
