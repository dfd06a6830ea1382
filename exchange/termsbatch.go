package exchange

import (
	"context"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/store"
)

// termsBatch is the terms that some changes of the catalogue set, in order.
type termsBatch struct {
	*terms
	version     uint64 // of the last change
	changes     int
	campaigns   []fold.Terms
	advertisers []fold.AdvertiserTerms
	edits       []bidEdit
	repaced     []hexbid.UID // campaigns that pacing should look at
	gone        []*hexbid.Campaign
	owners      map[string]hexbid.UID // advertisers by name, as of version
}

func (b *termsBatch) hasTerms() bool { return len(b.campaigns)+len(b.advertisers) > 0 }

func (b *termsBatch) isFull() bool {
	return len(b.campaigns)+len(b.advertisers) >= mostTermsABatch || b.changes >= mostChangesABatch
}

// add puts the terms that a change sets into the batch. Advertisers come before their campaigns, and go after them.
func (b *termsBatch) add(ctx context.Context, c *store.Change) error {
	for i := range c.Puts {
		if a, ok := c.Puts[i].Resource.(*hexbid.Advertiser); ok {
			before, _ := c.Puts[i].Before.Resource.(*hexbid.Advertiser)
			b.putAdvertiser(a, before)
		}
	}
	for i := range c.Puts {
		if now, ok := c.Puts[i].Resource.(*hexbid.Campaign); ok {
			before, _ := c.Puts[i].Before.Resource.(*hexbid.Campaign)
			if err := b.putCampaign(ctx, now, before); err != nil {
				return err
			}
		}
	}
	for i := range c.Deletes {
		if gone, ok := c.Deletes[i].Resource.(*hexbid.Campaign); ok {
			if err := b.dropCampaign(ctx, gone, c.Version); err != nil {
				return err
			}
		}
	}
	for i := range c.Deletes {
		if gone, ok := c.Deletes[i].Resource.(*hexbid.Advertiser); ok {
			b.dropAdvertiser(gone, c.Version)
		}
	}
	b.version, b.changes = c.Version, b.changes+1
	return nil
}

func (b *termsBatch) putAdvertiser(now, before *hexbid.Advertiser) {
	b.owners[now.Name] = now.UID
	if before == nil || before.State != now.State {
		b.advertisers = append(b.advertisers, termsOfAdvertiser(now))
	}
}

func (b *termsBatch) dropAdvertiser(gone *hexbid.Advertiser, version uint64) {
	delete(b.owners, gone.Name)
	t := termsOfAdvertiser(gone)
	t.Deleted, t.Version = true, version
	b.advertisers = append(b.advertisers, t)
}

func (b *termsBatch) putCampaign(ctx context.Context, now, before *hexbid.Campaign) error {
	if before == nil || now.DearestEvent() > before.DearestEvent() {
		b.edits = append(b.edits, bidEdit{now.UID, now.Version})
	}
	if before != nil && (!sameTerms(now, before) || !samePace(now, before)) {
		b.repaced = append(b.repaced, now.UID)
	}
	if before != nil && sameTerms(now, before) {
		return nil
	}
	owner, err := b.ownerOf(ctx, now, now.Version)
	if err == nil {
		b.campaigns = append(b.campaigns, termsOf(now, owner))
	}
	return err
}

func (b *termsBatch) dropCampaign(ctx context.Context, gone *hexbid.Campaign, version uint64) error {
	owner, err := b.ownerOf(ctx, gone, version-1)
	if err != nil {
		return err
	}
	t := termsOf(gone, owner)
	t.Deleted, t.Version = true, version
	b.campaigns, b.gone, b.repaced = append(b.campaigns, t), append(b.gone, gone), append(b.repaced, gone.UID)
	return nil
}

// samePace reports whether two versions of a campaign pace alike.
func samePace(x, y *hexbid.Campaign) bool {
	return pacing.ModeOf(x) == pacing.ModeOf(y) && x.TargetCost == y.TargetCost
}

