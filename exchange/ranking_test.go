package exchange

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
)

// TestCallersShareARankingForSomeSeconds counts how often one is made, for callers that ask at once and later.
func TestCallersShareARankingForSomeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rankings
		var made atomic.Int64
		rank := func() ([]ledger.Standing, error) {
			time.Sleep(time.Second)
			made.Add(1)
			return make([]ledger.Standing, made.Load()), nil
		}
		ask := func() *ranking {
			got, err := r.get(t.Context(), rankingOf{}, time.Now, rank)
			if err != nil {
				t.Error(err)
			}
			return got
		}
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() { ask() })
		}
		callers.Wait()
		time.Sleep((restFactor - 1) * time.Second)
		if got := ask(); made.Load() != 1 || len(got.top) != 1 {
			t.Errorf("%d rankings for 101 callers", made.Load())
		}
		time.Sleep(time.Second)
		if got := ask(); made.Load() != 2 || len(got.top) != 2 || time.Since(got.asOf) != time.Second {
			t.Errorf("%d rankings, of %s ago, after one was twenty times as old as it took", made.Load(),
				time.Since(got.asOf))
		}
	})
}

// TestARankingThatFailsIsForOneCallerAlone: those who waited for it make their own, and one that gives up waits no
// longer.
func TestARankingThatFailsIsForOneCallerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rankings
		refused := errors.New("no turn")
		var failures atomic.Int64
		go func() {
			_, err := r.get(t.Context(), rankingOf{}, time.Now, func() ([]ledger.Standing, error) {
				time.Sleep(time.Minute)
				return nil, refused
			})
			if errors.Is(err, refused) {
				failures.Add(1)
			}
		}()
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		never := func() ([]ledger.Standing, error) { t.Error("made beside another"); return nil, nil }
		if _, err := r.get(short, rankingOf{}, time.Now, never); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		got, err := r.get(t.Context(), rankingOf{}, time.Now, func() ([]ledger.Standing, error) {
			return make([]ledger.Standing, 3), nil
		})
		synctest.Wait()
		if err != nil || len(got.top) != 3 || failures.Load() != 1 {
			t.Errorf("%+v, %v, %d failures", got, err, failures.Load())
		}
	})
}

// TestRankingsOfManyAdvertisersAreNotKept, and do not drive out that of all.
func TestRankingsOfManyAdvertisersAreNotKept(t *testing.T) {
	var r rankings
	made := 0
	rank := func() ([]ledger.Standing, error) { made++; return nil, nil }
	at := func() time.Time { return now }
	for advertiser := range hexbid.UID(10 * mostRankings) {
		if _, err := r.get(ctx, rankingOf{advertiser: advertiser}, at, rank); err != nil {
			t.Fatal(err)
		}
		if len(r.all) > mostRankings {
			t.Fatalf("%d are kept", len(r.all))
		}
	}
	if _, err := r.get(ctx, rankingOf{}, at, rank); err != nil || made != 10*mostRankings {
		t.Errorf("%d were made, %v", made, err)
	}
}

// TestTheMostSpendersAreAsMany as a ranking keeps, of however many, and in their order.
func TestTheMostSpendersAreAsMany(t *testing.T) {
	var top, part []ledger.Standing
	const campaigns = 5 * mostRanked
	for i := range campaigns {
		s := ledger.Standing{LocalDate: 7}
		s.Campaign, s.Date, s.Today.Charged = hexbid.UID(i+1), 7, hexbid.Money(i*7919%campaigns/2)
		if part = append(part, s); len(part) == 300 || i == campaigns-1 {
			top, part = addSpenders(top, part, false), nil
		}
	}
	if len(top) != mostRanked {
		t.Fatalf("%d are ranked", len(top))
	}
	for i := range top {
		if want := hexbid.Money((campaigns - 1 - i) / 2); spentToday(&top[i]) != want ||
			i > 0 && top[i-1].Today.Charged == want && top[i-1].Campaign > top[i].Campaign {
			t.Fatalf("place %d: campaign %d with %d, want %d", i, top[i].Campaign, spentToday(&top[i]), want)
		}
	}
}
