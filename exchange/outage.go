package exchange

import (
	"sync/atomic"
	"time"
)

// outage notes since when the ledger has recorded nothing. Sponsored results go on for as long as a token admits a
// click: whatever is awarded until then can still be billed if the ledger is well again in time, because clients report
// events again that were not answered. Later awards would be free, and no budget would ever end. So searches answer
// with the nearby list alone from then on.
type outage struct {
	stopwatch func() time.Time
	lasts     time.Duration
	since     atomic.Pointer[time.Time] // nil while all is well
}

// look notes whether the ledger fails at present. One goroutine calls it.
func (f *outage) look(fails bool) {
	switch since := f.since.Load(); {
	case !fails && since != nil:
		f.since.Store(nil)
	case fails && since == nil:
		now := f.stopwatch()
		f.since.Store(&now)
	}
}

// isTooLong reports whether the ledger has failed for so long that nothing must be awarded.
func (f *outage) isTooLong() bool {
	since := f.since.Load()
	return since != nil && f.stopwatch().Sub(*since) > f.lasts
}
