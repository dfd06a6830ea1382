package exchange

import (
	"context"
	"sync/atomic"
	"time"
)

// ledgerTime is how far the ledger's time is ahead of the market's clock. The ledger's stamps decide when a token
// expires, so tokens are issued by its time. As a rule it is next to nothing. It may be much after a start that
// permits a ledger ahead of the machine's clock. Searches read one atomic number instead of the ledger's clock, which
// has a lock.
type ledgerTime struct{ nanos atomic.Int64 }

// ahead returns the difference, 0 without a ledger.
func (t *ledgerTime) ahead() time.Duration { return time.Duration(t.nanos.Load()) }

// read takes the present difference.
func (t *ledgerTime) read(c *Config) { t.nanos.Store(int64(c.Ledger.Now().Sub(c.Clock()))) }

// follow reads the difference every second until the context ends. It changes by at most a twentieth of that.
func (t *ledgerTime) follow(ctx context.Context, c *Config) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.read(c)
		}
	}
}
