package fold

import (
	"math"

	"github.com/hexbid/hexbid"
)

// Totals is what happened to a campaign in an hour, on a local date or ever.
type Totals struct {
	Impressions     int64
	Clicks          int64
	Conversions     int64
	Claims          int64 // coupons that viewers were granted
	Charged         hexbid.Money
	Credited        hexbid.Money
	Free            hexbid.Money // due and not charged: over-delivery, and views beyond a cap
	Exhausted       int64        // events that a budget or the balance did not cover
	Filtered        int64        // events of invalid traffic; they count as nothing else
	ConversionValue hexbid.Money // saturates
	BeyondCap       int64        // events of viewers who had seen the campaign as often as a cap allows
}

func (t *Totals) fields(c *codec) {
	number(c, 1, &t.Impressions)
	number(c, 2, &t.Clicks)
	number(c, 3, &t.Conversions)
	number(c, 4, &t.Claims)
	number(c, 5, &t.Charged)
	number(c, 6, &t.Credited)
	number(c, 7, &t.Free)
	number(c, 8, &t.Exhausted)
	number(c, 9, &t.Filtered)
	number(c, 10, &t.ConversionValue)
	number(c, 11, &t.BeyondCap)
}

// Later returns the later of two totals of the same hour or date: they only grow.
func (t *Totals) Later(other *Totals) Totals {
	return Totals{Impressions: max(t.Impressions, other.Impressions), Clicks: max(t.Clicks, other.Clicks),
		Conversions: max(t.Conversions, other.Conversions), Claims: max(t.Claims, other.Claims),
		Charged: max(t.Charged, other.Charged), Credited: max(t.Credited, other.Credited), Free: max(t.Free, other.Free),
		Exhausted: max(t.Exhausted, other.Exhausted), Filtered: max(t.Filtered, other.Filtered),
		ConversionValue: max(t.ConversionValue, other.ConversionValue), BeyondCap: max(t.BeyondCap, other.BeyondCap)}
}

// DecodeTotals reads the value of a row of journal.Hours or journal.Days.
func DecodeTotals(value []byte) (t Totals, err error) {
	c := codec{decoding: true, bytes: value}
	t.fields(&c)
	return t, c.end("totals")
}

// AdvertiserTotals is what happened to an advertiser's money on a date of its statement or ever, and how it stood
// after. Balance - Owed grows by top-ups and credits, and shrinks by withdrawals and charges.
type AdvertiserTotals struct {
	Charged   hexbid.Money
	Credited  hexbid.Money
	ToppedUp  hexbid.Money
	Withdrawn hexbid.Money
	Balance   hexbid.Money // prepaid money that is left
	Owed      hexbid.Money // charges less credits while the advertiser was postpaid
}

func (t *AdvertiserTotals) fields(c *codec) {
	number(c, 1, &t.Charged)
	number(c, 2, &t.Credited)
	number(c, 3, &t.ToppedUp)
	number(c, 4, &t.Withdrawn)
	number(c, 5, &t.Balance)
	signed(c, 6, &t.Owed)
}

// DecodeAdvertiserTotals reads the value of a row of journal.AdvertiserDays.
func DecodeAdvertiserTotals(value []byte) (t AdvertiserTotals, err error) {
	c := codec{decoding: true, bytes: value}
	t.fields(&c)
	return t, c.end("totals of an advertiser")
}

// plus adds amounts of at least 0. The sum is MaxInt64 at the most.
func plus[T ~int64](a, b T) T {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxInt64
}
