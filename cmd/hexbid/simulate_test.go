package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hexbid/hexbid/cli"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/report"
)

// simulate runs "hexbid simulate" against an address.
func simulate(ctx context.Context, address string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	if args[0] == "load" || args[0] == "capacity" || args[0] == "overload" {
		args = append(args, "--server", address)
	}
	code = cli.Run(ctx, append([]string{"simulate"}, args...), cli.Env{Stdout: &out, Stderr: &errs, Version: "test"})
	return code, out.String(), errs.String()
}

// fake is a search service that does with each call what a test wants.
type fake struct {
	pb.UnimplementedSearchServiceServer
	search func(q *pb.SearchNearbyRequest) (*pb.SearchNearbyResponse, error)
}

// SearchNearby implements the service.
func (f *fake) SearchNearby(_ context.Context, q *pb.SearchNearbyRequest) (*pb.SearchNearbyResponse, error) {
	return f.search(q)
}

// serveFake is serveRequests for a server that only counts its calls.
func serveFake(t *testing.T, search func(call int64) (*pb.SearchNearbyResponse, error)) (address string, stop func()) {
	t.Helper()
	var calls atomic.Int64
	return serveRequests(t, func(*pb.SearchNearbyRequest) (*pb.SearchNearbyResponse, error) {
		return search(calls.Add(1))
	})
}

// serveRequests returns the address and a function that stops the server.
func serveRequests(
	t *testing.T, search func(q *pb.SearchNearbyRequest) (*pb.SearchNearbyResponse, error),
) (address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterSearchServiceServer(server, &fake{search: search})
	reflection.Register(server) // ghz reads the contract from the server
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return l.Addr().String(), server.Stop
}

func answer(int64) (*pb.SearchNearbyResponse, error) {
	return &pb.SearchNearbyResponse{ServerDuration: durationpb.New(50 * time.Microsecond)}, nil
}

func readRun(t *testing.T, dir string) *report.Run {
	t.Helper()
	r, err := report.Read(filepath.Join(dir, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestALoadOverTheRealPort(t *testing.T) {
	p := startProcess(t, "--demo")
	before, dir := bids(t, p.address), t.TempDir()
	code, out, errs := simulate(testContext(t), p.address, "load", "--rate", "200", "--duration", "3s", "--warm-up",
		"500ms", "--changes", "20", "--call-timeout", "1m", "--out", dir)
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	r := readRun(t, dir)
	m := r.Load.Measures
	// Every planned call is answered, those of the warm-up too.
	if planned := len(plannedCalls(200, 3500*time.Millisecond)); r.Load.Answers.Answers != planned ||
		m["reached"] != m["asked"] || m["asked"] <= 0 || m["fill"] <= 0 {
		t.Errorf("%d answers of %d planned; asked %v, reached %v, filled %v", r.Load.Answers.Answers, planned, m["asked"],
			m["reached"], m["fill"])
	}
	if m["service_p50"] > m["p50"] || m["server_p50"] > m["service_p50"] || m["server_p50"] <= 0 {
		t.Errorf("the server's %v, service %v, response %v", m["server_p50"], m["service_p50"], m["p50"])
	}
	if r.Load.Changes["reached"] <= 0 || r.Load.Changes["errors"] > 0 {
		t.Errorf("changes: %v", r.Load.Changes)
	}
	for _, words := range []string{"searches a second asked", "response, from the plan", "fill rate", "Changes:"} {
		if !strings.Contains(out, words) {
			t.Errorf("%q is not in\n%s", words, out)
		}
	}
	for _, name := range []string{"run.html", "run.csv", "run.bench.txt"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if bids(t, p.address) != before {
		t.Error("bids are not as they were before the changes")
	}
}

func TestALoadReturnsEvents(t *testing.T) {
	p, dir := startProcess(t, "--demo", "--auction-budget", "10s"), t.TempDir()
	code, out, errs := simulate(testContext(t), p.address, "load", "--rate", "100", "--duration", "8s", "--warm-up", "0s",
		"--call-timeout", "1m", "--events", "--click-rate", "0.5", "--client", "simulator", "--out", dir)
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	e := readRun(t, dir).Load.Events
	if e == nil || e.Answered == 0 || e.Planned != e.Answered+e.Failed+e.Left+e.Dropped || e.Failed > 0 ||
		e.Outcomes["recorded"]+e.Outcomes["charged"] != e.Answered || e.Ack["p99"] <= 0 {
		t.Errorf("events: %+v", e)
	}
	if !strings.Contains(out, "Events: ") || !strings.Contains(out, "on disk after") {
		t.Errorf("nothing is said of events:\n%s", out)
	}
}

// plannedCalls returns the instants that a run with the first seed plans.
func plannedCalls(perSecond float64, lasts time.Duration) (at []time.Duration) {
	for next := load.Constant(perSecond, lasts).Poisson(1); ; {
		planned, more := next()
		if !more {
			return at
		}
		at = append(at, planned)
	}
}

func bids(t *testing.T, address string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := cli.Run(testContext(t), []string{"get", "campaigns", "-o", "json", "--server", address},
		cli.Env{Stdout: &out, Stderr: &errs}); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	// What searches make of a bid changes with what they learn.
	return regexp.MustCompile(`"(etag|update_time|next_page_token)": "[^"]*"|"live_state": \{[^}]*\}`).ReplaceAllString(out.String(), "")
}

// TestFaultsOfTheServer: each fault ends with a message that says what is wrong.
func TestFaultsOfTheServer(t *testing.T) {
	refusing, _ := serveFake(t, func(int64) (*pb.SearchNearbyResponse, error) {
		return nil, status.Error(codes.ResourceExhausted, "all seats are taken")
	})
	hanging, _ := serveFake(t, func(int64) (*pb.SearchNearbyResponse, error) {
		time.Sleep(10 * time.Second)
		return answer(0)
	})
	raw := func(conduct func(net.Conn)) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go conduct(c)
			}
		}()
		return l.Addr().String()
	}
	for name, test := range map[string]struct{ address, says string }{
		"absent":   {freeAddress(t), `is "hexbid serve" running there?`},
		"refusing": {refusing, "all seats are taken"},
		"hanging":  {hanging, "accepts calls and does not answer"},
		"silent":   {raw(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), "does not answer"},
		"answering garbage": {raw(func(c net.Conn) { _, _ = c.Write(bytes.Repeat([]byte("garbage\r\n"), 2000)); c.Close() }),
			"no server answers"},
		"speaking HTTP": {raw(func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); c.Close() }),
			"no server answers"},
		"no address": {"nowhere.invalid:1", "no server answers"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, command := range [][]string{{"load", "--duration", "1s"}, {"capacity", "--slo", "p99<5ms"}} {
				code, out, errs := simulate(testContext(t), test.address, append(command, "--timeout", "2s")...)
				if code != 1 || out != "" || !strings.Contains(errs, test.says) {
					t.Errorf("%v: exit %d\n%s%s", command, code, out, errs)
				}
			}
		})
	}
}

