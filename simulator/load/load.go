// Package load offers requests to a server at instants planned ahead and
// measures each from its plan: an open loop. A closed loop, or a latency from the
// actual send, leaves out those who had to wait while the server stood still
// (Tene, "How NOT to Measure Latency": coordinated omission).
//
//	Curve → Arrivals → Run: pacer → workers → recorder → Report
//
// It owns the goroutines of a run, which end with it.
package load

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Config bounds a run.
type Config struct {
	// WarmUp is how long calls are made before they count.
	WarmUp time.Duration
	// MaxInFlight bounds the calls under way; a call planned beyond it is dropped
	// and counted.
	MaxInFlight int
	// Timeout bounds a call.
	Timeout time.Duration
	// Progress is told of each second, warm-up included; nil for no one.
	Progress func(Moment)
}

// DefaultConfig fits a server of a few cores.
func DefaultConfig() Config {
	return Config{WarmUp: 2 * time.Second, MaxInFlight: 2000, Timeout: 5 * time.Second}
}

// Call makes the i-th call of a run, counted from 0.
type Call func(ctx context.Context, i int) error

// run is one run under way.
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
	planned time.Duration // since the start
}

// Run makes calls as they are planned until there are no more, or ctx ends: then
// it makes no more, waits for those under way, and the report says so. Its error
// is of the timer that it sends by.
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

// watch ends the recorder's moments, a second each, until stop.
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

// pace hands each call to a worker at its instant; it says whether it was
// interrupted.
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

// hand gives a call to an idle worker, to a new one, or drops it.
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

// work makes a call. It has a context of its own: an interrupted run waits for
// the calls that it has made.
func (r *run) work(j job) {
	ctx, cancel := context.WithTimeout(context.Background(), r.Timeout)
	defer cancel()
	r.recorder.Begin()
	sent := time.Since(r.started)
	err := r.call(ctx, j.i)
	r.recorder.Record(j.planned, sent, time.Since(r.started), err)
}
