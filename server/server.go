// Package server puts an exchange on the network: it maps proto messages to resources and back, errors to status codes,
// and adds limits, metrics and health. It is the only package below the command line that knows the wire contract.
package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/spans"
)

// Config holds the settings of a server.
type Config struct {
	// TLSCert and TLSKey name PEM files; set both or neither. They are read again when they change, and so is ClientCA.
	TLSCert, TLSKey string
	// Insecure permits listening without TLS on an address that is not loopback.
	Insecure bool
	Limits   Limits
	Quotas   Quotas
	// Clock is what quotas are counted by.
	Clock func() time.Time
	// MaxRequestBytes bounds a message.
	MaxRequestBytes int
	// Auth says what callers must prove.
	Auth Auth
	// ClientCA names a PEM file of authorities. Certificates of clients that they signed count as credentials. Empty
	// asks for none.
	ClientCA string
	// TrustedProxies are the addresses of proxies that are believed when they say for whom they forward a call.
	TrustedProxies []netip.Prefix
	// AllowTrace permits the exhaustive trace, which evaluates every campaign.
	AllowTrace bool
	// DrainTimeout bounds how long a stop waits for calls in flight.
	DrainTimeout time.Duration
	// Spans records how long the stages of some calls take; nil records none.
	Spans    *spans.Recorder
	Registry *prometheus.Registry
	Log      *slog.Logger
}

// DefaultConfig returns settings for a machine of a few cores.
func DefaultConfig() Config {
	return Config{Limits: DefaultLimits(), MaxRequestBytes: 8 << 20, DrainTimeout: 15 * time.Second, Clock: time.Now,
		Registry: prometheus.NewRegistry(), Log: slog.Default()}
}

// Server serves gRPC: the services of the contract, health and reflection.
type Server struct {
	config       Config
	grpc         *grpc.Server
	health       *health.Server
	serving      serving
	draining     chan struct{} // closed when the server stops
	metrics      *metrics
	codec        codec
	exchange     atomic.Pointer[exchange.Exchange]
	gates        [classCount]gate
	pressure     *pressure
	callers      callerCounts
	certificates *certificates // of both ports; nil without TLS
	quotas       *quotas
	parties      parties
	connections  *connections           // of the gRPC port
	webs         *connections           // of the HTTP port
	handling     sync.WaitGroup         // handlers of streams
	unaryMethods map[string]unaryMethod // by full name; fixed once calls arrive
	streams      map[string]streamMethod
}

// streamWorkers is the number of goroutines that take calls in turn and keep their stacks. A new goroutine would have
// to grow and copy its stack while a search goes deeper. Calls beyond that number get goroutines of their own.
const streamWorkers = 64

// New makes a server that answers UNAVAILABLE, and NOT_SERVING to health checks, until Ready is called. Its error names
// a limit or a TLS file.
func New(config Config) (*Server, error) {
	if err := hexbid.JoinErrors(config.Limits.Validate(), config.Quotas.Validate()); err != nil {
		return nil, err
	}
	s := &Server{config: config, health: health.NewServer(), metrics: newMetrics(config.Registry), codec: newCodec(),
		pressure: newPressure(config.Limits.Wait), quotas: newQuotas(config.Quotas, config.Clock),
		unaryMethods: map[string]unaryMethod{},
		streams:      map[string]streamMethod{}, draining: make(chan struct{})}
	s.openGates()
	s.connections, s.webs = newConnections(&s.config), newConnections(&s.config)
	s.connections.framed = true
	s.metrics.watch(s)
	s.metrics.watchCallers(&s.callers)
	s.metrics.watchSpans(config.Spans)
	options, err := s.options()
	if err != nil {
		return nil, err
	}
	s.metrics.watchCertificates(s.certificates)
	s.grpc = grpc.NewServer(options...)
	services := registrar{s.grpc, s}
	pb.RegisterSearchServiceServer(services, &searchService{server: s})
	pb.RegisterCampaignServiceServer(services, &campaignService{server: s})
	pb.RegisterEventServiceServer(services, &eventService{server: s})
	pb.RegisterLedgerServiceServer(services, &ledgerService{server: s})
	pb.RegisterAccessServiceServer(services, &accessService{server: s})
	pb.RegisterMarketServiceServer(services, &marketService{server: s})
	pb.RegisterAuditServiceServer(services, &auditService{server: s})
	healthpb.RegisterHealthServer(services, s.health)
	reflection.Register(services)
	s.tell(func(v *serving) { v.ready = false })
	return s, nil
}

// maxHeaderBytes bounds the headers of a call.
const maxHeaderBytes = 16 << 10

func (s *Server) options() ([]grpc.ServerOption, error) {
	config, limits := &s.config, &s.config.Limits
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(s.codec),
		grpc.InTapHandle(s.tap),
		grpc.ChainStreamInterceptor(s.stream),
		grpc.MaxRecvMsgSize(config.MaxRequestBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(uint32(limits.CallsAConnection)),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.ConnectionTimeout(limits.HandshakeTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: limits.IdleTimeout,
			MaxConnectionAge: limits.ConnectionAge, MaxConnectionAgeGrace: limits.ConnectionAge, Time: time.Minute,
			Timeout: 20 * time.Second}),
	}
	var err error
	if s.certificates, err = openCertificates(config); err != nil {
		return nil, err
	}
	if s.certificates != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.certificates.forGRPC())))
	}
	return options, nil
}

// Listen opens the address to serve on, which a flag has set. It refuses an address that is not loopback without
// credentials, and without TLS unless Insecure says that the network is trusted.
func (c *Config) Listen(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, hexbid.Invalidf(flag, "%q cannot be listened on: %v", address, err)
	}
	tcp, ok := l.Addr().(*net.TCPAddr)
	if ok && !tcp.IP.IsLoopback() && c.Auth == AuthNone {
		l.Close()
		return nil, hexbid.Invalidf(flag, "%q is not a loopback address, and everybody who reaches it would be the "+
			"operator: give --auth required", address)
	}
	if ok && !tcp.IP.IsLoopback() && c.TLSCert == "" && !c.Insecure {
		l.Close()
		return nil, hexbid.Invalidf(flag,
			"%q is not a loopback address: give --tls-cert and --tls-key, or --insecure on a trusted network", address)
	}
	return l, nil
}

// Ready passes calls to an exchange from now on.
func (s *Server) Ready(e *exchange.Exchange) {
	s.exchange.Store(e)
	s.metrics.observe(e)
	s.tell(func(v *serving) { v.ready = true })
}

// errDraining ends streams that would otherwise hold up every stop.
var errDraining = hexbid.Errorf(hexbid.Unavailable, "",
	"the server stops: open the stream again at another one, and send again what has no answer")

// Serve accepts calls until the context ends and then drains: health says NOT_SERVING, new calls are refused, calls in
// flight may finish. After DrainTimeout it cancels the contexts of the remaining calls. It returns when no handler runs
// any more, so that the exchange can be closed. The caller must bound how long a handler may hang.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.grpc.Serve(guardedListener{l, s.connections}) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.tell(func(v *serving) { v.draining = true })
	close(s.draining)
	drained := make(chan struct{})
	go func() { s.grpc.GracefulStop(); close(drained) }()
	select {
	case <-drained:
	case <-time.After(s.config.DrainTimeout):
		s.config.Log.Warn("calls in flight did not finish in time", "timeout", s.config.DrainTimeout)
		s.grpc.Stop()
		<-drained
	}
	s.handling.Wait()
	return <-failed
}
