package exchange

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/store"
)

// DefaultQuota is the most that an advertiser of a shared market may have, unless the operator says otherwise.
func DefaultQuota() hexbid.Holdings {
	return hexbid.Holdings{Campaigns: 100_000, Places: 200_000, Vertices: 500_000, Entries: 1_000_000, Keywords: 500_000,
		Bytes: 1 << 30}
}

// Holdings returns what an advertiser has and the most that it may have.
func (e *Exchange) Holdings(ctx context.Context, advertiser string) (has, atMost hexbid.Holdings, err error) {
	if err := e.admit(ctx, access.GetAdvertiser, advertiser); err != nil {
		return has, atMost, err
	}
	catalogue := e.catalogue(ctx)
	r, err := catalogue.Get(ctx, advertiser)
	if err != nil {
		return has, atMost, err
	}
	a, ok := r.Resource.(*hexbid.Advertiser)
	if !ok {
		return has, atMost, hexbid.Invalidf("name", "%q is no advertiser", hexbid.Shorten(advertiser))
	}
	atMost = a.Quota
	for _, q := range store.Quotas {
		if *q.In(&has), err = catalogue.Counted(ctx, advertiser, q.Used); err != nil {
			return has, atMost, err
		}
		if *q.In(&atMost) == 0 {
			*q.In(&atMost) = *q.In(&e.config.AdvertiserQuota)
		}
	}
	return has, atMost, nil
}

// keepQuota refuses another quota than the present one to all but operators. Who leaves it out keeps it. present is the
// stored resource, nil for none.
func keepQuota(ctx context.Context, next *hexbid.Advertiser, present hexbid.Resource) error {
	caller := hexbid.PrincipalOf(ctx)
	if caller.Role == hexbid.Operator || caller.Role == hexbid.System {
		return nil
	}
	var before hexbid.Holdings
	if a, there := present.(*hexbid.Advertiser); there {
		before = a.Quota
	}
	if next.Quota != (hexbid.Holdings{}) && next.Quota != before {
		return hexbid.Errorf(hexbid.Denied, "advertiser.quota", "operators set quotas: leave it out")
	}
	next.Quota = before
	return nil
}

// checkQuota refuses a market's default quota that no advertiser could live with. Its error names the flag.
func checkQuota(quota *hexbid.Holdings) error {
	for _, q := range []struct {
		flag  string
		value int64
		least int64
	}{{"advertiser-campaigns", quota.Campaigns, 1}, {"advertiser-places", quota.Places, 1},
		{"advertiser-vertices", quota.Vertices, 1}, {"advertiser-entries", quota.Entries, 1000},
		{"advertiser-keywords", quota.Keywords, 1}, {"advertiser-mb", quota.Bytes, 1 << 20}} {
		if q.value < q.least || q.value > hexbid.MaxHoldings {
			return hexbid.Invalidf(q.flag, "%d is out of range for an advertiser: use %d to %d", q.value, q.least,
				hexbid.MaxHoldings)
		}
	}
	return nil
}
