package spans

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Call is a call that is recorded; nil is one that is not. Its methods may be called from several goroutines.
type Call struct {
	tracer trace.Tracer
	span   trace.Span
	ctx    context.Context // in which span is the parent of the stages
}

// Begin decides whether a call is recorded that began at an instant. The method is a full name, as in
// "/hexbid.v1.SearchService/SearchNearby". headers returns the call's traceparent headers, and is called only when they
// matter. Begin returns nil for a call that is not recorded.
//
// A batch of a stream is a call too. Its span belongs to that of the HTTP request that brings the stream, if that one
// is recorded.
func (r *Recorder) Begin(ctx context.Context, method string, at time.Time,
	headers func(context.Context) []string) *Call {
	parent, recorded := r.choose(ctx, headers)
	if !recorded {
		return nil
	}
	if request := r.RequestOf(ctx); request != nil {
		parent = request.ctx
	}
	return beginCall(r.tracer, parent, method, at, trace.SpanKindServer)
}

// choose decides whether something is recorded, and returns a context with the span that it belongs to.
func (r *Recorder) choose(ctx context.Context, headers func(context.Context) []string) (context.Context, bool) {
	if r == nil {
		return nil, false
	}
	var from trace.SpanContext
	asked, inTrace := false, false
	ask := func() bool {
		if !asked {
			asked = true
			from, inTrace = parentIn(headers(ctx))
		}
		return inTrace
	}
	if !r.tickets.take(ask) {
		return nil, false
	}
	parent := context.Background()
	if ask() {
		parent = trace.ContextWithRemoteSpanContext(parent, from)
	}
	return parent, true
}

// beginCall begins the span of a call of a method, as OpenTelemetry's conventions for gRPC describe it.
func beginCall(tracer trace.Tracer, parent context.Context, method string, at time.Time, kind trace.SpanKind) *Call {
	name := strings.TrimPrefix(method, "/")
	c := &Call{tracer: tracer}
	c.ctx, c.span = tracer.Start(parent, name, trace.WithTimestamp(at), trace.WithSpanKind(kind),
		trace.WithAttributes(semconv.RPCSystemNameGRPC, semconv.RPCMethod(name)))
	return c
}

// callKey is the context key of a recorded call.
type callKey struct{}

// With returns a context that carries a recorded call, or the context as it is for one that is not recorded.
func With(ctx context.Context, c *Call) context.Context {
	if c == nil {
		return ctx
	}
	return context.WithValue(ctx, callKey{}, c)
}

// Of returns the recorded call of a context, nil for none.
func (r *Recorder) Of(ctx context.Context) *Call {
	if r == nil {
		return nil
	}
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// Stage is a part of a call; the zero Stage is one that is not recorded.
type Stage struct{ span trace.Span }

// Stage begins a part of a call. End it in any goroutine.
func (c *Call) Stage(name string) Stage {
	if c == nil {
		return Stage{}
	}
	return c.stage(name, time.Time{})
}

// StageSince begins a part of a call that began at an instant.
func (c *Call) StageSince(name string, at time.Time) Stage {
	if c == nil {
		return Stage{}
	}
	return c.stage(name, at)
}

func (c *Call) stage(name string, at time.Time) Stage {
	var options []trace.SpanStartOption
	if !at.IsZero() {
		options = append(options, trace.WithTimestamp(at))
	}
	_, span := c.tracer.Start(c.ctx, name, options...)
	return Stage{span}
}

// End ends a part of a call.
func (s Stage) End() {
	if s.span != nil {
		s.span.End()
	}
}

// Count notes a number about a call.
func (c *Call) Count(key string, n int) {
	if c != nil {
		c.span.SetAttributes(attribute.Int(key, n))
	}
}

// Text notes a word about a call. It must be no secret and nothing about a viewer.
func (c *Call) Text(key, word string) {
	if c != nil {
		c.span.SetAttributes(attribute.String(key, word))
	}
}

// End ends a call. code is the name of its gRPC status, as in "NOT_FOUND"; a fault is an error that is not the
// caller's.
func (c *Call) End(code string, fault bool) {
	if c == nil {
		return
	}
	c.span.SetAttributes(semconv.RPCResponseStatusCode(code))
	if fault {
		c.fail(code)
	}
	c.span.End()
}

// fail marks a call as failed.
func (c *Call) fail(kind string) {
	c.span.SetAttributes(semconv.ErrorTypeKey.String(kind))
	c.span.SetStatus(codes.Error, "")
}
