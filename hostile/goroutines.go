package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hexbid/hexbid/hostile/victim"
)

// metric reads the sum of the lines of the server's metrics that begin with a text.
func (r *round) metric(ctx context.Context, beginning string) (sum float64, err error) {
	text, err := readMetrics(ctx, r.metrics)
	if err != nil {
		return 0, err
	}
	found := false
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, beginning) {
			continue
		}
		count, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", line, err)
		}
		sum, found = sum+count, true
	}
	if !found {
		return 0, fmt.Errorf("they have no %s", beginning)
	}
	return sum, nil
}

const (
	goroutinesMetric = "go_goroutines "
	// goroutinesCap bounds the goroutines during an attack. Each port has some thousand connections, each with a few
	// goroutines, and calls and streams within the limits.
	goroutinesCap = 30_000
	// goroutinesLeft is by how many there may be more after an attack: bystanders and the exchange have some at times.
	goroutinesLeft = 500
	goroutinesRead = 500 * time.Millisecond
)

// watchGoroutines compares the server's goroutines with the cap until stop is called.
func (r *round) watchGoroutines(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			n, err := r.metric(ctx, goroutinesMetric)
			if raise(&r.tally.peakGoroutines, int64(n)); err == nil && n > goroutinesCap { // killed servers have none
				r.tally.fall("there are above %d goroutines", goroutinesCap)
			}
			select {
			case <-ctx.Done():
			case <-time.After(goroutinesRead):
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// letGo waits until the server has let go of what an attack opened: it has no more goroutines than before, or a few.
func (r *round) letGo(ctx context.Context, before float64) error {
	for began := time.Now(); ; time.Sleep(bystanderPause) {
		n, err := r.metric(ctx, goroutinesMetric)
		if err != nil {
			return err
		}
		if n <= before+goroutinesLeft {
			return nil
		}
		if time.Since(began) > victim.Patience {
			r.tally.fall("%.0f goroutines were left, before there were %.0f", n, before)
			return nil
		}
	}
}
