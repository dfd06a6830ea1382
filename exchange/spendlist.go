package exchange

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// SpendQuery asks for what campaigns have spent.
type SpendQuery struct {
	Advertiser  string     // resource name; "advertisers/-" for all
	After       hexbid.UID // of the campaign that the page before ended with
	Limit       int
	SpentToday  bool // those that were charged the most on their local date, and no others
	ShowDeleted bool
}

// SpendPage is a page of campaigns.
type SpendPage struct {
	Campaigns []*hexbid.CampaignSpend
	Next      hexbid.UID // where the next page begins after; 0 when there is none
	SeesAll   bool       // the caller sees the whole market
	AsOf      time.Time  // the instant that the amounts are of: a ranking may be some seconds old
}

// standingsAtOnce is how many accounts one request asks the ledger's owner for. The owner answers nobody else
// meanwhile.
const standingsAtOnce = 1000

// ListCampaignSpend returns a page of what campaigns have spent, without their history. A page of those that spent the
// most has at most a thousand, and callers share it for some seconds.
func (e *Exchange) ListCampaignSpend(ctx context.Context, q SpendQuery) (*SpendPage, error) {
	if err := e.admit(ctx, access.ListCampaignSpend, q.Advertiser); err != nil {
		return nil, err
	}
	page, err := inBooks(ctx, e, func(b *books) (*SpendPage, error) { return b.list(&q) })
	if page != nil {
		page.SeesAll = e.own(ctx) == nil
	}
	return page, err
}

func (b *books) list(q *SpendQuery) (*SpendPage, error) {
	of, err := b.parents(q.Advertiser)
	if err != nil {
		return nil, err
	}
	if q.SpentToday {
		return b.topSpenders(of, q)
	}
	asOf := b.config.Clock()
	standings, next, err := b.standings(of, q.After, q.Limit)
	if err != nil {
		return nil, err
	}
	if !q.ShowDeleted {
		standings = slices.DeleteFunc(standings, func(s ledger.Standing) bool { return s.Deleted })
	}
	spends, err := b.spends(standings)
	return &SpendPage{Campaigns: spends, Next: next, AsOf: asOf}, err
}

// parents returns the uids of the advertisers that a parent stands for, in order; nil is all there are. For a member
// "advertisers/-" stands for the member's own.
func (b *books) parents(name string) ([]hexbid.UID, error) {
	if name != (hexbid.Name{Kind: hexbid.KindAdvertiser, Advertiser: hexbid.AnyID}).String() {
		uid, err := b.find(hexbid.KindAdvertiser, "parent", hexbid.Account{Name: name})
		return []hexbid.UID{uid}, err
	}
	if b.own(b.ctx) == nil {
		return nil, nil
	}
	own := []hexbid.UID{}
	if grants := hexbid.PrincipalOf(b.ctx).Grants; grants != nil {
		for _, m := range grants.Advertisers {
			own = append(own, m.UID)
		}
	}
	slices.Sort(own)
	return own, nil
}

// standings returns how the campaigns of some advertisers, or with nil of all, stand after a uid, and where to go on
// after.
func (b *books) standings(of []hexbid.UID, after hexbid.UID,
	limit int) (page []ledger.Standing, next hexbid.UID, err error) {
	looked := limit
	if of == nil {
		page, err = b.ledger.Campaigns(b.ctx, after, limit)
		looked = len(page)
		if looked > 0 {
			next = page[looked-1].Campaign
		}
	} else {
		var uids []hexbid.UID
		if uids, err = b.membersOf(of, after, limit); err != nil || len(uids) == 0 {
			return nil, 0, err
		}
		page, err = b.ledger.Standings(b.ctx, uids)
		looked, next = len(uids), uids[len(uids)-1]
	}
	if looked < limit {
		next = 0
	}
	return page, next, err
}