// The next three tests count calls, not seconds, because a busy machine may take long to make the calls.

func TestAServerThatDiesHalfWayEndsTheRunWithWhatWasMeasured(t *testing.T) {
	t.Parallel()
	dies := make(chan func(), 1)
	address, stop := serveFake(t, func(call int64) (*pb.SearchNearbyResponse, error) {
		if call == 300 {
			go (<-dies)()
		}
		return answer(call)
	})
	dies <- stop
	dir := t.TempDir()
	code, out, errs := simulate(testContext(t), address, "load", "--rate", "200", "--duration", "1h", "--warm-up", "0s",
		"--call-timeout", "500ms", "--max-in-flight", "50", "--out", dir)
	if code != 1 || !strings.Contains(out, "stopped answering") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	r := readRun(t, dir)
	// All calls before the last were answered, except those in flight with it.
	if !r.Interrupted || r.Load.Answers.Answers < 300-51 || len(r.Load.Failures) == 0 {
		t.Errorf("interrupted %t after %v s, %d answers, %+v", r.Interrupted, r.Seconds, r.Load.Answers.Answers,
			r.Load.Failures)
	}
}

func TestAnInterruptedRunIsWrittenAndMarked(t *testing.T) {
	t.Parallel()
	for _, command := range [][]string{
		{"load", "--rate", "200", "--duration", "1h"},
		// these tries have 500 calls and hold
		{"capacity", "--slo", "p99<1h", "--start-rate", "200", "--try", "300ms", "--warm-up", "0s", "--call-timeout", "1m",
			"--max-in-flight", "10000"},
	} {
		ctx, interrupt := context.WithCancel(testContext(t))
		address, _ := serveFake(t, func(call int64) (*pb.SearchNearbyResponse, error) {
			if call == 700 {
				interrupt()
			}
			return answer(call)
		})
		dir := t.TempDir()
		code, out, errs := simulate(ctx, address, append(command, "--out", dir)...)
		if code != 1 || !strings.Contains(out, "Interrupted") {
			t.Errorf("%v: exit %d\n%s%s", command, code, out, errs)
		}
		if r := readRun(t, dir); !r.Interrupted || r.Load == nil && len(r.Capacity.Tries) == 0 {
			t.Errorf("%v: %+v", command, r)
		}
		page, err := os.ReadFile(filepath.Join(dir, "run.html"))
		if err != nil || !bytes.Contains(page, []byte("Interrupted:")) {
			t.Errorf("the page does not say so: %v", err)
		}
		interrupt()
	}
}

