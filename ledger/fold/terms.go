package fold

import (
	"slices"
	"unique"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// SameTerms reports whether terms would change nothing but the catalogue's version.
func (b *Books) SameTerms(t *Terms) bool {
	c := b.campaigns[t.Campaign]
	return c != nil && c.advertiser.Advertiser == t.Advertiser && c.dailyBudget == t.DailyBudget &&
		c.totalBudget == t.TotalBudget && c.zone.Value() == t.Zone && c.paused == t.Paused && c.deleted == t.Deleted &&
		slices.Equal(c.account().Coupons, t.Coupons)
}

// SameAdvertiser reports whether terms would change nothing but the catalogue's version.
func (b *Books) SameAdvertiser(t *AdvertiserTerms) bool {
	a := b.advertisers[t.Advertiser]
	return a != nil && a.Paused == t.Paused && a.Deleted == t.Deleted
}

func (b *Books) takeTerms(t *Terms, now *Point, w *journal.Batch) error {
	c := b.campaigns[t.Campaign]
	if t.Campaign == 0 || t.Advertiser == 0 {
		return faulty(now.Sequence, "has terms without a uid")
	}
	if c != nil && c.advertiser.Advertiser != t.Advertiser {
		return faulty(now.Sequence, "moves campaign %d from advertiser %d to %d", t.Campaign, c.advertiser.Advertiser,
			t.Advertiser)
	}
	if c == nil {
		c = b.campaignSlab.make()
		c.uid, c.advertiser = t.Campaign, b.openAdvertiser(t.Advertiser)
		b.campaigns[t.Campaign] = c
		b.campaignOrder.add(t.Campaign)
		putName(w, t.Name, t.Campaign, MemberKey(t.Advertiser, t.Campaign))
	}
	b.rows.touch(c)
	c.dailyBudget, c.totalBudget, c.zone = t.DailyBudget, t.TotalBudget, unique.Make(t.Zone)
	c.paused, c.deleted = t.Paused, t.Deleted
	c.putCoupons(t.Coupons)
	b.state.catalogueVersion = t.Version
	return nil
}

// openAdvertiser returns an advertiser's account, a new one if there is none.
func (b *Books) openAdvertiser(uid hexbid.UID) *advertiser {
	a := b.advertisers[uid]
	if a == nil {
		a = b.advertiserSlab.make()
		a.Advertiser = uid
		b.rows.touch(a)
		b.advertisers[uid] = a
		b.advertiserOrder.add(uid)
	}
	return a
}

func (b *Books) takeAdvertiserTerms(t *AdvertiserTerms, now *Point, w *journal.Batch) error {
	if t.Advertiser == 0 {
		return faulty(now.Sequence, "has terms without a uid")
	}
	a := b.openAdvertiser(t.Advertiser)
	b.rows.touch(a)
	a.Paused, a.Deleted = t.Paused, t.Deleted
	b.state.catalogueVersion = t.Version
	putName(w, t.Name, t.Advertiser, MemberKey(t.Advertiser, 0))
	return nil
}

// putName puts the rows that lead from a name to a uid and back. Names are not part of the state: nothing is judged by
// them.
func putName(w *journal.Batch, name string, uid hexbid.UID, member []byte) {
	if w == nil {
		return
	}
	put(w, journal.Names, NameKey(name, uid), nothing)
	put(w, journal.Members, member, []byte(name))
}
