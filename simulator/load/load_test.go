package load

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustRun(t *testing.T, ctx context.Context, config Config, arrivals Arrivals, call Call) *Report {
	t.Helper()
	report, err := Run(ctx, config, arrivals, call)
	if err != nil {
		t.Error(err)
		return &Report{}
	}
	return report
}

func all(next Arrivals) (at []time.Duration) {
	for {
		t, more := next()
		if !more {
			return at
		}
		at = append(at, t)
	}
}

var curves = rapid.Custom(func(t *rapid.T) Curve {
	var c Curve
	for range rapid.IntRange(1, 5).Draw(t, "pieces") {
		c = append(c, Piece{Lasts: time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond,
			From: rapid.Float64Range(0, 500).Draw(t, "from"), To: rapid.Float64Range(0, 500).Draw(t, "to")})
	}
	return c
})

// callsUntil returns the integral of a curve's rate, computed piece by piece.
func (c Curve) callsUntil(at time.Duration) (calls float64) {
	for _, p := range c {
		t := min(at, p.Lasts).Seconds()
		if t <= 0 {
			break
		}
		calls += t * (p.From + (p.To-p.From)*t/(2*p.Lasts.Seconds()))
		at -= p.Lasts
	}
	return calls
}

func TestEvenArrivalsFollowTheIntegralOfTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := curves.Draw(t, "curve")
		at := all(c.Even())
		if !slices.IsSorted(at) {
			t.Fatalf("out of order: %v", at)
		}
		for i, instant := range at {
			// A nanosecond of rounding is at most 500 / 10⁹ calls.
			if calls := c.callsUntil(instant); math.Abs(calls-float64(i)) > 1e-6*(1+float64(i)) {
				t.Fatalf("call %d is planned at %s, when %g should have been", i, instant, calls)
			}
		}
		total := 0.0
		for i := range c {
			total += c[i].calls()
		}
		if math.Abs(float64(len(at))-math.Ceil(total)) > 1 || len(at) > 0 && math.Abs(float64(len(at))-total) > 1+1e-6 {
			t.Fatalf("%d calls of a curve of %g", len(at), total)
		}
	})
}

// TestPoissonArrivalsAreAPoissonProcess rescales time by the integral of the rate. The gaps must then be exponential
// with mean one (Brown et al., 2002), by the Kolmogorov–Smirnov test at 1 %, and must not be correlated.
func TestPoissonArrivalsAreAPoissonProcess(t *testing.T) {
	for name, c := range map[string]Curve{
		"constant": Constant(1000, 20*time.Second),
		"ramp":     {{20 * time.Second, 0, 2000}},
		"steps":    {{5 * time.Second, 100, 100}, {5 * time.Second, 3000, 3000}, {5 * time.Second, 2000, 0}},
	} {
		var gaps []float64
		before := 0.0
		for _, at := range all(c.Poisson(1)) {
			calls := c.callsUntil(at)
			gaps, before = append(gaps, calls-before), calls
		}
		n := float64(len(gaps))
		product := 0.0
		for i := 1; i < len(gaps); i++ {
			product += (gaps[i] - 1) * (gaps[i-1] - 1)
		}
		if r := product / n; math.Abs(r) > 2.58/math.Sqrt(n) {
			t.Errorf("%s: gaps correlate by %g", name, r)
		}
		slices.Sort(gaps)
		farthest := 0.0
		for i, gap := range gaps {
			p := 1 - math.Exp(-gap)
			farthest = max(farthest, math.Abs(p-float64(i)/n), math.Abs(p-float64(i+1)/n))
		}
		if limit := 1.63 / math.Sqrt(n); farthest > limit || n < 10_000 {
			t.Errorf("%s: %g calls, farthest %g from the exponential distribution, limit %g", name, n, farthest, limit)
		}
		if !slices.Equal(all(c.Poisson(1)), all(c.Poisson(1))) || slices.Equal(all(c.Poisson(1)), all(c.Poisson(2))) {
			t.Errorf("%s: a plan is not its seed's", name)
		}
	}
}

