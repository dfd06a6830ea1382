package exchange

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/store"
)

// learnedOf is what the market learns the n-th time: a factor of one scene, unlike that of the time before.
func learnedOf(n int64) *bidder.SceneFactors {
	var factors bidder.SceneFactors
	factors[hexbid.WeChat][hexbid.Search] = 500_000 + 10_000*(n%40)
	return &factors
}

// TestUpdatesAndWhatIsLearnedDoNotLoseEachOther updates the market while what was learned comes into force. An update
// that returns is in force, whatever was learned meanwhile. Each step that learned is in force, whatever was updated.
// No two of them have one version. A restart goes on with the last of both.
func TestUpdatesAndWhatIsLearnedDoNotLoseEachOther(t *testing.T) {
	const (
		least = 25 // of updates and of steps
		lead  = 3  // that either of them may have: neither leaves the other behind, nor the clock the ledger
	)
	m := openTill(t, manual)
	if _, err := FirstMarket(ctx, m.store, &hexbid.Market{}, now); err != nil {
		t.Fatal(err)
	}
	m.stop()
	m.start()
	fill(t, m.Exchange, campaign("c"), place("l", hub))
	var updates, steps atomic.Int64
	m.market.learn = []func(*bidder.Learned){func(l *bidder.Learned) { l.SceneFactorPPM = learnedOf(steps.Add(1)) }}
	enough := func() bool { return t.Failed() || updates.Load() >= least && steps.Load() >= least }
	leads := func(one, other *atomic.Int64) bool {
		if one.Load() < other.Load()+lead {
			return false
		}
		time.Sleep(100 * time.Microsecond)
		return true
	}
	var both sync.WaitGroup
	both.Go(func() {
		for !enough() {
			if leads(&updates, &steps) {
				continue
			}
			n := updates.Add(1)
			if _, err := updateMarket(m.Exchange, &hexbid.Market{Meta: hexbid.Meta{Name: hexbid.MarketName},
				Increment: hexbid.Money(n)}, store.AnyVersion); err != nil {
				t.Error(err)
			}
			if got := m.indexer.Snapshot().Market().Increment; got != hexbid.Money(n) {
				t.Errorf("update %d returned, and the increment in force is %d", n, got)
			}
		}
	})
	both.Go(func() {
		for hour := int64(-1); !enough(); { // the steps until the hour began
			if leads(&steps, &updates) {
				continue
			}
			if n := steps.Load(); n > hour { // a step that an update held up is tried again in the same hour
				m.pass(time.Hour)
				hour = n
			}
			if err := m.market.step(ctx, m.now()); err != nil {
				t.Error(err)
			}
			if n := steps.Load(); n > 0 && m.indexer.Snapshot().Market().SceneFactorPPM != *learnedOf(n) {
				t.Errorf("what was learned the %d. time is not in force", n)
			}
		}
	})
	both.Wait()
	wantBoth := func(when string) {
		t.Helper()
		got := m.indexer.Snapshot().Market()
		if got.Increment != hexbid.Money(updates.Load()) || got.SceneFactorPPM != *learnedOf(steps.Load()) {
			t.Errorf("%s the increment is %d of %d, and the factors %v of step %d", when, got.Increment, updates.Load(),
				got.SceneFactorPPM, steps.Load())
		}
		versions := m.market.versions
		if !slices.IsSorted(versions) || len(slices.Compact(slices.Clone(versions))) != len(versions) ||
			versions[len(versions)-1] != got.Version || int64(len(versions)) < updates.Load()+steps.Load() {
			t.Errorf("%s version %d is in force after %d updates and %d steps, which left %d versions", when, got.Version,
				updates.Load(), steps.Load(), len(versions))
		}
	}
	wantBoth("after both")
	m.stop()
	m.start()
	wantBoth("after a restart")
}
