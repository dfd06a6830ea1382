package fold

import (
	"math"
	"unique"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// CampaignAccount is how a campaign stands.
type CampaignAccount struct {
	Terms            // without Name and Version
	Date     int32   // last local date, days since 1970
	Today    Totals  // on that date
	Hour     uint32  // the last one in which something happened, since 1970, UTC
	ThisHour Totals  // in that hour
	Ever     Totals  // since the campaign began
	Taken    []int64 // how many of each coupon are taken, in the order of Coupons
}

// AdvertiserAccount is how an advertiser stands.
type AdvertiserAccount struct {
	Advertiser      hexbid.UID
	Paused, Deleted bool
	Prepaid         bool  // charges must be covered by Ever.Balance
	Date            int32 // last date of its statement, days since 1970
	Today           AdvertiserTotals
	Ever            AdvertiserTotals
}

// NoLimit stands for the absence of a limit.
const NoLimit hexbid.Money = math.MaxInt64

// Left is what a campaign may still be charged, NoLimit where there is no limit. Min is the least of the others.
type Left struct{ Daily, Total, Balance, Min hexbid.Money }

// campaign is a campaign's account. It is 64 bytes as long as nothing has happened to the campaign.
type campaign struct {
	uid         hexbid.UID
	advertiser  *advertiser
	dailyBudget hexbid.Money
	totalBudget hexbid.Money
	zone        unique.Handle[string]
	coupons     *[]coupon // nil for none
	activity    *activity // nil before the first event
	paused      bool
	deleted     bool
	marks
}

// slab makes accounts many at a time, side by side. There may be millions, which are never given up. The garbage
// collector follows the pointers to a few large pieces of memory in half the time.
type slab[T any] struct {
	spare []T
	made  int // in the last piece of memory
}

const (
	accountsASmallSlab = 4
	accountsASlab      = 128
)

func (s *slab[T]) make() *T {
	if len(s.spare) == 0 {
		s.made = min(max(accountsASmallSlab, 2*s.made), accountsASlab)
		s.spare = make([]T, s.made)
	}
	first := &s.spare[0]
	s.spare = s.spare[1:]
	return first
}

// coupon is a creative's coupon. It stays when the creative goes, because the count of taken ones must not start anew
// when the creative comes back.
type coupon struct {
	Coupon
	taken int64
	gone  bool
}

func (p *coupon) fields(c *codec) {
	p.Coupon.fields(c)
	number(c, 4, &p.taken)
	flag(c, 5, &p.gone)
}

// activity is what has happened to a campaign.
type activity struct {
	date          int32
	hour          uint32
	today         Totals
	thisHour      Totals
	ever          Totals
	posted        int32            // last date of statements on which it was charged or credited
	onPosted      AdvertiserTotals // on that date: Charged and Credited alone
	listed        bool             // the campaign is in Books.unsettled
	hourUnsettled bool
	dayUnsettled  bool

	postedUnsettled bool
}

func (c *campaign) account() CampaignAccount {
	account := CampaignAccount{Terms: Terms{Campaign: c.uid, Advertiser: c.advertiser.Advertiser,
		DailyBudget: c.dailyBudget, TotalBudget: c.totalBudget, Zone: c.zone.Value(), Paused: c.paused, Deleted: c.deleted}}
	for _, p := range c.allCoupons() {
		if !p.gone {
			account.Coupons, account.Taken = append(account.Coupons, p.Coupon), append(account.Taken, p.taken)
		}
	}
	if a := c.activity; a != nil {
		account.Date, account.Today, account.Hour, account.ThisHour = a.date, a.today, a.hour, a.thisHour
		account.Ever = a.ever
	}
	return account
}

func (c *campaign) allCoupons() []coupon {
	if c.coupons == nil {
		return nil
	}
	return *c.coupons
}

// couponFor returns the coupon of the creative that a host shows; nil when there is no such creative.
func (c *campaign) couponFor(host hexbid.Host) *coupon {
	var fallback *coupon
	all := c.allCoupons()
	for i := range all {
		if p := &all[i]; p.gone {
			continue
		} else if p.Host == host {
			return p
		} else if p.Host == hexbid.HostUnknown {
			fallback = p
		}
	}
	return fallback
}

// putCoupons sets the coupons. A coupon for the same host keeps its count of taken ones.
func (c *campaign) putCoupons(now []Coupon) {
	old := c.allCoupons()
	if len(now) == 0 && len(old) == 0 {
		return
	}
	all := make([]coupon, 0, len(now)+len(old))
	for _, p := range now {
		all = append(all, coupon{Coupon: p})
	}
	for _, p := range old {
		same := false
		for i := range all[:len(now)] {
			if all[i].Host == p.Host {
				all[i].taken, same = p.taken, true
			}
		}
		if !same && p.taken > 0 {
			all = append(all, coupon{Coupon: Coupon{Host: p.Host}, taken: p.taken, gone: true})
		}
	}
	c.coupons = &all
}

// dateFrom returns the later of a computed date and the campaign's last one: a date never goes back.
func (c *campaign) dateFrom(computed int32) int32 {
	if c.activity != nil {
		return max(c.activity.date, computed)
	}
	return computed
}

// left returns what the campaign may still be charged on a date that is not before its last one.
func (c *campaign) left(date int32) Left {
	var today, ever hexbid.Money
	if a := c.activity; a != nil {
		ever = a.ever.Charged
		if date <= a.date {
			today = a.today.Charged
		}
	}
	left := Left{Daily: max(0, c.dailyBudget-today), Total: NoLimit, Balance: NoLimit}
	if c.totalBudget > 0 {
		left.Total = max(0, c.totalBudget-ever)
	}
	if c.advertiser.Prepaid {
		left.Balance = c.advertiser.Ever.Balance
	}
	left.Min = min(left.Daily, left.Total, left.Balance)
	return left
}

func (c *campaign) key() stateKey {
	return stateKey{table: journal.Accounts, kind: 'c', number: uint64(c.uid)}
}

func (c *campaign) value(b []byte) []byte {
	w := codec{bytes: b}
	advertiser, zone := c.advertiser.Advertiser, c.zone.Value()
	c.fields(&w, &advertiser, &zone)
	return w.bytes
}

func (c *campaign) fields(w *codec, advertiser *hexbid.UID, zone *string) {
	number(w, 1, advertiser)
	number(w, 2, &c.dailyBudget)
	number(w, 3, &c.totalBudget)
	text(w, 4, zone)
	flag(w, 5, &c.paused)
	flag(w, 6, &c.deleted)
	coupons := c.allCoupons()
	repeated(w, 7, &coupons, (*coupon).fields)
	if w.decoding && len(coupons) > 0 {
		c.coupons = &coupons
	}
	if w.decoding && len(w.bytes) > 0 {
		c.activity = new(activity)
	}
	if c.activity != nil {
		c.activity.fields(w)
	}
}

// fields writes the hour plus one, so that it is never absent: a decoder tells by it that the account has activity.
func (a *activity) fields(c *codec) {
	signed(c, 8, &a.date)
	within := c.open(9)
	a.today.fields(c)
	c.close(within)
	hour := a.hour + 1
	number(c, 10, &hour)
	a.hour = hour - 1
	within = c.open(11)
	a.thisHour.fields(c)
	c.close(within)
	within = c.open(12)
	a.ever.fields(c)
	c.close(within)
	signed(c, 13, &a.posted)
	number(c, 14, &a.onPosted.Charged)
	number(c, 15, &a.onPosted.Credited)
}

// advertiser is an advertiser's account.
type advertiser struct {
	AdvertiserAccount
	unsettled bool // the advertiser is in Books.unsettledDays
	marks
}

func (a *advertiser) key() stateKey {
	return stateKey{table: journal.Accounts, kind: 'a', number: uint64(a.Advertiser)}
}

func (a *advertiser) value(b []byte) []byte {
	c := codec{bytes: b}
	a.fields(&c)
	return c.bytes
}

func (a *advertiser) fields(c *codec) {
	number(c, 1, &a.Advertiser)
	flag(c, 2, &a.Paused)
	flag(c, 3, &a.Deleted)
	flag(c, 4, &a.Prepaid)
	signed(c, 5, &a.Date)
	within := c.open(6)
	a.Today.fields(c)
	c.close(within)
	within = c.open(7)
	a.Ever.fields(c)
	c.close(within)
}

// creditedCharge is a charge that a credit has named.
type creditedCharge struct {
	sequence uint64
	campaign hexbid.UID
	charged  hexbid.Money
	credited hexbid.Money
	marks
}

func (k *creditedCharge) key() stateKey {
	return stateKey{table: journal.Accounts, kind: 'k', number: k.sequence}
}

func (k *creditedCharge) value(b []byte) []byte {
	c := codec{bytes: b}
	k.fields(&c)
	return c.bytes
}

func (k *creditedCharge) fields(c *codec) {
	number(c, 1, &k.campaign)
	number(c, 2, &k.charged)
	number(c, 3, &k.credited)
}
