package exchange

import (
	"context"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/ledger/receipt"
)

// Statement is an advertiser's account of a month, with what the ledger's rows do not say.
type Statement struct {
	*receipt.Statement
	Deleted   bool
	Billing   hexbid.Billing
	Open      bool                // the month is not over in the deployment's zone
	Gone      map[hexbid.UID]bool // campaigns that are deleted
	OtherUIDs []hexbid.UID        // of the same name
	Currency  string
	Zone      string
}

// Statement returns an advertiser's account of a month, as in 2026-11. It reads a row a day for each of its campaigns,
// and has the ledger write the totals that have changed, so it waits for its turn.
func (e *Exchange) Statement(ctx context.Context, a hexbid.Account, month string) (*Statement, error) {
	if err := e.admit(ctx, access.GetStatement, a.Name); err != nil {
		return nil, err
	}
	of, err := receipt.ParseMonth(month)
	if err != nil {
		return nil, err
	}
	l, err := e.ledger()
	if err != nil {
		return nil, err
	}
	done, err := e.exhaustive.take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return inState(ctx, e, l.ReadTotals, func(b *books) (*Statement, error) { return b.statement(a, of) })
}

func (b *books) statement(a hexbid.Account, of receipt.Month) (*Statement, error) {
	uid, err := b.find(hexbid.KindAdvertiser, "name", a)
	if err != nil {
		return nil, err
	}
	account, err := b.ledger.Advertiser(b.ctx, uid)
	if err != nil {
		return nil, err
	}
	read, err := receipt.ReadStatement(b.view, uid, of)
	if err != nil {
		return nil, err
	}
	read.AsOf = lastRecord(b.ctx, read.AsOf)
	zone := b.config.statementZone()
	out := &Statement{Statement: read, Deleted: account.Deleted, Billing: billingOf(account.Prepaid),
		Open: b.ledger.Now().Before(endOf(of, zone)), Currency: b.config.Currency, Zone: zone.String()}
	if out.OtherUIDs, err = b.otherAdvertisers(read.Name, uid); err != nil {
		return nil, err
	}
	out.Gone, err = b.gone(read)
	return out, err
}

func endOf(m receipt.Month, zone *time.Location) time.Time {
	return time.Date(m.Year, m.Month+1, 1, 0, 0, 0, 0, zone)
}

// gone returns which campaigns of a statement are deleted.
func (b *books) gone(s *receipt.Statement) (map[hexbid.UID]bool, error) {
	gone := map[hexbid.UID]bool{}
	for first := 0; first < len(s.Campaigns); first += standingsAtOnce {
		var uids []hexbid.UID
		for _, c := range s.Campaigns[first:min(first+standingsAtOnce, len(s.Campaigns))] {
			uids = append(uids, c.Campaign)
		}
		standings, err := b.ledger.Standings(b.ctx, uids)
		if err != nil {
			return nil, err
		}
		for i := range standings {
			if standings[i].Deleted {
				gone[standings[i].Campaign] = true
			}
		}
	}
	return gone, nil
}

// ChargePage is a page of a campaign's charges.
type ChargePage struct {
	Campaign string // its name, or the last
	Charges  []receipt.Charge
	Next     uint64 // where the next page begins after; 0 when there is none
}

// Charges returns a page of the charges of a campaign. The query's own campaign is ignored.
func (e *Exchange) Charges(ctx context.Context, a hexbid.Account, q receipt.ChargeQuery) (*ChargePage, error) {
	if err := e.admit(ctx, access.ListCharges, a.Name); err != nil {
		return nil, err
	}
	return inBooks(ctx, e, func(b *books) (*ChargePage, error) { return b.charges(a, q) })
}

func (b *books) charges(a hexbid.Account, q receipt.ChargeQuery) (_ *ChargePage, err error) {
	if q.Campaign, err = b.find(hexbid.KindCampaign, "name", a); err != nil {
		return nil, err
	}
	standing, err := b.ledger.Campaign(b.ctx, q.Campaign)
	if err != nil {
		return nil, err
	}
	out := new(ChargePage)
	if out.Campaign, err = b.name(standing.Advertiser, q.Campaign); err != nil {
		return nil, err
	}
	out.Charges, out.Next, err = receipt.Charges(b.view, q)
	return out, err
}

// Receipt is the proof of a charge.
type Receipt struct {
	*receipt.Receipt
	Campaign string // its name, or the last
	Currency string
}

// Receipt returns the proof of the charge that a record is.
func (e *Exchange) Receipt(ctx context.Context, sequence uint64) (*Receipt, error) {
	if err := e.admit(ctx, access.GetReceipt, ""); err != nil {
		return nil, err
	}
	if sequence == 0 {
		return nil, hexbid.Invalidf("sequence", "is missing: give the number of a charge's record")
	}
	return inBooks(ctx, e, func(b *books) (*Receipt, error) {
		r, err := receipt.Get(b.view, sequence)
		if err != nil {
			return nil, err
		}
		award := &r.Charge.Event.Award
		if !sees(ctx, award.Advertiser) {
			return nil, receipt.NoCharge(sequence)
		}
		name, err := b.name(award.Advertiser, award.Campaign)
		return &Receipt{r, name, b.config.Currency}, err
	})
}

// RootPage is a page of the roots of hours.
type RootPage struct {
	Roots []receipt.Root
	Next  time.Time // where the next page begins; zero when there is none
}

// Roots returns a page of the roots of the hours that begin from start on and before end; a zero instant is no limit.
func (e *Exchange) Roots(ctx context.Context, start, end time.Time, limit int) (*RootPage, error) {
	if err := e.admit(ctx, access.ListRoots, ""); err != nil {
		return nil, err
	}
	return inBooks(ctx, e, func(b *books) (*RootPage, error) {
		roots, next, err := receipt.Roots(b.view, start, end, limit)
		return &RootPage{roots, next}, err
	})
}
