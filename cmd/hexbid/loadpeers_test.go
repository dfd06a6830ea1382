package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/traffic"
)

// TestTheSimulatorBesideOtherClients compares hexbid simulate load with two other clients: with ghz for service times,
// and with one written here for response times. It takes minutes on an otherwise idle machine: HEXBID_LONG=1.
func TestTheSimulatorBesideOtherClients(t *testing.T) {
	if os.Getenv("HEXBID_LONG") == "" {
		t.Skip("HEXBID_LONG is not set: the simulator was not compared with ghz")
	}
	ghz := filepath.Join(t.TempDir(), "ghz")
	build := exec.Command("go", "build", "-o", ghz, "github.com/bojand/ghz/cmd/ghz")
	build.Dir = "../../tools/ghz"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building ghz: %v\n%s", err, out)
	}
	// Four seats of four milliseconds each. ghz learns the type of answers from the server and takes tenths of a
	// millisecond to read one, which is little beside four milliseconds.
	seats := make(chan struct{}, 4)
	seated, _ := serveFake(t, func(call int64) (*pb.SearchNearbyResponse, error) {
		seats <- struct{}{}
		time.Sleep(4 * time.Millisecond)
		<-seats
		return answer(call)
	})
	capacity := closedCapacity(t, seated)
	for _, share := range []float64{0.1, 0.5} {
		besideGHZ(t, ghz, seated, math.Round(share*capacity))
	}
	p := startProcess(t, "--demo")
	capacity = closedCapacity(t, p.address)
	t.Logf("closed loops of the demo market reach %.0f a second", capacity)
	besideOwnClient(t, p.address, math.Round(0.9*openCapacity(t, p.address, capacity)))
}

