package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/report"
	"github.com/hexbid/hexbid/simulator/traffic"
)

type simulateLoadCommand struct {
	Rate             string        `help:"Searches a second: 500; 100..1000, a ramp; 100,200,400, steps of equal length; with --day the mean of the day." default:"100"`
	Duration         time.Duration `help:"How long to offer the load, after the warm-up." default:"30s"`
	WarmUp           time.Duration `help:"Warm-up at the first rate, before calls count." default:"2s"`
	Day              bool          `help:"Follow the hours of a day, squeezed into the duration."`
	Arrivals         string        `help:"poisson, like the searches of many people, or even." enum:"poisson,even" default:"poisson"`
	Requests         string        `help:"CSV to replay at its times; with --rate, its places in their order, over and over. A header with time, lat, lon and any of age, gender, os, network, host, scene, words, category, radius, slots, limit, user; other columns are not used. Times: seconds, milliseconds since 1970, 2008-10-23 05:53:05, RFC 3339." placeholder:"FILE"`
	Speed            float64       `help:"How much faster than recorded to replay." default:"1"`
	Zone             string        `help:"Time zone of the times in --requests that have none." default:"Asia/Shanghai"`
	ChangesPerSecond float64       `name:"changes" help:"Campaign edits a second beside the searches: bids raised by a hundredth and lowered again. They change the market under load." default:"0"`
	Events           bool          `help:"Return events: people see sponsored results, the lower ones less often, and click on some, each after a while. Budgets are spent under load."`
	ClickRate        float64       `name:"click-rate" help:"With --events: share of seen results of catering that are clicked, 0 to 1; of other categories fewer." default:"0.03"`
	Metrics          string        `help:"Address of the server's /metrics, which give the page the server's CPU, memory and collector pauses; none leaves them out. auto reads 127.0.0.1:7601 when the server is 127.0.0.1:7600." default:"auto" placeholder:"URL"`
	trafficFlags     `embed:""`
	artifactFlags    `embed:""`
	clientFlags      `embed:""`
	outputFlags      `embed:""`
}

// Help returns the text of --help.
func (*simulateLoadCommand) Help() string {
	return `The generator plans searches ahead and sends them at their instants whether or not the server keeps up. The response time counts from the planned instant, so it includes the wait behind slower searches. The service time counts from the actual send.

  hexbid simulate load --rate 500 --duration 1m --out run1
  hexbid simulate load --rate 100..2000 --where china --fail-if 'p99>5ms,errors>0.1%'
  hexbid simulate load --requests yesterday.csv --speed 10 --baseline run1/run.json
  hexbid simulate load --requests places.csv --rate 500

Exit status: 0; 1 for an error or an interrupted run; 2 where a gate was missed or could not be judged.`
}

// planned says which calls a run makes, and when.
type planned struct {
	arrivals load.Arrivals
	says     string
	call     load.Call
	calls    float64 // on average
}

// Run offers the load and prints the result.
func (c *simulateLoadCommand) Run(s *session) error {
	if err := c.refuseUnused(s.given); err != nil {
		return err
	}
	b, err := c.read("load")
	if err != nil {
		return err
	}
	if c.WarmUp < 0 || c.Duration <= 0 || c.ChangesPerSecond < 0 {
		return hexbid.Invalidf("--duration",
			"%s after %s of warm-up, %v changes a second: the first must be above 0, the others not below", c.Duration, c.WarmUp,
			c.ChangesPerSecond)
	}
	if !(c.ClickRate >= 0 && c.ClickRate <= 1) {
		return hexbid.Invalidf("--click-rate", "%v: it is a share, 0 to 1", c.ClickRate)
	}
	curve, err := c.curve()
	if err != nil {
		return err
	}
	var recorded *recording
	if c.Requests != "" {
		if recorded, err = c.record(s.given, s.Stderr); err != nil {
			return err
		}
	}
	t, err := c.aim(s.ctx, &c.clientFlags)
	if err != nil {
		return err
	}
	defer t.close()
	r := t.artifact(s, "load")
	if err := c.offer(s, t, r, c.plan(t, curve, recorded)); err != nil {
		return err
	}
	if err := c.finish(s, r, b); err != nil {
		return err
	}
	if c.Output == "json" {
		err = r.WriteJSON(s.Stdout)
	} else {
		printLoad(s.Stdout, r)
	}
	return errors.Join(err, end(s, r))
}

