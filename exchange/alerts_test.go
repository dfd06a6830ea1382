package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

// told reads a watch until it has so many alerts, and writes each as a line. It drops what the watch repeats.
func told(t *testing.T, w *AlertWatch, lines int) (out []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for len(out) < lines {
		batch, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("%v, with %q so far", err, out)
		}
		for _, a := range batch.Alerts {
			line := fmt.Sprintf("%s %d%% %d of %d", a.Type, a.ThresholdPPM/10_000, a.Amount, a.Limit)
			if a.Cleared {
				line += " cleared"
			}
			if a.RaisedAt.IsZero() {
				line += " before"
			}
			out = append(out, strings.TrimSpace(strings.TrimPrefix(a.Campaign, "advertisers/a/campaigns/")+" "+line))
		}
		if batch.CaughtUp {
			out = append(out, "caught up")
		}
	}
	return out
}

func watchAll(t *testing.T, b *billed) *AlertWatch {
	t.Helper()
	w, err := b.WatchAlerts(ctx, "advertisers/-")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
	}
}

// ofFive is a campaign with room for five clicks a day.
func ofFive(id string) *hexbid.Campaign {
	c := campaign(id)
	c.Bid, c.DailyBudget = clickPrice, 5*clickPrice
	return c
}

func TestABudgetRaisesAnAlertAtEachThresholdOnceADay(t *testing.T) {
	b := openBank(t)
	b.put(ofFive("c"))
	w := watchAll(t, b)
	expect(t, "at first", told(t, w, 1), "caught up")
	var out []string
	for range 6 { // of which the last is free
		out = append(out, b.token("app"))
	}
	click := func(i int) {
		b.report("app", hexbid.Event{Kind: hexbid.Click, Token: out[i], ID: "c"})
	}
	for i := range 4 {
		click(i)
	}
	expect(t, "after four", told(t, w, 1), "c daily_budget 80% 400000 of 500000")
	click(4)
	click(5)
	expect(t, "after five", told(t, w, 1), "c daily_budget 100% 500000 of 500000")
	expect(t, "a watch that comes later", told(t, watchAll(t, b), 3), "c daily_budget 80% 500000 of 500000",
		"c daily_budget 100% 500000 of 500000", "caught up")
	if free := b.OverDelivery(); free != clickPrice {
		t.Errorf("%d were over-delivered", free)
	}
	counts := b.Alerts()
	if counts.InForce[hexbid.DailyBudgetAlert] != 2 || counts.Raised[hexbid.DailyBudgetAlert] != 2 {
		t.Errorf("%+v", counts)
	}
	b.clock.pass(24 * time.Hour)
	b.alerts.clearPast()
	expect(t, "the next day", told(t, w, 2), "c daily_budget 80% 500000 of 500000 cleared",
		"c daily_budget 100% 500000 of 500000 cleared")
	if counts := b.Alerts(); counts.InForce[hexbid.DailyBudgetAlert] != 0 {
		t.Errorf("%+v", counts)
	}
}

func TestAStartFindsAlertsThatAreInForceAndRaisesNone(t *testing.T) {
	b := openBank(t)
	b.put(ofFive("c"))
	for range 4 {
		b.click()
	}
	waitFor(t, "the alert", func() bool { return b.Alerts().InForce[hexbid.DailyBudgetAlert] == 1 })
	b.restart()
	waitFor(t, "the alert, after a restart", func() bool { return b.Alerts().InForce[hexbid.DailyBudgetAlert] == 1 })
	if n := b.Alerts().Raised[hexbid.DailyBudgetAlert]; n != 0 {
		t.Errorf("%d raised by the start", n)
	}
	expect(t, "in force", told(t, watchAll(t, b), 2), "c daily_budget 80% 400000 of 500000 before", "caught up")
}

// TestABudgetThatPaysForNoFurtherEventIsSpent: charges are whole, so some of the budget is left for good.
func TestABudgetThatPaysForNoFurtherEventIsSpent(t *testing.T) {
	b := openBank(t)
	c := ofFive("c")
	c.DailyBudget, c.TotalBudget = 10_000_000, 5*clickPrice+clickPrice/2
	b.put(c)
	for range 5 {
		b.click()
	}
	w := watchAll(t, b)
	waitFor(t, "the first threshold", func() bool { return b.Alerts().InForce[hexbid.TotalBudgetAlert] > 0 })
	waitFor(t, "the last threshold", func() bool {
		b.alerts.exhausted(b.uidOf("advertisers/a/campaigns/c"), true) // again, if the budgets' own word came meanwhile
		return b.Alerts().InForce[hexbid.TotalBudgetAlert] == 2
	})
	if n := b.Alerts().InForce[hexbid.DailyBudgetAlert]; n != 0 {
		t.Errorf("%d of the daily budget, which has enough", n)
	}
	c.TotalBudget = 100 * clickPrice
	b.put(c)
	b.alerts.exhausted(b.uidOf("advertisers/a/campaigns/c"), false)
	waitFor(t, "a higher budget clears both", func() bool { return b.Alerts().InForce[hexbid.TotalBudgetAlert] == 0 })
	lines := told(t, w, 4)
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasSuffix(l, "cleared") }) {
		t.Errorf("%q", lines)
	}
}

