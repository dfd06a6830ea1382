package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/hexbid/hexbid/server"
)

// Serve answers requests until the context ends and then drains: it accepts no more, and requests in flight may finish.
// After DrainTimeout it closes the remaining connections, which ends their contexts. It returns when no handler runs
// any more, so that the exchange can be closed.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	limits := &g.config.Limits
	s := &http.Server{Handler: g, ConnContext: server.OnConnection, ReadHeaderTimeout: limits.HeaderTimeout,
		IdleTimeout: limits.IdleTimeout, MaxHeaderBytes: maxHeaderBytes - netHTTPSlack,
		TLSConfig: g.server.WebTLS(), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: g.server.CallsAConnection()},
		ErrorLog: slog.NewLogLogger(g.config.Log.Handler(), slog.LevelDebug)} // what callers do wrong
	failed := make(chan error, 1)
	go func() { failed <- g.accept(s, l) }()
	defer g.handling.Wait()
	defer g.drain()
	select {
	case err := <-failed:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.Background(), limits.DrainTimeout)
	defer cancel()
	if err := s.Shutdown(patience); err != nil {
		g.config.Log.Warn("requests in flight did not finish in time", "timeout", limits.DrainTimeout)
		_ = s.Close() // an error changes nothing
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// netHTTPSlack is what net/http adds to the most bytes of headers.
const netHTTPSlack = 4 << 10

func (g *Gateway) accept(s *http.Server, l net.Listener) error {
	if s.TLSConfig == nil {
		return s.Serve(g.server.Guard(l))
	}
	return s.ServeTLS(g.server.Guard(l), "", "")
}
