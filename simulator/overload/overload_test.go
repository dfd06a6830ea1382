package overload

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/vitals"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestShareIsWhatIsLeftBesideTheRefusals(t *testing.T) {
	for _, c := range []struct{ times, r, want float64 }{
		{0.5, 0.2, 0.5}, {1, 0.2, 1}, {2, 0, 1}, {2, 0.25, 0.5 / 0.75}, {5, 0.1, 0.5 / 0.9}, {5, 0.2, 0}, {5, 0.9, 0},
		{2, 1, 0},
	} {
		near(t, "the share", Share(c.times, c.r), c.want)
		if g := Share(c.times, c.r); c.times > 1 && g > 0 { // all that is offered is answered or refused, in the time of 1
			near(t, "the work", g+c.r*(c.times-g), 1)
		}
	}
}

// rounds are those of a machine that spends 100 µs on an answer and 20 µs on a refusal.
func rounds() []Round {
	return []Round{{Times: 1, Offered: 8000, Goodput: 8000, CPU: 0.8, P99: 0.004, ResidentBytes: 100e6, Recovered: true},
		{Times: 2, Offered: 16_000, Goodput: 8500, Refused: 7500, CPU: 1, P99: 0.007, ResidentBytes: 110e6, Recovery: 0.3,
			Recovered: true}}
}

func TestTheCostOfARefusalIsWhatAnswersLeave(t *testing.T) {
	r, known := RefusalCost(rounds())
	if near(t, "r", r, 0.2); !known {
		t.Error("it is not known")
	}
	few := rounds()
	few[1].Refused = 100
	if _, known := RefusalCost(few); known {
		t.Error("a hundred refusals tell what one costs")
	}
	if _, known := RefusalCost(nil); known {
		t.Error("it is known of nothing")
	}
	cheap := rounds()
	cheap[1].CPU = 0.5 // answers became cheaper
	if r, _ := RefusalCost(cheap); r != 0 {
		t.Errorf("r is %v", r)
	}
}

// TestAMachineThatSlowsIsHeldToWhatItCan has rounds of a machine that spends 100 µs on an answer, 20 µs on a refusal.
// It was found to answer 10,000 a second a while before: by the rounds it can answer 8,000.
func TestAMachineThatSlowsIsHeldToWhatItCan(t *testing.T) {
	r := &Result{Capacity: 10_000, Rounds: []Round{
		{Times: 1, Offered: 10_000, Goodput: 7500, Refused: 2500, CPU: 0.8},
		{Times: 2, Offered: 20_000, Goodput: 5000, Refused: 15_000, CPU: 0.8},
	}}
	r.SetRefusalCost(0)
	near(t, "r", r.RefusalCost, 0.2)
	near(t, "what the machine can answer", r.Held, 8000)
	near(t, "the bound at the capacity", r.Bound(&r.Rounds[0]), 7500)
	near(t, "the bound at twice that", r.Bound(&r.Rounds[1]), 5000)
}

func TestEachGoalIsJudgedByItsOwnFigure(t *testing.T) {
	judged := func(change func(*Round)) (failed []string, r *Result) {
		r = &Result{Capacity: 8000, Rounds: rounds()}
		change(&r.Rounds[1])
		r.SetRefusalCost(0.2)
		r.Judge(DefaultGoals())
		for _, v := range r.Verdicts {
			if !v.Passed {
				failed = append(failed, v.Goal)
			}
		}
		return failed, r
	}
	failed, r := judged(func(*Round) {})
	if len(failed) > 0 || len(r.Verdicts) != 4 || !r.Passed() {
		t.Errorf("%v", r.Verdicts)
	}
	near(t, "the bound", r.Bound(&r.Rounds[1]), 8000*0.6/0.8)
	near(t, "the ratio", r.P99Ratio(&r.Rounds[1]), 1.75)
	for goal, change := range map[string]func(*Round){
		"goodput":  func(o *Round) { o.Goodput = 5399 }, // 0.9 of 6000 are 5400
		"p99":      func(o *Round) { o.P99 = 0.0081 },
		"memory":   func(o *Round) { o.ResidentBytes = 190e6 },
		"recovery": func(o *Round) { o.Recovery = 1.1 },
	} {
		if failed, r := judged(change); strings.Join(failed, " ") != goal || r.Passed() {
			t.Errorf("%s: failed are %v", goal, failed)
		}
	}
	if failed, _ := judged(func(o *Round) { o.Recovered = false }); strings.Join(failed, " ") != "recovery" {
		t.Errorf("not recovered: failed are %v", failed)
	}
	if _, r := judged(func(o *Round) { o.Limited = "the generator" }); r.Passed() || len(r.NotJudged) != 1 {
		t.Errorf("%v", r)
	}
	r = &Result{Capacity: 8000, Rounds: rounds()}
	r.Rounds[0].Limited = "the generator"
	if r.Judge(DefaultGoals()); r.Passed() || len(r.Verdicts) > 0 || len(r.NotJudged) != 1 {
		t.Errorf("%v", r)
	}
}

