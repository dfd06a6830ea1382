package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/capacity"
	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/report"
	"github.com/hexbid/hexbid/simulator/traffic"
)

// simulateCommand has the commands of the simulator.
type simulateCommand struct {
	Load     simulateLoadCommand     `cmd:"" help:"Offer searches at planned instants and measure the answers."`
	Capacity simulateCapacityCommand `cmd:"" help:"Find the highest rate that meets an objective, as 'p99<5ms'."`
	Overload simulateOverloadCommand `cmd:"" help:"Offer several times the capacity, and judge what the server still does."`
	Plan     simulatePlanCommand     `cmd:"" help:"Work out machines, memory, disk, network and cost from a capacity and a business."`
	Page     simulatePageCommand     `cmd:"" help:"Write the page of a run again, with an older run beside it."`
	Verify   simulateVerifyCommand   `cmd:"" help:"Prove the instrument: queues whose answer is known, a standstill, published curves."`
}

// trafficFlags say which people search, how, and how long a call may take.
type trafficFlags struct {
	Where       string        `help:"Where people are: china, a city like Hangzhou or 杭州, or LAT,LNG,KM." default:"Hangzhou"`
	Seed        uint64        `help:"Equal seeds give equal requests at equal instants." default:"1"`
	Viewers     int           `help:"Number of different people." default:"1000000"`
	Slots       *int32        `help:"Sponsored slots asked for (3)."`
	Limit       *int32        `help:"Length of the nearby list asked for (20)."`
	RadiusM     *float64      `name:"radius" help:"Radius of the nearby list in metres (3000)."`
	MaxInFlight int           `help:"Most calls in flight at once; a call planned beyond that is dropped and counted." default:"2000"`
	CallTimeout time.Duration `help:"Longest that a search may take." default:"5s"`
	Connections int           `help:"Connections to the server." default:"1"`
	Pin         string        `help:"Keep the server and the generator on separate cores: auto (half each), or SERVER:GENERATOR as in 0-3:4-7. The server must run on this machine." placeholder:"CORES"`
}

// artifactFlags say where the results go, and what they are judged by.
type artifactFlags struct {
	Out       string  `help:"Folder for the artifact: run.json, run.csv, run.bench.txt and run.html." placeholder:"DIR"`
	FailIf    string  `help:"Exit with status 2 if one of these holds, as 'p99>5ms,errors>0.1%', or cannot be judged." placeholder:"CONDITIONS"`
	Baseline  string  `help:"run.json of an older run: exit with status 2 where this one is worse." placeholder:"FILE"`
	Compare   string  `help:"run.json of an older run, to show beside this one in the page; --baseline shows its own." placeholder:"FILE"`
	Tolerance float64 `help:"Share by which the run may be worse than the baseline." default:"0.1"`
}

// errMissed ends a command whose gates were missed. The exit status is 2.
var errMissed = errors.New("missed")

// target is the server under load.
type target struct {
	flags   *trafficFlags
	address string
	clients []*client
	crowd   *traffic.Crowd
	tally   *traffic.Tally
	client  *clientFlags
	// With a reporter, people react to the answers.
	reporter  *traffic.Reporter
	reactions traffic.Reactions
	pinned    struct{ server, generator []int }
	unpin     func() // gives the server its cores back
}

