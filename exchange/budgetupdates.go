package exchange

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/ledger/outstanding"
)

// updates returns what to hand in for the accounts that are due, and notes it as handed in.
func (b *budgets) updates() (campaigns []bidder.LiveUpdate, advertisers []bidder.AdvertiserUpdate) {
	snapshot := b.indexer.Snapshot()
	for uid := range b.due.advertisers {
		if u, calls := b.updateAccount(uid); calls {
			advertisers = append(advertisers, u)
		}
	}
	for uid := range b.due.campaigns {
		if p := b.purses[uid]; p != nil {
			if u, calls := b.updatePurse(uid, p, pricesIn(snapshot, uid)); calls {
				campaigns = append(campaigns, u)
			}
		}
	}
	clear(b.due.campaigns)
	clear(b.due.advertisers)
	return campaigns, advertisers
}

// pricesIn returns the prices of a campaign's events. Those of a campaign that searches do not see yet are unknown, so
// that every bound matters.
func pricesIn(s *bidder.Snapshot, campaign hexbid.UID) outstanding.Prices {
	least, dearest, there := s.EventPrices(campaign)
	if !there {
		return outstanding.Prices{Least: 1, Dearest: hexbid.MaxBidCPC}
	}
	return outstanding.Prices{Least: least, Dearest: dearest}
}

// updatePurse returns a campaign's update, and whether the index should have it.
func (b *budgets) updatePurse(uid hexbid.UID, p *purse, of outstanding.Prices) (bidder.LiveUpdate, bool) {
	out, left := b.awards.campaign(uid), p.leftOn(b.calendar.zones[p.zone].date)
	now := outstanding.RemainderOf(left, out, of)
	isLow := now.Spent || now.Bound() < 2*of.Dearest
	setLow(b.low.campaigns, uid, out, isLow)
	if isLow {
		left = 0 // every award counts
	}
	b.awards.knows(uid, false, left)
	if !now.Calls(p.told, of) {
		return bidder.LiveUpdate{}, false
	}
	if now.Spent != p.told.Spent {
		b.alerts(uid, now.Spent)
	}
	p.told = now
	return bidder.LiveUpdate{Campaign: uid, BudgetSpent: now.Spent, Left: now.Left}, true
}

// updateAccount returns an advertiser's update, and whether the index should have it.
func (b *budgets) updateAccount(uid hexbid.UID) (bidder.AdvertiserUpdate, bool) {
	a := b.accounts[uid]
	if a == nil {
		return bidder.AdvertiserUpdate{}, false
	}
	out := b.awards.advertiser(uid)
	least := b.cheapestEvent()
	now := outstanding.FundsOf(a.balance, out, least)
	setLow(b.low.advertisers, uid, out, now != outstanding.FundsOf(a.balance, outstanding.Out{}, least))
	b.awards.knows(uid, true, a.balance)
	if !now.Calls(a.told) {
		return bidder.AdvertiserUpdate{}, false
	}
	a.told = now
	return bidder.AdvertiserUpdate{Advertiser: uid, NoBalance: now.None, Left: now.Left}, true
}

// cheapestEvent returns what the cheapest event of the market costs.
func (b *budgets) cheapestEvent() hexbid.Money {
	m := b.indexer.Snapshot().Market()
	return min(m.LeastEvent(hexbid.CPC), m.LeastEvent(hexbid.CPM))
}

// followMinimums makes everything due when the least bids of the market have changed: what is left pays for fewer
// events now, or for more.
func (b *budgets) followMinimums() {
	now := b.indexer.Snapshot().Market().MinimumBid
	if now == b.minimums {
		return
	}
	b.minimums = now
	for uid := range b.purses {
		b.due.campaigns[uid] = struct{}{}
	}
	for uid := range b.accounts {
		b.due.advertisers[uid] = struct{}{}
	}
}

// setLow keeps an account in the set of those that awards out hold back, as long as they do.
func setLow(low map[hexbid.UID]struct{}, uid hexbid.UID, out outstanding.Out, isLow bool) {
	if isLow && out.Expected+out.Margin > 0 {
		low[uid] = struct{}{}
	} else {
		delete(low, uid)
	}
}
