package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func tapOf(method string) *tap.Info { return &tap.Info{FullMethodName: method} }

func (s *served) importing(t *testing.T, conn *grpc.ClientConn) pb.CampaignService_ImportClient {
	t.Helper()
	stream, err := pb.NewCampaignServiceClient(conn).Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func advertisers(name string, n int) *pb.ImportRequest {
	r := new(pb.ImportRequest)
	for range n {
		r.Rows = append(r.Rows, &pb.ImportRow{Resource: &pb.ImportRow_Advertiser{Advertiser: &pb.Advertiser{Name: name,
			DisplayName: "A"}}})
	}
	return r
}

func TestAnImportThatBringsNothingEndsWhenAllIsAnswered(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.StreamTimeout = 200 * time.Millisecond })
	conn := s.dial(t)
	for batches := range 3 {
		var err error
		waitUntil(t, "a stream brings all its batches before it is idle", func() bool {
			stream, answered := s.importing(t, conn), 0
			for err = nil; answered < batches && err == nil; answered++ {
				_ = stream.Send(advertisers("advertisers/a", 1)) // Recv tells
				_, err = stream.Recv()
			}
			if err == nil {
				_, err = stream.Recv()
				return true
			}
			return false
		})
		if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "idle") ||
			!strings.Contains(err.Error(), "open it again") {
			t.Errorf("after %d batches: %v", batches, err)
		}
	}
	mustSearch(t, conn)
}

func TestAClientThatDoesNotTakeItsAnswersIsGivenUp(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.StreamTimeout = 4 * time.Second })
	stream := s.importing(t, s.dial(t, grpc.WithStaticStreamWindowSize(64<<10)))
	go func() {
		for stream.Send(advertisers("Not A Name", 1000)) == nil { // a long answer
		}
	}()
	waitUntil(t, "batches are worked on", func() bool { return s.gates[importing].working.Load() > 0 })
	waitUntil(t, "none is worked on", func() bool { return s.gates[importing].working.Load() == 0 })
	var err error
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
}

func TestAConnectionHasFewStreams(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.StreamsAConnection = 3 })
	conn := s.dial(t)
	ctx, end := context.WithCancel(t.Context())
	for range 2 {
		if err := open(t, ctx, conn, pb.CampaignService_Import_FullMethodName).SendMsg(advertisers("advertisers/a",
			1)); err != nil {
			t.Fatal(err)
		}
	}
	watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "all three are open", func() bool {
		_, err = s.importing(t, conn).Recv()
		return status.Code(err) == codes.ResourceExhausted
	})
	if !strings.Contains(err.Error(), "3 streams open") {
		t.Errorf("%v", err)
	}
	end()
	waitUntil(t, "there is room again", func() bool {
		stream := s.importing(t, conn)
		if err := stream.Send(advertisers("advertisers/a", 1)); err != nil {
			return false
		}
		_, err := stream.Recv()
		return err == nil
	})
}

func TestBatchesBeyondTheLimitAreRefusedAndThoseBeforeAnswered(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.Imports = 1 })
	conn := s.dial(t)
	first := s.importing(t, conn)
	s.gates[importing].working.Add(1) // another's batch
	if err := first.Send(advertisers("advertisers/a", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Recv(); status.Code(err) != codes.ResourceExhausted ||
		!strings.Contains(err.Error(), "1 imports are being worked on") {
		t.Errorf("%v", err)
	}
	s.gates[importing].leave(0, new(party))
	second := s.importing(t, conn)
	if err := second.Send(advertisers("advertisers/a", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Recv(); err != nil {
		t.Errorf("once there is room: %v", err)
	}
}

// TestAnOpenWatchIsNeverIdle also holds that it does not count as work.
func TestAnOpenWatchIsNeverIdle(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.StreamTimeout = 2 * time.Second })
	conn := s.dial(t)
	watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	beside := open(t, t.Context(), conn, pb.CampaignService_Import_FullMethodName)
	if err := beside.RecvMsg(new(pb.ImportResponse)); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("an import beside it: %v", err) // a stream timeout has passed
	}
	s.tell(func(v *serving) { v.draining = true })
	if r, err := watch.Recv(); err != nil || r.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("%v, %v", r, err)
	}
	s.connections.mu.Lock()
	defer s.connections.mu.Unlock()
	for c := range s.connections.open {
		if c.working.Load() != 0 {
			t.Error("it counts as work")
		}
	}
}
