package exchange

import (
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/outstanding"
)

// purse is what a campaign may still spend, by the ledger's last word, and what the index has been told of it.
type purse struct {
	advertiser  hexbid.UID
	daily       hexbid.Money // left on date
	total       hexbid.Money // left; fold.NoLimit for no limit
	dailyBudget hexbid.Money // left on any later date
	told        outstanding.Remainder
	date        int32 // local, days since 1970
	zone        uint16
	ofTotal     bool // some of the total budget is spent
}

func purseOf(s *ledger.Standing, zone uint16) purse {
	return purse{advertiser: s.Advertiser, daily: s.Left.Daily, total: s.Left.Total, dailyBudget: s.DailyBudget,
		date: s.LocalDate, zone: zone, ofTotal: s.Left.Total != fold.NoLimit && s.Left.Total < s.TotalBudget}
}

// leftOn returns what is left on a date. A date never goes back, so an earlier one counts as the purse's own.
func (p *purse) leftOn(date int32) hexbid.Money {
	if date > p.date {
		return min(p.dailyBudget, p.total)
	}
	return min(p.daily, p.total)
}

// isFullOn reports whether nothing of any limit has been spent on a date.
func (p *purse) isFullOn(date int32) bool {
	return !p.ofTotal && (date > p.date || p.daily == p.dailyBudget)
}

// account is what a prepaid advertiser may still spend, and what the index has been told of it.
type account struct {
	balance hexbid.Money // fold.NoLimit for a postpaid one
	told    outstanding.Funds
}

// calendar knows the present date in the time zones of campaigns.
type calendar struct {
	numbers map[string]uint16
	zones   []zone
}

type zone struct {
	location *time.Location // nil for one that this machine does not know
	date     int32          // days since 1970
}

// zone returns the number of a time zone.
func (c *calendar) zone(name string, now time.Time) uint16 {
	number, known := c.numbers[name]
	if !known {
		location, _ := time.LoadLocation(name)
		number = uint16(len(c.zones))
		c.zones = append(c.zones, zone{location, dateAt(location, now)})
		c.numbers[name] = number
	}
	return number
}

// turn moves all zones to an instant. It reports which have come to another date.
func (c *calendar) turn(now time.Time) (turned map[uint16]bool) {
	for i := range c.zones {
		z := &c.zones[i]
		if date := dateAt(z.location, now); date > z.date {
			if turned == nil {
				turned = map[uint16]bool{}
			}
			z.date, turned[uint16(i)] = date, true
		}
	}
	return turned
}

// dateAt returns the date at an instant, days since 1970. A zone that this machine does not know has no midnights.
func dateAt(location *time.Location, now time.Time) int32 {
	if location == nil {
		return 0
	}
	_, offset := now.In(location).Zone()
	return int32((now.Unix() + int64(offset)) / (24 * 60 * 60))
}
