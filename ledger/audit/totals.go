package audit

import (
	"fmt"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Compaction removes the records that totals of hours and days were added up from. What is left to compare them with:
// the digest of all totals of hours that each closed hour commits to, and the accounts, which hold the sums over all
// time.

// ever are the accounts at the record that rows of totals stand for.
type ever struct {
	campaigns   map[hexbid.UID]fold.Totals
	advertisers map[hexbid.UID]fold.AdvertiserTotals
}

// pageOfAccounts is how many accounts are read at a time.
const pageOfAccounts = 1000

// keepEver keeps the accounts as the books have them now, if the totals must be compared with them.
func (a *auditor) keepEver() {
	if a.rows.settled == nil {
		return
	}
	a.rows.later = map[row][]byte{}
	a.ever = ever{map[hexbid.UID]fold.Totals{}, map[hexbid.UID]fold.AdvertiserTotals{}}
	for page := a.books.Campaigns(0, pageOfAccounts); len(page) > 0; {
		for i := range page {
			a.ever.campaigns[page[i].Campaign] = page[i].Ever
		}
		page = a.books.Campaigns(page[len(page)-1].Campaign, pageOfAccounts)
	}
	for page := a.books.Advertisers(0, pageOfAccounts); len(page) > 0; {
		for i := range page {
			a.ever.advertisers[page[i].Advertiser] = page[i].Ever
		}
		page = a.books.Advertisers(page[len(page)-1].Advertiser, pageOfAccounts)
	}
}

// compareTotals compares the totals of a compacted journal.
func (a *auditor) compareTotals() error {
	if a.ever.campaigns == nil {
		return nil
	}
	hours, digest, err := a.sumTotals(journal.Hours, 4)
	if err != nil {
		return err
	}
	if a.lastClosed.Charges > 0 && digest != a.lastClosed.TotalsDigest {
		a.fault(Fault{Place: "totals of the hours before " + hourText(fold.RootKey(fold.HourOf(a.lastClosedAt))),
			Expected: fmt.Sprintf("digest %x", a.lastClosed.TotalsDigest), Found: fmt.Sprintf("digest %x", digest)})
	}
	days, _, err := a.sumTotals(journal.Days, 0)
	if err != nil {
		return err
	}
	for uid, want := range a.ever.campaigns {
		for what, got := range map[string]fold.Totals{"hours": hours[uid], "days": days[uid]} {
			if got != want {
				a.fault(Fault{Place: fmt.Sprintf("%s of campaign %d", what, uid), Expected: fmt.Sprintf("the sum %+v",
					want),
					Found: fmt.Sprintf("%+v", got)})
			}
		}
	}
	return a.compareStatements()
}

// sumTotals adds up the rows of a table of totals by campaign, whose uid stands at an offset of the key. The digest is
// that of the rows of hours before the one that the last root was closed in.
func (a *auditor) sumTotals(t journal.Table, uidAt int) (map[hexbid.UID]fold.Totals, fold.Digest, error) {
	sums := map[hexbid.UID]fold.Totals{}
	var digest tally
	end := string(fold.RootKey(fold.HourOf(a.lastClosedAt)))
	a.doing = tableName(t)
	err := a.View.Scan(t, nil, nil, func(key, value []byte) (bool, error) {
		a.Rows++
		if string(key[:min(4, len(key))]) < end {
			digest.add(printOf(t, key, value))
		}
		value, ok := a.rows.asSettled(row{t, string(key)}, value)
		totals, err := fold.DecodeTotals(value)
		if !ok || err != nil || len(key) != 12 {
			a.unreadable(row{t, string(key)}, value, err)
			return true, nil
		}
		uid := hexbid.UID(number(key[uidAt:]))
		sum := sums[uid]
		sum.Add(&totals)
		sums[uid] = sum
		return true, a.pauseRows()
	})
	return sums, digest.digest(), err
}

func (a *auditor) unreadable(at row, value []byte, err error) {
	a.fault(Fault{Place: at.String(), Expected: "totals that follow from the records", Found: fmt.Sprintf("%x: %v",
		value, err)})
}

// compareStatements compares the days of statements with the accounts of advertisers and campaigns.
func (a *auditor) compareStatements() error {
	own, campaigns := map[hexbid.UID]fold.AdvertiserTotals{}, map[hexbid.UID]fold.AdvertiserTotals{}
	a.doing = tableName(journal.AdvertiserDays)
	err := a.View.Scan(journal.AdvertiserDays, nil, nil, func(key, value []byte) (bool, error) {
		a.Rows++
		at := row{journal.AdvertiserDays, string(key)}
		value, ok := a.rows.asSettled(at, value)
		if ok && value == nil {
			return true, nil
		}
		t, err := fold.DecodeAdvertiserTotals(value)
		if !ok || err != nil || len(key) != 12 && len(key) != 20 {
			a.unreadable(at, value, err)
			return true, nil
		}
		if len(key) == 20 {
			addMoney(campaigns, hexbid.UID(number(key[12:])), t)
			return true, nil
		}
		if sum := addMoney(own, hexbid.UID(number(key)),
			t); sum.ToppedUp-sum.Withdrawn-sum.Charged+sum.Credited != t.Balance-t.Owed {
			a.fault(Fault{Place: at.String(), Expected: fmt.Sprintf("what %+v leaves", sum),
				Found: fmt.Sprintf("%+v", t)})
		}
		return true, a.pauseRows()
	})
	if err != nil {
		return err
	}
	for uid, want := range a.ever.advertisers {
		if got := own[uid]; got != want {
			a.fault(Fault{Place: fmt.Sprintf("statements of advertiser %d", uid), Expected: fmt.Sprintf("the sum %+v",
				want),
				Found: fmt.Sprintf("%+v", got)})
		}
	}
	for uid, want := range a.ever.campaigns {
		if got := campaigns[uid]; got.Charged != want.Charged || got.Credited != want.Credited {
			a.fault(Fault{Place: fmt.Sprintf("campaign %d in statements", uid),
				Expected: fmt.Sprintf("charges of %d micros, credits of %d", want.Charged, want.Credited),
				Found:    fmt.Sprintf("%d and %d", got.Charged, got.Credited)})
		}
	}
	return nil
}

// addMoney adds a day to a sum, and returns the sum. Balances are those of the last day.
func addMoney(sums map[hexbid.UID]fold.AdvertiserTotals, uid hexbid.UID,
	day fold.AdvertiserTotals) fold.AdvertiserTotals {
	sum := sums[uid]
	sum.Charged += day.Charged
	sum.Credited += day.Credited
	sum.ToppedUp += day.ToppedUp
	sum.Withdrawn += day.Withdrawn
	sum.Balance, sum.Owed = day.Balance, day.Owed
	sums[uid] = sum
	return sum
}
