package spans

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// ParentHeader is the W3C header, and the gRPC metadata key, that names the span that a call belongs to. The other
// headers of that standard, tracestate and baggage, may hold anything, and are not read.
const ParentHeader = "traceparent"

// canonicalParent is ParentHeader as net/http keeps it. To look it up by the other spelling costs an allocation.
var canonicalParent = http.CanonicalHeaderKey(ParentHeader)

// ParentsIn returns the traceparent headers of a request over HTTP.
func ParentsIn(h http.Header) []string { return h[canonicalParent] }

// parent is what a caller says of the span that its call belongs to.
type parent string

// Get, Set and Keys implement propagation.TextMapCarrier.
func (p parent) Get(key string) string {
	if key == ParentHeader {
		return string(p)
	}
	return ""
}

// Set implements propagation.TextMapCarrier. Nothing is sent on.
func (p parent) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (p parent) Keys() []string { return []string{ParentHeader} }

// mostParentBytes is longer than the header is in any version that is known.
const mostParentBytes = 128

// parentIn returns the span that a call belongs to, if its caller records a trace and says so in one header that can be
// read.
func parentIn(headers []string) (trace.SpanContext, bool) {
	if len(headers) != 1 || len(headers[0]) > mostParentBytes {
		return trace.SpanContext{}, false
	}
	found := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), parent(headers[0])))
	return found, found.IsValid() && found.IsSampled()
}
