package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/frames"
	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/overload"
	"github.com/hexbid/hexbid/simulator/vitals"
)

type simulateOverloadCommand struct {
	SLO          string        `name:"slo" help:"Objective whose highest rate counts as the capacity, as in simulate capacity." default:"p99<20ms" placeholder:"CONDITIONS"`
	Rate         float64       `help:"The capacity, searches a second, if you know it; 0 finds it." default:"0"`
	Times        []float64     `help:"How many times the capacity to offer, after the capacity itself." default:"2,5"`
	Duration     time.Duration `help:"How long each rate is offered, after the warm-up." default:"10s"`
	WarmUp       time.Duration `help:"Warm-up at each rate, before calls count." default:"2s"`
	Rest         time.Duration `help:"How long half the capacity is offered after each rate, to see the server recover." default:"4s"`
	Enlarge      bool          `help:"Ask for as much as a search may ask for: the longest list, the most slots, the widest radius. A call then costs the server more, and its capacity is easier to offer several times."`
	RefusalCost  float64       `help:"Cost of a refusal over that of an answer, if you know it; 0 works it out from the run." default:"0"`
	Metrics      string        `help:"Address of the server's /metrics. auto reads 127.0.0.1:7601 when the server is 127.0.0.1:7600." default:"auto" placeholder:"URL"`
	trafficFlags `embed:""`
	clientFlags  `embed:""`
	outputFlags  `embed:""`
}

// Help returns the text of --help.
func (*simulateOverloadCommand) Help() string {
	return `The run finds the capacity, offers it, and then offers several times as much. It judges what a server must keep to when it is offered too much: goodput of at least 0.9 of what its machine can answer (1 − k·r)/(1 − r), where k is how many times the capacity was offered and r the cost of a refusal over that of an answer; a p99 of the answered of at most twice that at the capacity, counted by the server from the arrival of a call's headers; memory of at most 1.25 times and 64 MB, which the collector may take; all calls answered again within a second after the rush.

The generator must not be the bottleneck, so give it cores of its own, and --enlarge the searches if it says that it was. It writes prepared frames and looks at nothing but the status of an answer.

  hexbid simulate overload --pin auto --connections 8
  hexbid simulate overload --pin auto --connections 8 --enlarge --times 2,5 -o json

Exit status: 0; 1 for an error or an interrupted run; 2 where a goal was missed or could not be judged.`
}

// Run measures and prints the result.
func (c *simulateOverloadCommand) Run(s *session) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Enlarge {
		c.enlarge()
	}
	t, err := c.aim(s.ctx, &c.clientFlags)
	if err != nil {
		return err
	}
	defer t.close()
	if c.Metrics == "auto" {
		c.Metrics = usualMetrics
		if !isUsual(t.address) {
			return hexbid.Invalidf("--metrics", "is needed for %s: the server's own figures are what this run judges", t.address)
		}
	}
	reader, err := vitals.NewReader(c.Metrics)
	if err != nil {
		return err
	}
	defer reader.Close()
	if _, err := reader.Read(s.ctx); err != nil {
		return fmt.Errorf("--metrics: %w", err)
	}
	b, err := c.blast(s.ctx, t)
	if err != nil {
		return err
	}
	defer b.close()
	result, err := c.measure(s, t, b, reader)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		err = json.NewEncoder(s.Stdout).Encode(result)
	} else {
		printOverload(s.Stdout, result)
	}
	if err == nil && !result.Passed() {
		err = errMissed
	}
	return err
}

// Bounds of the flags.
const (
	mostTimes        = 1000
	mostRefusalCost  = 1
	shortestOverload = 100 * time.Millisecond
)

func (c *simulateOverloadCommand) check() error {
	switch {
	case !(c.Rate >= 0 && c.Rate <= mostPerSecond):
		return hexbid.Invalidf("--rate", "%v: use searches a second above 0, or 0 to find the capacity", c.Rate)
	case c.Duration < shortestOverload || c.WarmUp < 0 || c.Rest < shortestOverload:
		return hexbid.Invalidf("--duration", "%s after %s, and %s of rest: use 100ms or more for the first and the last",
			c.Duration, c.WarmUp, c.Rest)
	case !(c.RefusalCost >= 0 && c.RefusalCost <= mostRefusalCost):
		return hexbid.Invalidf("--refusal-cost", "%v: it is a share of an answer's cost, 0 to 1", c.RefusalCost)
	case len(c.Times) == 0:
		return hexbid.Invalidf("--times", "is empty: name what to offer, as 2,5")
	case c.Metrics == "none":
		return hexbid.Invalidf("--metrics", "none: the server's own figures are what this run judges")
	}
	for _, times := range c.Times {
		if !(times > 1 && times <= mostTimes) {
			return hexbid.Invalidf("--times", "%v: use more than 1, at most %d", times, mostTimes)
		}
	}
	return nil
}

// enlarge asks for as much as a search may ask for, unless a flag says otherwise.
func (c *simulateOverloadCommand) enlarge() {
	slots, limit, radius := int32(hexbid.MaxSlots), int32(hexbid.MaxNearbyLimit), float64(hexbid.MaxRadiusM)
	c.Slots, c.Limit, c.RadiusM = cmp.Or(c.Slots, &slots), cmp.Or(c.Limit, &limit), cmp.Or(c.RadiusM, &radius)
}

