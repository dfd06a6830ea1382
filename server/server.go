// Package server puts an exchange on the network: proto to nouns and back,
// errors to status codes, limits, metrics and health. It is the only package
// below the command line that knows the wire contract.
package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
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
	"github.com/hexbid/hexbid/store"
)

// Config is what a server can be told.
type Config struct {
	// TLSCert and TLSKey are PEM files; both or neither.
	TLSCert, TLSKey string
	// Insecure permits an address that is not loopback without TLS.
	Insecure bool
	// MaxInFlight bounds the calls that are worked on at once.
	MaxInFlight int
	// MaxRequestBytes bounds a message.
	MaxRequestBytes int
	// AllowTrace permits the exhaustive trace, which looks at every campaign.
	AllowTrace bool
	// DrainTimeout bounds how long a stop waits for calls in flight.
	DrainTimeout time.Duration
	Registry     *prometheus.Registry
	Log          *slog.Logger
}

// DefaultConfig has the limits of a machine of a few cores.
func DefaultConfig() Config {
	return Config{MaxInFlight: 4096, MaxRequestBytes: 8 << 20, DrainTimeout: 15 * time.Second, Registry: prometheus.NewRegistry(), Log: slog.Default()}
}

// Server serves gRPC: SearchService, CampaignService, health and reflection.
type Server struct {
	config   Config
	grpc     *grpc.Server
	health   *health.Server
	metrics  *metrics
	codec    *lenientCodec
	exchange atomic.Pointer[exchange.Exchange]
	inFlight atomic.Int64
}

// streamWorkers are goroutines that take calls in turn and keep their stacks: a new
// goroutine's has to be made larger and moved while a search goes deeper. More calls at
// once get goroutines of their own.
const streamWorkers = 64

// New makes a server that answers UNAVAILABLE, and NOT_SERVING to health
// checks, until Ready. Its error is of the TLS files.
func New(config Config) (*Server, error) {
	s := &Server{config: config, health: health.NewServer(), metrics: newMetrics(config.Registry), codec: newLenientCodec()}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(s.codec),
		grpc.ChainUnaryInterceptor(s.unary),
		grpc.ChainStreamInterceptor(s.stream),
		grpc.MaxRecvMsgSize(config.MaxRequestBytes),
		grpc.MaxConcurrentStreams(1024),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
	}
	if config.TLSCert != "" || config.TLSKey != "" {
		certificate, err := tls.LoadX509KeyPair(config.TLSCert, config.TLSKey)
		if err != nil {
			return nil, hexbid.Invalidf("tls-cert", "%q and %q do not load: %v", config.TLSCert, config.TLSKey, err)
		}
		options = append(options, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})))
	}
	s.grpc = grpc.NewServer(options...)
	registerSearch(s.grpc, &searchService{server: s})
	pb.RegisterCampaignServiceServer(s.grpc, &campaignService{server: s})
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.setServing(false)
	return s, nil
}

// Listen opens the address to serve on. An address that is not loopback is
// refused without TLS, unless Insecure says that the network is trusted.
func (c *Config) Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, hexbid.Invalidf("listen", "%q cannot be listened on: %v", address, err)
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && c.TLSCert == "" && !c.Insecure {
		l.Close()
		return nil, hexbid.Invalidf("listen", "%q is not a loopback address: give --tls-cert and --tls-key, or --insecure on a trusted network", address)
	}
	return l, nil
}

// Ready lets calls through to an exchange.
func (s *Server) Ready(e *exchange.Exchange) {
	s.exchange.Store(e)
	s.metrics.observe(e)
	s.setServing(true)
}

// Follow shows how a store fares: its failure in health and metrics, its losses in
// metrics. It returns when the context ends; call it once, after Ready.
func (s *Server) Follow(ctx context.Context, d store.Durable) {
	s.metrics.follow(d)
	select {
	case <-ctx.Done():
		return
	case <-d.Failed():
	}
	s.config.Log.Error("the catalogue takes no more writes; searches go on", "error", d.Failure())
	s.health.SetServingStatus(pb.CampaignService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_NOT_SERVING)
}

func (s *Server) setServing(serving bool) {
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthpb.HealthCheckResponse_SERVING
	}
	for _, name := range []string{"", pb.SearchService_ServiceDesc.ServiceName, pb.CampaignService_ServiceDesc.ServiceName} {
		s.health.SetServingStatus(name, status)
	}
}

// Serve accepts calls until the context ends, then drains: health says
// NOT_SERVING, nothing new is accepted, calls in flight may finish.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.grpc.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.setServing(false)
	drained := make(chan struct{})
	go func() { s.grpc.GracefulStop(); close(drained) }()
	select {
	case <-drained:
	case <-time.After(s.config.DrainTimeout):
		s.config.Log.Warn("calls in flight did not finish in time", "timeout", s.config.DrainTimeout)
		s.grpc.Stop()
		<-drained
	}
	return <-failed
}
