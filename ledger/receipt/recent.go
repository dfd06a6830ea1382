package receipt

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Recent is what happened to a campaign of late.
type Recent struct {
	Hours      []hexbid.HourTotals // those with an event, the earliest first
	Days       []hexbid.DayTotals  // by the campaign's local date, those with an event, the earliest first
	LastCharge hexbid.LastCharge   // zero before the first charge
}

// How far Recent looks back.
const (
	recentHours = 48
	recentDays  = 62
)

// ReadRecent returns the totals of the 48 hours up to now, of the last 62 days on which something happened, and the
// last charge. The rows of the account's own hour and date may be behind the account, which is not newer than v.
func ReadRecent(v journal.View, account *fold.CampaignAccount, now time.Time) (*Recent, error) {
	hours, err := readHours(v, account, fold.HourOf(now.UnixMicro()))
	if err != nil {
		return nil, err
	}
	days, err := readDays(v, account)
	if err != nil {
		return nil, err
	}
	last, err := readLastCharge(v, account.Campaign)
	return &Recent{hours, days, last}, err
}

func readHours(v journal.View, account *fold.CampaignAccount, present uint32) (hours []hexbid.HourTotals, err error) {
	present = max(present, account.Hour)
	for hour := present - min(present, recentHours-1); hour <= present; hour++ {
		value, err := v.Get(journal.Hours, fold.HourKey(hour, account.Campaign))
		if err != nil {
			return nil, err
		}
		var totals fold.Totals
		if value != nil {
			if totals, err = fold.DecodeTotals(value); err != nil {
				return nil, err
			}
		}
		if hour == account.Hour {
			totals = totals.Later(&account.ThisHour)
		}
		if totals != (fold.Totals{}) {
			hours = append(hours, hexbid.HourTotals{Start: startOf(hour), Totals: eventTotals(totals)})
		}
	}
	return hours, nil
}

func readDays(v journal.View, account *fold.CampaignAccount) (days []hexbid.DayTotals, err error) {
	add := func(date int32, totals fold.Totals) {
		days = append(days, hexbid.DayTotals{LocalDate: hexbid.Date(date), Totals: eventTotals(totals)})
	}
	told := account.Today == fold.Totals{}
	err = v.ScanBack(journal.Days, fold.DayKey(account.Campaign, 0), fold.DayKey(account.Campaign, math.MaxInt32),
		func(key, value []byte) (bool, error) {
			totals, err := fold.DecodeTotals(value)
			date := int32(binary.BigEndian.Uint32(key[8:]))
			if date == account.Date {
				totals, told = totals.Later(&account.Today), true
			} else if date < account.Date && !told {
				told = true
				add(account.Date, account.Today)
			}
			add(date, totals)
			return len(days) < recentDays, err
		})
	if !told {
		add(account.Date, account.Today)
	}
	days = days[:min(len(days), recentDays)]
	slices.Reverse(days)
	return days, err
}

// readLastCharge reads the last charge of a campaign, zero for none.
func readLastCharge(v journal.View, campaign hexbid.UID) (last hexbid.LastCharge, err error) {
	err = v.ScanBack(journal.Charges, fold.ChargeKey(campaign, 0), fold.ChargeKey(campaign, math.MaxUint64),
		func(key, _ []byte) (bool, error) {
			charge, err := readListed(v, key)
			if err != nil {
				return false, err
			}
			last = hexbid.LastCharge{Sequence: charge.Sequence, At: charge.Time, Charged: charge.Event.Charged}
			return false, nil
		})
	return last, err
}

func eventTotals(t fold.Totals) hexbid.EventTotals {
	return hexbid.EventTotals{Impressions: t.Impressions, Clicks: t.Clicks, Conversions: t.Conversions,
		Claims:  t.Claims,
		Charged: t.Charged, Credited: t.Credited, Free: t.Free, BudgetExhausted: t.Exhausted, Filtered: t.Filtered,
		BeyondCap:       t.BeyondCap,
		ConversionValue: t.ConversionValue}
}
