package exchange

import (
	"context"
	"time"

	"github.com/hexbid/hexbid"
)

// Step does whatever is due at the present time of the market's clock and of the ledger: it counts the awards of
// searches as out, follows accounts, budgets, alerts and midnights, and lets delivery learn. It returns when searches
// see all of it. Only a market with Config.Manual has steps; otherwise goroutines do the same. One call at a time.
func (e *Exchange) Step(ctx context.Context) error {
	if !e.config.Manual {
		return hexbid.Invalidf("manual", "this market does by itself what is due: open it with Config.Manual to step it")
	}
	if e.config.Ledger == nil {
		return nil
	}
	e.ledgerTime.read(&e.config)
	e.awardsOut.drain()
	if err := e.budgets.step(ctx); err != nil {
		return err
	}
	now := e.config.Ledger.Now()
	if err := e.delivery.step(ctx, now); err != nil {
		return err
	}
	if err := e.indexer.WaitForReturns(ctx); err != nil {
		return err
	}
	return e.steps.alerts(ctx, e.alerts, now)
}

// steps is what a stepped market remembers from one step to the next.
type steps struct{ dates time.Time }

// alerts does what the goroutines of alerts do.
func (s *steps) alerts(ctx context.Context, a *alerts, now time.Time) error {
	changes, err := a.watch.Waiting(ctx)
	if err != nil {
		return err
	}
	a.take(ctx, &changes)
	if now.Sub(s.dates) >= betweenDates {
		s.dates = now
		a.clearPast()
	}
	return a.evaluateFlipped(ctx)
}

// endSteps keeps what the goroutines of a market that is not stepped keep when they end.
func (e *Exchange) endSteps() {
	if e.delivery == nil { // it never opened
		return
	}
	e.awardsOut.drain()
	e.awardsOut.keep(true, true)
	e.delivery.keep()
	e.budgets.watch.Close()
	e.alerts.watch.Close()
}
