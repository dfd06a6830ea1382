package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/capacity"
	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/report"
	"github.com/hexbid/hexbid/simulator/traffic"
	"github.com/hexbid/hexbid/simulator/verify"
)

type simulateCapacityCommand struct {
	SLO           string        `name:"slo" help:"Objective that the rate must meet, as 'p99<5ms' or 'p99<5ms,fill>50%'." required:"" placeholder:"CONDITIONS"`
	StartRate     float64       `help:"First rate tried, searches a second." default:"100"`
	MaxRate       float64       `help:"Highest rate tried." default:"1000000"`
	Try           time.Duration `name:"try" help:"How long each rate is offered; a low rate up to ten times as long, for 500 calls." default:"5s"`
	WarmUp        time.Duration `help:"Warm-up, before calls count." default:"1s"`
	Precision     float64       `help:"How far apart the ends of the interval lie, relative to the lower, before they are confirmed." default:"0.05"`
	Confirmations int           `help:"How many tries at an end must agree before two disagree." default:"3"`
	Callers       []int         `help:"Numbers of callers at which to measure the scalability law; --callers=0 leaves it out." default:"1,2,4,8,16,32,64"`
	trafficFlags  `embed:""`
	artifactFlags `embed:""`
	clientFlags   `embed:""`
	outputFlags   `embed:""`
}

// Help returns the text of --help.
func (*simulateCapacityCommand) Help() string {
	return `The search climbs until the objective fails, narrows the interval, and confirms both ends by repeats. The result is an interval: the objective holds at the lower end and fails at the upper end, and between them chance decides. No single try decides, because the machine may have stood still during it, so the search repeats a miss. It makes at most 40 tries. The table lists them in order, each with the decision that followed. Response times count from the planned send. When the generator is the bottleneck there is no verdict.

  hexbid simulate capacity --slo 'p99<5ms' --pin auto --out capacity1
  hexbid simulate plan --capacity capacity1/run.json

Exit status: 0; 1 for an error, an objective that cannot be met, no verdict or an interrupted run; 2 where a gate was missed.`
}

// Run searches and prints the result.
func (c *simulateCapacityCommand) Run(s *session) error {
	search, err := c.search()
	if err != nil {
		return err
	}
	b, err := c.read("capacity")
	if err != nil {
		return err
	}
	t, err := c.aim(s.ctx, &c.clientFlags)
	if err != nil {
		return err
	}
	defer t.close()
	r := t.artifact(s, "capacity")
	r.Notes = append(r.Notes, traffic.Assumptions()...)
	r.Capacity = &report.Capacity{Objective: c.SLO, ServerCores: len(t.pinned.server)}
	failed := c.measure(s, t, search, r.Capacity)
	r.Interrupted = s.ctx.Err() != nil
	if failed != nil && !r.Interrupted && len(r.Capacity.Tries) == 0 {
		return failed
	}
	if err := c.finish(s, r, b); err != nil {
		return err
	}
	if c.Output == "json" {
		err = r.WriteJSON(s.Stdout)
	} else {
		printCapacity(s.Stdout, r)
	}
	if failed != nil && !r.Interrupted {
		return errors.Join(err, failed)
	}
	if err := errors.Join(err, end(s, r)); err != nil {
		return err
	}
	if r.Capacity.NoVerdict != "" {
		return errReported
	}
	return nil
}

func (c *simulateCapacityCommand) search() (capacity.Search, error) {
	objective, err := capacity.ParseConditions("--slo", c.SLO)
	if err != nil {
		return capacity.Search{}, err
	}
	switch {
	case !(c.StartRate > 0 && c.StartRate <= c.MaxRate && c.MaxRate <= mostPerSecond):
		err = hexbid.Invalidf("--start-rate", "%v up to %v: rates lie above 0 and up to %.0f", c.StartRate,
			c.MaxRate, mostPerSecond)
	case c.Try < 100*time.Millisecond || c.WarmUp < 0:
		err = hexbid.Invalidf("--try", "%s after %s: a try takes 100ms or more", c.Try, c.WarmUp)
	case !(c.Precision >= 0.005 && c.Precision <= 1):
		err = hexbid.Invalidf("--precision", "%v: use 0.005 to 1", c.Precision)
	case c.Confirmations < 1 || c.Confirmations > 20:
		err = hexbid.Invalidf("--confirmations", "%d: use 1 to 20", c.Confirmations)
	}
	return capacity.Search{Objective: objective, Start: c.StartRate, Most: c.MaxRate, Precision: c.Precision,
		Confirmations: c.Confirmations}, err
}

// measure searches for the capacity, and then fits the scalability law.
func (c *simulateCapacityCommand) measure(s *session, t *target, search capacity.Search, into *report.Capacity) error {
	tries := 0
	found, err := search.Find(s.ctx, func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
		tries++
		return c.try(ctx, s, t, attempt{tries, perSecond, t.search})
	})
	into.Found = *found
	if err != nil {
		return err
	}
	all := t.tally.Summary()
	into.RequestBytes, into.ResponseBytes, into.Fill = all.RequestBytes, all.ResponseBytes, all.FillRate()
	return c.scale(s, t, into)
}

