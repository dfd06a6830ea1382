package receipt_test

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/receipt"
)

// The receipts, roots and recent totals of what a ledger itself has recorded.
func TestChargesOfALedgerHaveReceipts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := openShop(t)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			s.click()
			s.Clock.Pass(time.Duration(rapid.IntRange(0, 50).Draw(t, "minutes")) * time.Minute)
		}
		s.Clock.Pass(time.Hour)
		s.setTerms(1, false) // the next record closes the hour
		s.setTerms(1, true)
		v := s.Settled()
		roots, _, err := receipt.Roots(v, time.Time{}, time.Time{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var links []receipt.Hash
		var charges uint64
		for _, root := range roots {
			links, charges = append(links, root.Link), charges+root.Charges
		}
		if charges != uint64(len(s.charges)) {
			t.Fatalf("the roots stand for %d charges of %d", charges, len(s.charges))
		}
		spent := map[hexbid.UID]hexbid.Money{}
		for _, charge := range s.charges {
			r, err := receipt.Get(v, charge.Sequence)
			if err != nil {
				t.Fatal(err)
			}
			text, err := r.File()
			if err != nil || r.Pending() {
				t.Fatal(err, r)
			}
			verified, err := receipt.Verify(text, links)
			if err != nil || verified.Charge.Event.Charged != charge.Charged {
				t.Fatal(err, verified)
			}
			spent[verified.Charge.Event.Award.Campaign] += charge.Charged
		}
		for campaign := hexbid.UID(1); campaign <= 4; campaign++ {
			s.checkRecent(campaign, spent[campaign])
		}
	})
}

// checkRecent compares the hours, days and last charge of a campaign with its charges. Rows of totals may be behind.
func (s *shop) checkRecent(campaign hexbid.UID, spent hexbid.Money) {
	standing, err := s.Campaign(context.Background(), campaign)
	if err != nil {
		s.Fatal(err)
	}
	recent, err := receipt.ReadRecent(s.Synced(), &standing.CampaignAccount, s.Clock.Now())
	if err != nil {
		s.Fatal(err)
	}
	var byHour, byDay hexbid.Money
	for _, hour := range recent.Hours {
		byHour += hour.Totals.Charged
	}
	for _, day := range recent.Days {
		byDay += day.Totals.Charged
	}
	var last uint64
	for _, charge := range s.charges {
		if s.paid[charge.Sequence].campaign == campaign {
			last = charge.Sequence
		}
	}
	if byHour != spent || byDay != spent || recent.LastCharge.Sequence != last {
		s.Fatalf("campaign %d spent %d: %d by hour, %d by day, last charge %d, expected %d", campaign, spent,
			byHour, byDay,
			recent.LastCharge.Sequence, last)
	}
}
