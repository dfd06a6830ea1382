// Package gateway serves the methods of the contract as JSON over HTTP.
//
// proto/http.yaml maps unary methods to routes. Their handlers, in package routes, are generated. Each decodes JSON
// into the method's request, calls the server in this process, and encodes the answer. Searches, uploads and the other
// streams have handlers of their own. A call passes these stages:
//
//	record   nearly never: begins the span of the request (package spans)
//	guard    Host, Origin, type and size of the body: who may be a browser's page, and what is no JSON
//	caller   server.CallerOver names the principal, which travels in the context and never as metadata
//	route    a handler of our own, or a generated one
//	server   InProcess: the limits, panics, errors and metrics that calls over gRPC have
//
// Answers use the names of fields that the contract uses, which are also those in errors. Fields at their default are
// left out. Every error is a google.rpc.Status, whatever stage it comes from.
package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/spans"
)

// Config holds the settings of a gateway.
type Config struct {
	// Hosts are the names, besides loopback's and the addresses of this machine, that a request's Host may have.
	Hosts []string
	// Origins are the web pages, as in "https://console.example.com", whose scripts may call.
	Origins []string
	// Profiles serves profiles of the program to operators, at /debug/pprof/.
	Profiles bool
	Limits   Limits
	Registry *prometheus.Registry
	Log      *slog.Logger
}

// Gateway is the HTTP port of a server.
type Gateway struct {
	config   Config
	server   *server.Server
	conn     grpc.ClientConnInterface
	guard    *guard
	own      map[string]handler // by "METHOD path"
	routed   *runtime.ServeMux
	scrape   http.Handler   // of /metrics
	working  atomic.Int64   // bytes of the bodies that are worked on
	handling sync.WaitGroup // handlers
	draining context.Context
	drain    context.CancelFunc
}

// New makes the gateway of a server. Its error names a setting.
func New(config Config, s *server.Server) (*Gateway, error) {
	guard, err := newGuard(&config)
	if err != nil {
		return nil, err
	}
	g := &Gateway{config: config, server: s, conn: reading{recording{s.InProcess(), s}}, guard: guard,
		scrape: promhttp.HandlerFor(config.Registry, promhttp.HandlerOpts{})}
	g.draining, g.drain = context.WithCancel(context.Background())
	g.routed = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &marshaler{}),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter,
			r *http.Request, err error) {
			g.fail(w, r, err)
		}),
		runtime.WithRoutingErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler,
			w http.ResponseWriter, r *http.Request, httpStatus int) {
			g.noRoute(w, r, httpStatus)
		}),
		runtime.SetQueryParameterParser(queries{}),
		runtime.WithIncomingHeaderMatcher(noHeader), // metadata says nothing in this process
		runtime.WithOutgoingHeaderMatcher(noHeader),
		runtime.WithDisablePathLengthFallback(), // a method is what the request line says
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithWriteContentLength(),
		runtime.WithMiddlewares(g.noteRoute),
	)
	for _, register := range services {
		if err := register(g.draining, g.routed, g.conn); err != nil {
			return nil, err
		}
	}
	g.own = g.ownHandlers()
	return g, nil
}

func noHeader(string) (string, bool) { return "", false }

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.handling.Add(1)
	defer g.handling.Done()
	counted := &writer{ResponseWriter: w, ctx: r.Context()}
	if g.server.IsOld(r.Context()) || r.Method == http.MethodConnect {
		// Over HTTP/2 net/http sends GOAWAY. What follows a CONNECT that is refused may be meant for the other end of the
		// tunnel, and whoever wrote it must not make requests of this connection.
		w.Header().Set("Connection", "close")
	}
	own := g.own[r.Method+" "+r.URL.Path]
	r, recorded := g.record(r, own)
	if err := hexbid.Contain(func() error { return g.handle(counted, r, own) }); err != nil {
		g.fail(counted, r, err)
	}
	recorded.End(counted.answered())
}

// handle answers a request, or returns why it does not. own is our own handler for it; its zero value means that a
// generated one answers.
func (g *Gateway) handle(w *writer, r *http.Request, own handler) error {
	if answered, err := g.guard.admit(w, r); answered || err != nil {
		return err
	}
	if own.open {
		return own.answer(w, r)
	}
	ctx, err := g.server.CallerOver(r)
	if err != nil {
		return server.StatusOf(err)
	}
	ctx = server.WithParent(ctx, spans.ParentsIn(r.Header))
	r = r.WithContext(server.WithClient(ctx, r.Header.Get(server.ClientHeader)))
	if r, err = withQuery(r); err != nil {
		return err
	}
	if own.answer != nil {
		return own.answer(w, r)
	}
	_, done, err := g.receive(w, r, g.config.Limits.BodyBytes)
	if err != nil {
		return err
	}
	defer done()
	g.routed.ServeHTTP(w, r)
	return nil
}

// noRoute answers a request that no route fits.
func (g *Gateway) noRoute(w http.ResponseWriter, r *http.Request, httpStatus int) {
	switch httpStatus {
	case http.StatusMethodNotAllowed:
		g.fail(w, r, refusal(httpStatus, codes.Unimplemented, "", "%s is no method of %s: see /openapi.json", r.Method,
			hexbid.Shorten(r.URL.Path)))
	case http.StatusNotFound:
		g.fail(w, r, refusal(httpStatus, codes.NotFound, "", "there is nothing at %s: see /openapi.json",
			hexbid.Shorten(r.URL.Path)))
	default:
		g.fail(w, r, refusal(http.StatusBadRequest, codes.InvalidArgument, "", "the path %q is malformed",
			hexbid.Shorten(r.URL.Path)))
	}
}