func closedCapacity(t *testing.T, address string) float64 {
	t.Helper()
	client, crowd := dialSearch(t, address), demoCrowd(t)
	perSecond, err := load.Closed(t.Context(), 32, time.Second, 3*time.Second, func(ctx context.Context, i int) error {
		_, err := client.SearchNearby(ctx, crowd.Request(i))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return perSecond
}

// openCapacity returns the rate of answers when more calls are offered than the server can answer.
func openCapacity(t *testing.T, address string, offered float64) float64 {
	t.Helper()
	client, crowd := dialSearch(t, address), demoCrowd(t)
	r, err := load.Run(t.Context(), load.Config{WarmUp: time.Second, MaxInFlight: 256, Timeout: 5 * time.Second},
		load.Constant(offered, 4*time.Second).Poisson(1), func(ctx context.Context, i int) error {
			_, err := client.SearchNearby(ctx, crowd.Request(i))
			return err
		})
	if err != nil {
		t.Fatal(err)
	}
	return r.ReachedPerSecond()
}

func dialSearch(t *testing.T, address string) pb.SearchServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return pb.NewSearchServiceClient(conn)
}

func demoCrowd(t *testing.T) *traffic.Crowd {
	t.Helper()
	crowd, err := traffic.NewCrowd(traffic.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	return crowd
}

// interval is the range of a figure over several runs.
type interval struct{ low, high float64 }

func (i *interval) add(v float64) {
	if i.low == 0 || v < i.low {
		i.low = v
	}
	i.high = max(i.high, v)
}

func (i interval) meets(o interval) bool { return i.low <= o.high && o.low <= i.high }

const turns = 5 // runs of each client, alternating

// besideGHZ compares with ghz: rates within 1 %, medians of service times within 15 %. Both replay the same thousand
// requests evenly over one connection.
func besideGHZ(t *testing.T, ghz, address string, perSecond float64) {
	t.Helper()
	const seconds = 5
	crowd := demoCrowd(t)
	var requests [][]byte
	for i := range 1000 {
		text, err := protojson.Marshal(crowd.Request(i))
		if err != nil {
			t.Fatal(err)
		}
		requests = append(requests, text)
	}
	file := filepath.Join(t.TempDir(), "requests.json")
	if err := os.WriteFile(file, append(append([]byte("["), bytes.Join(requests, []byte(","))...), ']'),
		0o600); err != nil {
		t.Fatal(err)
	}
	var ours, theirs, ourRates, theirRates []float64
	for range turns {
		out, err := exec.Command(ghz, "--insecure", "--call", "hexbid.v1.SearchService.SearchNearby", "--data-file", file,
			"--rps", strconv.Itoa(int(perSecond)), "--concurrency", "50", "--total", strconv.Itoa(int(perSecond)*seconds),
			"--connections", "1", "--format", "json", address).Output()
		if err != nil {
			t.Fatalf("ghz: %v\n%s", err, out)
		}
		var r struct {
			RPS                 float64 `json:"rps"`
			LatencyDistribution []struct {
				Percentage int
				Latency    float64
			} `json:"latencyDistribution"`
		}
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatalf("ghz: %v\n%s", err, out)
		}
		theirRates = append(theirRates, r.RPS)
		for _, l := range r.LatencyDistribution {
			if l.Percentage == 50 {
				theirs = append(theirs, l.Latency/1e9)
			}
		}
		dir := t.TempDir()
		code, text, errs := simulate(testContext(t), address, "load", "--rate", fmt.Sprint(perSecond), "--duration",
			fmt.Sprintf("%ds", seconds), "--warm-up", "0s", "--arrivals", "even", "--out", dir)
		if code != 0 {
			t.Fatalf("exit %d\n%s%s", code, text, errs)
		}
		m := readRun(t, dir).Load.Measures
		ours, ourRates = append(ours, m["service_p50"]), append(ourRates, m["reached"])
	}
	t.Logf("%.0f a second: service p50 %v, ghz %v; rates %v, ghz %v", perSecond, ours, theirs, ourRates, theirRates)
	if off := median(ours)/median(theirs) - 1; math.Abs(off) > 0.15 {
		t.Errorf("at %.0f a second the median service time is %+.0f %% of ghz's", perSecond, 100*off)
	}
	for _, rate := range ourRates {
		if math.Abs(rate/perSecond-1) > 0.01 {
			t.Errorf("the rate is %.1f of %.0f", rate, perSecond)
		}
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// besideOwnClient compares with plainOpenLoop. The response times of five runs of each must overlap at the median and
// at p99.
func besideOwnClient(t *testing.T, address string, perSecond float64) {
	t.Helper()
	var ours, theirs [2]interval
	for turn := range turns {
		p50, p99 := plainOpenLoop(t, address, perSecond, 5*time.Second, uint64(turn))
		theirs[0].add(p50)
		theirs[1].add(p99)
		dir := t.TempDir()
		code, text, errs := simulate(testContext(t), address, "load", "--rate", fmt.Sprint(perSecond), "--duration", "5s",
			"--warm-up", "0s", "--arrivals", "even", "--max-in-flight", "100000", "--out", dir)
		if code != 0 {
			t.Fatalf("exit %d\n%s%s", code, text, errs)
		}
		m := readRun(t, dir).Load.Measures
		ours[0].add(m["p50"])
		ours[1].add(m["p99"])
	}
	t.Logf("%.0f a second: p50 and p99 %v, the other client %v", perSecond, ours, theirs)
	if !ours[0].meets(theirs[0]) || !ours[1].meets(theirs[1]) {
		t.Errorf("at %.0f a second response times of %v and %v do not overlap", perSecond, ours, theirs)
	}
}

// plainOpenLoop is a second open loop. It starts a goroutine for each call at the call's instant, and measures from
// that instant.
func plainOpenLoop(
	t *testing.T, address string, perSecond float64, lasts time.Duration, seed uint64,
) (p50, p99 float64) {
	t.Helper()
	client, crowd := dialSearch(t, address), demoCrowd(t)
	if _, err := client.SearchNearby(t.Context(), crowd.Request(0)); err != nil {
		t.Fatal(err)
	}
	n := int(perSecond * lasts.Seconds())
	took := make([]float64, n)
	var group sync.WaitGroup
	started := time.Now()
	for i := range n {
		planned := started.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))
		time.Sleep(time.Until(planned))
		group.Go(func() {
			if _, err := client.SearchNearby(context.Background(), crowd.Request(int(seed)*n+i)); err != nil {
				t.Error(err)
			}
			took[i] = time.Since(planned).Seconds()
		})
	}
	group.Wait()
	slices.Sort(took)
	return took[n/2], took[n*99/100]
}
