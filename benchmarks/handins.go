package benchmarks

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
)

// A call hands in ten live states, and a call is due every millisecond: 10,000 a second.
const (
	handInsACall = 10
	callsEvery   = time.Millisecond
)

// HandIns hands in live states at 10,000 a second. First they come alone, and it compares searches meanwhile with
// searches while nothing changes. Then they come beside 10,000 edits a second and searches without pause. Both times it
// measures how long each hand-in takes to be in force.
func (m *Population) HandIns() (map[string]Spread, error) {
	queries := m.queries(nil)
	var w bidder.Scratch
	searches := func() float64 {
		_, _, p99 := timed(callsARound, func(i int) { m.Indexer.Snapshot().Search(&queries[i%len(queries)], &w) })
		return p99
	}
	return Rounds(3, func() (Figures, error) {
		quiet, busy := searches(), 0.0
		alone, err := m.handInWhile(func() { busy = searches() })
		if err != nil {
			return nil, err
		}
		changed := m.changedBids(40_000)
		besideEdits, err := m.handInWhile(func() {
			var stop atomic.Bool
			ended := make(chan struct{})
			go func() { defer close(ended); m.changeUntil(changed, &stop) }()
			searches()
			stop.Store(true)
			<-ended
		})
		return Figures{"handins_search_p99_ratio": busy / quiet, "handins_per_s": alone.perSecond,
			"handin_alone_in_force_p99_ms": alone.p99MS, "handin_in_force_p99_ms": besideEdits.p99MS,
			"handins_beside_edits_per_s": besideEdits.perSecond}, err
	})
}

// handedIn is the rate that a run of hand-ins reached, and the p99 of the time until they were in force.
type handedIn struct{ perSecond, p99MS float64 }

// handInWhile hands in live states until something returns.
func (m *Population) handInWhile(something func()) (handedIn, error) {
	var stop atomic.Bool
	outcome, failed := make(chan handedIn), make(chan error, 1)
	go func() {
		out, err := m.handInUntil(&stop)
		failed <- err
		outcome <- out
	}()
	something()
	stop.Store(true)
	err := <-failed
	return <-outcome, err
}

// handInUntil hands in live states until stop is set. It makes each call at its due instant, even while earlier ones
// are not yet in force, and counts a call's latency from that instant.
func (m *Population) handInUntil(stop *atomic.Bool) (handedIn, error) {
	var calls sync.WaitGroup
	var mu sync.Mutex // guards took and failed
	var took []time.Duration
	var failed error
	r := rand.New(rand.NewPCG(changeStream, 1))
	started, n := time.Now(), 0
	for ; !stop.Load(); n++ {
		due := started.Add(time.Duration(n) * callsEvery)
		time.Sleep(time.Until(due))
		owner, updates := m.someUpdates(r)
		calls.Go(func() {
			err := m.Indexer.HandIn(context.Background(), owner, updates)
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, time.Since(due)), errors.Join(failed, err)
		})
	}
	lasted := time.Since(started)
	calls.Wait()
	if failed != nil || n == 0 {
		return handedIn{}, failed
	}
	_, p99 := quantiles(took)
	return handedIn{float64(n*handInsACall) / lasted.Seconds(), p99 / 1e6}, nil
}

// someUpdates returns a random owner and its updates of random campaigns.
func (m *Population) someUpdates(r *rand.Rand) (bidder.Owner, []bidder.LiveUpdate) {
	owner := []bidder.Owner{bidder.OwnerPacing, bidder.OwnerQuality, bidder.OwnerLedger}[r.IntN(3)]
	updates := make([]bidder.LiveUpdate, handInsACall)
	for i := range updates {
		u := &updates[i]
		switch u.Campaign = m.uidOf(r.IntN(m.Campaigns)); owner {
		case bidder.OwnerPacing:
			u.PacingPPM, u.ParticipationPPM = 250_000+r.Int64N(750_001), auction.PPM
		case bidder.OwnerQuality:
			u.QualityPPM = 10_000 + r.Int64N(30_001)
		case bidder.OwnerLedger:
			u.BudgetSpent = r.IntN(20) == 0
		}
	}
	return owner, updates
}
