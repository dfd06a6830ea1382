package benchmarks

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
)

// DefaultPriors returns the workload in a market with the default priors, rather than ones that make all factors 1.
func (w *Workload) DefaultPriors() *Workload {
	own := *w
	own.defaultPriors = true
	return &own
}

// Rules measures how long other rules of the market take to be in force: a reserve; priors of which all fall to half;
// and priors of which all rise to twice theirs, beside searches without pause on one core. Names of figures end in
// suffix.
func (m *Population) Rules(suffix string) (map[string]Spread, error) {
	queries := m.queries(nil)
	return Rounds(3, func() (Figures, error) {
		_, _, quiet := timed(callsARound, m.searchLatest(queries))
		reserve, err := m.changeRules(func(rules *bidder.Market) {
			rules.Reserves = []hexbid.Reserve{{PerThousand: 1000 + hexbid.Money(rules.Version)}}
		})
		if err != nil {
			return nil, err
		}
		falling, err := m.changeRules(func(rules *bidder.Market) { scalePriors(rules, 1, 2) })
		if err != nil {
			return nil, err
		}
		m.settle()
		var stop atomic.Bool
		busy := make(chan float64)
		go func() { busy <- m.slowestUntil(queries, &stop) }()
		rising, err := m.changeRules(func(rules *bidder.Market) { scalePriors(rules, 2, 1) })
		stop.Store(true)
		p99 := <-busy
		m.settle()
		return Figures{"reserve_in_force_ms_" + suffix: milliseconds(reserve),
			"falling_priors_in_force_ms_" + suffix:     milliseconds(falling),
			"rising_priors_in_force_s_" + suffix:       rising.Seconds(),
			"rising_priors_search_p99_ratio_" + suffix: p99 / quiet}, err
	})
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// scalePriors multiplies all priors by a fraction.
func scalePriors(rules *bidder.Market, by, of int64) {
	for c := range rules.PriorPPM {
		rules.PriorPPM[c] = rules.PriorPPM[c] * by / of
	}
}

// changeRules puts changed rules into force, and returns how long that took.
func (m *Population) changeRules(change func(*bidder.Market)) (time.Duration, error) {
	rules := *m.Indexer.Snapshot().Market()
	rules.Version++
	change(&rules)
	started := time.Now()
	if err := m.Indexer.SetMarket(context.Background(), &rules); err != nil {
		return 0, fmt.Errorf("changing the rules of the market: %w", err)
	}
	return time.Since(started), nil
}

// settle waits until all caps fit the priors in force.
func (m *Population) settle() {
	for m.Indexer.Snapshot().Moving > 0 {
		time.Sleep(10 * time.Millisecond)
	}
}

// searchLatest returns a search in the latest snapshot.
func (m *Population) searchLatest(queries []bidder.Query) func(i int) {
	var w bidder.Scratch
	return func(i int) { m.Indexer.Snapshot().Search(&queries[i%len(queries)], &w) }
}

// slowestUntil searches until stop is set, and returns the p99 in nanoseconds.
func (m *Population) slowestUntil(queries []bidder.Query, stop *atomic.Bool) float64 {
	search, took := m.searchLatest(queries), []time.Duration{}
	for i := 0; !stop.Load() || i < callsARound; i++ {
		before := time.Now()
		search(i)
		took = append(took, time.Since(before))
	}
	_, p99 := quantiles(took)
	return p99
}