// curve returns the curve that the flags ask for.
func (c *simulateLoadCommand) curve() (load.Curve, error) {
	rates, err := parseRates(c.Rate)
	if err != nil {
		return nil, err
	}
	first, isRamp := rates[0], strings.Contains(c.Rate, "..")
	var curve load.Curve
	switch {
	case c.Day && len(rates) > 1:
		return nil, hexbid.Invalidf("--rate", "%q: with --day give one rate, the day's mean", c.Rate)
	case c.Day:
		curve = load.Day(traffic.Hours, first, c.Duration)
		first = curve[0].From
	case isRamp:
		curve = load.Ramp(first, rates[1], c.Duration)
	default:
		curve = load.Steps(c.Duration, rates...)
	}
	if c.WarmUp > 0 {
		curve = append(load.Constant(first, c.WarmUp), curve...)
	}
	return curve, nil
}

const mostPerSecond = 1e6

func parseRates(text string) (rates []float64, err error) {
	separator := ","
	if strings.Contains(text, "..") {
		separator = ".."
	}
	for part := range strings.SplitSeq(text, separator) {
		rate, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(rate > 0 && rate <= mostPerSecond) {
			return nil, hexbid.Invalidf("--rate",
				"%q: write searches a second above 0 and up to %.0f, as 500, 100..1000 or 100,200,400", text, mostPerSecond)
		}
		rates = append(rates, rate)
	}
	if separator == ".." && len(rates) != 2 {
		return nil, hexbid.Invalidf("--rate", "%q: a ramp has two ends, as 100..1000", text)
	}
	return rates, nil
}

func (c *simulateLoadCommand) plan(t *target, curve load.Curve, recorded *recording) planned {
	if recorded != nil {
		return c.replay(t, curve, recorded)
	}
	return planned{c.arrivals(curve), c.saysRate() + ", people in " + c.Where, t.search, curve.Calls()}
}

func (c *simulateLoadCommand) arrivals(curve load.Curve) load.Arrivals {
	if c.Arrivals == "even" {
		return curve.Even()
	}
	return curve.Poisson(c.Seed)
}

func (c *simulateLoadCommand) saysRate() string {
	says := fmt.Sprintf("%s a second for %s, %s arrivals", c.Rate, c.Duration, c.Arrivals)
	if c.Day {
		says = "a day's hours, mean " + says
	}
	return says
}

// offer makes the calls, and the edits beside them.
func (c *simulateLoadCommand) offer(s *session, t *target, r *report.Run, p planned) error {
	own, err := c.watchVitals(s, t)
	if err != nil {
		return err
	}
	watch := newWatch(s, t, c.CallTimeout)
	config := load.Config{WarmUp: c.WarmUp, MaxInFlight: c.MaxInFlight, Timeout: c.CallTimeout, Progress: watch.see}
	ctx, stop := context.WithCancelCause(s.ctx)
	defer stop(nil)
	watch.stop = stop
	changed, err := c.change(ctx, t)
	if err != nil {
		own(time.Now())
		return err
	}
	events := c.react(ctx, t)
	began := time.Now()
	measured, err := load.Run(ctx, config, p.arrivals, p.call)
	vitals := own(began)
	returned := events()
	watch.end()
	changes, unrestored := changed()
	if err != nil {
		return errors.Join(err, unrestored)
	}
	r.Load = report.NewLoad(p.says, config, measured, t.tally.Summary())
	r.Load.Changes, r.Load.Vitals, r.Load.Events = changes, vitals, returned
	r.Interrupted = measured.Interrupted
	if unrestored != nil { // keep the results all the same
		r.Notes = slices.Insert(r.Notes, 0, unrestored.Error())
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		r.Notes = slices.Insert(r.Notes, 0, cause.Error())
	}
	if c.Requests == "" {
		r.Notes = append(r.Notes, traffic.Assumptions()...)
	}
	if c.Events {
		r.Notes = append(r.Notes, t.reactions.Assumptions()...)
	}
	return nil
}

