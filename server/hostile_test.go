package server

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
	"github.com/hexbid/hexbid/wire"
)

// served is a server on a port of its own with an empty market.
type served struct {
	*Server
	address string
	stop    context.CancelFunc
	ended   chan struct{} // closed when Serve has returned
}

func serve(t testing.TB, change func(*Config)) *served {
	t.Helper()
	return serveOn(t, store.NewMemory(), change)
}

func serveOn(t testing.TB, catalogue store.Store, change func(*Config)) *served {
	t.Helper()
	config := exchange.DefaultConfig()
	config.Log, config.Cards = slog.New(slog.DiscardHandler), wire.Cards{}
	return serveMarket(t, catalogue, config, change)
}

func serveMarket(t testing.TB, catalogue store.Store, market exchange.Config, change func(*Config)) *served {
	t.Helper()
	s := newServer(t, change)
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	market.Spans = s.config.Spans
	e, err := exchange.Open(t.Context(), market, catalogue, keys)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { _ = s.Serve(ctx, l); close(ended) }()
	t.Cleanup(func() {
		stop()
		s.grpc.Stop() // callers of these tests do not go by themselves
		<-ended
		e.Close()
	})
	s.Ready(e)
	return &served{s, l.Addr().String(), stop, ended}
}

// dial opens a connection of its own.
func (s *served) dial(t testing.TB, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.address, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func mustSearch(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx,
		&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30, Longitude: 120}}); err != nil {
		t.Fatalf("a search: %v", err)
	}
}

func waitUntil(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// open opens a call of any method and sends nothing.
func open(t *testing.T, ctx context.Context, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// TestIdleCallersDoNotShutSearchOut opens more calls of every kind than all limits
// together let work, and leaves them.
func TestIdleCallersDoNotShutSearchOut(t *testing.T) {
	s := serve(t, nil)
	user := s.dial(t)
	mustSearch(t, user)
	var opening sync.WaitGroup
	for method, calls := range map[string]int{pb.CampaignService_Import_FullMethodName: 1000, searchMethod: 500,
		pb.CampaignService_CreateCampaign_FullMethodName: 500} {
		for range 5 {
			idle := s.dial(t)
			opening.Go(func() {
				for range calls {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // more than a connection may have wait for room
					_, err := idle.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
					if t.Cleanup(cancel); err != nil {
						return
					}
				}
			})
		}
	}
	opened := make(chan struct{})
	go func() { opening.Wait(); close(opened) }()
	for n, done := 0, false; n < 300 || !done; n++ {
		mustSearch(t, user)
		select {
		case <-opened:
			done = true
		default:
		}
	}
}

func TestARequestThatDoesNotArriveIsGivenUp(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.RequestTimeout = 2 * time.Second })
	conn := s.dial(t)
	long, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	opened := map[string]grpc.ClientStream{}
	for name, ctx := range map[string]context.Context{"without a deadline": t.Context(), "with a long one": long} {
		for _, method := range []string{searchMethod, pb.CampaignService_CreateCampaign_FullMethodName,
			healthpb.Health_Check_FullMethodName} {
			opened[method+" "+name] = open(t, ctx, conn, method)
		}
	}
	for name, stream := range opened {
		if err := stream.RecvMsg(new(pb.SearchNearbyResponse)); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("%s: %v", name, err)
		}
	}
	waitUntil(t, "nothing waits", func() bool { return s.connections.calls.Load() == 0 })
	mustSearch(t, conn)
}

// TestARequestThatIsNotEndedIsNotWorkedOn sends whole messages and does not say that
// they are all.
func TestARequestThatIsNotEndedIsNotWorkedOn(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.Searches, c.Limits.RequestTimeout = 2, time.Hour })
	idle := s.dial(t)
	for range 50 {
		if err := open(t, t.Context(), idle, searchMethod).SendMsg(&pb.SearchNearbyRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "all calls are open", func() bool { return s.connections.calls.Load() == 50 })
	mustSearch(t, s.dial(t))
}