func TestCallsAreCountedByWhenTheyWereSent(t *testing.T) {
	o := Offer{WarmUp: time.Second, Lasts: 2 * time.Second, Rest: time.Second}
	c := &tally{Offer: o, rest: make([]struct{ sent, missed int }, 11)}
	for _, call := range []struct {
		at   time.Duration
		code codes.Code
	}{{0, codes.OK}, {999 * time.Millisecond, codes.ResourceExhausted}, {time.Second, codes.OK},
		{2 * time.Second, codes.ResourceExhausted}, {2999 * time.Millisecond, codes.DeadlineExceeded},
		{3 * time.Second, codes.ResourceExhausted}, {3050 * time.Millisecond, codes.OK}} {
		c.add(call.at, call.code)
	}
	for i := 1; i <= 10; i++ {
		c.add(3*time.Second+time.Duration(i)*slice, codes.OK)
	}
	if c.answered != 1 || c.refused != 1 || c.failed != 1 {
		t.Errorf("%+v", c)
	}
	if seconds, recovered := c.recovery(); !recovered || seconds != 0.1 {
		t.Errorf("recovered after %v, %v", seconds, recovered)
	}
	c.add(3150*time.Millisecond, codes.ResourceExhausted)
	c.add(3950*time.Millisecond, codes.ResourceExhausted) // long after
	if seconds, recovered := c.recovery(); !recovered || seconds != 0.2 {
		t.Errorf("recovered after %v, %v", seconds, recovered)
	}
	for i := range c.rest {
		c.rest[i].missed = i % 2
	}
	if _, recovered := c.recovery(); recovered {
		t.Error("recovered while every other slice has a refusal")
	}
}

// TestARoundHasTheCallsOfItsStretch runs against calls whose every third is refused, and a server whose figures grow by
// the reading. Its memory is the largest at the end of the rest.
func TestARoundHasTheCallsOfItsStretch(t *testing.T) {
	var mu sync.Mutex
	readings := 0.0
	o := Offer{Times: 2, PerSecond: 300, RestRate: 100, WarmUp: 100 * time.Millisecond, Lasts: 500 * time.Millisecond,
		Rest: 600 * time.Millisecond, InFlight: 1000, Timeout: time.Minute, Seed: 1,
		Call: func(_ context.Context, i int) error {
			if i%3 == 0 {
				return status.Error(codes.ResourceExhausted, "busy")
			}
			return nil
		},
		Read: func(context.Context) (vitals.Snapshot, error) {
			mu.Lock()
			defer mu.Unlock()
			readings++
			return vitals.Snapshot{CPU: readings, ResidentBytes: 1e6 * readings,
				Answered: map[float64]float64{0.001: 98 * readings, 0.002: 100 * readings, math.Inf(1): 100 * readings}}, nil
		}}
	r, err := o.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Offered < 150 || r.Offered > 600 || r.ResidentBytes != 3e6 || r.CPU <= 0 {
		t.Errorf("%+v", r)
	}
	if made := r.Goodput + r.Refused + r.Failed; made > 0 && (r.Refused < made/5 || r.Refused > made/2 || r.Failed != 0) {
		t.Errorf("%v of %v were refused", r.Refused, made)
	}
	near(t, "p99", r.P99, 0.0015)
	broken := errors.New("no figures")
	o.Read = func(context.Context) (vitals.Snapshot, error) { return vitals.Snapshot{}, broken }
	if _, err := o.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestAGeneratorThatSendsTooLittleIsTheBottleneck(t *testing.T) {
	c := &tally{planned: 100, answered: 90, refused: 8}
	if why := c.limited(&load.Report{}); why != "" {
		t.Error(why)
	}
	c.refused = 7
	if why := c.limited(&load.Report{}); !strings.Contains(why, "3 %") {
		t.Error(why)
	}
	if why := c.limited(&load.Report{GeneratorBusy: 0.96}); !strings.Contains(why, "96 %") {
		t.Error(why)
	}
	if why := new(tally).limited(&load.Report{}); why == "" {
		t.Error("a round without calls is judged")
	}
}
