package exchange

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/store"
)

// compare brings the ledger to the catalogue's present version by a scan. It hands in the terms of every record, and
// the deletion of every uid that is gone. The ledger records only what differs from what it has.
func (t *terms) compare(ctx context.Context) error {
	c := comparison{terms: t, owners: map[string]hexbid.UID{}, there: map[hexbid.UID]struct{}{}}
	version, err := t.catalogue.Scan(ctx, func(r store.Record, _ *store.Derived) error { return c.add(ctx, r) })
	if err != nil {
		return err
	}
	if err := t.ledger.Read(ctx, func(v journal.View) error { return c.dropGone(ctx, v, version) }); err != nil {
		return err
	}
	if err := t.ledger.SetTerms(ctx, version, c.campaigns, c.advertisers); err != nil {
		return err
	}
	t.advance(version)
	return nil
}

// comparison is a scan of the catalogue on its way to the ledger.
type comparison struct {
	*terms
	owners      map[string]hexbid.UID // advertisers by name
	there       map[hexbid.UID]struct{}
	campaigns   []fold.Terms
	advertisers []fold.AdvertiserTerms
}

// add takes a record of the scan, in which advertisers come before campaigns.
func (c *comparison) add(ctx context.Context, r store.Record) error {
	switch v := r.Resource.(type) {
	case *hexbid.Advertiser:
		c.owners[v.Name] = v.UID
		c.advertisers = append(c.advertisers, termsOfAdvertiser(v))
	case *hexbid.Campaign:
		c.campaigns = append(c.campaigns, termsOf(v, c.owners[ownerName(v)]))
	default:
		return nil
	}
	c.there[r.Meta().UID] = struct{}{}
	return c.handFull(ctx)
}

// handFull hands in what has been gathered once it is a batch. The ledger's version stays until the last part.
func (c *comparison) handFull(ctx context.Context) error {
	if len(c.campaigns)+len(c.advertisers) < mostTermsABatch {
		return nil
	}
	err := c.ledger.SetTerms(ctx, 0, c.campaigns, c.advertisers)
	c.campaigns, c.advertisers = nil, nil
	return err
}

// dropGone adds the deletion of what the ledger has and the catalogue no longer has.
func (c *comparison) dropGone(ctx context.Context, view journal.View, version uint64) error {
	return hexbid.JoinErrors(c.dropCampaigns(ctx, view, version), c.dropAdvertisers(ctx, view, version))
}

func (c *comparison) dropCampaigns(ctx context.Context, view journal.View, version uint64) error {
	for after := hexbid.UID(0); ; {
		some, err := c.ledger.Campaigns(ctx, after, mostTermsABatch)
		if err != nil || len(some) == 0 {
			return err
		}
		for i := range some {
			gone := some[i].Terms
			after = gone.Campaign
			if _, there := c.there[gone.Campaign]; there || gone.Deleted {
				continue
			}
			name, err := view.Get(journal.Members, fold.MemberKey(gone.Advertiser, gone.Campaign))
			if err != nil {
				return err
			}
			gone.Name, gone.Deleted, gone.Version = string(name), true, version
			c.campaigns = append(c.campaigns, gone)
		}
		if err := c.handFull(ctx); err != nil {
			return err
		}
	}
}

func (c *comparison) dropAdvertisers(ctx context.Context, view journal.View, version uint64) error {
	for after := hexbid.UID(0); ; {
		some, err := c.ledger.Advertisers(ctx, after, mostTermsABatch)
		if err != nil || len(some) == 0 {
			return err
		}
		for i := range some {
			after = some[i].Advertiser
			if _, there := c.there[after]; there || some[i].Deleted {
				continue
			}
			name, err := view.Get(journal.Members, fold.MemberKey(after, 0))
			if err != nil {
				return err
			}
			c.advertisers = append(c.advertisers, fold.AdvertiserTerms{Advertiser: after, Name: string(name),
				Paused: some[i].Paused, Deleted: true, Version: version})
		}
		if err := c.handFull(ctx); err != nil {
			return err
		}
	}
}
