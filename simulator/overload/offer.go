package overload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/vitals"
)

// Offer is a rush and what follows it: a warm-up and a measured stretch at one rate, and then a rest at a lower one.
type Offer struct {
	Times     float64 // of the capacity
	PerSecond float64
	RestRate  float64 // calls a second after the rush
	WarmUp    time.Duration
	Lasts     time.Duration // of the measured stretch
	Rest      time.Duration
	InFlight  int
	Timeout   time.Duration
	Seed      uint64
	Call      load.Call
	Read      func(context.Context) (vitals.Snapshot, error)
}

// mostDropped is the share of planned calls that a generator may drop or send late before it is the bottleneck.
const mostDropped = 0.02

// slice is the grain in which the rest is looked at, and clean how many slices in a row without a refusal make a
// recovery. A pause of the machine long after the rush is therefore not the rush's.
const (
	slice = 100 * time.Millisecond
	clean = 3
)

// tally counts the calls of a run by when they were sent.
type tally struct {
	Offer
	mu       sync.Mutex // guards the rest
	began    time.Time
	planned  int // in the measured stretch
	answered int
	refused  int
	failed   int
	rest     []struct{ sent, missed int } // by slice
}

// Run makes the calls and returns what they brought. Its error is that of the server's figures, or of the context.
func (o Offer) Run(ctx context.Context) (Round, error) {
	t := &tally{Offer: o, rest: make([]struct{ sent, missed int }, int(o.Rest/slice)+1)}
	curve := append(load.Constant(o.PerSecond, o.WarmUp+o.Lasts), load.Constant(o.RestRate, o.Rest)...)
	t.began = time.Now()
	figures := make(chan serverFigures, 1)
	go func() { figures <- t.watch(ctx) }()
	config := load.Config{WarmUp: o.WarmUp, MaxInFlight: o.InFlight, Timeout: o.Timeout}
	report, err := load.Run(ctx, config, t.count(curve.Poisson(o.Seed)), t.call)
	found := <-figures
	switch {
	case err != nil:
		return Round{}, err
	case ctx.Err() != nil:
		return Round{}, context.Cause(ctx)
	case found.err != nil:
		return Round{}, found.err
	}
	return t.round(report, &found), nil
}

// count counts the calls that are planned in the measured stretch.
func (t *tally) count(arrivals load.Arrivals) load.Arrivals {
	return func() (time.Duration, bool) {
		at, more := arrivals()
		if more && at >= t.WarmUp && at < t.WarmUp+t.Lasts {
			t.mu.Lock()
			t.planned++
			t.mu.Unlock()
		}
		return at, more
	}
}

// call makes a call and counts it by when it was sent.
func (t *tally) call(ctx context.Context, i int) error {
	sent := time.Since(t.began)
	err := t.Call(ctx, i)
	t.add(sent, status.Code(err))
	return err
}

func (t *tally) add(sent time.Duration, code codes.Code) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := sent - t.WarmUp - t.Lasts
	switch {
	case sent < t.WarmUp:
	case rest >= 0:
		at := &t.rest[min(int(rest/slice), len(t.rest)-1)]
		if at.sent++; code != codes.OK {
			at.missed++
		}
	case code == codes.OK:
		t.answered++
	case code == codes.ResourceExhausted:
		t.refused++
	default:
		t.failed++
	}
}

// serverFigures are the server's own over the measured stretch.
type serverFigures struct {
	over     vitals.Snapshot
	took     time.Duration
	resident float64 // the most that was seen
	err      error
}

// watch reads the server's figures at both ends of the measured stretch, and its memory until the end of the rest.
func (t *tally) watch(ctx context.Context) (f serverFigures) {
	var first vitals.Snapshot
	if !t.wait(ctx, t.WarmUp) {
		return f
	}
	if first, f.err = t.Read(ctx); f.err != nil {
		return f
	}
	from, measured := time.Now(), t.WarmUp+t.Lasts
	for next := t.WarmUp; next < measured+t.Rest; {
		next = t.nextLook(next)
		if !t.wait(ctx, next) {
			return f
		}
		var s vitals.Snapshot
		if s, f.err = t.Read(ctx); f.err != nil {
			return f
		}
		f.resident = max(f.resident, s.ResidentBytes)
		if next == measured {
			f.over, f.took = s.Since(first), time.Since(from)
		}
	}
	return f
}

// nextLook returns when the server's memory is looked at after an instant: after a second, or at the end of the
// measured stretch or the rest if that is sooner.
func (t *tally) nextLook(after time.Duration) time.Duration {
	next := max(after+time.Millisecond, min(time.Since(t.began)+time.Second, t.WarmUp+t.Lasts+t.Rest))
	if measured := t.WarmUp + t.Lasts; after < measured {
		return min(next, measured)
	}
	return next
}

// wait waits for an instant of the run. It returns false when the context ends before.
func (t *tally) wait(ctx context.Context, until time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(until - time.Since(t.began)):
		return true
	}
}

// round puts the figures of a run together.
func (t *tally) round(report *load.Report, f *serverFigures) Round {
	t.mu.Lock()
	defer t.mu.Unlock()
	second := t.Lasts.Seconds()
	o := Round{Times: t.Times, Offered: float64(t.planned) / second, Goodput: float64(t.answered) / second,
		Refused: float64(t.refused) / second, Failed: float64(t.failed) / second,
		P50: f.over.Percentile(50), P99: f.over.Percentile(99), CPU: f.over.CPU / f.took.Seconds(),
		ResidentBytes: f.resident, Limited: t.limited(report)}
	o.Admitted = o.Goodput + o.Failed
	o.Recovery, o.Recovered = t.recovery()
	return o
}

// limited says why the generator may have decided the figures.
func (t *tally) limited(report *load.Report) string {
	sent := t.answered + t.refused + t.failed
	switch {
	case t.planned == 0:
		return "no call was planned"
	case report.GeneratorBusy > mostBusy:
		return fmt.Sprintf("the generator took %.0f %% of its cores", 100*report.GeneratorBusy)
	case float64(t.planned-sent) > mostDropped*float64(t.planned):
		return fmt.Sprintf("the generator sent %.0f %% of the calls late or not at all",
			100*float64(t.planned-sent)/float64(t.planned))
	}
	return ""
}

// mostBusy is the largest share of its cores that a generator may use. Latency is measured in the server, so a
// generator that is late by some milliseconds spoils nothing.
const mostBusy = 0.95

// recovery returns when the first of some slices in a row began in which every call was answered.
func (t *tally) recovery() (seconds float64, recovered bool) {
	inARow := 0
	for i := range t.rest {
		if inARow++; t.rest[i].missed > 0 || t.rest[i].sent == 0 {
			inARow = 0
		}
		if inARow == clean {
			return (time.Duration(i-clean+1) * slice).Seconds(), true
		}
	}
	return 0, false
}