// membersOf returns uids of the campaigns of some advertisers, deleted ones too, in their order.
func (b *books) membersOf(of []hexbid.UID, after hexbid.UID, limit int) (uids []hexbid.UID, err error) {
	for _, advertiser := range of {
		own, err := b.members(advertiser, after, limit)
		if err != nil {
			return nil, err
		}
		uids = append(uids, own...)
		slices.Sort(uids)
		uids = uids[:min(len(uids), limit)]
	}
	return uids, nil
}

// members returns uids of an advertiser's campaigns, deleted ones too, in their order.
func (b *books) members(of, after hexbid.UID, limit int) (uids []hexbid.UID, err error) {
	if after == math.MaxUint64 {
		return nil, nil
	}
	err = b.view.Scan(journal.Members, fold.MemberKey(of, after+1), fold.MemberKey(of+1, 0),
		func(key, _ []byte) (bool, error) {
			uids = append(uids, hexbid.UID(sequenceIn(key)))
			return len(uids) < limit, nil
		})
	return uids, err
}

func (b *books) spends(standings []ledger.Standing) ([]*hexbid.CampaignSpend, error) {
	out := make([]*hexbid.CampaignSpend, len(standings))
	for i := range standings {
		if err := b.ctx.Err(); err != nil {
			return nil, err
		}
		var err error
		if out[i], err = b.spend(&standings[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// topSpenders returns those that spent the most, from the rankings that all callers share. Those of several
// advertisers are as of the oldest of their rankings.
func (b *books) topSpenders(of []hexbid.UID, q *SpendQuery) (*SpendPage, error) {
	if of == nil {
		of = []hexbid.UID{0}
	}
	var top []ledger.Standing
	asOf := b.config.Clock()
	for _, advertiser := range of {
		shared, err := b.rankings.get(b.ctx, rankingOf{advertiser, q.ShowDeleted}, b.config.Clock,
			func() ([]ledger.Standing, error) { return b.rank(advertiser, q.ShowDeleted) })
		if err != nil {
			return nil, err
		}
		top = addSpenders(top, shared.top, q.ShowDeleted)
		if shared.asOf.Before(asOf) {
			asOf = shared.asOf
		}
	}
	spends, err := b.spends(top[:min(len(top), q.Limit)])
	return &SpendPage{Campaigns: spends, AsOf: asOf}, err
}

// rank looks at every campaign, so it waits for its turn.
func (b *books) rank(advertiser hexbid.UID, deleted bool) ([]ledger.Standing, error) {
	done, err := b.exhaustive.take(b.ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var of []hexbid.UID
	if advertiser != 0 {
		of = []hexbid.UID{advertiser}
	}
	var top []ledger.Standing
	for after := hexbid.UID(0); ; {
		page, next, err := b.standings(of, after, standingsAtOnce)
		if err != nil {
			return nil, err
		}
		if top = addSpenders(top, page, deleted); next == 0 {
			return top, nil
		}
		after = next
	}
}

// addSpenders keeps those of both lists that have spent the most, in their order.
func addSpenders(top, more []ledger.Standing, deleted bool) []ledger.Standing {
	least := hexbid.Money(1)
	if len(top) == mostRanked {
		least = spentToday(&top[mostRanked-1]) + 1 // of two that spent as much, the lower uid comes first
	}
	kept := len(top)
	for i := range more {
		if s := &more[i]; spentToday(s) >= least && (deleted || !s.Deleted) {
			top = append(top, *s)
		}
	}
	if len(top) == kept {
		return top
	}
	slices.SortFunc(top, func(x, y ledger.Standing) int {
		return cmp.Or(cmp.Compare(spentToday(&y), spentToday(&x)), cmp.Compare(x.Campaign, y.Campaign))
	})
	return top[:min(len(top), mostRanked)]
}

// spentToday is what a campaign was charged on its present date.
func spentToday(s *ledger.Standing) hexbid.Money {
	if s.Date != s.LocalDate {
		return 0
	}
	return s.Today.Charged
}
