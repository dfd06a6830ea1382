package server

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// besides makes searches over a connection of its own until stop is called, and fails the test unless all are answered.
func (s *served) besides(t *testing.T) (stop func()) {
	t.Helper()
	conn, done := s.dial(t), make(chan struct{})
	mustSearch(t, conn)
	var group sync.WaitGroup
	answered := 0
	group.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			_, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx, anywhere)
			if cancel(); err != nil {
				t.Errorf("a search beside the attack: %v", err)
				return
			}
			answered++
		}
	})
	return func() { close(done); group.Wait(); mustSearch(t, conn) }
}

// untilClosed repeats a step of an attack until the server closes the connection. It fails the test after so many
// steps.
func (w *rawWire) untilClosed(t *testing.T, steps int, step func(i int) error) {
	t.Helper()
	for i := range steps {
		if err := step(i); err != nil {
			<-w.closed
			return
		}
		select {
		case <-w.closed:
			return
		default:
		}
	}
	t.Errorf("the server takes %d steps", steps)
}

// TestAttacksOnTheWireCloseTheirOwnConnection tries each over the real port while others search.
func TestAttacksOnTheWireCloseTheirOwnConnection(t *testing.T) {
	large := strings.Repeat("x", 8000)
	for name, attack := range map[string]struct {
		why  closing // closingCount where gRPC may close it by itself, or either reason may come first
		step func(w *rawWire, t *testing.T) func(i int) error
	}{
		"rapid reset before the request": {resetting, func(w *rawWire, t *testing.T) func(int) error {
			return func(int) error { return w.takeBack(searchMethod, nil) }
		}},
		"rapid reset of uploads": {closingCount, func(w *rawWire, t *testing.T) func(int) error {
			return func(int) error { return w.takeBack(pb.CampaignService_Import_FullMethodName, nil) }
		}},
		"methods that do not exist": {noisy, func(w *rawWire, t *testing.T) func(int) error {
			return func(int) error { return w.takeBack("/no.such/Method", []string{"x", large}) }
		}},
		"pings": {closingCount, func(w *rawWire, t *testing.T) func(int) error {
			return func(i int) error { return w.WritePing(false, [8]byte{byte(i)}) }
		}},
		"settings": {noisy, func(w *rawWire, t *testing.T) func(int) error {
			return func(i int) error {
				return w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)})
			}
		}},
		"windows": {noisy, func(w *rawWire, t *testing.T) func(int) error {
			return func(int) error { return w.WriteWindowUpdate(0, 1) }
		}},
		"frames of no kind": {noisy, func(w *rawWire, t *testing.T) func(int) error {
			return func(i int) error { return w.WriteRawFrame(0xbe, 0xff, uint32(i), []byte(large)) }
		}},
		"headers without end": {closingCount, func(w *rawWire, t *testing.T) func(int) error {
			begun := false
			return func(int) error {
				if block := w.headers(searchMethod, "x", large); !begun {
					begun = true
					return w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block})
				}
				return w.WriteContinuation(1, false, w.only("x", large))
			}
		}},
		"empty data": {noisy, func(w *rawWire, t *testing.T) func(int) error {
			return func(i int) error { return w.WriteData(uint32(2*i+1)|1, false, nil) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(c *Config) {
				c.Limits.NoiseBytes, c.Limits.NoiseTimeout, c.Limits.ResetCalls = 64<<10, 10*time.Millisecond, 200
			})
			defer s.besides(t)()
			w := s.rawWire(t)
			w.untilClosed(t, 10_000_000, attack.step(w, t))
			if attack.why < closingCount {
				waitUntil(t, "it is counted as closed for "+closingWords[attack.why],
					func() bool { return s.connections.closed[attack.why].Load() == 1 })
			}
		})
	}
}

// takeBack opens a call and takes it back.
func (w *rawWire) takeBack(method string, headers []string) error {
	stream := w.next
	w.next += 2
	err := w.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: w.headers(method, headers...),
		EndHeaders: true})
	if err == nil {
		err = w.WriteRSTStream(stream, http2.ErrCodeCancel)
	}
	return err
}

func TestAConnectionThatHedgesIsNotClosed(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.ResetCalls = 20 })
	conn := s.dial(t)
	for range 50 { // three of four are taken back
		mustSearch(t, conn)
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, searchMethod)
			if cancel(); err == nil {
				_ = stream.RecvMsg(new(pb.SearchNearbyResponse))
			}
		}
	}
	if s.connections.closed[resetting].Load() != 0 {
		t.Error("it was closed")
	}
}

