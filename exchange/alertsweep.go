package exchange

import (
	"context"
	"math"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Some alerts change although no record changes an account: when a date ends, and when what is left of a budget no
// longer pays for an event. A goroutine looks after both.

// Intervals of the goroutine that looks after alerts.
const (
	betweenFlips = time.Second
	betweenDates = time.Minute
)

// sweep evaluates flipped campaigns and clears alerts of dates that are over, until the context ends.
func (a *alerts) sweep(ctx context.Context) {
	flips, dates := time.NewTicker(betweenFlips), time.NewTicker(betweenDates)
	defer flips.Stop()
	defer dates.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-flips.C:
			err = a.evaluateFlipped(ctx)
		case <-dates.C:
			a.clearPast()
		}
		if err != nil && ctx.Err() == nil {
			a.log.Warn("alerts of spent budgets are late", "error", err)
		}
	}
}

// exhausted notes that a budget does not pay for another event of a campaign, or does again. A charge is all or
// nothing, so a budget is seldom spent to the last micro.
func (a *alerts) exhausted(campaign hexbid.UID, spent bool) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, was := a.spent[campaign]; was == spent {
		return
	}
	if spent {
		a.spent[campaign] = struct{}{}
	} else {
		delete(a.spent, campaign)
	}
	a.flipped[campaign] = struct{}{}
}

// evaluateFlipped evaluates the campaigns that exhausted has noted.
func (a *alerts) evaluateFlipped(ctx context.Context) error {
	for {
		uids := a.takeFlipped()
		if len(uids) == 0 {
			return nil
		}
		standings, err := a.ledger.Standings(ctx, uids)
		if err != nil {
			return err
		}
		a.evaluate(standings)
	}
}

func (a *alerts) takeFlipped() (uids []hexbid.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for uid := range a.flipped {
		if len(uids) == standingsAtOnce {
			break
		}
		uids = append(uids, uid)
		delete(a.flipped, uid)
	}
	return uids
}

// clearPast clears the alerts of daily budgets whose date is over.
func (a *alerts) clearPast() {
	now, zones := a.ledger.Now(), map[string]int32{}
	a.mu.Lock()
	defer a.mu.Unlock()
	var past []alert
	a.inForce.Scan(func(x alert) bool {
		if x.what == hexbid.DailyBudgetAlert && x.date < dateIn(zones, x.zone, now) {
			past = append(past, x)
		}
		return true
	})
	for _, x := range past {
		a.set(x, false, true)
	}
}

// dateIn returns the present date of a time zone, days since 1970, and remembers it in dates. A zone that is not known
// has no date, so that its alerts stay until a record changes the account.
func dateIn(dates map[string]int32, zone string, now time.Time) int32 {
	date, known := dates[zone]
	if !known {
		date = math.MinInt32
		if location, err := time.LoadLocation(zone); err == nil {
			_, offset := now.In(location).Zone()
			date = int32((now.Unix() + int64(offset)) / (24 * 60 * 60))
		}
		dates[zone] = date
	}
	return date
}

// mostMovements bounds the search for an advertiser's last top-up.
const mostMovements = 1000

// level returns an advertiser's balance after its last top-up. If none of the last movements is a top-up, level returns
// the present balance; then only a balance of nothing counts as low.
func (a *alerts) level(ctx context.Context, account *fold.AdvertiserAccount) (hexbid.Money, error) {
	a.mu.Lock()
	known, found := a.levels[account.Advertiser]
	a.mu.Unlock()
	if found && known.toppedUp == account.Ever.ToppedUp {
		return known.balance, nil
	}
	balance, err := a.lastTopUp(ctx, account)
	if err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.levels[account.Advertiser] = level{account.Ever.ToppedUp, balance}
	return balance, nil
}

func (a *alerts) lastTopUp(ctx context.Context, account *fold.AdvertiserAccount) (hexbid.Money, error) {
	balance := account.Ever.Balance
	if err := a.ledger.Read(ctx, func(v journal.View) error {
		b, looked := books{view: v}, 0
		return v.ScanBack(journal.Movements, fold.MovementKey(account.Advertiser, 0, 0),
			fold.MovementKey(account.Advertiser, math.MaxInt32, math.MaxUint64), func(key, _ []byte) (bool, error) {
				record, err := b.record(sequenceIn(key))
				if err != nil {
					return false, err
				}
				m, ok := record.Body.(*fold.Movement)
				if ok && m.What == fold.TopUp {
					balance = m.Balance
					return false, nil
				}
				looked++
				return looked < mostMovements, nil
			})
	}); err != nil {
		return 0, err
	}
	return balance, nil
}