// aim connects and makes one search, so that a wrong address is noticed at once.
func (f *trafficFlags) aim(ctx context.Context, server *clientFlags) (*target, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	config := traffic.Config{Seed: f.Seed, Where: f.Where, Viewers: f.Viewers, Slots: f.Slots, Limit: f.Limit,
		RadiusM: f.RadiusM}
	crowd, err := traffic.NewCrowd(config)
	if err != nil {
		return nil, err
	}
	e, err := server.endpoint()
	if err != nil {
		return nil, err
	}
	t := &target{flags: f, address: e.server, crowd: crowd, tally: traffic.NewTally(), client: server}
	for range f.Connections {
		c, err := e.dial()
		if err != nil {
			t.close()
			return nil, err
		}
		t.clients = append(t.clients, c)
	}
	if err := t.ask(ctx, server.Timeout); err != nil {
		t.close()
		return nil, err
	}
	if err := t.pin(); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (f *trafficFlags) validate() error {
	switch {
	case f.MaxInFlight < 1:
		return hexbid.Invalidf("--max-in-flight", "%d: at least one call must be in flight", f.MaxInFlight)
	case f.CallTimeout <= 0:
		return hexbid.Invalidf("--call-timeout", "%s: it must be above 0", f.CallTimeout)
	case f.Connections < 1 || f.Connections > 1000:
		return hexbid.Invalidf("--connections", "%d: use 1 to 1000", f.Connections)
	}
	return nil
}

// ask makes one search on each connection.
func (t *target) ask(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for i, c := range t.clients {
		_, err := c.search.SearchNearby(ctx, t.crowd.Request(i))
		switch status.Code(err) {
		case codes.OK:
		case codes.DeadlineExceeded:
			return fmt.Errorf("%s accepts calls and does not answer: the first search had no answer in %s", t.address, timeout)
		case codes.Unavailable, codes.InvalidArgument:
			return err
		default:
			return fmt.Errorf("%s answers, but not like a hexbid server: %s (%s)", t.address, status.Convert(err).Message(),
				status.Code(err))
		}
	}
	return nil
}

func (t *target) close() {
	if t.unpin != nil {
		t.unpin()
	}
	for _, c := range t.clients {
		c.conn.Close()
	}
}

// search makes the i-th search and counts its answer.
func (t *target) search(ctx context.Context, i int) error { return t.send(ctx, i, t.crowd.Request(i)) }

func (t *target) send(ctx context.Context, i int, q *pb.SearchNearbyRequest) error {
	r, err := t.clients[i%len(t.clients)].search.SearchNearby(t.client.named(ctx), q)
	if err != nil {
		return err
	}
	t.tally.Add(q, r)
	if t.reporter != nil {
		t.reporter.Add(t.reactions.To(i, r), time.Now())
	}
	return nil
}

// pin restricts the server and this process to separate cores.
func (t *target) pin() (err error) {
	if t.flags.Pin == "" {
		return nil
	}
	if t.pinned.server, t.pinned.generator, err = splitCores(t.flags.Pin); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(t.address)
	if err != nil {
		return hexbid.Invalidf("--server", "%q: %s", t.address, err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return hexbid.Invalidf("--server", "%q: the port must be a number to pin its process", t.address)
	}
	pid, err := load.Listener(number)
	if err != nil {
		return fmt.Errorf("--pin: %w", err)
	}
	if pid == os.Getpid() {
		return hexbid.Invalidf("--pin", "server and generator are one process")
	}
	before, err := load.Cores(pid)
	if err != nil {
		return fmt.Errorf("--pin: %w", err)
	}
	t.unpin = func() { _ = load.Pin(pid, before) } // the server may have ended
	if err := load.Pin(pid, t.pinned.server); err != nil {
		return fmt.Errorf("--pin: %w", err)
	}
	return load.PinSelf(t.pinned.generator)
}

// splitCores reads "auto" or SERVER:GENERATOR.
func splitCores(text string) (server, generator []int, err error) {
	if text == "auto" {
		cores, err := load.Cores(0)
		if err != nil {
			return nil, nil, fmt.Errorf("--pin: %w", err)
		}
		if len(cores) < 2 {
			return nil, nil, hexbid.Invalidf("--pin", "auto needs two cores or more, there is %d", len(cores))
		}
		half := len(cores) / 2
		return cores[:half], cores[half:], nil
	}
	first, second, both := strings.Cut(text, ":")
	server, err1 := parseCores(first)
	generator, err2 := parseCores(second)
	if !both || err1 != nil || err2 != nil {
		return nil, nil, hexbid.Invalidf("--pin",
			"%q: write auto, or the server's cores and the generator's as in 0-3:4-7", text)
	}
	return server, generator, nil
}

func parseCores(text string) (cores []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.Atoi(low)
		last, err2 := strconv.Atoi(high)
		if err := errors.Join(err1, err2); err != nil || first < 0 || last < first || last > 1023 {
			return nil, fmt.Errorf("%q is not a range of cores", part)
		}
		for core := first; core <= last; core++ {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

func coresText(cores []int) string {
	var parts []string
	for _, c := range cores {
		parts = append(parts, strconv.Itoa(c))
	}
	return strings.Join(parts, ",")
}

// artifact starts the record of a run.
func (t *target) artifact(s *session, kind string) *report.Run {
	r := report.New(kind, commandLine(s.args), s.Version, t.address, t.flags.Seed)
	r.Machine.ServerCores, r.Machine.GeneratorCores = coresText(t.pinned.server), coresText(t.pinned.generator)
	if t.flags.Pin == "" {
		r.Notes = append(r.Notes, "server and generator were not pinned: where they share a machine, each takes time from "+
			"the other")
	}
	return r
}

// commandLine returns the typed command, quoted for a shell where necessary.
func commandLine(args []string) string {
	words := []string{"hexbid"}
	for _, word := range args {
		if word == "" || strings.ContainsAny(word, " <>&|;$'\"*?()") {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// beside is what a run is judged by and shown next to.
type beside struct {
	conditions []capacity.Condition
	baseline   *report.Run // for the gates; nil for none
	compared   *report.Run // for the page; nil for none
}

// read reads these flags before a run of the given kind starts, so that a wrong flag costs no time.
func (f *artifactFlags) read(kind string) (b beside, err error) {
	if f.FailIf != "" {
		if b.conditions, err = capacity.ParseConditions("--fail-if", f.FailIf); err != nil {
			return b, err
		}
	}
	if !(f.Tolerance >= 0 && f.Tolerance < 1) {
		return b, hexbid.Invalidf("--tolerance", "%v: it is a share of 1, as 0.1", f.Tolerance)
	}
	if b.baseline, err = older("--baseline", f.Baseline, kind); err != nil {
		return b, err
	}
	if b.compared, err = older("--compare", f.Compare, kind); err != nil {
		return b, err
	}
	if b.compared == nil {
		b.compared = b.baseline
	}
	return b, nil
}

// older reads the run that a flag names, if it names one. The run must be of the given kind.
func older(flag, path, kind string) (*report.Run, error) {
	if path == "" {
		return nil, nil
	}
	r, err := report.Read(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if r.Kind != kind {
		return nil, hexbid.Invalidf(flag, "%s is a run of %q, this is one of %q: compare runs of one kind", path, r.Kind,
			kind)
	}
	return r, nil
}

// finish judges the run and writes the artifact.
func (f *artifactFlags) finish(s *session, r *report.Run, b beside) error {
	r.Seconds = time.Since(r.Started).Seconds()
	r.FailIf(b.conditions)
	if b.baseline != nil {
		if err := r.Baseline(b.baseline, f.Tolerance); err != nil {
			return err
		}
	}
	if b.compared != nil {
		if err := r.CompareWith(b.compared); err != nil {
			return err
		}
	}
	if f.Out != "" {
		if err := r.Write(f.Out); err != nil {
			return err
		}
		fmt.Fprintf(s.Stderr, "Wrote %s/run.html, run.json, run.csv and run.bench.txt\n", strings.TrimSuffix(f.Out, "/"))
	}
	return nil
}

// end prints the gates and returns errMissed when one was missed.
func end(s *session, r *report.Run) error {
	for _, g := range r.Gates {
		verdict := "passed"
		if !g.OK {
			verdict = "MISSED"
		}
		fmt.Fprintf(s.Stderr, "%s: %s (%s)\n", verdict, g.Name, g.Because)
	}
	switch {
	case !r.Passed():
		return errMissed
	case r.Interrupted:
		return errReported
	}
	return nil
}
