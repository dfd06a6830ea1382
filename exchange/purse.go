package exchange

import (
	"math/bits"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
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
	told        remainder
	date        int32 // local, days since 1970
	zone        uint16
	ofTotal     bool // some of the total budget is spent
}

// remainder is what the index is told of a campaign.
type remainder struct {
	spent bool
	left  hexbid.Money // that one event may cost at most; 0 for no bound
}

// holdsBack reports whether the campaign serves less than it would without budgets.
func (r remainder) holdsBack() bool { return r != remainder{} }

func purseOf(s *ledger.Standing, zone uint16) purse {
	return purse{advertiser: s.Advertiser, daily: s.Left.Daily, total: s.Left.Total, dailyBudget: s.DailyBudget,
		date: s.LocalDate, zone: zone, ofTotal: s.Left.Total != fold.NoLimit && s.Left.Total < s.TotalBudget}
}

// leftOn returns what is left on a date. A date never goes back, so one before the purse's own is that.
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

// prices are those of a campaign's events.
type prices struct {
	least   hexbid.Money // that the market takes
	dearest hexbid.Money // at the campaign's bids
}

// remainderOf returns what to tell of a campaign when so much is left and awards are out. Far from the end of a budget it
// names only a bound that holds for long: the half of what is left, or more. Should somebody raise the bid far above
// that, the bid is bounded at once. Near the end the bound is close, and exact when no award is out.
func remainderOf(left hexbid.Money, out outstanding.Out, of prices) remainder {
	affordable := outstanding.Affordable(left, out)
	switch {
	case affordable < of.least:
		return remainder{spent: true}
	case affordable >= hexbid.MaxBidCPC:
		return remainder{}
	case affordable >= 2*of.dearest:
		return remainder{left: floorTo(affordable, 0)}
	case out.Expected+out.Margin == 0:
		return remainder{left: affordable}
	}
	return remainder{left: max(of.least, floorTo(affordable, 5))}
}

// floorTo rounds money down to its highest bits: one, and so many more. It keeps the number of hand-ins low while what
// is left falls and rises.
func floorTo(m hexbid.Money, more int) hexbid.Money {
	drop := max(0, bits.Len64(uint64(m))-1-more)
	return m >> drop << drop
}

// calls reports whether the index should be told a new remainder. A bound that has fallen always is. One that has risen is
// if it lowers bids.
func (r remainder) calls(told remainder, of prices) bool {
	return r.spent != told.spent || r.bound() < told.bound() ||
		min(r.bound(), of.dearest) != min(told.bound(), of.dearest)
}

// bound is left with no bound as the highest of all.
func (r remainder) bound() hexbid.Money {
	if r.left == 0 {
		return fold.NoLimit
	}
	return r.left
}

func (r remainder) update(campaign hexbid.UID) bidder.LiveUpdate {
	return bidder.LiveUpdate{Campaign: campaign, BudgetSpent: r.spent, Left: r.left}
}

// account is what a prepaid advertiser may still spend, and what the index has been told of it.
type account struct {
	balance hexbid.Money // fold.NoLimit for a postpaid one
	told    funds
}

// funds is what the index is told of an advertiser.
type funds struct {
	none bool
	left hexbid.Money // that one event may cost at most; 0 for no bound
}

// fundsOf returns what an advertiser can pay when awards are out. Every other bound makes the index look at all its
// campaigns, so there are eight a doubling.
func fundsOf(balance hexbid.Money, out outstanding.Out, least hexbid.Money) funds {
	switch affordable := outstanding.Affordable(balance, out); {
	case balance == fold.NoLimit || affordable >= hexbid.MaxBidCPC:
		return funds{}
	case affordable < least:
		return funds{none: true}
	default:
		return funds{left: max(least, floorTo(affordable, 3))}
	}
}

// calls reports whether the index should be told new funds. A bound that rises is told in steps of a quarter.
func (f funds) calls(told funds) bool {
	switch {
	case f.none != told.none:
		return true
	case f.left == told.left:
		return false
	case f.left == 0 || told.left == 0 || f.left < told.left:
		return true
	}
	return f.left >= told.left+told.left/4
}

func (f funds) update(advertiser hexbid.UID) bidder.AdvertiserUpdate {
	return bidder.AdvertiserUpdate{Advertiser: advertiser, NoBalance: f.none, Left: f.left}
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
