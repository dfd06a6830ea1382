package exchange

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/receipt"
)

// CampaignSpend returns what a campaign has spent, with its hours and days.
func (e *Exchange) CampaignSpend(ctx context.Context, a hexbid.Account) (*hexbid.CampaignSpend, error) {
	if err := e.admit(ctx, access.GetCampaignSpend, a.Name); err != nil {
		return nil, err
	}
	spend, err := inBooks(ctx, e, func(b *books) (*hexbid.CampaignSpend, error) {
		uid, err := b.find(hexbid.KindCampaign, "name", a)
		if err != nil {
			return nil, err
		}
		standing, err := b.ledger.Campaign(ctx, uid)
		if err != nil {
			return nil, err
		}
		spend, err := b.spend(&standing)
		if err != nil {
			return nil, err
		}
		return spend, b.addHistory(spend, &standing.CampaignAccount)
	})
	if err != nil {
		return nil, err
	}
	return spend, e.explainDelivery(ctx, spend.UID, spend.Delivery) // without the view, which it does not need
}

// AdvertiserBalance returns what an advertiser has, or owes.
func (e *Exchange) AdvertiserBalance(ctx context.Context, a hexbid.Account) (*hexbid.AdvertiserBalance, error) {
	if err := e.admit(ctx, access.GetAdvertiserBalance, a.Name); err != nil {
		return nil, err
	}
	return inBooks(ctx, e, func(b *books) (*hexbid.AdvertiserBalance, error) { return b.balance(a) })
}

func (b *books) balance(a hexbid.Account) (*hexbid.AdvertiserBalance, error) {
	uid, err := b.find(hexbid.KindAdvertiser, "name", a)
	if err != nil {
		return nil, err
	}
	account, err := b.ledger.Advertiser(b.ctx, uid)
	if err != nil {
		return nil, err
	}
	name, err := b.name(uid, 0)
	if err != nil {
		return nil, err
	}
	others, err := b.otherAdvertisers(name, uid)
	ever := &account.Ever
	return &hexbid.AdvertiserBalance{Name: name, UID: uid, Deleted: account.Deleted, Billing: billingOf(account.Prepaid),
		Balance: ever.Balance, Owed: ever.Owed, ToppedUp: ever.ToppedUp, Withdrawn: ever.Withdrawn, Charged: ever.Charged,
		Credited: ever.Credited, OtherUIDs: others}, err
}

func billingOf(prepaid bool) hexbid.Billing {
	if prepaid {
		return hexbid.Prepaid
	}
	return hexbid.Postpaid
}

// Backup copies the catalogue, the ledger and the keys at one point into a folder that is not there yet.
func (e *Exchange) Backup(ctx context.Context, directory string) (hexbid.Backup, error) {
	if err := e.admit(ctx, access.CreateBackup, ""); err != nil {
		return hexbid.Backup{}, err
	}
	if e.config.Backup == nil {
		return hexbid.Backup{}, hexbid.Errorf(hexbid.Unavailable, "",
			"this server keeps everything in memory: there is nothing to back up")
	}
	return e.config.Backup(ctx, directory)
}

// books are the ledger and one state of its journal, for the work of a call.
type books struct {
	*Exchange
	ctx    context.Context
	ledger *ledger.Ledger
	view   journal.View
}

// inBooks does the work of a call on the ledger and one state of its journal, and returns what it finds. When the
// call's context ends, the work may still wait for the disk and goes on alone. So it must write to nothing but what it
// makes itself.
func inBooks[T any](ctx context.Context, e *Exchange, work func(b *books) (T, error)) (T, error) {
	var none T
	l, err := e.ledger()
	if err != nil {
		return none, err
	}
	return inState(ctx, e, l.Read, work)
}

// inState is inBooks on the state that a method of the ledger reads.
func inState[T any](ctx context.Context, e *Exchange, read func(context.Context, func(journal.View) error) error,
	work func(b *books) (T, error)) (T, error) {
	var none, found T
	if err := read(ctx, func(v journal.View) (err error) {
		found, err = work(&books{e, ctx, e.config.Ledger, v})
		return err
	}); err != nil {
		return none, err
	}
	return found, nil
}