func TestADeadlineThatACallStatesIsKeptOnceItsRequestIsThere(t *testing.T) {
	s := newServer(t, nil)
	long, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for want, ctx := range map[time.Duration]context.Context{time.Hour: long,
		s.config.Limits.RequestTimeout: context.Background()} {
		at := time.Now()
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		bounded, err := s.tap(ctx, tapOf(searchMethod))
		if err != nil {
			t.Fatal(err)
		}
		if deadline, ok := bounded.Deadline(); !ok || deadline.After(time.Now().Add(s.config.Limits.RequestTimeout)) {
			t.Errorf("the request may take until %v", deadline)
		}
		of := &call{door: arrivalOf(bounded)}
		if deadline, ok := of.context(bounded).Deadline(); !ok || deadline.Before(at.Add(want-time.Minute)) ||
			deadline.After(time.Now().Add(want)) {
			t.Errorf("the handler has until %v: want %v", deadline, want)
		}
	}
}

// slowConn lets through so many bytes, then one at a time.
type slowConn struct {
	net.Conn
	mu   sync.Mutex
	fast int
	gap  time.Duration
}

// Write implements net.Conn.
func (c *slowConn) Write(b []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n = min(c.fast, len(b)); n > 0 {
		c.fast -= n
		if _, err := c.Conn.Write(b[:n]); err != nil {
			return 0, err
		}
	}
	for ; n < len(b); n++ {
		time.Sleep(c.gap)
		if _, err := c.Conn.Write(b[n : n+1]); err != nil {
			return n, err
		}
	}
	return n, nil
}

func slowly(fast int, gap time.Duration) grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		return &slowConn{Conn: conn, fast: fast, gap: gap}, err
	})
}

func TestARequestThatComesAByteAtATimeIsGivenUp(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.RequestTimeout = 100 * time.Millisecond })
	conn := s.dial(t, slowly(4096, 5*time.Millisecond))
	request := &pb.CreateCampaignRequest{Campaign: &pb.Campaign{DisplayName: strings.Repeat("x", 1<<20)}}
	_, err := pb.NewCampaignServiceClient(conn).CreateCampaign(t.Context(), request)
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
	if n := s.gates[writing].working.Load(); n != 0 {
		t.Errorf("%d writes are worked on", n)
	}
}

func TestRequestsThatComeSlowlyDoNotFillTheMemory(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.WaitingBytes, c.Limits.RequestTimeout = 4<<20, time.Hour })
	user := s.dial(t)
	mustSearch(t, user)
	request := &pb.CreateCampaignRequest{Campaign: &pb.Campaign{DisplayName: strings.Repeat("x", 4<<20)}}
	var ended sync.WaitGroup
	for range 4 {
		conn := s.dial(t, slowly(3<<20, time.Minute))
		ended.Go(func() {
			if _, err := pb.NewCampaignServiceClient(conn).CreateCampaign(t.Context(),
				request); status.Code(err) != codes.Unavailable && t.Context().Err() == nil {
				t.Errorf("%v", err)
			}
		})
	}
	waitUntil(t, "the slow ones are closed", func() bool { return s.connections.closed[tooManyBytes].Load() >= 3 })
	if bytes := s.connections.bytes.Load(); bytes > 4<<20 {
		t.Errorf("%d bytes wait", bytes)
	}
	mustSearch(t, user)
}

func TestCallsThatWaitBeyondTheLimitCloseTheConnectionThatHasTheMost(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.WaitingCalls, c.Limits.RequestTimeout = 50, time.Hour })
	user, idle := s.dial(t), s.dial(t)
	mustSearch(t, user)
	mustSearch(t, idle)
	for range 60 {
		stream, err := idle.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, searchMethod)
		if err != nil {
			break // closed already
		}
		_ = stream
	}
	waitUntil(t, "it is closed", func() bool {
		return s.connections.closed[tooManyCalls].Load() == 1 &&
			s.connections.calls.Load() <= 50
	})
	mustSearch(t, user)
}

