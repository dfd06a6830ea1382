package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/load"
)

// SearchRequest is a request of the workload as it goes over the wire.
func (w *Workload) SearchRequest(i int, slots, limit int32) *pb.SearchNearbyRequest {
	r := w.Request(i, int(slots), int(limit))
	return &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: r.Point.Lat, Longitude: r.Point.Lng}, Host: pb.Host(r.Host),
		Scene: pb.Scene(r.Scene), NearbyLimit: proto.Int32(limit), SponsoredSlots: proto.Int32(slots),
		RadiusM: proto.Float64(hexbid.DefaultRadiusM), Viewer: &pb.Viewer{UserKey: r.Viewer.UserKey,
			Age: proto.Int32(int32(r.Viewer.Age)), Gender: pb.Gender(r.Viewer.Gender),
			OperatingSystem: pb.OperatingSystem(r.Viewer.OS)},
	}
}

// WarmUps is the number of passes over the requests before a server is measured as it is after hours. In the first
// minute after a start it also reads accounts, meets the campaigns that win for the first time and uses memory that it
// has not used before.
const WarmUps = 5

const (
	callers    = 32
	loopLasts  = time.Second
	loopRounds = 5
	openLasts  = 2 * time.Second
	openRounds = 3
	unbounded  = 20_000 // calls in flight: more than a server that keeps up ever has
)

// forAWhile ends a closed loop after loopLasts.
func forAWhile(_ int64, took time.Duration) bool { return took < loopLasts }

// closedLoop searches as fast as a server answers, for as long as goOn returns true.
func closedLoop(conn *grpc.ClientConn, requests []*pb.SearchNearbyRequest,
	goOn func(calls int64, took time.Duration) bool) (perSecond float64, err error) {
	client := pb.NewSearchServiceClient(conn)
	return ClosedLoop(callers, goOn, func(i int) error {
		_, err := client.SearchNearby(context.Background(), requests[i%len(requests)])
		return err
	})
}

