package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/frames"
	"github.com/hexbid/hexbid/simulator/overload"
	"github.com/hexbid/hexbid/simulator/vitals"
)

type simulateOverloadCommand struct {
	Rate         float64       `help:"The capacity, searches a second, if you know it; 0 finds it." default:"0"`
	Rounds       int           `help:"How often all rates are offered, one after the other. The medians are judged." default:"3"`
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
	return `The run finds the capacity, which is what the server answers while it is offered a little more. It offers that, and then several times as much. Where the machine is slower meanwhile, by what it does at the capacity, it is held to less. It judges what a server must keep to when it is offered too much: goodput of at least 0.9 of what its machine can answer (1 − k·r)/(1 − r), where k is how many times the capacity was offered and r the cost of a refusal over that of an answer; a p99 of the answered of at most twice that at the capacity, counted by the server from the arrival of a call's headers; memory of at most 1.25 times and 64 MB, which the collector may take; all calls answered again within a second after the rush.

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
	defer b.pool.Close()
	result, err := c.measure(s, b, reader)
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
	mostRounds       = 100
	mostRefusalCost  = 1
	shortestOverload = 100 * time.Millisecond
)

func (c *simulateOverloadCommand) check() error {
	switch {
	case !(c.Rate >= 0 && c.Rate <= mostPerSecond):
		return hexbid.Invalidf("--rate", "%v: use searches a second above 0, or 0 to find the capacity", c.Rate)
	case c.Rounds < 1 || c.Rounds > mostRounds:
		return hexbid.Invalidf("--rounds", "%d: use 1 to %d", c.Rounds, mostRounds)
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

// offer returns what is offered at a rate.
func (c *simulateOverloadCommand) offer(perSecond float64, b *blaster, reader *vitals.Reader) overload.Offer {
	return overload.Offer{Times: 1, PerSecond: perSecond, RestRate: perSecond / 2, WarmUp: c.WarmUp, Lasts: c.Duration,
		Rest: c.Rest, InFlight: c.MaxInFlight, Timeout: c.CallTimeout, Seed: c.Seed, Call: b.send, Read: reader.Read}
}

// measure finds the capacity and offers its multiples, in turn so that the machine's changes meet all of them.
func (c *simulateOverloadCommand) measure(s *session, b *blaster, reader *vitals.Reader) (*overload.Result, error) {
	multiples := append([]float64{1}, c.Times...)
	r := &overload.Result{Capacity: c.Rate, Repeats: make([][]overload.Round, len(multiples))}
	if r.Capacity == 0 {
		var err error
		if r.Capacity, err = c.capacity(s, b, reader); err != nil {
			return nil, fmt.Errorf("the capacity is not known; give it with --rate, or try --enlarge: %w", err)
		}
	}
	for n := range c.Rounds {
		for i, times := range multiples {
			fmt.Fprintf(s.Stderr, "%d of %d: offering %g times the capacity of %.0f a second\n", n+1, c.Rounds, times,
				r.Capacity)
			o := c.offer(times*r.Capacity, b, reader)
			o.Times, o.RestRate, o.Seed = times, r.Capacity/2, c.Seed+uint64(n*len(multiples)+i)
			round, err := o.Run(s.ctx)
			if err != nil {
				return nil, err
			}
			r.Repeats[i] = append(r.Repeats[i], round)
		}
	}
	for _, rounds := range r.Repeats {
		r.Rounds = append(r.Rounds, overload.Median(rounds))
	}
	r.SetRefusalCost(c.RefusalCost)
	r.Judge(overload.DefaultGoals())
	return r, nil
}

// firstOffered is the first rate at which the capacity is looked for.
const firstOffered = 500

// capacity finds the most that the server answers, with the calls that the rounds will make.
func (c *simulateOverloadCommand) capacity(s *session, b *blaster, reader *vitals.Reader) (float64, error) {
	search := overload.Peak{Start: firstOffered, Most: mostPerSecond,
		Probe: func(ctx context.Context, perSecond float64) (overload.Round, error) {
			o := c.offer(perSecond, b, reader)
			o.WarmUp, o.Lasts, o.Rest = c.WarmUp/2, max(c.Duration/4, shortestOverload), shortestOverload
			return o.Run(ctx)
		},
		Tell: func(try int, o *overload.Round) {
			fmt.Fprintf(s.Stderr, "%3d %9.0f/s offered, %.0f/s answered, %.0f/s refused, p99 %.2f ms\n", try, o.Offered,
				o.Goodput, o.Refused, 1e3*o.P99)
		}}
	return search.Find(s.ctx)
}

// preparedRequests is how many encoded requests the generator sends over and over.
const preparedRequests = 4096

// blaster sends encoded requests as prepared frames, so that a generator offers more.
type blaster struct {
	requests [][]byte
	pool     *frames.Pool
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
	b.pool, err = frames.NewPool(ctx, c.Connections, func(ctx context.Context) (*frames.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		return frames.Dial(ctx, e.server, secure, method)
	})
	return b, err
}

func (b *blaster) send(ctx context.Context, i int) error {
	return b.pool.Call(ctx, i, b.requests[i%len(b.requests)])
}

// printOverload prints a result for people.
func printOverload(w io.Writer, r *overload.Result) {
	fmt.Fprintf(w, "Capacity %.0f searches a second, and %.0f while the rounds were made; a refusal costs %.2f of an "+
		"answer (%s)\n", r.Capacity, r.Held, r.RefusalCost, r.RefusalFrom)
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
