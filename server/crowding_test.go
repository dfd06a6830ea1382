package server

import (
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// connectionsOf returns how many connections count as a caller's, and those that are open.
func (s *served) connectionsOf(caller string) (counted int, open []*connection) {
	of := s.parties.party(caller)
	s.connections.mu.Lock()
	defer s.connections.mu.Unlock()
	for c := range s.connections.open {
		if c.joined.Load() == of {
			open = append(open, c)
		}
	}
	of.mu.Lock()
	defer of.mu.Unlock()
	return len(of.open), open
}

func searchAs(t *testing.T, conn *grpc.ClientConn, key string) error {
	t.Helper()
	_, err := pb.NewSearchServiceClient(conn).SearchNearby(bearing(t.Context(), "Bearer "+key), anywhere)
	return err
}

// TestACallerHasFewConnections opens more connections with one client's key than it may have. Its idle ones make room,
// and while none is idle its calls over a further one are refused. Others are let in all the while.
func TestACallerHasFewConnections(t *testing.T) {
	const most = 2
	s, _, app := serveKeys(t, func(c *Config) { c.Limits.CallerConnections = most })
	modest := s.keyOf(t, "clients/modest")
	for range 5 {
		if err := searchAs(t, s.dial(t), app); err != nil {
			t.Fatal(err)
		}
	}
	counted, open := s.connectionsOf("clients/app")
	if counted != most || len(open) != most {
		t.Fatalf("%d connections are counted and %d are open, want %d", counted, len(open), most)
	}
	if n := s.connections.closed[crowding].Load(); n < 3 {
		t.Errorf("%d connections were closed for those after them, want 3 or more", n)
	}
	for _, c := range open {
		c.begin()
	}
	further := s.dial(t)
	err := searchAs(t, further, app)
	if status.Code(err) != codes.ResourceExhausted ||
		!strings.Contains(err.Error(), "clients/app has 2 connections open") {
		t.Errorf("a connection beyond those that work gets %v", err)
	}
	if err := searchAs(t, s.dial(t), modest); err != nil {
		t.Errorf("another client gets %v", err)
	}
	if err := searchAs(t, further, modest); err != nil { // the connection is not held against another's key
		t.Error(err)
	}
	if counted, _ := s.connectionsOf("clients/app"); counted != most {
		t.Errorf("%d connections are counted after a refusal, want %d", counted, most)
	}
	open[0].end()
	if err := searchAs(t, further, app); err != nil {
		t.Errorf("with an idle connection the refused one gets %v", err)
	}
}

// TestConnectionsThatEndAreNoLongerTheirCallers closes connections, and brings another's key over one.
func TestConnectionsThatEndAreNoLongerTheirCallers(t *testing.T) {
	s, operator, app := serveKeys(t, nil)
	first, second := s.dial(t), s.dial(t)
	for _, conn := range []*grpc.ClientConn{first, second} {
		if err := searchAs(t, conn, app); err != nil {
			t.Fatal(err)
		}
	}
	if err := searchAs(t, second, operator); err != nil {
		t.Fatal(err)
	}
	for _, caller := range []string{"clients/app", "users/olga"} {
		if counted, open := s.connectionsOf(caller); counted != 1 || len(open) != 1 {
			t.Errorf("%s has %d connections, of which %d are open, want 1", caller, counted, len(open))
		}
	}
	first.Close()
	second.Close()
	waitUntil(t, "nobody has a connection", func() bool {
		ofApp, _ := s.connectionsOf("clients/app")
		ofOlga, _ := s.connectionsOf("users/olga")
		return ofApp == 0 && ofOlga == 0
	})
}

// TestAStreamIsRefusedOverACrowdedCallersConnection refuses a stream as it refuses a call.
func TestAStreamIsRefusedOverACrowdedCallersConnection(t *testing.T) {
	s, _, app := serveKeys(t, func(c *Config) { c.Limits.CallerConnections = 1 })
	if err := searchAs(t, s.dial(t), app); err != nil {
		t.Fatal(err)
	}
	_, open := s.connectionsOf("clients/app")
	open[0].begin()
	stream, err := pb.NewEventServiceClient(s.dial(t)).StreamEvents(bearing(t.Context(), "Bearer "+app))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v", err)
	}
}

// TestConnectionsOfATrustedProxyAreNobodys: a proxy carries many callers' calls over each of its connections, in turn.
func TestConnectionsOfATrustedProxyAreNobodys(t *testing.T) {
	s, _, app := serveKeys(t, func(c *Config) {
		c.Limits.CallerConnections = 1
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	for range 3 {
		if err := searchAs(t, s.dial(t), app); err != nil {
			t.Fatal(err)
		}
	}
	if counted, open := s.connectionsOf("clients/app"); counted != 0 || len(open) != 3 {
		t.Errorf("%d connections are counted and %d are open, want 0 and 3", counted, len(open))
	}
}

func TestACallerMayHaveAQuarterOfTheConnectionsUnlessTold(t *testing.T) {
	for _, of := range []struct {
		limits Limits
		want   int
	}{{Limits{Connections: 1024}, 256}, {Limits{Connections: 3}, 1},
		{Limits{Connections: 1024, CallerConnections: 9}, 9}} {
		if n := of.limits.callerConnections(); n != of.want {
			t.Errorf("%+v: %d, want %d", of.limits, n, of.want)
		}
	}
	l := DefaultLimits()
	l.CallerConnections = -1
	if err := l.Validate(); hexbid.KindOf(err) != hexbid.Invalid {
		t.Errorf("a limit below zero gives %v", err)
	}
}
