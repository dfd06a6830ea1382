package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	ledgerpebble "github.com/hexbid/hexbid/ledger/pebble"
)

// openJournal opens the journal that the ledger writes to: that of the data folder, or one in memory.
func (m *Main) openJournal(ctx context.Context) (journal.Journal, error) {
	if m.Config.Data == "" {
		return journal.NewMemory(), nil
	}
	j, err := ledgerpebble.Open(ledgerpebble.Options{Dir: filepath.Join(m.Config.Data, ledgerName),
		Currency: m.Config.Currency, AcceptLoss: m.Config.AcceptLoss, Log: m.Log, Context: ctx})
	if err != nil {
		return nil, err // not a nil *pebble.Journal in an interface
	}
	return j, nil
}

// openLedger opens the ledger. It replays the records after the last checkpoint.
func (m *Main) openLedger(ctx context.Context) (*ledger.Ledger, error) {
	zone, err := statementZone(&m.Config)
	if err != nil {
		return nil, err
	}
	retention, err := ledgerRetention(&m.Config)
	if err != nil {
		return nil, err
	}
	start := m.Clock()
	o := ledger.Options{Journal: m.journal, Wall: m.Clock,
		Monotonic: func() time.Duration { return m.Clock().Sub(start) }, // of time.Now it reads the monotonic clock
		Zone:      zone, Retention: retention, AllowAhead: m.Config.AllowClockAhead,
		Traffic: m.Config.Filter.limits(), Log: m.Log}
	if err := m.settleLoss(ctx, o); err != nil {
		return nil, err
	}
	return ledger.Open(ctx, o)
}

// settleLoss begins a new epoch of a ledger that has lost acknowledged records. Otherwise events that those were about
// could be charged again.
func (m *Main) settleLoss(ctx context.Context, o ledger.Options) error {
	j, ok := m.journal.(*ledgerpebble.Journal)
	if !ok || !j.OpenLoss() {
		return nil
	}
	begun, err := ledger.BeginEpoch(ctx, o, false)
	if err != nil {
		return err
	}
	m.Log.Warn("the ledger has lost records, so tokens issued before now are answered as expired", "record",
		begun.Sequence)
	return j.SettleLoss()
}

// statementZone returns the time zone of the dates of balances and statements.
func statementZone(c *ServeConfig) (*time.Location, error) {
	zone, err := time.LoadLocation(c.StatementZone)
	if err != nil {
		return nil, hexbid.Invalidf("statement-zone", "%q is not a time zone: use a name of the IANA database, as in "+
			"Asia/Shanghai", hexbid.Shorten(c.StatementZone))
	}
	return zone, nil
}

// ledgerRetention returns how long events that cost nothing keep their records. First answers to events are read from
// records, so it is longer than a token admits a conversion.
func ledgerRetention(c *ServeConfig) (time.Duration, error) {
	const fewestDays, mostDays = 10, 36_500
	if c.LedgerDays < fewestDays || c.LedgerDays > mostDays {
		return 0, hexbid.Invalidf("ledger-days", "%d is out of range: use %d to %d", c.LedgerDays, fewestDays, mostDays)
	}
	return time.Duration(c.LedgerDays) * 24 * time.Hour, nil
}
