package spans

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/hexbid/hexbid"
)

// Config holds the settings of a recorder.
type Config struct {
	// Endpoint is the URL of a collector's OTLP port over HTTP, as in http://127.0.0.1:4318. Empty leaves it to
	// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and OTEL_EXPORTER_OTLP_ENDPOINT, and records nothing without them.
	Endpoint string
	// Share is the share of calls that are recorded, 0 to 1.
	Share   float64
	Version string // of the program
	Log     *slog.Logger
}

// Recorder records some calls. A nil recorder records none.
type Recorder struct {
	tickets  tickets
	tracer   trace.Tracer
	provider *sdk.TracerProvider
	queue    *queue
}

// DefaultShare is the share of calls that are recorded unless the operator sets another one.
const DefaultShare = 0.01

// defaultPath is where a collector takes spans, unless the endpoint has a path of its own.
const defaultPath = "/v1/traces"

// closing bounds how long Close waits for a collector.
const closing = 2 * time.Second

// Open returns a recorder, or nil when nothing is to be recorded. It does not wait for the collector, which may come
// later. Beside Config it follows the OTEL_* variables for the name of the service, its resource attributes, and the
// exporter's headers, certificates, compression and timeout. Its error names a setting.
func Open(ctx context.Context, c Config) (*Recorder, error) {
	if !(c.Share >= 0 && c.Share <= 1) {
		return nil, hexbid.Invalidf("trace-sample", "%v is out of range: use 0 to 1", c.Share)
	}
	if c.Share == 0 || c.Endpoint == "" && !environmentNames() || os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return nil, nil
	}
	if p := ofTraces("PROTOCOL"); p.text != "" && p.text != "http/protobuf" {
		return nil, hexbid.Invalidf(p.name, "is not known: spans are sent as http/protobuf alone, which collectors take at "+
			"port 4318")
	}
	client, err := newCollector(c.Endpoint)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, hexbid.Invalidf("trace-endpoint", "no spans can be sent: %v", err)
	}
	of, err := resourceOf(ctx, c.Version)
	if err != nil {
		return nil, hexbid.Invalidf("OTEL_RESOURCE_ATTRIBUTES", "cannot be read: %v", err)
	}
	return newRecorder(&c, exporter, of), nil
}

// newRecorder makes a recorder that hands its spans to an exporter.
func newRecorder(c *Config, exporter sdk.SpanExporter, of *resource.Resource) *Recorder {
	q := newQueue(exporter, c.Log)
	provider := sdk.NewTracerProvider(sdk.WithResource(of), sdk.WithSpanProcessor(q),
		sdk.WithSampler(sdk.AlwaysSample())) // of the calls that have a ticket
	return &Recorder{tickets: newTickets(c.Share), provider: provider, queue: q,
		tracer: provider.Tracer("github.com/hexbid/hexbid", trace.WithSchemaURL(semconv.SchemaURL))}
}

// Flush sends the spans that have ended, and returns when a collector has taken or refused them. Its error is that of a
// context that ended before.
func (r *Recorder) Flush(ctx context.Context) error {
	if r == nil {
		return nil
	}
	return r.provider.ForceFlush(ctx)
}

// Close sends what is left, for two seconds at most.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	defer context.AfterFunc(ctx, r.queue.giveUp)()
	if err := r.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// Counts are spans since the start: those that a collector took, those that it did not take in time, and those that
// found the queue full.
type Counts struct{ Exported, Failed, Dropped uint64 }

// Counts returns the counts.
func (r *Recorder) Counts() Counts {
	if r == nil {
		return Counts{}
	}
	return Counts{r.queue.exported.Load(), r.queue.failed.Load(), r.queue.dropped.Load()}
}

// environmentNames reports whether the environment names a collector.
func environmentNames() bool {
	return os.Getenv("OTEL_TRACES_EXPORTER") != "none" &&
		ofTraces("ENDPOINT").text != ""
}

// resourceOf describes the program. The environment overrides the name and adds to it.
func resourceOf(ctx context.Context, version string) (*resource.Resource, error) {
	return resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "hexbid"),
		attribute.String("service.version", version)), resource.WithTelemetrySDK(), resource.WithFromEnv())
}
