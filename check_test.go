package hexbid_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

func TestInstantsOfACampaignLieBetween1970And2200(t *testing.T) {
	day := func(year int) time.Time { return time.Date(year, time.June, 1, 0, 0, 0, 0, time.UTC) }
	for _, at := range []struct {
		time    time.Time
		refused bool
	}{{time.Time{}, false}, {day(1969), true}, {day(1970), false}, {day(2200), false}, {day(2201), true}} {
		c := hexbid.Campaign{Start: at.time, End: at.time,
			Creatives: []hexbid.Creative{{Coupon: &hexbid.Coupon{ValidUntil: at.time}}}}
		all, _ := hexbid.ErrorsOf(c.Validate())
		named := map[string]bool{}
		for _, e := range all {
			named[e.Field] = strings.Contains(e.Detail, "between 1970 and 2200") || named[e.Field]
		}
		for _, field := range []string{"campaign.start_time", "campaign.end_time",
			"campaign.creatives.coupon.valid_until_time"} {
			if named[field] != at.refused {
				t.Errorf("%s of %s: refused %v", field, at.time, named[field])
			}
		}
	}
}
