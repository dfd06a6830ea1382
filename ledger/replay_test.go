package ledger_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// counted is a journal that counts what is read from its views.
type counted struct {
	journal.Journal
	reads atomic.Int64
}

type countedView struct {
	journal.View
	reads *atomic.Int64
}

func (c *counted) View() (journal.View, error) {
	v, err := c.Journal.View()
	return &countedView{v, &c.reads}, err
}

func (v *countedView) Get(t journal.Table, key []byte) ([]byte, error) {
	v.reads.Add(1)
	return v.View.Get(t, key)
}

// TestReplayedTokensCostFewReads returns tokens again and again, before their expiry, after it, and after the time in
// which first answers are given again.
func TestReplayedTokensCostFewReads(t *testing.T) {
	b := openBank(t, nil)
	var disk *counted
	b.Wrap = func(m *journal.Memory) journal.Journal {
		disk = &counted{Journal: m}
		return disk
	}
	b.Restart()
	used, unused := b.click(), b.click()
	b.Report(used)
	replay := func(what string, outcomes ...hexbid.EventOutcome) {
		before := disk.reads.Load()
		for i := range 1000 {
			b.outcomes(b.Report(as(used, hexbid.Click, fmt.Sprint(what, i)), as(unused, hexbid.Impression, fmt.Sprint(what, i))),
				outcomes...)
			if i == 0 && outcomes[1] == hexbid.EventRecorded {
				outcomes[1] = hexbid.EventDuplicate
			}
		}
		if n := disk.reads.Load() - before; n > 20 { // the compactor reads a few by itself
			t.Errorf("%s: %d reads for 2,000 events", what, n)
		}
	}
	replay("before the expiry", hexbid.EventDuplicate, hexbid.EventRecorded)
	b.Clock.Pass(time.Hour)
	replay("after the expiry", hexbid.EventDuplicate, hexbid.EventDuplicate)
	b.Clock.Pass(9 * 24 * time.Hour)
	replay("after nine days", hexbid.EventExpired, hexbid.EventExpired)
}
