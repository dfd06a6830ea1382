package exchange

import (
	"context"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/pacing"
)

// pacedTerms is what pacing uses of a version of a campaign.
type pacedTerms struct {
	version uint64
	pricing hexbid.PricingModel
	mode    pacing.Mode
	bid     hexbid.Money
	target  hexbid.Money // of a click; 0 for none
	zone    *time.Location
	hours   weekHours
	start   time.Time
	end     time.Time
}

// weekHours has a bit for each hour of the week in which a campaign serves, from Monday's first. All are set without
// hours of service.
type weekHours [3]uint64

func hoursOf(c *hexbid.Campaign) (w weekHours) {
	if len(c.Hours) == 0 {
		return weekHours{^uint64(0), ^uint64(0), ^uint64(0)}
	}
	for _, run := range c.Hours {
		for hour := run.Start; hour < run.End; hour++ {
			n := (run.Day-1)*24 + hour
			w[n/64] |= 1 << (n % 64)
		}
	}
	return w
}

// has reports whether a local instant is in one of the hours.
func (w *weekHours) has(local time.Time) bool {
	n := (int(local.Weekday())+6)%7*24 + local.Hour()
	return w[n/64]>>(n%64)&1 == 1
}

func pacedTermsOf(c *hexbid.Campaign) *pacedTerms {
	zone, err := c.Location()
	if err != nil {
		zone = time.UTC // a zone that this machine does not know: the ledger knows no midnights of it either
	}
	return &pacedTerms{version: c.Version, pricing: c.Pricing, mode: pacing.ModeOf(c), bid: c.Bid, target: c.TargetCost,
		zone: zone, hours: hoursOf(c), start: c.Start, end: c.End}
}

// readTerms reads a campaign's present version, unless it is the one that is known. It returns false when the campaign
// cannot be read: it has just been deleted, or lies in a damaged file.
func (p *pacer) readTerms(ctx context.Context, uid hexbid.UID, c *paced) bool {
	version, there := p.indexer.Snapshot().CampaignVersion(uid)
	if c.terms != nil && (!there || c.terms.version == version) {
		return true
	}
	record, err := p.catalogue.ByUID(ctx, uid)
	if err != nil {
		return false
	}
	campaign, ok := record.Resource.(*hexbid.Campaign)
	if ok {
		c.terms = pacedTermsOf(campaign)
	}
	return ok
}

// flight returns the part of a campaign's flight that matters on a date: instants beyond the days around it are left
// out, so that campaigns with other flights share a day.
func (t *pacedTerms) flight(date int32) (start, end time.Time) {
	day := time.Unix(int64(date)*24*3600, 0)
	if t.start.After(day.Add(-48 * time.Hour)) {
		start = t.start
	}
	if !t.end.IsZero() && t.end.Before(day.Add(72*time.Hour)) {
		end = t.end
	}
	return start, end
}
