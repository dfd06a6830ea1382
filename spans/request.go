package spans

import (
	"context"
	"net/http"
	"strconv"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Request is a request over HTTP that is recorded; nil is one that is not. One goroutine at a time may use it.
//
// Its stages follow each other: each ends where the next one begins. Its span follows OpenTelemetry's conventions for
// HTTP, but for url.path and url.query: they hold names of resources, and whatever a caller writes there.
type Request struct {
	Call
	verb  string
	stage Stage // under way
}

// BeginRequest decides whether a request is recorded that began at an instant. It returns nil for one that is not.
func (r *Recorder) BeginRequest(of *http.Request, at time.Time) *Request {
	if r == nil {
		return nil
	}
	parent, recorded := r.choose(of.Context(), func(context.Context) []string { return ParentsIn(of.Header) })
	if !recorded {
		return nil
	}
	scheme := "http"
	if of.TLS != nil {
		scheme = "https"
	}
	verb, method := verbOf(of.Method)
	q := &Request{Call: Call{tracer: r.tracer}, verb: verb}
	q.ctx, q.span = r.tracer.Start(parent, verb, trace.WithTimestamp(at), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(semconv.HTTPRequestMethodKey.String(method), semconv.URLScheme(scheme)))
	return q
}

// verbOf returns how a method is named in the name of a span and in its attribute. A caller may send any word as a
// method, so unknown ones are all named alike.
func verbOf(method string) (verb, attribute string) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method, method
	}
	return "HTTP", "_OTHER"
}

// requestKey is the context key of a recorded request.
type requestKey struct{}

// WithRequest returns a context that carries a recorded request, or the context as it is for one that is not recorded.
func WithRequest(ctx context.Context, q *Request) context.Context {
	if q == nil {
		return ctx
	}
	return context.WithValue(ctx, requestKey{}, q)
}

// RequestOf returns the recorded request of a context, nil for none.
func (r *Recorder) RequestOf(ctx context.Context) *Request {
	if r == nil {
		return nil
	}
	q, _ := ctx.Value(requestKey{}).(*Request)
	return q
}

// Route notes the route that a request takes, as in "/v1/{name=advertisers/*}".
func (q *Request) Route(route string) {
	if q != nil {
		q.span.SetName(q.verb + " " + route)
		q.span.SetAttributes(semconv.HTTPRoute(route))
	}
}

// Next ends the stage under way, and begins the next one.
func (q *Request) Next(name string) {
	if q != nil {
		q.stage.End()
		q.stage = q.Stage(name)
	}
}

// Begin ends the stage under way, and begins the record of the call that the request makes in this process, both at an
// instant.
func (q *Request) Begin(method string, at time.Time) *Call {
	if q == nil {
		return nil
	}
	if q.stage.span != nil {
		q.stage.span.End(trace.WithTimestamp(at))
		q.stage = Stage{}
	}
	return beginCall(q.tracer, q.ctx, method, at, trace.SpanKindInternal)
}

// End ends a request that was answered with an HTTP status.
func (q *Request) End(status int) {
	if q == nil {
		return
	}
	q.stage.End()
	q.span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	if status >= http.StatusInternalServerError {
		q.fail(strconv.Itoa(status))
	}
	q.span.End()
}