// react has people return events from now on. The function done ends that and returns the counts.
func (c *simulateLoadCommand) react(ctx context.Context, t *target) (done func() *traffic.Events) {
	if !c.Events {
		return func() *traffic.Events { return nil }
	}
	t.reactions = traffic.Reactions{Seed: c.Seed, ClickRate: c.ClickRate, ClickAfter: traffic.DefaultClickAfter}
	next := new(atomic.Uint32)
	t.reporter = traffic.NewReporter(func(ctx context.Context, r *pb.RecordEventsRequest) (*pb.RecordEventsResponse,
		error) {
		on := t.clients[int(next.Add(1))%len(t.clients)]
		return on.events.RecordEvents(c.named(ctx), r)
	})
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { t.reporter.Run(ctx) })
	return func() *traffic.Events {
		stop()
		running.Wait()
		return t.reporter.Events()
	}
}

// change starts the edits of campaigns. The function done waits for the last edit, restores the bids, and returns the
// measures of the edits.
func (c *simulateLoadCommand) change(ctx context.Context, t *target) (done func() (load.Measures, error), err error) {
	if c.ChangesPerSecond == 0 {
		return func() (load.Measures, error) { return nil, nil }, nil
	}
	edits, err := traffic.NewBidEdits(ctx, t.clients[0].campaigns)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	const aYear = 365 * 24 * time.Hour
	var r *load.Report
	var failed error
	var group sync.WaitGroup
	group.Go(func() {
		config := load.Config{MaxInFlight: c.MaxInFlight, Timeout: c.CallTimeout}
		r, failed = load.Run(ctx, config, load.Constant(c.ChangesPerSecond, aYear).Poisson(c.Seed+1), edits.Edit)
	})
	return func() (load.Measures, error) {
		stop()
		group.Wait()
		if failed != nil {
			return nil, failed
		}
		restore, cancel := context.WithTimeout(context.Background(), c.Timeout)
		defer cancel()
		return r.Measures(), edits.Restore(restore)
	}, nil
}

// watch shows a run while it lasts, and ends the run when the server is gone.
type watch struct {
	w        io.Writer
	terminal bool
	tally    *traffic.Tally
	patience time.Duration
	stop     context.CancelCauseFunc

	silent time.Duration // how long there has been no answer
	shown  time.Duration // when a line was last printed
}

// every is the time between two lines when the output is not a terminal.
const every = 5 * time.Second

func newWatch(s *session, t *target, timeout time.Duration) *watch {
	return &watch{w: s.Stderr, terminal: isTerminal(s.Stderr), tally: t.tally, patience: 5*time.Second + timeout}
}

// see receives each second of the run.
func (w *watch) see(m load.Moment) {
	end := m.Start + m.Lasts
	if w.silent += m.Lasts; m.Answered > 0 || m.Failed+m.Dropped == 0 {
		w.silent = 0
	}
	if w.silent > w.patience {
		w.stop(fmt.Errorf("the server stopped answering %s after the start; the run was ended",
			(end - w.silent).Round(time.Second)))
	}
	if !w.terminal && end-w.shown < every {
		return
	}
	w.shown = end
	counts, lasts := w.tally.Take(), m.Lasts.Seconds()
	line := fmt.Sprintf("%4.0f s  asked %.0f/s  got %.0f/s  p50 %s  p99 %s  p99.9 %s  errors %d  dropped %d  fill %.0f "+
		"%%  price %.2f", end.Seconds(), float64(m.Planned)/lasts, float64(m.Answered)/lasts, short(m.P50), short(m.P99),
		short(m.P999), m.Failed, m.Dropped, 100*counts.FillRate(),
		counts.ClickPrice())
	if m.WarmUp {
		line += "  (warm-up)"
	}
	if w.terminal {
		fmt.Fprint(w.w, "\r\x1b[2K"+cutToWidth(w.w, line))
		return
	}
	fmt.Fprintln(w.w, line)
}

