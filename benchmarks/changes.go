package benchmarks

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid/bidder"
)

// Changes puts changed bids at 10,000 a second for some seconds. It measures how long each takes to be searchable, and
// compares searches meanwhile with searches while nothing changes.
func (m *Population) Changes() (map[string]Spread, error) {
	queries := m.queries(nil)
	var w bidder.Scratch
	searches := func() float64 {
		_, _, p99 := timed(callsARound, func(i int) { m.Indexer.Snapshot().Search(&queries[i%len(queries)], &w) })
		return p99
	}
	return Rounds(3, func() (Figures, error) {
		quiet := searches()
		var stop atomic.Bool
		visible, changed := make(chan []time.Duration), m.changedBids(40_000)
		go func() { visible <- m.changeUntil(changed, &stop) }()
		busy := searches()
		stop.Store(true)
		took := <-visible
		lasted := took[len(took)-1]
		took = took[:len(took)-1]
		_, p99 := quantiles(took)
		return Figures{"change_visible_p99_ms": p99 / 1e6, "changes_per_s": float64(len(took)) / lasted.Seconds(),
			"live_change_search_p99_ratio": busy / quiet}, nil
	})
}

// changeUntil puts ten changes a millisecond until stop is set or the changes end. It returns how long each took to be
// searchable, and last the duration of the whole.
func (m *Population) changeUntil(changed []record, stop *atomic.Bool) []time.Duration {
	type change struct {
		version uint64
		at      time.Time
	}
	pending, done := make(chan change, len(changed)), make(chan []time.Duration)
	go func() {
		var took []time.Duration
		for c := range pending {
			if m.Indexer.WaitFor(context.Background(), c.version) == nil {
				took = append(took, time.Since(c.at))
			}
		}
		done <- took
	}()
	started := time.Now()
	for n, r := range changed {
		if planned := started.Add(time.Duration(n) * 100 * time.Microsecond); n%10 == 0 {
			time.Sleep(time.Until(planned))
		}
		if stop.Load() {
			break
		}
		at := time.Now()
		pending <- change{m.put(r), at}
	}
	took := time.Since(started)
	close(pending)
	return append(<-done, took)
}

// ProgramChanges gives programs other names and keywords, whose words many other programs share. It measures how many
// such changes the index takes in a second when they come all at once. It also measures how long a change that comes
// alone takes to be searchable, and what it allocates, the publication included. The names of the figures end in
// beside, which says what the index holds besides.
func (m *Population) ProgramChanges(beside string) (map[string]Spread, error) {
	const atOnce, alone = 20_000, 200
	return Rounds(3, func() (Figures, error) {
		started := time.Now()
		if err := m.putAll(m.changedPrograms(atOnce)); err != nil {
			return nil, err
		}
		perSecond := atOnce / time.Since(started).Seconds()
		changed, took := m.changedPrograms(alone), make([]time.Duration, alone)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range changed {
			began := time.Now()
			if err := m.putAll(changed[i : i+1]); err != nil {
				return nil, err
			}
			took[i] = time.Since(began)
		}
		runtime.ReadMemStats(&after)
		_, p99 := quantiles(took)
		return Figures{"program_changes_per_s_beside_" + beside: perSecond,
			"program_change_visible_p99_ms_beside_" + beside: p99 / 1e6,
			"program_change_bytes_beside_" + beside:          float64(after.TotalAlloc-before.TotalAlloc) / alone}, nil
	})
}

// putAll commits records one by one and waits until the last is searchable.
func (m *Population) putAll(records []record) error {
	var last uint64
	for _, r := range records {
		last = m.put(r)
	}
	if err := m.Indexer.WaitFor(context.Background(), last); err != nil {
		return fmt.Errorf("waiting for a change: %w", err)
	}
	return nil
}
