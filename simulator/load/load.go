// Package load sends requests to a server at instants planned ahead, and measures each from its planned instant: an
// open loop. A closed loop, or a latency measured from the actual send, leaves out the users who had to wait while the
// server stood still (Tene, "How NOT to Measure Latency": coordinated omission).
//
//	Curve → Arrivals → Run: pacer → workers → recorder → Report
//
// The package owns the goroutines of a run, which end with the run.
package load

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Config bounds a run.
type Config struct {
	// WarmUp is how long Run makes calls before they count.
	WarmUp time.Duration
	// MaxInFlight is the most calls in flight. Run drops and counts a call that is planned beyond it.
	MaxInFlight int
	// Timeout is the longest that a call may take.
	Timeout time.Duration
	// Progress receives each second of the run, warm-up included. It may be nil.
	Progress func(Moment)
}

// DefaultConfig fits a server of a few cores.
func DefaultConfig() Config {
	return Config{WarmUp: 2 * time.Second, MaxInFlight: 2000, Timeout: 5 * time.Second}
}

// Call makes the i-th call of a run, counted from 0.
type Call func(ctx context.Context, i int) error

// run is a run under way.
type run struct {
	Config
	call     Call
	recorder *Recorder
	started  time.Time
	jobs     chan job
	workers  int // only the pacer starts them
	ended    sync.WaitGroup
}

type job struct {
	i       int
	planned time.Duration // since the start of the run
}

// Run makes calls at their planned instants until there are no more or ctx ends. When ctx ends it makes no more calls,
// waits for those in flight, and marks the report as interrupted. It returns an error when the timer that it sends by
// fails.
func Run(ctx context.Context, config Config, arrivals Arrivals, call Call) (*Report, error) {
	alarm, err := newAlarm()
	if err != nil {
		return nil, err
	}
	defer alarm.close()
	r := &run{Config: config, call: call, recorder: NewRecorder(config.WarmUp), jobs: make(chan job)}
	cpu := cpuTime()
	r.started = time.Now()
	watched := r.watch()
	interrupted, err := r.pace(ctx, alarm, arrivals)
	close(r.jobs)
	r.ended.Wait()
	watched()
	if err != nil {
		return nil, err
	}
	took := time.Since(r.started)
	report := r.recorder.Report(took)
	report.Interrupted = interrupted
	report.GeneratorBusy = (cpuTime() - cpu).Seconds() / took.Seconds() / float64(runtime.GOMAXPROCS(0))
	return report, nil
}

// watch ends the recorder's moments, one each second, until stop is called.
func (r *run) watch() (stop func()) {
	ticker, done := time.NewTicker(time.Second), make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			select {
			case <-ticker.C:
				m := r.recorder.EndMoment(time.Since(r.started))
				if r.Progress != nil {
					r.Progress(m)
				}
			case <-done:
				return
			}
		}
	})
	return func() {
		ticker.Stop()
		close(done)
		ended.Wait()
	}
}

// pace hands each call to a worker at its planned instant. It reports whether ctx ended before the last call.
func (r *run) pace(ctx context.Context, alarm *alarm, arrivals Arrivals) (interrupted bool, err error) {
	const glance = 50 * time.Millisecond // between looks at ctx
	for i := 0; ; i++ {
		planned, more := arrivals()
		if !more {
			return false, nil
		}
		for wait := planned - time.Since(r.started); wait > 0 && ctx.Err() == nil; wait = planned - time.Since(r.started) {
			if err := alarm.sleep(min(wait, glance)); err != nil {
				return false, err
			}
		}
		if ctx.Err() != nil {
			return true, nil
		}
		r.recorder.Plan()
		r.hand(job{i, planned})
	}
}

// hand gives a call to an idle worker, or else to a new one. With MaxInFlight workers busy it drops the call.
func (r *run) hand(j job) {
	select {
	case r.jobs <- j:
		return
	default:
	}
	if r.workers == r.MaxInFlight {
		r.recorder.Drop(j.planned)
		return
	}
	r.workers++
	r.ended.Go(func() {
		r.work(j)
		for j := range r.jobs {
			r.work(j)
		}
	})
}

// work makes a call. The call has a context of its own, because an interrupted run waits for the calls in flight.
func (r *run) work(j job) {
	ctx, cancel := context.WithTimeout(context.Background(), r.Timeout)
	defer cancel()
	r.recorder.Begin()
	sent := time.Since(r.started)
	err := r.call(ctx, j.i)
	r.recorder.Record(j.planned, sent, time.Since(r.started), err)
}