// TestAFreezeShowsInLatencyFromThePlan shows coordinated omission. A server that does one call at a time gets 1,000
// calls a second for 10 s, and stands still during the fifth second.
func TestAFreezeShowsInLatencyFromThePlan(t *testing.T) {
	r := NewRecorder(0)
	free := time.Duration(0)
	for _, planned := range all(Constant(1000, 10*time.Second).Even()) {
		sent := max(planned, free)
		if sent >= 5*time.Second && sent < 6*time.Second {
			sent = 6 * time.Second
		}
		free = sent + 100*time.Microsecond
		r.Record(planned, sent, free, nil)
	}
	report := r.Report(10 * time.Second)
	if p99 := At(report.Response, 99); p99 < 850*time.Millisecond || p99 > 950*time.Millisecond {
		t.Errorf("p99 from the plan is %s, want 0.9 s", p99)
	}
	if p99 := At(report.Service, 99); p99 > time.Millisecond {
		t.Errorf("p99 from the actual send is %s: it cannot see the freeze", p99)
	}
}

func TestEveryPlannedCallIsMadeOnceAndWarmUpDoesNotCount(t *testing.T) {
	config := DefaultConfig()
	config.WarmUp = 100 * time.Millisecond
	var mu sync.Mutex
	var made []int
	report := mustRun(t, context.Background(), config, Constant(2000, 300*time.Millisecond).Poisson(7),
		func(_ context.Context, i int) error {
			mu.Lock()
			defer mu.Unlock()
			made = append(made, i)
			if i%10 == 0 {
				return status.Error(codes.Unavailable, "of every tenth")
			}
			return nil
		})
	slices.Sort(made)
	counted, refused := 0, 0
	for i, at := range all(Constant(2000, 300*time.Millisecond).Poisson(7)) {
		if made[i] != i {
			t.Fatalf("call %d came as %d", i, made[i])
		}
		if at >= config.WarmUp {
			counted++
			if i%10 == 0 {
				refused++
			}
		}
	}
	if report.Planned() != counted || report.Failed[codes.Unavailable] != refused || report.Dropped != 0 ||
		report.Response.TotalCount() != int64(counted-refused) {
		t.Errorf("%+v; want %d planned, %d refused", report, counted, refused)
	}
}

func TestCallsBeyondTheBoundInFlightAreDroppedAndCounted(t *testing.T) {
	config := Config{MaxInFlight: 3, Timeout: time.Minute}
	release := make(chan struct{})
	report := make(chan *Report)
	arrivals := Constant(1000, 100*time.Millisecond).Even()
	last := func() (time.Duration, bool) {
		at, more := arrivals()
		if !more {
			close(release)
		}
		return at, more
	}
	go func() {
		report <- mustRun(t, context.Background(), config, last, func(context.Context, int) error { <-release; return nil })
	}()
	if r := <-report; r.Answered != 3 || r.Dropped != 97 {
		t.Errorf("%d answered, %d dropped: want 3 and 97", r.Answered, r.Dropped)
	}
}

func TestAnInterruptedRunWaitsForItsCallsAndSaysSo(t *testing.T) {
	ctx, interrupt := context.WithCancel(context.Background())
	report := mustRun(t, ctx, Config{MaxInFlight: 10, Timeout: time.Minute}, Constant(1000, time.Hour).Even(),
		func(inner context.Context, i int) error {
			if i == 5 {
				interrupt()
			}
			return inner.Err()
		})
	if !report.Interrupted || report.Answered < 6 || len(report.Failed) > 0 {
		t.Errorf("%+v", report)
	}
}

func TestACallThatRunsOutOfTimeCountsAsSlow(t *testing.T) {
	report := mustRun(t, context.Background(), Config{MaxInFlight: 10, Timeout: 20 * time.Millisecond},
		Constant(100, 50*time.Millisecond).Even(), func(ctx context.Context, i int) error {
			<-ctx.Done()
			return status.FromContextError(ctx.Err()).Err()
		})
	if report.Failed[codes.DeadlineExceeded] != 5 || At(report.Response, 50) < 20*time.Millisecond {
		t.Errorf("%+v", report)
	}
}
