package server

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/spans"
)

// recordCall begins the record of a call that began at an instant. It returns nil for nearly all. A call from this
// process is a part of its HTTP request, and is recorded when that one is.
func (s *Server) recordCall(ctx context.Context, of class, method string, at time.Time) *spans.Call {
	switch {
	case of == unclassed:
		return nil
	case ctx.Value(insideKey{}) != nil:
		return s.config.Spans.RequestOf(ctx).Begin(method, at)
	}
	return s.recordBatch(ctx, method, at)
}

// recordBatch begins the record of a batch of a stream that began at an instant. It returns nil for nearly all.
func (s *Server) recordBatch(ctx context.Context, method string, at time.Time) *spans.Call {
	return s.config.Spans.Begin(ctx, method, at, callersSpan)
}

// RecordRequest begins the record of a request over HTTP. It returns nil for nearly all.
func (s *Server) RecordRequest(r *http.Request, at time.Time) *spans.Request {
	return s.config.Spans.BeginRequest(r, at)
}

// RecordedRequest returns the recorded request of a context, nil for none.
func (s *Server) RecordedRequest(ctx context.Context) *spans.Request {
	return s.config.Spans.RequestOf(ctx)
}

// endRecorded ends the record of a call. err is its status.
func endRecorded(c *spans.Call, caller *hexbid.Principal, err error) {
	if c == nil {
		return
	}
	if caller.ID != "" {
		c.Text("hexbid.caller", caller.ID)
	}
	of := status.Code(err)
	c.End(code.Code(of).String(), isFault(of))
}

// isFault tells errors of a server from those of its callers, as OpenTelemetry's conventions for gRPC do.
func isFault(code codes.Code) bool {
	switch code {
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	}
	return false
}

// parentKey is the context key of the traceparent headers of a call in this process.
type parentKey struct{}

// WithParent returns a context whose calls belong to the span that traceparent headers name.
func WithParent(ctx context.Context, headers []string) context.Context {
	if len(headers) == 0 {
		return ctx
	}
	return context.WithValue(ctx, parentKey{}, headers)
}

// callersSpan returns the traceparent headers of a call, which name the span of its caller.
func callersSpan(ctx context.Context) []string {
	if ctx.Value(insideKey{}) != nil {
		headers, _ := ctx.Value(parentKey{}).([]string)
		return headers
	}
	return metadata.ValueFromIncomingContext(ctx, spans.ParentHeader)
}

// watchSpans registers the counts of spans, which stay 0 without a collector.
func (m *metrics) watchSpans(r *spans.Recorder) {
	for outcome, count := range map[string]func(spans.Counts) uint64{
		"exported": func(c spans.Counts) uint64 { return c.Exported },
		"failed":   func(c spans.Counts) uint64 { return c.Failed },
		"dropped":  func(c spans.Counts) uint64 { return c.Dropped },
	} {
		m.counter("hexbid_spans_total", "Spans of recorded calls, by what became of them: exported to the collector, "+
			"failed (it did not take them) or dropped (too many waited for it).", prometheus.Labels{"outcome": outcome},
			func() float64 { return float64(count(r.Counts())) })
	}
}