const (
	callsATry     = 10_000_000 // lets no two tries make the same requests
	callsToJudge  = 500        // a p99 of fewer calls says little, so a try at a low rate takes longer
	mostStretched = 10         // times longer
)

// attempt is a try of a rate: the calls that it makes, and its number among the tries.
type attempt struct {
	number    int
	perSecond float64
	call      load.Call
}

// try offers one rate and returns the measures of this try alone.
func (c *simulateCapacityCommand) try(ctx context.Context, s *session, t *target,
	a attempt) (load.Measures, string, error) {
	number, perSecond := a.number, a.perSecond
	config := load.Config{WarmUp: c.WarmUp, MaxInFlight: c.MaxInFlight, Timeout: c.CallTimeout}
	lasts := min(max(c.Try, time.Duration(callsToJudge/perSecond*float64(time.Second))), mostStretched*c.Try)
	whole := t.tally
	t.tally = traffic.NewTally()
	defer func() { t.tally = whole }()
	arrivals := load.Constant(perSecond, c.WarmUp+lasts).Poisson(c.Seed + uint64(number))
	r, err := load.Run(ctx, config, arrivals,
		func(ctx context.Context, i int) error { return a.call(ctx, number*callsATry+i) })
	if err != nil {
		return nil, "", err
	}
	if r.Interrupted {
		return nil, "", context.Cause(ctx)
	}
	if r.Answered == 0 && r.Errors() > 0 {
		code := r.FailedCodes()[0]
		return nil, "", fmt.Errorf("at %.0f a second no search was answered; the first of %d that failed with %s: %s",
			perSecond, r.Failed[code], code, r.Said[code])
	}
	m := r.Measures()
	summary := t.tally.Summary()
	summary.AddTo(m)
	whole.AddSummary(summary)
	fmt.Fprintf(s.Stderr, "%3d  %8.0f/s  %s\n", number, perSecond, r)
	return m, r.Limited(), nil
}

const closedLasts = 2 * time.Second

// scale measures closed loops with growing numbers of callers.
func (c *simulateCapacityCommand) scale(s *session, t *target, into *report.Capacity) error {
	for _, callers := range c.Callers {
		if callers < 1 {
			return nil
		}
		perSecond, err := load.Closed(s.ctx, callers, closedLasts/4, closedLasts, t.search)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Stderr, "%d callers: %.0f/s\n", callers, perSecond)
		into.Loads = append(into.Loads, capacity.Load{Callers: float64(callers), PerSecond: perSecond})
	}
	law, err := capacity.FitScalability(into.Loads)
	if err != nil {
		fmt.Fprintln(s.Stderr, "No scalability law:", explainError(err))
		return nil
	}
	into.Law = &law
	return nil
}

func printCapacity(w io.Writer, r *report.Run) {
	c := r.Capacity
	fmt.Fprintln(w, r.Verdict())
	if r.Interrupted {
		fmt.Fprintln(w, "Interrupted: the figures cover the time until then.")
	}
	var t table
	t.add("TRY", "PHASE", "RATE", "P50", "P99", "P99.9", "VERDICT", "DECISION")
	for i := range c.Tries {
		try := &c.Tries[i]
		m, verdict := try.Measures, "held"
		if !try.Held {
			verdict = try.Missed
		}
		if try.Limited != "" {
			verdict += "; " + try.Limited
		}
		t.add(fmt.Sprint(i+1), try.Phase, fmt.Sprintf("%.0f/s", try.PerSecond), capacity.FormatSeconds(m["p50"]),
			capacity.FormatSeconds(m["p99"]), capacity.FormatSeconds(m["p99.9"]), verdict, try.Decision)
	}
	t.print(w)
	if law := c.Law; law != nil {
		most := "no peak"
		if peak := law.Peak(); !math.IsInf(peak, 0) {
			most = fmt.Sprintf("the most at %.0f callers", peak)
		}
		fmt.Fprintf(w, "Scalability: λ %.0f/s a caller, σ %.3f (waiting), κ %.2g (agreeing), R² %.3f; %s\n", law.Lambda,
			law.Sigma, law.Kappa, law.R2, most)
	}
	fmt.Fprintf(w, "Answers: fill rate %.1f %%, %.0f bytes each of %.0f bytes asked\n", 100*c.Fill, c.ResponseBytes,
		c.RequestBytes)
	printPins(w, r)
	if c.ServerCores == 0 {
		fmt.Fprintln(w, "Note: the server was not pinned. A plan assumes that it used all cores of this machine.")
	}
}

type simulateVerifyCommand struct {
	Seed        uint64 `help:"Seed of what is drawn." default:"1"`
	outputFlags `embed:""`
}

// Run makes every check. It returns an error when one misses.
func (c *simulateVerifyCommand) Run(s *session) error {
	checks, err := verify.All(s.ctx, c.Seed)
	if err != nil {
		return err
	}
	missed := 0
	for i := range checks {
		if !checks[i].OK() {
			missed++
		}
	}
	if c.Output == "json" {
		err = printChecksJSON(s.Stdout, checks)
	} else {
		printChecks(s.Stdout, checks)
	}
	if err == nil && missed > 0 {
		err = fmt.Errorf("%d of %d checks missed: what this machine measures with hexbid simulate cannot be trusted", missed,
			len(checks))
	}
	return err
}