func TestABusyHonestConnectionMakesNoNoise(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.NoiseBytes, c.Limits.NoiseTimeout = 16<<10, time.Minute })
	conn := s.dial(t)
	for i := range 2000 {
		if mustSearch(t, conn); i%100 == 0 {
			_, _ = pb.NewCampaignServiceClient(conn).CreateCampaign(t.Context(),
				&pb.CreateCampaignRequest{Campaign: &pb.Campaign{DisplayName: strings.Repeat("x", 1<<20)}})
		}
	}
	for c := range s.connections.open {
		if c.mu.Lock(); c.abuses.noise > 16<<10 {
			t.Errorf("%d bytes of noise at the end", c.abuses.noise)
		}
		c.mu.Unlock()
	}
	if s.connections.closed[noisy].Load() != 0 {
		t.Error("it was closed")
	}
}

func TestNoiseIsForgivenAsTimeGoes(t *testing.T) {
	var a abuses
	now := time.Unix(1000, 0)
	a.read(100, now)
	if got := a.read(50, now.Add(time.Millisecond)); got != 150-65 {
		t.Errorf("after a millisecond %d", got)
	}
	if got := a.read(quietBytesASecond, now.Add(2*time.Second)); got != quietBytesASecond {
		t.Errorf("later %d", got)
	}
	if a.credit(1 << 30); a.noise != 0 {
		t.Errorf("after a message %d", a.noise)
	}
}

// TestACompressedBombIsNotInflated sends a call whose message says that it is compressed.
func TestACompressedBombIsNotInflated(t *testing.T) {
	s := serve(t, nil)
	defer s.besides(t)()
	for _, encoding := range []string{"gzip", "zstd", "deflate", "snappy"} {
		conn := s.dial(t)
		_, err := pb.NewSearchServiceClient(conn).SearchNearby(t.Context(), anywhere, grpc.UseCompressor("identity"))
		if err != nil {
			t.Fatal(err)
		}
		w := s.rawWire(t)
		stream := w.open(t, searchMethod, "grpc-encoding", encoding)
		w.data(t, stream, append([]byte{1, 0, 0, 4, 0}, make([]byte, 1024)...), true)
		if got := w.status(t, stream); got != codes.Unimplemented {
			t.Errorf("%s: %v", encoding, got)
		}
	}
}

// TestHalfOpenConnectionsGiveUpTheirPlace opens connections that never begin, and one that vanishes.
func TestHalfOpenConnectionsGiveUpTheirPlace(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.HandshakeTimeout = 200 * time.Millisecond })
	stop := s.besides(t)
	for _, beginning := range []string{"", "P", http2.ClientPreface[:20], http2.ClientPreface, "GET / HTTP/1.1\r\n\r\n",
		"\x16\x03\x01"} {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(beginning)); err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "only the searcher's is left", func() bool { return s.connections.count() == 1 })
	stop()
}

func TestReflectionAndTracesAreForOperators(t *testing.T) {
	s := serve(t, func(c *Config) { c.AllowTrace = true })
	traced := &pb.SearchNearbyRequest{Location: anywhere.GetLocation(), Trace: true}
	for role, permitted := range map[hexbid.Role]bool{hexbid.Operator: true, hexbid.Auditor: false,
		hexbid.Searcher: false, hexbid.Member: false} {
		ctx := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: role, Origin: hexbid.InProcess})
		err := s.InProcess().Invoke(ctx, searchMethod, traced, new(pb.SearchNearbyResponse))
		if denied := status.Code(err) == codes.PermissionDenied; denied == permitted {
			t.Errorf("%s: a trace: %v", role, err)
		}
		for _, version := range []string{"v1", "v1alpha"} {
			stream, err := s.InProcess().NewStream(ctx, nil, "/grpc.reflection."+version+
				".ServerReflection/ServerReflectionInfo")
			if err != nil {
				t.Fatal(err)
			}
			if err = stream.CloseSend(); err == nil {
				err = stream.RecvMsg(new(healthpb.HealthCheckResponse)) // there is none
			}
			if denied := status.Code(err) == codes.PermissionDenied; denied == permitted {
				t.Errorf("%s: reflection: %v", role, err)
			}
		}
	}
}

func TestTLSIsOfTheLatestVersion(t *testing.T) {
	of := newIssuer(t)
	s := serve(t, func(c *Config) { c.TLSCert, c.TLSKey = of.issue(t, "localhost") })
	for version, works := range map[uint16]bool{tls.VersionTLS13: true, tls.VersionTLS12: false} {
		conn, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: of.pool, ServerName: "localhost",
			MaxVersion: version, NextProtos: []string{"h2"}})
		if (err == nil) != works {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			conn.Close()
		}
	}
}