// measure finds the capacity and offers its multiples.
func (c *simulateOverloadCommand) measure(s *session, t *target, b *blaster,
	reader *vitals.Reader) (*overload.Result, error) {
	r := &overload.Result{Capacity: c.Rate}
	if r.Capacity == 0 {
		var err error
		if r.Capacity, err = c.capacity(s, t, b); err != nil {
			return nil, err
		}
	}
	for i, times := range append([]float64{1}, c.Times...) {
		fmt.Fprintf(s.Stderr, "Offering %g times the capacity of %.0f a second\n", times, r.Capacity)
		o := overload.Offer{Times: times, PerSecond: times * r.Capacity, RestRate: r.Capacity / 2, WarmUp: c.WarmUp,
			Lasts: c.Duration, Rest: c.Rest, InFlight: c.MaxInFlight, Timeout: c.CallTimeout, Seed: c.Seed + uint64(i),
			Call: b.send, Read: reader.Read}
		round, err := o.Run(s.ctx)
		if err != nil {
			return nil, err
		}
		r.Rounds = append(r.Rounds, round)
	}
	r.SetRefusalCost(c.RefusalCost)
	r.Judge(overload.DefaultGoals())
	return r, nil
}

// capacity finds the highest rate that meets the objective, with the calls that the rounds will make.
func (c *simulateOverloadCommand) capacity(s *session, t *target, b *blaster) (float64, error) {
	finder := simulateCapacityCommand{SLO: c.SLO, StartRate: 200, MaxRate: mostPerSecond, Try: c.Duration / 4,
		WarmUp: c.WarmUp / 2, Precision: 0.1, Confirmations: 2, trafficFlags: c.trafficFlags}
	finder.Try = max(finder.Try, shortestOverload)
	search, err := finder.search()
	if err != nil {
		return 0, err
	}
	tries := 0
	found, err := search.Find(s.ctx, func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
		tries++
		return finder.try(ctx, s, t, attempt{tries, perSecond, b.send})
	})
	switch {
	case err != nil:
		return 0, err
	case found.NoVerdict != "":
		return 0, errors.New("the capacity is not known: " + found.NoVerdict + "; give it with --rate")
	}
	return found.Low, nil
}

// preparedRequests is how many encoded requests the generator sends over and over.
const preparedRequests = 4096

// blaster sends encoded requests as prepared frames, so that a generator offers more.
type blaster struct {
	requests [][]byte
	conns    []*frames.Conn
}

// blast connects a blaster to a target.
func (c *simulateOverloadCommand) blast(ctx context.Context, t *target) (b *blaster, err error) {
	b = &blaster{requests: make([][]byte, preparedRequests)}
	for i := range b.requests {
		if b.requests[i], err = proto.Marshal(t.crowd.Request(i)); err != nil {
			return nil, err
		}
	}
	e, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	secure, err := e.tlsConfig()
	if err != nil {
		return nil, err
	}
	method := frames.Method{Path: pb.SearchService_SearchNearby_FullMethodName, Timeout: c.CallTimeout,
		Headers: map[string]string{}}
	if e.key != "" {
		method.Headers["authorization"] = "Bearer " + e.key
	}
	if c.Client != "" {
		method.Headers[clientHeader] = c.Client
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	for range c.Connections {
		conn, err := frames.Dial(ctx, e.server, secure, method)
		if err != nil {
			b.close()
			return nil, err
		}
		b.conns = append(b.conns, conn)
	}
	return b, nil
}

func (b *blaster) send(ctx context.Context, i int) error {
	return b.conns[i%len(b.conns)].Call(ctx, b.requests[i%len(b.requests)])
}

func (b *blaster) close() {
	for _, conn := range b.conns {
		conn.Close()
	}
}

// printOverload prints a result for people.
func printOverload(w io.Writer, r *overload.Result) {
	fmt.Fprintf(w, "Capacity %.0f searches a second; a refusal costs %.2f of an answer (%s)\n", r.Capacity, r.RefusalCost,
		r.RefusalFrom)
	var t table
	t.add("TIMES", "OFFERED", "ADMITTED", "GOODPUT", "BOUND", "REFUSED", "FAILED", "P50", "P99", "P99 RATIO", "CPU",
		"MEMORY", "RECOVERED")
	for i := range r.Rounds {
		o := &r.Rounds[i]
		recovered := fmt.Sprintf("%.1f s", o.Recovery)
		if !o.Recovered {
			recovered = "no"
		}
		t.add(fmt.Sprintf("%g", o.Times), fmt.Sprintf("%.0f/s", o.Offered), fmt.Sprintf("%.0f/s", o.Admitted),
			fmt.Sprintf("%.0f/s", o.Goodput), fmt.Sprintf("%.0f/s", r.Bound(o)), fmt.Sprintf("%.0f/s", o.Refused),
			fmt.Sprintf("%.0f/s", o.Failed), fmt.Sprintf("%.2f ms", 1e3*o.P50), fmt.Sprintf("%.2f ms", 1e3*o.P99),
			fmt.Sprintf("%.2f", r.P99Ratio(o)), fmt.Sprintf("%.2f", o.CPU), fmt.Sprintf("%.0f MB", o.ResidentBytes/1e6),
			recovered)
	}
	t.print(w)
	for _, v := range r.Verdicts {
		word := "PASS"
		if !v.Passed {
			word = "FAIL"
		}
		fmt.Fprintf(w, "%s  %g times, %s: %s\n", word, v.Times, v.Goal, v.Says)
	}
	for _, why := range r.NotJudged {
		fmt.Fprintln(w, "NOT JUDGED ", why)
	}
}
