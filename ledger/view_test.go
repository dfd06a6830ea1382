package ledger_test

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// TestAViewsTotalsSayWhatItsRecordsDo reads views while money moves. In each, an advertiser's totals must be the sum of
// the movements that are listed beside them: a statement that finds otherwise takes the ledger for damaged.
func TestAViewsTotalsSayWhatItsRecordsDo(t *testing.T) {
	b := openBank(t, nil)
	var stop atomic.Bool
	var movers sync.WaitGroup
	for mover := range 4 {
		movers.Go(func() {
			for i := 0; !stop.Load(); i++ {
				if _, err := b.Move(ctx, fold.Movement{Advertiser: advertiser, What: fold.TopUp, Amount: 1,
					RequestID: fmt.Sprint(mover, "-", i)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 300 {
		listed, total := b.toppedUp()
		if listed != total {
			t.Errorf("a view lists movements of %d micros, and the advertiser's totals say %d", listed, total)
			break
		}
	}
	stop.Store(true)
	movers.Wait()
}

// toppedUp returns the sum of the movements that a view lists, and what the advertiser's totals say.
func (b *bank) toppedUp() (listed, total hexbid.Money) {
	b.Helper()
	v := b.Settled()
	from, to := fold.MovementKey(advertiser, 0, 0), fold.MovementKey(advertiser, math.MaxInt32, 0)
	if err := v.Scan(journal.Movements, from, to, func(key, _ []byte) (bool, error) {
		listed++ // each is of one micro
		return true, nil
	}); err != nil {
		b.Fatal(err)
	}
	if err := v.Scan(journal.AdvertiserDays, fold.DayKey(advertiser, 0), fold.DayKey(advertiser, math.MaxInt32),
		func(_, value []byte) (bool, error) {
			totals, err := fold.DecodeAdvertiserTotals(value)
			total += totals.ToppedUp
			return true, err
		}); err != nil {
		b.Fatal(err)
	}
	return listed, total
}