// ownerOf returns the uid of the advertiser that a campaign had at a version. By now another advertiser may have its
// name.
func (b *termsBatch) ownerOf(ctx context.Context, c *hexbid.Campaign, version uint64) (hexbid.UID, error) {
	name := ownerName(c)
	if uid, known := b.owners[name]; known {
		return uid, nil
	}
	record, err := b.catalogue.Get(ctx, name)
	if err != nil && hexbid.KindOf(err) != hexbid.NotFound {
		return 0, err
	}
	uid := hexbid.UID(0)
	if err == nil && record.Meta().Version <= version {
		uid = record.Meta().UID
	} else if uid, err = b.nextOf(ctx, name, version); err != nil {
		return 0, err
	}
	b.owners[name] = uid
	return uid, nil
}

// nextOf returns the uid that a name had at a version. It reads the log of changes from there on, up to the first
// change that shows the uid.
func (b *termsBatch) nextOf(ctx context.Context, name string, version uint64) (uid hexbid.UID, err error) {
	err = b.catalogue.Log(ctx, version, func(c *store.Change) bool {
		for i := range c.Puts {
			if put := &c.Puts[i]; put.Before.Resource != nil && put.Meta().Name == name {
				uid = put.Meta().UID
			}
		}
		for i := range c.Deletes {
			if c.Deletes[i].Meta().Name == name {
				uid = c.Deletes[i].Meta().UID
			}
		}
		return uid == 0
	})
	if err == nil && uid == 0 {
		err = hexbid.Errorf(hexbid.DataLoss, "name", "%q had no advertiser of that name at version %d", name, version)
	}
	return uid, err
}

// ownerName returns the name of a campaign's advertiser.
func ownerName(c *hexbid.Campaign) string {
	name, _ := hexbid.ParseName(c.Name) // stored names parse
	return name.Owner().String()
}

// termsOf returns the billing fields of a campaign.
func termsOf(c *hexbid.Campaign, advertiser hexbid.UID) fold.Terms {
	return fold.Terms{Campaign: c.UID, Advertiser: advertiser, Name: c.Name, DailyBudget: c.DailyBudget,
		TotalBudget: c.TotalBudget, Zone: zoneOf(c), Paused: c.State == hexbid.Paused, Coupons: couponsOf(c),
		Version: c.Version}
}

func termsOfAdvertiser(a *hexbid.Advertiser) fold.AdvertiserTerms {
	return fold.AdvertiserTerms{Advertiser: a.UID, Name: a.Name, Paused: a.State == hexbid.Paused, Version: a.Version}
}

func zoneOf(c *hexbid.Campaign) string {
	if c.TimeZone == "" {
		return hexbid.DefaultTimeZone
	}
	return c.TimeZone
}

// couponsOf returns the coupons of a campaign, one for each creative, in the order of hosts. It returns none when no
// creative has one.
func couponsOf(c *hexbid.Campaign) []fold.Coupon {
	if !slices.ContainsFunc(c.Creatives, func(creative hexbid.Creative) bool { return creative.Coupon != nil }) {
		return nil
	}
	coupons := make([]fold.Coupon, len(c.Creatives))
	for i, creative := range c.Creatives {
		coupons[i] = fold.Coupon{Host: creative.Host}
		if creative.Coupon != nil {
			coupons[i].Total, coupons[i].ValidUntil = creative.Coupon.TotalCount, creative.Coupon.ValidUntil.UnixMilli()
		}
	}
	slices.SortFunc(coupons, func(x, y fold.Coupon) int { return int(x.Host) - int(y.Host) })
	return coupons
}

// sameTerms reports whether two versions of a campaign agree in their billing fields.
func sameTerms(x, y *hexbid.Campaign) bool {
	return x.DailyBudget == y.DailyBudget && x.TotalBudget == y.TotalBudget && x.State == y.State &&
		zoneOf(x) == zoneOf(y) && slices.Equal(couponsOf(x), couponsOf(y))
}