func TestANewcomerTakesThePlaceOfTheIdlestConnection(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.Connections = 4 })
	user := s.dial(t)
	mustSearch(t, user)
	for range 20 {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if n := s.connections.count(); n > 4 {
			t.Errorf("%d connections are open", n)
		}
	}
	mustSearch(t, s.dial(t))
	waitUntil(t, "seventeen were displaced", func() bool { return s.connections.closed[displaced].Load() >= 17 })
	if s.connections.closed[turnedAway].Load() != 0 {
		t.Error("a newcomer was turned away while others were idle")
	}
	s.connections.mu.Lock()
	for c := range s.connections.open {
		c.begin()
	}
	for n := len(s.connections.open); n < 4; n++ {
		working := &connection{of: s.connections}
		working.begin()
		s.connections.open[working] = struct{}{}
	}
	s.connections.mu.Unlock()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a newcomer beyond what works is not closed: %v", err)
	}
	mustSearch(t, user)
}

func TestWhatWaitsComesToNothingWhenCallsEnd(t *testing.T) {
	s := serve(t, nil)
	conn := s.dial(t)
	for range 100 {
		mustSearch(t, conn)
		if _, err := pb.NewCampaignServiceClient(conn).GetPlace(t.Context(),
			&pb.GetPlaceRequest{Name: "x"}); status.Code(err) != codes.InvalidArgument {
			t.Fatal(err)
		}
		if _, err := pb.NewCampaignServiceClient(conn).ListAdvertisers(t.Context(),
			&pb.ListAdvertisersRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	conn.Close()
	waitUntil(t, "nothing waits, nothing works", func() bool {
		return s.connections.calls.Load() == 0 && s.connections.bytes.Load() == 0 && s.connections.count() == 0 &&
			s.gates[searching].working.Load() == 0 && s.gates[reading].working.Load() == 0
	})
}

// TestHeadersOfOtherCallsDoNotAddUpBesideAStream makes calls with headers that differ
// beside an import that brings nothing yet.
func TestHeadersOfOtherCallsDoNotAddUpBesideAStream(t *testing.T) {
	const mostBytes = 64 << 10
	s := serve(t, func(c *Config) { c.MaxRequestBytes, c.Limits.StreamTimeout = mostBytes, time.Hour })
	conn := s.dial(t)
	open(t, t.Context(), conn, pb.CampaignService_Import_FullMethodName)
	for i := range 200 {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-trace", strings.Repeat("x", 4000)+strconv.Itoa(i))
		if _, err := pb.NewCampaignServiceClient(conn).ListAdvertisers(ctx, &pb.ListAdvertisersRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if bytes := s.connections.bytes.Load(); bytes > 3*mostBytes { // two messages, and an answer that is about to be freed
		t.Errorf("%d bytes wait", bytes)
	}
}

func TestAnAnswerWaitsUntilGRPCIsDoneWithIt(t *testing.T) {
	s := newConnections(&Config{Limits: Limits{Connections: 2, WaitingCalls: 10, WaitingBytes: 1 << 20},
		Log: slog.New(slog.DiscardHandler)})
	near, far := net.Pipe()
	defer far.Close()
	c := s.admit(near)
	for _, size := range []int{1, 256, 1024, 100_000} {
		a := c.answer(c.Get(size))
		if s.bytes.Load() < int64(size) {
			t.Errorf("%d bytes wait of %d", s.bytes.Load(), size)
		}
		if a.Free(); s.bytes.Load() != 0 {
			t.Errorf("%d bytes wait after it", s.bytes.Load())
		}
	}
	late := c.answer(c.Get(100_000))
	c.Close()
	if late.Free(); s.bytes.Load() != 0 {
		t.Errorf("%d bytes wait after the connection", s.bytes.Load())
	}
}
