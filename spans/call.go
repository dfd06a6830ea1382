package spans

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
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
func (r *Recorder) Begin(ctx context.Context, method string, at time.Time,
	headers func(context.Context) []string) *Call {
	if r == nil {
		return nil
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
		return nil
	}
	begin := context.Background()
	if ask() {
		begin = trace.ContextWithRemoteSpanContext(begin, from)
	}
	name := strings.TrimPrefix(method, "/")
	service, short, _ := strings.Cut(name, "/")
	c := &Call{tracer: r.tracer}
	c.ctx, c.span = r.tracer.Start(begin, name, trace.WithTimestamp(at), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("rpc.system", "grpc"), attribute.String("rpc.service", service),
			attribute.String("rpc.method", short)))
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

// End ends a call. code is the name of its gRPC status; a fault is an error that is not the caller's.
func (c *Call) End(code string, fault bool) {
	if c == nil {
		return
	}
	c.span.SetAttributes(attribute.String("rpc.response.status_code", code))
	if fault {
		c.span.SetStatus(codes.Error, code)
	}
	c.span.End()
}
