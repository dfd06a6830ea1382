package server

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

var anywhere = &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30, Longitude: 120}}

// crowd makes it look as if so many calls of another party were under way.
func (s *served) crowd(n int64) {
	other := new(party)
	for range n {
		s.pressure.enter(other)
	}
}

func TestABusyServerRefusesAtTheDoor(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.Wait = time.Hour }) // the limit does not move
	conn := s.dial(t)
	mustSearch(t, conn)
	s.crowd(s.pressure.most)
	s.pressure.parties.Store(1 << 30) // no party has a part of its own
	before := s.metrics.counted(t, "hexbid_calls_total", "SearchNearby", "ResourceExhausted")
	for timeout, where := range map[time.Duration]string{time.Second: "tap", time.Hour: "the wrapper"} {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		_, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx, anywhere)
		if cancel(); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "back off") {
			t.Errorf("refused by %s: %v", where, err)
		}
	}
	if after := s.metrics.counted(t, "hexbid_calls_total", "SearchNearby", "ResourceExhausted"); after != before+2 {
		t.Errorf("%v calls counted as refused, want 2", after-before)
	}
	if _, err := pb.NewCampaignServiceClient(conn).ListAdvertisers(t.Context(),
		&pb.ListAdvertisersRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a read: %v", err)
	}
	if err := s.InProcess().Invoke(t.Context(), searchMethod, anywhere, new(pb.SearchNearbyResponse)); status.Code(err) !=
		codes.ResourceExhausted {
		t.Errorf("a call in this process: %v", err)
	}
	if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("a health check: %v", err)
	}
	s.pressure.parties.Store(2)
	mustSearch(t, conn) // it has its part
}

// TestClassesAreRefusedInTheirOrder calls over a real port while so much of the limit is under way.
func TestClassesAreRefusedInTheirOrder(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.Wait = time.Hour })
	conn := s.dial(t)
	mustSearch(t, conn)
	const limit = 100
	s.pressure.most = 2 * limit
	s.pressure.window.ends.Store(math.MaxInt64) // the limit does not move
	s.pressure.limit.Store(limit)
	s.pressure.parties.Store(1 << 30) // no party has a part of its own
	calls := []struct {
		name string
		call func(context.Context) error
	}{
		{"reads", func(ctx context.Context) error {
			_, err := pb.NewCampaignServiceClient(conn).ListAdvertisers(ctx, &pb.ListAdvertisersRequest{})
			return err
		}},
		{"writes", func(ctx context.Context) error {
			_, err := pb.NewCampaignServiceClient(conn).DeleteAdvertiser(ctx,
				&pb.DeleteAdvertiserRequest{Name: "advertisers/no"})
			return err
		}},
		{"searches", func(ctx context.Context) error {
			_, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx, anywhere)
			return err
		}},
		{"events", func(ctx context.Context) error {
			_, err := pb.NewEventServiceClient(conn).RecordEvents(ctx, &pb.RecordEventsRequest{})
			return err
		}},
	}
	under := int64(0)
	for _, at := range []struct {
		underWay int64
		refused  string
	}{{0, ""}, {49, ""}, {50, "reads"}, {74, "reads"}, {75, "reads writes"}, {99, "reads writes"},
		{100, "reads writes searches"}, {199, "reads writes searches"}, {200, "reads writes searches events"}} {
		s.crowd(at.underWay - under)
		under = at.underWay
		var refused []string
		for _, c := range calls {
			waitUntil(t, "earlier calls have left", func() bool { return s.pressure.underWay.Load() == under })
			if err := c.call(t.Context()); status.Code(err) == codes.ResourceExhausted {
				refused = append(refused, c.name)
			}
		}
		if got := strings.Join(refused, " "); got != at.refused {
			t.Errorf("with %d of %d under way, refused are %q, want %q", at.underWay, limit, got, at.refused)
		}
	}
	if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("a health check: %v", err)
	}
}

func TestACallWithoutTimeIsRefusedAtTheDoor(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.Wait = time.Hour })
	conn := s.dial(t)
	mustSearch(t, conn)
	s.pressure.typical[searching].Store(int64(10 * time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx, anywhere); status.Code(err) !=
		codes.DeadlineExceeded || !strings.Contains(err.Error(), "too near") {
		t.Errorf("%v", err)
	}
}

func TestEveryWayACallEndsGivesItsPlaceBack(t *testing.T) {
	s := serve(t, func(c *Config) {
		c.Limits.RequestTimeout, c.Limits.Wait = 100*time.Millisecond, 2*time.Millisecond
	})
	conn := s.dial(t)
	var calls sync.WaitGroup
	for i := range 200 {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*10*time.Microsecond)
			defer cancel()
			_, _ = pb.NewSearchServiceClient(conn).SearchNearby(ctx, anywhere) // some are answered, some time out
		})
		calls.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, searchMethod)
			if cancel(); err == nil {
				_ = stream.RecvMsg(new(pb.SearchNearbyResponse)) // cancelled before its request came
			}
		})
		calls.Go(func() { // its request never comes
			stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, searchMethod)
			if err == nil {
				_ = stream.RecvMsg(new(pb.SearchNearbyResponse))
			}
		})
	}
	calls.Wait()
	w := s.rawWire(t)
	for range 100 { // gRPC refuses them by itself
		stream := w.open(t, searchMethod, "grpc-encoding", "unheard-of")
		w.data(t, stream, make([]byte, 5), true)
	}
	waitUntil(t, "no call is under way", func() bool { return s.pressure.underWay.Load() == 0 })
	if n := s.pressure.parties.Load(); n != 0 {
		t.Errorf("%d parties have calls under way", n)
	}
	mustSearch(t, conn)
}

func TestABatchOfAnUploadWaitsForRoom(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.Wait = time.Hour })
	conn := s.dial(t)
	other := new(party)
	for range s.pressure.most {
		s.pressure.enter(other)
	}
	stream := s.importing(t, conn)
	if err := stream.Send(advertisers("advertisers/a", 1)); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { _, err := stream.Recv(); answered <- err }()
	waitUntil(t, "the limit is followed while the batch waits", func() bool { return s.pressure.window.ends.Load() > 0 })
	select {
	case err := <-answered:
		t.Fatalf("it was answered while there was no room: %v", err)
	default:
	}
	for range s.pressure.most {
		s.pressure.exit(other)
	}
	if err := <-answered; err != nil {
		t.Errorf("once there was room: %v", err)
	}
}

// counted returns the value of a counter of calls.
func (m *metrics) counted(t *testing.T, name, method, code string) float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, of := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range of.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == name && labels["method"] == method && labels["code"] == code {
				return of.GetCounter().GetValue()
			}
		}
	}
	return 0
}