// find returns the uid of an advertiser or a campaign. A name stands for the one that has it now, else for the last one
// that had it. The error names the field.
func (b *books) find(kind hexbid.ResourceKind, field string, a hexbid.Account) (hexbid.UID, error) {
	switch {
	case a.UID != 0 && a.Name != "":
		return 0, hexbid.Invalidf(field, "%q stands beside the uid %d: give one of the two", hexbid.Shorten(a.Name), a.UID)
	case a.UID != 0:
		return a.UID, b.checkUID(kind, a.UID)
	}
	if _, err := hexbid.ParseNameOf(kind, field, a.Name); err != nil {
		return 0, err
	}
	record, err := b.catalogue(b.ctx).Get(b.ctx, a.Name)
	if err == nil {
		return record.Meta().UID, nil
	}
	if hexbid.KindOf(err) != hexbid.NotFound {
		return 0, err
	}
	uids, err := b.uids(a.Name, 1)
	if err != nil {
		return 0, err
	}
	if len(uids) > 0 {
		shown, err := b.shows(kind, uids[0])
		if err != nil || shown {
			return uids[0], err
		}
	}
	return 0, hexbid.Errorf(hexbid.NotFound, field, "there is no %q that you may see, and never was", a.Name)
}

// checkUID returns the error for a uid of no account when the account does not exist for the caller. Other uids are
// looked up by who asked for them.
func (b *books) checkUID(kind hexbid.ResourceKind, uid hexbid.UID) error {
	shown, err := b.shows(kind, uid)
	switch {
	case err != nil || shown:
		return err
	case kind == hexbid.KindAdvertiser:
		return ledger.NoAdvertiser(uid)
	}
	return ledger.NoCampaign(uid)
}

// shows reports whether the account of an advertiser or a campaign exists for the caller.
func (b *books) shows(kind hexbid.ResourceKind, uid hexbid.UID) (bool, error) {
	if kind == hexbid.KindAdvertiser || b.own(b.ctx) == nil {
		return sees(b.ctx, uid), nil
	}
	standing, err := b.ledger.Campaign(b.ctx, uid)
	if err != nil {
		return false, err
	}
	return sees(b.ctx, standing.Advertiser), nil
}

// uids returns the uids that a name has or had, the latest first.
func (b *books) uids(name string, most int) (uids []hexbid.UID, err error) {
	err = b.view.ScanBack(journal.Names, fold.NameKey(name, 0), append(fold.NameKey(name, math.MaxUint64), 0),
		func(key, _ []byte) (bool, error) {
			uids = append(uids, hexbid.UID(sequenceIn(key)))
			return len(uids) < most, nil
		})
	return uids, err
}

// mostOthers bounds the uids that an answer lists beside the one that was asked for.
const mostOthers = 100

// others returns the uids that a name has or had beside one. A name may have been of somebody else's: a member sees
// the uids of its own advertisers alone.
func (b *books) others(name string, account hexbid.UID,
	isOwn func(other hexbid.UID) (bool, error)) (others []hexbid.UID, err error) {
	uids, err := b.uids(name, mostOthers+1)
	if err != nil {
		return nil, err
	}
	for _, other := range uids {
		if other == account || len(others) == mostOthers {
			continue
		}
		shown, err := seesAll(b.ctx), error(nil)
		if !shown {
			shown, err = isOwn(other)
		}
		if err != nil {
			return nil, err
		}
		if shown {
			others = append(others, other)
		}
	}
	return others, nil
}

// otherAdvertisers returns the uids of advertisers that an advertiser's name has or had beside it.
func (b *books) otherAdvertisers(name string, advertiser hexbid.UID) ([]hexbid.UID, error) {
	return b.others(name, advertiser, func(other hexbid.UID) (bool, error) { return sees(b.ctx, other), nil })
}

// otherCampaigns returns the uids of campaigns that a campaign's name has or had beside it.
func (b *books) otherCampaigns(name string, advertiser, campaign hexbid.UID) ([]hexbid.UID, error) {
	return b.others(name, campaign, func(other hexbid.UID) (bool, error) {
		had, err := b.name(advertiser, other)
		return had != "", err
	})
}