// ClosedLoop runs the given number of callers, each of which makes one call after another for as long as goOn returns
// true. The argument i counts the calls of all callers. The error is that of a failed call.
func ClosedLoop(callers int, goOn func(calls int64, took time.Duration) bool,
	call func(i int) error) (perSecond float64, err error) {
	var calls atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	started := time.Now()
	for range callers {
		group.Go(func() {
			for goOn(calls.Load(), time.Since(started)) && failed.Load() == nil {
				if err := call(int(calls.Add(1))); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(calls.Load()) / time.Since(started).Seconds(), nil
}

// Beside holds a Hexbid server and a server of a canned answer of typical size. The same client measures them in turn.
// Each is a process of its own.
type Beside struct {
	requests []*pb.SearchNearbyRequest
	ours     *grpc.ClientConn
	canned   *Process
	answer   canned
}

// NewBeside makes requests for the given numbers of slots and places. It warms the server up by warmUps passes over
// them, and starts the canned server.
func NewBeside(conn *grpc.ClientConn, w *Workload, slots, limit int32, warmUps int) (*Beside, error) {
	b := &Beside{requests: make([]*pb.SearchNearbyRequest, distinctRequests), ours: conn}
	for i := range b.requests {
		b.requests[i] = w.SearchRequest(i, slots, limit)
	}
	err := b.typicalAnswer()
	if err != nil {
		return nil, err
	}
	if _, err := closedLoop(conn, b.requests,
		func(calls int64, _ time.Duration) bool { return calls < int64(warmUps*len(b.requests)) }); err != nil {
		return nil, err
	}
	b.canned, err = startCanned(b.answer)
	return b, err
}

// typicalAnswer keeps the first answer, after twenty others, that is at least as long as the average so far.
func (b *Beside) typicalAnswer() error {
	sizes := 0
	for i := range 200 {
		r, err := pb.NewSearchServiceClient(b.ours).SearchNearby(context.Background(), b.requests[i])
		if err != nil {
			return err
		}
		if b.answer, err = proto.Marshal(r); err != nil {
			return fmt.Errorf("encoding an answer: %w", err)
		}
		sizes += len(b.answer)
		if i >= 20 && len(b.answer)*(i+1) >= sizes {
			break
		}
	}
	return nil
}

// Close ends the canned server.
func (b *Beside) Close() error { return b.canned.Close() }

// withoutHaste lets the client's garbage collector run seldom, so that its work does not enter the measurement.
func withoutHaste() (restore func()) {
	before := debug.SetGCPercent(1000)
	return func() { debug.SetGCPercent(before) }
}

// Capacity measures both servers in closed loops, in turn: ours, canned, ours, canned. Each ratio compares two loops of
// the same turn.
func (b *Beside) Capacity(name string) (map[string]Spread, error) {
	defer withoutHaste()()
	return Rounds(loopRounds, func() (Figures, error) {
		ours, err := closedLoop(b.ours, b.requests, forAWhile)
		if err != nil {
			return nil, err
		}
		theirs, err := closedLoop(b.canned.Conn, b.requests, forAWhile)
		return Figures{"grpc_rps_" + name: ours, "grpc_canned_rps_" + name: theirs, "grpc_ratio_" + name: ours / theirs,
			"grpc_answer_bytes_" + name: float64(len(b.answer))}, err
	})
}

// OpenCapacity measures how many searches a second server and client sustain together in an open loop. It offers more
// than they can answer, with a bounded number in flight, and counts the answers. The figure is below that of a closed
// loop, whose callers wait for each answer.
func (b *Beside) OpenCapacity(offered float64) (map[string]Spread, error) {
	defer withoutHaste()()
	return Rounds(openRounds, func() (Figures, error) {
		report, err := openLoop(b.ours, b.requests, offer{offered, openLasts, callers * 8}, load.NewHistogram())
		if err != nil {
			return nil, err
		}
		return Figures{"open_capacity_rps_full": report.ReachedPerSecond()}, nil
	})
}

// AtRate measures both servers in turn at the same rate. Latency counts from the planned send. It also measures the
// time that the server itself reports.
func (b *Beside) AtRate(perSecond float64) (map[string]Spread, error) {
	defer withoutHaste()()
	return Rounds(openRounds, func() (Figures, error) {
		own := load.NewHistogram()
		ours, err := openLoop(b.ours, b.requests, offer{perSecond, openLasts, unbounded}, own)
		if err != nil {
			return nil, err
		}
		theirs, err := openLoop(b.canned.Conn, b.requests, offer{perSecond, openLasts, unbounded}, load.NewHistogram())
		if err != nil {
			return nil, err
		}
		p99, cannedP99 := load.At(ours.Response, 99), load.At(theirs.Response, 99)
		return Figures{"rps_at_70pct": ours.ReachedPerSecond(), "grpc_p50_us_at_70pct": micros(ours.Response, 50),
			"grpc_p99_us_at_70pct": micros(ours.Response, 99), "grpc_canned_p99_us_at_70pct": micros(theirs.Response, 99),
			"grpc_p99_ratio_at_70pct": float64(p99) / float64(cannedP99), "server_p50_us_at_70pct": micros(own, 50),
			"server_p99_us_at_70pct": micros(own, 99), "pacer_lag_p99_us_at_70pct": micros(ours.Lag, 99),
			"dropped_share_at_70pct": float64(ours.Dropped+ours.Failed[codes.ResourceExhausted]) / float64(ours.Planned())}, nil
	})
}

func micros(h *hdrhistogram.Histogram, percentile float64) float64 {
	return float64(load.At(h, percentile).Microseconds())
}

// offer is a Poisson process of searches.
type offer struct {
	perSecond float64
	lasts     time.Duration
	inFlight  int // at most
}

// openLoop offers searches. It records in own the times that the server itself reports.
func openLoop(conn *grpc.ClientConn, requests []*pb.SearchNearbyRequest, o offer,
	own *hdrhistogram.Histogram) (*load.Report, error) {
	client, config := pb.NewSearchServiceClient(conn), load.DefaultConfig()
	config.WarmUp, config.MaxInFlight = time.Second, o.inFlight
	var mu sync.Mutex // guards own
	report, err := load.Run(context.Background(), config, load.Constant(o.perSecond, config.WarmUp+o.lasts).Poisson(1),
		func(ctx context.Context, i int) error {
			r, err := client.SearchNearby(ctx, requests[i%len(requests)])
			mu.Lock()
			defer mu.Unlock()
			return errors.Join(err, own.RecordValue(int64(r.GetServerDuration().AsDuration())))
		})
	if err != nil {
		return nil, err
	}
	for code := range report.Failed {
		if code != codes.ResourceExhausted { // a server that is offered more than it can do refuses some
			return nil, fmt.Errorf("searches failed at %.0f a second: %s", o.perSecond, report)
		}
	}
	return report, nil
}
