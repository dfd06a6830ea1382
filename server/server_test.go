package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func newServer(t *testing.T, change func(*Config)) *Server {
	t.Helper()
	config := DefaultConfig()
	config.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	if change != nil {
		change(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var info = &grpc.UnaryServerInfo{FullMethod: pb.SearchService_SearchNearby_FullMethodName}

func (s *Server) call(handler func() (any, error)) error {
	_, err := s.unary(context.Background(), nil, info, func(context.Context, any) (any, error) { return handler() })
	return err
}

func TestAServerThatIsNotReadySaysSo(t *testing.T) {
	err := newServer(t, nil).call(func() (any, error) { t.Error("the call went through"); return nil, nil })
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "being indexed") {
		t.Error(err)
	}
}

func TestAPanicIsContained(t *testing.T) {
	s := newServer(t, nil)
	s.exchange.Store(&exchange.Exchange{})
	err := s.call(func() (any, error) { panic("a secret of the implementation") })
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if s.inFlight.Load() != 0 {
		t.Errorf("%d calls in flight after it", s.inFlight.Load())
	}
	if err := s.call(func() (any, error) { return nil, nil }); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestMoreCallsThanTheLimitAreRefused(t *testing.T) {
	s := newServer(t, func(c *Config) { c.MaxInFlight = 1 })
	s.exchange.Store(&exchange.Exchange{})
	err := s.call(func() (any, error) {
		inner := s.call(func() (any, error) { t.Error("the second call went through"); return nil, nil })
		if status.Code(inner) != codes.ResourceExhausted {
			t.Errorf("the second call: %v", inner)
		}
		return nil, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEveryKindOfErrorHasItsCodeAndKeepsItsSecrets(t *testing.T) {
	for kind, code := range map[hexbid.ErrorKind]codes.Code{hexbid.Invalid: codes.InvalidArgument, hexbid.NotFound: codes.NotFound,
		hexbid.AlreadyExists: codes.AlreadyExists, hexbid.Stale: codes.Aborted, hexbid.InUse: codes.FailedPrecondition,
		hexbid.Exhausted: codes.ResourceExhausted, hexbid.Unavailable: codes.Unavailable, hexbid.Denied: codes.PermissionDenied, hexbid.DataLoss: codes.DataLoss, hexbid.Internal: codes.Internal} {
		if got := statusOf(hexbid.Errorf(kind, "field", "detail")); status.Code(got) != code {
			t.Errorf("kind %d gives %v", kind, got)
		}
	}
	if err := statusOf(errors.New("a password")); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "password") {
		t.Errorf("%v", err)
	}
	if err := statusOf(context.DeadlineExceeded); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
}
