package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Closed runs a number of callers until ctx ends, and each makes one call after another. It returns the rate of answers
// after the warm-up. It measures throughput over concurrency and no latency, because its callers wait for the server.
// It returns the first error of a call.
func Closed(ctx context.Context, callers int, warmUp, lasts time.Duration, call Call) (perSecond float64, err error) {
	var calls, counted atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	started := time.Now()
	for range callers {
		group.Go(func() {
			for ctx.Err() == nil && failed.Load() == nil && time.Since(started) < warmUp+lasts {
				if err := call(ctx, int(calls.Add(1)-1)); err != nil && ctx.Err() == nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				if took := time.Since(started); took >= warmUp && took < warmUp+lasts {
					counted.Add(1)
				}
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return float64(counted.Load()) / lasts.Seconds(), nil
}