// cutToWidth cuts a line to the width of its terminal, so that the next line can replace it.
func cutToWidth(w io.Writer, line string) string {
	f, isFile := w.(*os.File)
	if !isFile {
		return line
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if letters := []rune(line); err == nil && width > 0 && len(letters) >= width {
		return string(letters[:width-1])
	}
	return line
}

// end finishes the terminal's line.
func (w *watch) end() {
	if w.terminal {
		fmt.Fprintln(w.w)
	}
}

func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// printLoad prints a run for people.
func printLoad(w io.Writer, r *report.Run) {
	l := r.Load
	fmt.Fprintf(w, "%s (%s)\n", r.Verdict(), l.Curve)
	if r.Interrupted {
		fmt.Fprintln(w, "Interrupted: the figures cover the time until then.")
	}
	printTimes(w, l.Measures)
	m := l.Measures
	fmt.Fprintf(w, "Errors %.3g %%, dropped %.3g %%", 100*m["errors"], 100*m["dropped"])
	if fill, known := m["fill"]; known {
		fmt.Fprintf(w, "; fill rate %.1f %%, mean price of a click %.2f, auctions skipped %.3g %%", 100*fill, m["price"],
			100*m["skipped"])
	}
	fmt.Fprintln(w)
	for _, f := range l.Failures {
		fmt.Fprintf(w, "  %d calls failed with %s: %s\n", f.Calls, f.Code, f.Message)
	}
	if l.Changes != nil {
		fmt.Fprintf(w, "Changes: %.1f a second, p50 %.1f ms, p99 %.1f ms, errors %.3g %%\n", l.Changes["reached"],
			1e3*l.Changes["p50"], 1e3*l.Changes["p99"], 100*l.Changes["errors"])
	}
	printEvents(w, l.Events)
	fmt.Fprintf(w, "The generator used %.0f %% of its cores\n", 100*m["generator_busy"])
	printPins(w, r)
	for _, note := range r.Notes[:min(2, len(r.Notes))] {
		fmt.Fprintln(w, "Note:", note)
	}
}

// printEvents prints what became of the events, if any were returned.
func printEvents(w io.Writer, e *traffic.Events) {
	if e == nil {
		return
	}
	var outcomes []string
	for _, outcome := range slices.Sorted(maps.Keys(e.Outcomes)) {
		outcomes = append(outcomes, fmt.Sprintf("%d %s", e.Outcomes[outcome], outcome))
	}
	fmt.Fprintf(w, "Events: %d answered (%s), charged %s; on disk after p50 %.1f ms, p99 %.1f ms\n", e.Answered,
		strings.Join(outcomes, ", "), e.Charged, 1e3*e.Ack["p50"], 1e3*e.Ack["p99"])
	if e.Failed+e.Dropped+e.Left > 0 {
		fmt.Fprintf(w, "  %d got no answer %s, %d were dropped, %d were not due at the end\n", e.Failed, e.Failure, e.Dropped,
			e.Left)
	}
}

func printPins(w io.Writer, r *report.Run) {
	if m := r.Machine; m.GeneratorCores != "" {
		fmt.Fprintf(w, "Pinned: the server to cores %s, the generator to %s\n", m.ServerCores, m.GeneratorCores)
	}
}

func printTimes(w io.Writer, m load.Measures) {
	var t table
	columns := []string{"p50", "p90", "p99", "p99.9", "p99.99", "max"}
	t.add(append([]string{"TIME"}, columns...)...)
	for _, row := range []struct{ prefix, name string }{{"", "response, from the plan"},
		{"service_", "service, from the send"}, {"server_", "server's own"}, {"lag_", "generator's lag"}} {
		cells := []string{row.name}
		for _, c := range columns {
			if v, known := m[row.prefix+c]; known {
				cells = append(cells, short(time.Duration(v*float64(time.Second))))
			} else {
				cells = append(cells, "-")
			}
		}
		t.add(cells...)
	}
	t.print(w)
}
