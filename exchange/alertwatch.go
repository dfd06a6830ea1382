package exchange

import (
	"context"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/ledger/journal"
)

// AlertBatch is what a watch of alerts tells at once.
type AlertBatch struct {
	Alerts    []hexbid.Alert
	CaughtUp  bool // all that were in force have been told; what follows is new
	Restarted bool // the watch fell behind and begins anew
}

// AlertWatch tells one caller of alerts: first of those in force, then of those that are raised and cleared. One that
// is raised meanwhile may be told twice. A watch holds no queue, so it may be as slow as it likes.
type AlertWatch struct {
	exchange *Exchange
	of       []hexbid.UID // the advertisers; nil for all
	told     alert        // the last one in force that was told
	caughtUp bool
	seen     uint64 // of the alerts' changes
}

// alertsAtOnce is the most alerts of a batch, alertsLooked the most that are looked at for it under the lock.
const (
	alertsAtOnce = 1000
	alertsLooked = 10_000
)

// WatchAlerts begins to watch the alerts of an advertiser, by its name; "advertisers/-" is all.
func (e *Exchange) WatchAlerts(ctx context.Context, advertiser string) (*AlertWatch, error) {
	if err := e.admit(ctx, access.WatchAlerts, advertiser); err != nil {
		return nil, err
	}
	of, err := inBooks(ctx, e, func(b *books) ([]hexbid.UID, error) { return b.parents(advertiser) })
	if err != nil {
		return nil, err
	}
	w := &AlertWatch{exchange: e, of: of}
	e.alerts.mu.Lock()
	defer e.alerts.mu.Unlock()
	w.seen = e.alerts.changes
	return w, nil
}

// Next waits for alerts. The first batches tell those in force, and the last of these says CaughtUp, even when there
// are none.
func (w *AlertWatch) Next(ctx context.Context) (*AlertBatch, error) {
	restarted := false
	for {
		found, caughtUp, wait := w.look(&restarted)
		if len(found) > 0 || caughtUp {
			named, err := w.named(ctx, found)
			return &AlertBatch{named, caughtUp, restarted}, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// closed is a channel that makes nobody wait.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// look returns the next alerts to tell. Without any it returns what to wait for.
func (w *AlertWatch) look(restarted *bool) (found []alert, caughtUp bool, wait <-chan struct{}) {
	a := w.exchange.alerts
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.caughtUp && a.changes-w.seen > uint64(len(a.latest)) {
		*restarted = true
		w.caughtUp, w.told, w.seen = false, alert{}, a.changes
	}
	if !w.caughtUp {
		found = w.inForce(a)
		return found, w.caughtUp, closed
	}
	if found = w.since(a); len(found) > 0 || w.seen < a.changes {
		return found, false, closed
	}
	return nil, false, a.changed
}

// isOf reports whether a watch is of an advertiser's alerts.
func (w *AlertWatch) isOf(advertiser hexbid.UID) bool {
	return w.of == nil || slices.Contains(w.of, advertiser)
}

// inForce returns the next part of the alerts in force.
func (w *AlertWatch) inForce(a *alerts) (found []alert) {
	looked := 0
	w.caughtUp = true
	a.inForce.Ascend(w.told, func(x alert) bool {
		if looked == alertsLooked || len(found) == alertsAtOnce {
			w.caughtUp = false
			return false
		}
		if x.compare(w.told) > 0 { // Ascend begins with the one told last
			looked++
			w.told = x
			if w.isOf(x.advertiser) {
				found = append(found, x)
			}
		}
		return true
	})
	return found
}

// since returns the next part of the changes.
func (w *AlertWatch) since(a *alerts) (found []alert) {
	for w.seen < a.changes && len(found) < alertsAtOnce {
		x := a.latest[uint64(len(a.latest))-(a.changes-w.seen)]
		w.seen++
		if w.isOf(x.advertiser) {
			found = append(found, x)
		}
	}
	return found
}

// named adds names to alerts. It does not ask the ledger's owner, because thousands may watch, and each change wakes
// all of them.
func (w *AlertWatch) named(ctx context.Context, found []alert) ([]hexbid.Alert, error) {
	if len(found) == 0 {
		return nil, nil
	}
	l, out := w.exchange.config.Ledger, make([]hexbid.Alert, len(found))
	if err := l.ReadSynced(ctx, func(v journal.View) (err error) {
		b := books{Exchange: w.exchange, ctx: ctx, ledger: l, view: v}
		for i := range found {
			if out[i], err = b.alert(&found[i]); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return out, nil
}

func (b *books) alert(x *alert) (out hexbid.Alert, err error) {
	out = hexbid.Alert{Type: x.what, AdvertiserUID: x.advertiser, ThresholdPPM: x.threshold, Amount: x.amount,
		Limit: x.limit, LocalDate: hexbid.Date(x.date), RaisedAt: x.raised, Cleared: x.cleared}
	if out.Advertiser, err = b.name(x.advertiser, 0); err != nil || x.what == hexbid.BalanceAlert {
		return out, err
	}
	out.CampaignUID = x.account
	out.Campaign, err = b.name(x.advertiser, x.account)
	return out, err
}
