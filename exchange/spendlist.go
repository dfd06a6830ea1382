package exchange

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
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
	AsOf      time.Time  // the instant that the amounts are of: a ranking may be some seconds old
}

// standingsAtOnce is how many accounts one request asks the ledger's owner for. The owner answers nobody else
// meanwhile.
const standingsAtOnce = 1000

// ListCampaignSpend returns a page of what campaigns have spent, without their history. A page of those that spent the
// most has at most a thousand, and callers share it for some seconds.
func (e *Exchange) ListCampaignSpend(ctx context.Context, q SpendQuery) (*SpendPage, error) {
	if err := admit(ctx); err != nil {
		return nil, err
	}
	return inBooks(ctx, e, func(b *books) (*SpendPage, error) { return b.list(&q) })
}

func (b *books) list(q *SpendQuery) (*SpendPage, error) {
	of, err := b.parent(q.Advertiser)
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
	return &SpendPage{spends, next, asOf}, err
}

// parent returns the uid of an advertiser, 0 for all.
func (b *books) parent(name string) (hexbid.UID, error) {
	if name == (hexbid.Name{Kind: hexbid.KindAdvertiser, Advertiser: hexbid.AnyID}).String() {
		return 0, nil
	}
	return b.find(hexbid.KindAdvertiser, "parent", hexbid.Account{Name: name})
}

// standings returns how the campaigns of an advertiser, or of all, stand after a uid, and where to go on after.
func (b *books) standings(of, after hexbid.UID, limit int) (page []ledger.Standing, next hexbid.UID, err error) {
	looked := limit
	if of == 0 {
		page, err = b.ledger.Campaigns(b.ctx, after, limit)
		looked = len(page)
		if looked > 0 {
			next = page[looked-1].Campaign
		}
	} else {
		var uids []hexbid.UID
		if uids, err = b.members(of, after, limit); err != nil || len(uids) == 0 {
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

// topSpenders returns those that spent the most, from the ranking that all callers share.
func (b *books) topSpenders(of hexbid.UID, q *SpendQuery) (*SpendPage, error) {
	shared, err := b.rankings.get(b.ctx, rankingOf{of, q.ShowDeleted}, b.config.Clock,
		func() ([]ledger.Standing, error) { return b.rank(of, q.ShowDeleted) })
	if err != nil {
		return nil, err
	}
	spends, err := b.spends(shared.top[:min(len(shared.top), q.Limit)])
	return &SpendPage{Campaigns: spends, AsOf: shared.asOf}, err
}

// rank looks at every campaign, so it waits for its turn.
func (b *books) rank(of hexbid.UID, deleted bool) ([]ledger.Standing, error) {
	done, err := b.exhaustive.take(b.ctx)
	if err != nil {
		return nil, err
	}
	defer done()
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
