package server

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
)

// The HTTP port lies in package gateway. Its calls go through InProcess. What follows makes its connections count and
// be bounded like those of the gRPC port, in a pool of their own: neither port's callers can take the other's places.

// Guard bounds the connections of the HTTP port.
func (s *Server) Guard(l net.Listener) net.Listener { return guardedListener{l, s.webs} }

// WebTLS returns the TLS configuration of the HTTP port, nil without TLS. Like the gRPC port's it follows changes of
// the files, and asks clients for certificates if --client-ca names authorities.
func (s *Server) WebTLS() *tls.Config {
	if s.certificates == nil {
		return nil
	}
	return s.certificates.forWeb()
}

// OnConnection returns the context of a connection that a guarded listener has accepted. Calls made with it count as
// the connection's. It fits http.Server.ConnContext.
func OnConnection(ctx context.Context, conn net.Conn) context.Context {
	return peer.NewContext(ctx, &peer.Peer{Addr: conn.RemoteAddr()})
}

// IsOld reports whether the connection of a context is older than one may get. Its client is then to be told to open
// another, so that load spreads over new servers, and a certificate that was withdrawn goes.
func (s *Server) IsOld(ctx context.Context) bool {
	c := connectionOf(ctx)
	return c.accepted != 0 && time.Since(time.Unix(0, c.accepted)) > s.config.Limits.ConnectionAge
}

// ConnectionEnd returns when the streams of a context's connection end, as those over gRPC do: at twice the age at
// which a connection is old.
func (s *Server) ConnectionEnd(ctx context.Context) time.Time {
	accepted := time.Now()
	if c := connectionOf(ctx); c.accepted != 0 {
		accepted = time.Unix(0, c.accepted)
	}
	return accepted.Add(2 * s.config.Limits.ConnectionAge)
}

// CallsAConnection returns how many calls a connection may have open.
func (s *Server) CallsAConnection() int { return s.config.Limits.CallsAConnection }

// Arriving counts a request that arrives over the connection of a context. Call the function that it returns with the
// request's size when all of it has arrived, or no more will.
func Arriving(ctx context.Context) (arrived func(bytes int)) {
	c := connectionOf(ctx)
	c.awaitCall()
	return c.callArrived
}

// Untaken counts bytes of an answer that the caller has not taken. Call the function that it returns when they are
// written.
func Untaken(ctx context.Context, bytes int) (taken func()) {
	c := connectionOf(ctx)
	c.change(func(w *waiting) { w.untaken += int64(bytes) })
	return func() { c.change(func(w *waiting) { w.untaken -= int64(bytes) }) }
}

// Serving reports, for each service and for "" as a whole, whether it serves, as health does.
func (s *Server) Serving() (map[string]bool, error) {
	all, err := s.health.List(context.Background(), &healthpb.HealthListRequest{})
	if err != nil {
		return nil, err
	}
	serving := map[string]bool{}
	for name, of := range all.GetStatuses() {
		serving[name] = of.GetStatus() == healthpb.HealthCheckResponse_SERVING
	}
	return serving, nil
}

// StatusOf converts an error to a gRPC status with the fields in its details, as calls from the network get it.
func StatusOf(err error) error { return statusOf(err) }
