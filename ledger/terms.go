package ledger

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
)

// MaxTerms is how many terms one call of SetTerms takes.
const MaxTerms = 10_000

// SetTerms takes the billing fields of campaigns and advertisers as of a version of the catalogue. When it returns they
// are durable, and so is everything before them. Terms equal to those in force write nothing; the version then reaches
// the disk with the next terms or checkpoint. Version 0 leaves the ledger's version as it is: for all but the last part
// of terms that are shared among several calls. So does a version below the ledger's. After a context has ended the
// ledger may still read the terms, so they must not change.
func (l *Ledger) SetTerms(ctx context.Context, version uint64, campaigns []fold.Terms,
	advertisers []fold.AdvertiserTerms) error {
	if n := len(campaigns) + len(advertisers); n > MaxTerms {
		return hexbid.Invalidf("terms", "%d of them: at most %d a call", n, MaxTerms)
	}
	if err := l.left.Within(ctx, func() error { return l.findZones(campaigns) }); err != nil {
		return err
	}
	return l.ask(ctx, newRequest(func(o *owner) error { return o.setTerms(version, campaigns, advertisers) }))
}

// findZones refuses terms with a time zone that does not exist. The others are at hand for the owner from here on.
func (l *Ledger) findZones(campaigns []fold.Terms) error {
	for i := range campaigns {
		if _, err := l.zones.location(campaigns[i].Zone); err != nil {
			return hexbid.Invalidf("time_zone", "campaign %s: %v", campaigns[i].Name, err)
		}
	}
	return nil
}

// CatalogueVersion returns the version of the catalogue that the ledger's terms are as of. A feed resumes there.
func (l *Ledger) CatalogueVersion() uint64 { return l.version.Load() }

func (o *owner) setTerms(version uint64, campaigns []fold.Terms, advertisers []fold.AdvertiserTerms) error {
	if err := o.readClock(); err != nil {
		return err
	}
	for i := range campaigns {
		if err := o.sameOwner(&campaigns[i]); err != nil {
			return err
		}
	}
	version = max(version, o.version)
	for _, terms := range advertisers {
		if terms.Version = version; o.books.SameAdvertiser(&terms) {
			continue
		}
		if _, err := o.append(&terms, nil); err != nil {
			return err
		}
		o.batch.touched.advertiser(terms.Advertiser)
	}
	for _, terms := range campaigns {
		if terms.Version = version; o.books.SameTerms(&terms) {
			continue
		}
		if _, err := o.append(&terms, nil); err != nil {
			return err
		}
		o.batch.touched.campaign(terms.Campaign)
	}
	o.version = version
	return nil
}

// sameOwner refuses to give a campaign to another advertiser.
func (o *owner) sameOwner(t *fold.Terms) error {
	if account, found := o.books.Campaign(t.Campaign); found && account.Advertiser != t.Advertiser {
		return hexbid.Invalidf("campaign", "%s (uid %d) is of advertiser %d, not %d", t.Name, t.Campaign,
			account.Advertiser, t.Advertiser)
	}
	return nil
}