func TestALowBalanceRaisesAnAlertUntilItIsToppedUp(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	top := &hexbid.Transfer{Advertiser: hexbid.Account{Name: "advertisers/a"}, Type: hexbid.TopUp, RequestID: "1",
		Amount: 10 * clickPrice}
	if _, err := b.Transfer(ctx, top); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		b.click()
	}
	waitFor(t, "the alert", func() bool { return b.Alerts().InForce[hexbid.BalanceAlert] == 1 })
	b.restart() // the level of the last top-up is read again
	waitFor(t, "the alert, after a restart", func() bool { return b.Alerts().InForce[hexbid.BalanceAlert] == 1 })
	w := watchAll(t, b)
	expect(t, "low", told(t, w, 2), "balance 20% 200000 of 1000000 before", "caught up")
	top.RequestID = "2"
	if _, err := b.Transfer(ctx, top); err != nil {
		t.Fatal(err)
	}
	expect(t, "topped up", told(t, w, 1), "balance 20% 200000 of 1000000 cleared before")
	if n := b.Alerts().InForce[hexbid.BalanceAlert]; n != 0 {
		t.Errorf("%d are in force", n)
	}
}

func TestAWatchThatFallsBehindBeginsAnew(t *testing.T) {
	b := openBank(t)
	slow := watchAll(t, b)
	expect(t, "at first", told(t, slow, 1), "caught up")
	a := b.alerts
	for i := range 3*mostLatest + 1 {
		a.mu.Lock()
		a.set(alert{account: hexbid.UID(1 + i), what: hexbid.DailyBudgetAlert, threshold: lastThresholdPPM, zone: "UTC",
			date: 1 << 20}, true, true)
		a.mu.Unlock()
	}
	alerts, restarts := 0, 0
	for caughtUp := false; !caughtUp; {
		batch, err := slow.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch.Alerts) > alertsAtOnce {
			t.Errorf("%d alerts at once", len(batch.Alerts))
		}
		if batch.Restarted {
			restarts++
		}
		alerts, caughtUp = alerts+len(batch.Alerts), batch.CaughtUp
	}
	if restarts != 1 || alerts != 3*mostLatest+1 {
		t.Errorf("%d restarts, %d alerts", restarts, alerts)
	}
	if n := len(a.latest); n > 2*mostLatest {
		t.Errorf("%d changes are kept", n)
	}
}

func TestAWatchOfOneAdvertiserTellsOfNoOther(t *testing.T) {
	b := openBank(t)
	b.put(ofFive("c"))
	other := &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/b"}, DisplayName: "B"}
	if o := b.Import(ctx, []hexbid.Resource{other}, false)[0]; o.Err != nil {
		t.Fatal(o.Err)
	}
	ours, err := b.WatchAlerts(ctx, "advertisers/a")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := b.WatchAlerts(ctx, "advertisers/b")
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		b.click()
	}
	waitFor(t, "the alert", func() bool { return b.Alerts().InForce[hexbid.DailyBudgetAlert] == 1 })
	if lines := told(t, ours, 2); len(lines) < 2 {
		t.Errorf("%q", lines)
	}
	expect(t, "another advertiser's", told(t, theirs, 1), "caught up")
	soon, cancel := context.WithCancel(ctx)
	cancel()
	if batch, err := theirs.Next(soon); err == nil {
		t.Errorf("%+v", batch)
	}
	if _, err := b.WatchAlerts(ctx, "advertisers/nobody"); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("%v", err)
	}
}

func TestAPartOfALimitIsRoundedUp(t *testing.T) {
	for _, c := range []struct {
		limit hexbid.Money
		ppm   int64
		want  hexbid.Money
	}{{1, 800_000, 1}, {5, 800_000, 4}, {6, 800_000, 5}, {7, 1_000_000, 7}, {1 << 62, 1_000_000, 1 << 62},
		{9_000_000_000_000_000_000, 200_000, 1_800_000_000_000_000_000}, {0, 800_000, 0}} {
		if got := partOf(c.limit, c.ppm); got != c.want {
			t.Errorf("%d ppm of %d: %d, want %d", c.ppm, c.limit, got, c.want)
		}
	}
}

// TestAWatchOfAlertsDoesNotWaitForTheLedger reads alerts while the ledger's owner answers nobody. If each watch asked
// it, a few thousand that wake at the same change would hold up every event.
func TestAWatchOfAlertsDoesNotWaitForTheLedger(t *testing.T) {
	b := openBank(t)
	b.put(ofFive("c"))
	w := watchAll(t, b)
	expect(t, "at first", told(t, w, 1), "caught up")
	for i := range 4 {
		b.report("app", hexbid.Event{Kind: hexbid.Click, Token: b.token("app"), ID: fmt.Sprint(i)})
	}
	for deadline := time.Now().Add(time.Minute); b.Alerts().InForce[hexbid.DailyBudgetAlert] == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no alert is raised")
		}
		time.Sleep(time.Millisecond)
	}
	answered := make(chan error, 1)
	if err := b.config.Ledger.Hold(ctx, func() error {
		go func() {
			batch, err := w.Next(ctx)
			if err == nil && (len(batch.Alerts) != 1 || batch.Alerts[0].Campaign != "advertisers/a/campaigns/c") {
				err = fmt.Errorf("it tells %+v", batch.Alerts)
			}
			answered <- err
		}()
		select {
		case err := <-answered:
			return err
		case <-time.After(time.Minute):
			return errors.New("the watch waits for the ledger")
		}
	}); err != nil {
		t.Error(err)
	}
}