// name returns the resource name that a campaign has or had. With campaign 0 it returns the advertiser's.
func (b *books) name(advertiser, campaign hexbid.UID) (string, error) {
	name, err := b.view.Get(journal.Members, fold.MemberKey(advertiser, campaign))
	return string(name), err
}

// spend returns what a campaign has spent, without its history.
func (b *books) spend(s *ledger.Standing) (*hexbid.CampaignSpend, error) {
	name, err := b.name(s.Advertiser, s.Campaign)
	if err != nil {
		return nil, err
	}
	out := &hexbid.CampaignSpend{Name: name, UID: s.Campaign, AdvertiserUID: s.Advertiser, Deleted: s.Deleted,
		Paused: s.Paused, Zone: s.Zone, LocalDate: hexbid.Date(s.LocalDate), DailyBudget: s.DailyBudget,
		TotalBudget: s.TotalBudget, DailyLeft: s.Left.Daily, TotalLeft: limited(s.Left.Total),
		BalanceLeft: limited(s.Left.Balance), Total: totalsOf(&s.Ever), AsOf: lastRecord(b.ctx, s.AsOf)}
	if s.Date == s.LocalDate {
		out.Today = totalsOf(&s.Today)
	}
	b.addLive(out)
	if err := b.addCatalogue(out); err != nil {
		return nil, err
	}
	out.Delivery = b.delivery(out)
	return out, nil
}

// limited returns what is left, nil where there is no limit.
func limited(left hexbid.Money) *hexbid.Money {
	if left == fold.NoLimit {
		return nil
	}
	return &left
}

func totalsOf(t *fold.Totals) hexbid.EventTotals {
	return hexbid.EventTotals{Impressions: t.Impressions, Clicks: t.Clicks, Conversions: t.Conversions, Claims: t.Claims,
		Charged: t.Charged, Credited: t.Credited, Free: t.Free, BudgetExhausted: t.Exhausted, Filtered: t.Filtered,
		BeyondCap:       t.BeyondCap,
		ConversionValue: t.ConversionValue}
}

// addLive adds what searches know of a campaign's budget.
func (b *books) addLive(s *hexbid.CampaignSpend) {
	if live, seen := b.indexer.Snapshot().LiveState(s.UID); seen {
		s.BudgetSpent = live.BudgetSpent || live.NoBalance
	}
	s.Outstanding = b.awardsOut.campaign(s.UID).Expected
}

// addCatalogue adds what the catalogue says of a campaign that still has its name.
func (b *books) addCatalogue(s *hexbid.CampaignSpend) error {
	if s.Deleted || s.Name == "" {
		return nil
	}
	record, err := b.store.Get(b.ctx, s.Name)
	if leftOut(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if c, ok := record.Resource.(*hexbid.Campaign); ok && c.UID == s.UID {
		s.DisplayName, s.Pricing = c.DisplayName, c.Pricing
	}
	return nil
}

// addHistory adds a campaign's hours, days, last charge, and namesakes. It reads the journal as it is after the
// account, so that the rows of hours and days that are not the account's own are there.
func (b *books) addHistory(s *hexbid.CampaignSpend, account *fold.CampaignAccount) (err error) {
	if err := b.ledger.ReadSynced(b.ctx, func(v journal.View) error {
		recent, err := receipt.ReadRecent(v, account, b.ledger.Now())
		if err == nil {
			s.Hours, s.Days, s.LastCharge = recent.Hours, recent.Days, recent.LastCharge
		}
		return err
	}); err != nil {
		return err
	}
	s.OtherUIDs, err = b.otherCampaigns(s.Name, s.AdvertiserUID, s.UID)
	return err
}

// sequenceIn returns the sequence, or the uid, that a key ends with.
func sequenceIn(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

// record reads a record of the journal.
func (b *books) record(sequence uint64) (*fold.Record, error) {
	encoded, err := b.view.Get(journal.Records, fold.RecordKey(sequence))
	if err != nil {
		return nil, err
	}
	if encoded == nil {
		return nil, hexbid.Errorf(hexbid.DataLoss, "sequence", "record %d is missing", sequence)
	}
	return fold.Decode(encoded)
}