// TestCtrlCEndsARun sends a real signal to a real process.
func TestCtrlCEndsARun(t *testing.T) {
	t.Parallel()
	underWay := make(chan struct{})
	address, _ := serveFake(t, func(call int64) (*pb.SearchNearbyResponse, error) {
		if call == 300 {
			close(underWay)
		}
		return answer(call)
	})
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, dir := testContext(t), t.TempDir()
	run := exec.CommandContext(ctx, path, "simulate", "load", "--rate", "100", "--duration", "1h", "--warm-up", "0s",
		"--max-in-flight", "50", "--out", dir, "--server", address)
	var out bytes.Buffer
	run.Stdout = &out
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-underWay:
	case <-ctx.Done():
	}
	if err := run.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := run.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 ||
		!strings.Contains(out.String(), "Interrupted") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if r := readRun(t, dir); !r.Interrupted || r.Load.Answers.Answers < 300-51 {
		t.Errorf("%+v", r.Load.Answers.Counts)
	}
}

// TestAGeneratorThatWasStoppedHasNoVerdict stops the generator's process for one second of three, so that on any
// machine a third of its calls are sent late. The run must not judge what late calls spoil, and must judge errors.
func TestAGeneratorThatWasStoppedHasNoVerdict(t *testing.T) {
	t.Parallel()
	underWay := make(chan struct{})
	address, _ := serveFake(t, func(call int64) (*pb.SearchNearbyResponse, error) {
		if call == 100 {
			close(underWay)
		}
		return answer(call)
	})
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, dir := testContext(t), t.TempDir()
	run := exec.CommandContext(ctx, path, "simulate", "load", "--rate", "100", "--duration", "3s", "--warm-up", "0s",
		"--call-timeout", "1m", "--out", dir, "--server", address,
		"--fail-if", "p99>1h,errors>1%")
	var out, errs bytes.Buffer
	run.Stdout, run.Stderr = &out, &errs
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-underWay:
	case <-ctx.Done():
	}
	if err := run.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // the standstill itself
	if err := run.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := run.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 2 ||
		!strings.Contains(out.String(), "No verdict on the server") ||
		!strings.Contains(errs.String(), "MISSED: fail if p99>1h (the generator sent late") ||
		!strings.Contains(errs.String(), "passed: fail if errors>1%") {
		t.Errorf("%v\n%s%s", err, out.String(), errs.String())
	}
}

// TestGatesSetTheExitStatus uses a server that takes a second, so that even on a busy machine the generator is not the
// slow part.
func TestGatesSetTheExitStatus(t *testing.T) {
	address, _ := serveFake(t, func(call int64) (*pb.SearchNearbyResponse, error) {
		time.Sleep(time.Second)
		return answer(call)
	})
	dir := t.TempDir()
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--out", dir}, 0, ""},
		{[]string{"--fail-if", "p99>1h"}, 0, "passed: fail if p99>1h"},
		{[]string{"--fail-if", "p50>1us"}, 2, "MISSED: fail if p50>1us"},
		{[]string{"--fail-if", "price>1"}, 2, "price was not measured"},
		{[]string{"--baseline", filepath.Join(dir, "run.json"), "--tolerance", "0.99"}, 0,
			"passed: reached beside the baseline"},
		{[]string{"--fail-if", "p99>10"}, 1, "like 5ms"},
		{[]string{"--baseline", filepath.Join(dir, "run.csv")}, 1, "no run of hexbid simulate"},
		{[]string{"--baseline", filepath.Join(dir, "none.json")}, 1, "--baseline"},
		{[]string{"--rate", "0"}, 1, "--rate"}, {[]string{"--rate", "5..6..7"}, 1, "two ends"},
		{[]string{"--rate", "1,x"}, 1, "--rate"}, {[]string{"--rate", "100,200", "--day"}, 1, "the day's mean"},
		{[]string{"--duration", "0s"}, 1, "--duration"}, {[]string{"--where", "Atlantis"}, 1, "Atlantis"},
		{[]string{"--connections", "0"}, 1, "--connections"}, {[]string{"--pin", "0-x:1"}, 1, "--pin"},
		{[]string{"--max-in-flight", "0"}, 1, "--max-in-flight"}, {[]string{"--tolerance", "2"}, 1, "--tolerance"},
		{[]string{"--viewers", "0"}, 1, "viewers"},
	} {
		code, out, errs := simulate(testContext(t), address,
			append([]string{"load", "--rate", "300", "--duration", "400ms", "--warm-up", "0s", "--call-timeout", "1m", "--where",
				"china"}, test.args...)...)
		if code != test.code || !strings.Contains(errs, test.says) {
			t.Errorf("%v: exit %d, expected %d with %q\n%s%s", test.args, code, test.code, test.says, out, errs)
		}
	}
}

