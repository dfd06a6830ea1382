package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/spans"
)

// record begins the record of a request, and returns the request with it. It returns nil for nearly all. Probes of
// health and the document are no calls, and are never recorded.
func (g *Gateway) record(r *http.Request, own handler) (*http.Request, *spans.Request) {
	if own.open {
		return r, nil
	}
	recorded := g.server.RecordRequest(r, time.Now())
	if recorded == nil {
		return r, nil
	}
	if own.answer != nil {
		recorded.Route(r.URL.Path)
	}
	return r.WithContext(spans.WithRequest(r.Context(), recorded)), recorded
}

// noteRoute notes the route of a recorded request that a generated handler answers.
func (g *Gateway) noteRoute(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, fields map[string]string) {
		if recorded := g.server.RecordedRequest(r.Context()); recorded != nil {
			pattern, _ := runtime.HTTPPattern(r.Context()) // the mux sets it before it calls a handler
			recorded.Route(pattern.String())
		}
		next(w, r, fields)
	}
}

// recording begins the last stage of a recorded request, in which its answer becomes JSON, where its call ends.
type recording struct {
	grpc.ClientConnInterface
	server *server.Server
}

// Invoke implements grpc.ClientConnInterface.
func (c recording) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	defer c.server.RecordedRequest(ctx).Next("encode")
	return c.ClientConnInterface.Invoke(ctx, method, request, reply, options...)
}
