package exchange

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tidwall/btree"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Thresholds of alerts, in parts per million. Those of budgets are the share that is spent. That of balances is the
// share of the balance after the last top-up that is left.
const (
	firstThresholdPPM   = 800_000
	lastThresholdPPM    = 1_000_000
	balanceThresholdPPM = 200_000

	million = 1_000_000
)

// alerts holds the alerts in force, some hundred bytes each, and the latest that were raised or cleared. Alerts follow
// from how accounts stand, so nothing of them is on disk. A start finds those in force again, and does not count them
// as raised.
type alerts struct {
	ledger *ledger.Ledger
	log    *slog.Logger
	before uint64 // the ledger's last record when the alerts began
	watch  *ledger.Watch

	mu      sync.Mutex // guards the fields below
	inForce *btree.BTreeG[alert]
	counts  AlertCounts
	spent   map[hexbid.UID]struct{} // campaigns that a budget does not pay another event of
	flipped map[hexbid.UID]struct{} // campaigns that came to spent or left it, and are not evaluated since
	levels  map[hexbid.UID]level    // of prepaid advertisers
	latest  []alert                 // the last mostLatest changes
	changes uint64                  // since the start
	changed chan struct{}           // closed at the next change
}

// mostLatest is how many changes a watch may fall behind before it begins anew.
const mostLatest = 4096

// alert is one alert. Its first three fields identify it.
type alert struct {
	account   hexbid.UID // the campaign, or the advertiser whose balance is low
	what      hexbid.AlertType
	threshold int64

	advertiser hexbid.UID
	amount     hexbid.Money
	limit      hexbid.Money
	date       int32 // of a daily budget
	zone       string
	raised     time.Time // zero if it was in force when the server started
	cleared    bool
}

func (a alert) compare(b alert) int {
	return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.what, b.what), cmp.Compare(a.threshold, b.threshold))
}

// level is an advertiser's balance after its last top-up.
type level struct {
	toppedUp hexbid.Money // all top-ups up to that one
	balance  hexbid.Money
}

// AlertCounts counts alerts by type: those in force, and those raised since the server started.
type AlertCounts struct {
	InForce, Raised [hexbid.AlertTypeCount]int64
}

func newAlerts(ctx context.Context, l *ledger.Ledger, log *slog.Logger) (*alerts, error) {
	var before uint64
	if err := l.Read(ctx, func(v journal.View) error { before = v.Last(); return nil }); err != nil {
		return nil, err
	}
	return &alerts{ledger: l, log: log, before: before, watch: l.Watch(), changed: make(chan struct{}),
		inForce: btree.NewBTreeG(func(x, y alert) bool { return x.compare(y) < 0 }),
		spent:   map[hexbid.UID]struct{}{}, flipped: map[hexbid.UID]struct{}{}, levels: map[hexbid.UID]level{}}, nil
}

// Alerts counts the alerts.
func (e *Exchange) Alerts() AlertCounts {
	if e.alerts == nil {
		return AlertCounts{}
	}
	e.alerts.mu.Lock()
	defer e.alerts.mu.Unlock()
	return e.alerts.counts
}

// follow evaluates accounts as they change, until the context ends or the ledger is closed.
func (a *alerts) follow(ctx context.Context) {
	defer a.watch.Close()
	for {
		changes, err := a.watch.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				a.log.Error("no more alerts are raised", "error", err)
			}
			return
		}
		a.take(ctx, &changes)
	}
}

// take evaluates accounts that have changed.
func (a *alerts) take(ctx context.Context, c *ledger.Changes) {
	a.evaluate(c.Campaigns)
	for i := range c.Advertisers {
		a.advertiser(ctx, &c.Advertisers[i])
	}
}

func (a *alerts) evaluate(campaigns []ledger.Standing) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range campaigns {
		a.campaign(&campaigns[i])
	}
}

// campaign sets a campaign's alerts.
func (a *alerts) campaign(s *ledger.Standing) {
	_, exhausted := a.spent[s.Campaign]
	exhausted = exhausted && min(s.Left.Daily, s.Left.Total) <= s.Left.Balance
	daily := exhausted && s.Left.Daily <= s.Left.Total
	of := alert{account: s.Campaign, advertiser: s.Advertiser, date: s.LocalDate, zone: s.Zone}
	fresh := s.AsOf > a.before
	for _, c := range []struct {
		what      hexbid.AlertType
		amount    hexbid.Money
		limit     hexbid.Money
		exhausted bool
	}{
		{hexbid.DailyBudgetAlert, spentToday(s), s.DailyBudget, daily},
		{hexbid.TotalBudgetAlert, s.Ever.Charged, s.TotalBudget, exhausted && !daily},
	} {
		of.what, of.amount, of.limit = c.what, c.amount, c.limit
		for _, of.threshold = range [...]int64{firstThresholdPPM, lastThresholdPPM} {
			reached := c.amount >= partOf(c.limit, of.threshold) || c.exhausted
			a.set(of, c.limit > 0 && !s.Deleted && reached, fresh)
		}
	}
}

// partOf returns the least amount that is at least a part of a limit.
func partOf(limit hexbid.Money, ppm int64) hexbid.Money {
	whole, rest := limit/million, limit%million
	return whole*hexbid.Money(ppm) + (rest*hexbid.Money(ppm)+million-1)/million
}

// advertiser sets the alert of an advertiser's balance.
func (a *alerts) advertiser(ctx context.Context, account *fold.AdvertiserAccount) {
	low, full := false, hexbid.Money(0)
	a.mu.Lock()
	_, seen := a.levels[account.Advertiser] // else it was prepaid when the server started, or is just topped up
	a.mu.Unlock()
	if account.Prepaid && !account.Deleted {
		var err error
		if full, err = a.level(ctx, account); err != nil {
			a.log.Error("an advertiser's balance raises no alert", "advertiser", account.Advertiser, "error", err)
			return
		}
		low = account.Ever.Balance <= partOf(full, balanceThresholdPPM)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !account.Prepaid || account.Deleted {
		delete(a.levels, account.Advertiser)
	}
	a.set(alert{account: account.Advertiser, what: hexbid.BalanceAlert, threshold: balanceThresholdPPM,
		advertiser: account.Advertiser, amount: account.Ever.Balance, limit: full}, low, seen)
}

// set puts an alert in force, or takes it out. The caller holds the lock.
func (a *alerts) set(next alert, holds, fresh bool) {
	old, found := a.inForce.Get(next)
	if found && (!holds || old.what == hexbid.DailyBudgetAlert && old.date != next.date) {
		a.inForce.Delete(old)
		a.counts.InForce[old.what]--
		old.cleared = true
		a.tell(old)
		found = false
	}
	switch {
	case !holds:
	case found:
		next.raised = old.raised
		a.inForce.Set(next) // with the present amounts
	default:
		if fresh {
			next.raised = a.ledger.Now()
			a.counts.Raised[next.what]++
		}
		a.inForce.Set(next)
		a.counts.InForce[next.what]++
		a.tell(next)
	}
}

// tell records a change and wakes the watches. The caller holds the lock.
func (a *alerts) tell(change alert) {
	if len(a.latest) == 2*mostLatest {
		a.latest = append(a.latest[:0], a.latest[mostLatest:]...)
	}
	a.latest = append(a.latest, change)
	a.changes++
	close(a.changed)
	a.changed = make(chan struct{})
}