func TestRequestsAreReplayed(t *testing.T) {
	var file strings.Builder
	file.WriteString("time,lat,lon,age,gender,os,host,scene,category,radius,slots,limit,user\n")
	for i := range 400 {
		fmt.Fprintf(&file, "%.3f,30.25,120.16,%d,female,ios,wechat,search,catering,3000,2,5,u%d\n",
			float64(i)*0.5, 20+i%40, i)
	}
	file.WriteString("2.1,95,120.16,20,female,ios,wechat,search,catering,3000,2,5,u\n")
	file.WriteString("2.2,30.25,120.16,20,neither,ios,wechat,search,catering,3000,2,5,u\n")
	s := boot(t, func(c *ServeConfig) { c.Demo = true })
	dir := t.TempDir()
	code, out, errs := simulate(testContext(t), s.main.Address(), "load", "--requests",
		write(t, "requests.csv", file.String()), "--speed", "100", "--call-timeout", "1m", "--out", dir)
	if code != 0 || !strings.Contains(errs, `line 402: lat: "95" is not a number from -90 to 90`) ||
		!strings.Contains(errs, "line 403: gender:") || !strings.Contains(errs, "2 of 402 rows are bad and were skipped") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	if !strings.Contains(errs, "400 requests over 3m19.5s, 2.01 a second on average; 100 times as fast 1.995s, 201 a "+
		"second") {
		t.Errorf("the replay does not say what it will do:\n%s", errs)
	}
	r := readRun(t, dir)
	if a := r.Load.Answers; a.Answers != 400 || a.Slots != 800 || a.Nearby > 5*400 || r.Seconds > 100 {
		t.Errorf("%+v in %v s", a.Counts, r.Seconds)
	}
}

// TestPlacesAreReplayedOverAndOver makes a hundred calls of three places.
func TestPlacesAreReplayedOverAndOver(t *testing.T) {
	var mu sync.Mutex
	asked := map[float64]int{}
	address, _ := serveRequests(t, func(q *pb.SearchNearbyRequest) (*pb.SearchNearbyResponse, error) {
		mu.Lock()
		defer mu.Unlock()
		asked[q.GetLocation().GetLatitude()]++
		return answer(0)
	})
	places, dir := write(t, "places.csv", "lat,lon\n31,121\n32,122\n33,123\n"), t.TempDir()
	code, out, errs := simulate(testContext(t), address, "load", "--requests", places, "--rate", "100", "--duration", "1s",
		"--warm-up", "0s", "--arrivals", "even", "--call-timeout", "1m", "--out", dir)
	if code != 0 || !strings.Contains(errs, "3 requests, in the order of the file") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	if asked[31] != 34 || asked[32] != 33 || asked[33] != 33 || readRun(t, dir).Load.Answers.Answers != 100 {
		t.Errorf("%v", asked)
	}
}

func TestBadFilesOfRequestsAreRefused(t *testing.T) {
	address, _ := serveFake(t, answer)
	good := strings.Repeat("1,30,120\n", 50)
	for name, test := range map[string]struct{ text, says string }{
		"empty":         {"", "no header"},
		"no column":     {"time,lat\n1,30\n", `no column "lon"`},
		"unknown alone": {"time,lat,colour\n", `no column "lon"`},
		"twice":         {"time,lat,lon,lat\n", "twice"},
		"header alone":  {"time,lat,lon\n", "0 of 0 rows"},
		"too many bad":  {"time,lat,lon\n" + good + "x,30,120\n", "1 of 51 rows are bad"},
		"bad time":      {"time,lat,lon\nyesterday,30,120\n", "line 2: time:"},
		"ragged":        {"time,lat,lon\n1,30\n", "2 fields, the header has 3"},
		"a quote":       {"time,lat,lon\n1,\"30,120\n", "line 2"},
		"no number":     {"time,lat,lon\n1,NaN,120\n", `"NaN" is not a number`},
		"nothing":       {"time,lat,lon\n1,,120\n", "lat: it is empty"},
	} {
		code, out, errs := simulate(testContext(t), address, "load", "--requests", write(t, "requests.csv", test.text))
		if code != 1 || !strings.Contains(errs, test.says) {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
	}
	if code, _, errs := simulate(testContext(t), address, "load", "--requests", "/nowhere/requests.csv"); code != 1 ||
		!strings.Contains(errs, "--requests") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := simulate(testContext(t), address, "load", "--requests", write(t, "r.csv", "time,lat,lon\n"+good),
		"--speed", "0"); code != 1 || !strings.Contains(errs, "--speed") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
