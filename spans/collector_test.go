package spans

import (
	"compress/gzip"
	"encoding/pem"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
)

// taken is what a collector was sent.
type taken struct {
	path   string
	header http.Header
	spans  []string
	err    error
}

// collectorThat answers each batch and notes the last one.
func collectorThat(answer *collectorpb.ExportTraceServiceResponse, last *taken) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*last = taken{path: r.URL.Path, header: r.Header}
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			if body, last.err = gzip.NewReader(r.Body); last.err != nil {
				return
			}
		}
		all, err := io.ReadAll(body)
		var batch collectorpb.ExportTraceServiceRequest
		last.err = errors.Join(err, proto.Unmarshal(all, &batch))
		for _, of := range batch.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					last.spans = append(last.spans, s.GetName())
				}
			}
		}
		told, _ := proto.Marshal(answer)
		_, _ = w.Write(told)
	})
}

// oneCall records a call, closes the recorder and returns its counts.
func oneCall(t *testing.T, c Config) Counts {
	t.Helper()
	c.Share, c.Log = 1, silent
	r, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r.Begin(t.Context(), method, time.Now(), headers()).End("OK", false)
	if err := errors.Join(r.Flush(t.Context()), r.Close()); err != nil {
		t.Fatal(err)
	}
	return r.Counts()
}

func TestACollectorGetsSpansAsTheVariablesSay(t *testing.T) {
	var last taken
	server := httptest.NewTLSServer(collectorThat(nil, &last))
	defer server.Close()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(roots, block, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL+"/")
	if n := oneCall(t, Config{}); n != (Counts{Failed: 1}) {
		t.Errorf("a collector of unknown roots got %+v", n)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", roots)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20one, x-b = 2")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip")
	if n := oneCall(t, Config{}); n != (Counts{Exported: 1}) {
		t.Errorf("%+v", n)
	}
	if last.err != nil || last.path != "/v1/traces" || len(last.spans) != 1 || last.spans[0] != method[1:] ||
		last.header.Get("Authorization") != "Bearer one" || last.header.Get("X-B") != "2" ||
		last.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%+v", last)
	}
	if n := oneCall(t, Config{Endpoint: server.URL + "/own"}); n != (Counts{Exported: 1}) || last.path != "/own" {
		t.Errorf("the flag's endpoint got %+v at %s", n, last.path)
	}
}

// TestSpansThatACollectorRejectsAreCounted sends batches of three spans.
func TestSpansThatACollectorRejectsAreCounted(t *testing.T) {
	for rejected, want := range map[int64]Counts{-1: {Exported: 3}, 0: {Exported: 3}, 1: {Exported: 2, Failed: 1},
		3: {Failed: 3}, 4: {Failed: 3}, math.MaxInt64: {Failed: 3}} {
		var last taken
		server := httptest.NewServer(collectorThat(&collectorpb.ExportTraceServiceResponse{
			PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: rejected}}, &last))
		r, err := Open(t.Context(), Config{Endpoint: server.URL, Share: 1, Log: silent})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			r.Begin(t.Context(), method, time.Now(), headers()).End("OK", false)
		}
		if err := errors.Join(r.Flush(t.Context()), r.Close()); err != nil {
			t.Fatal(err)
		}
		if got := r.Counts(); got != want || len(last.spans) != 3 {
			t.Errorf("%d rejected: %+v of %d", rejected, got, len(last.spans))
		}
		server.Close()
	}
}

func TestAWrongVariableIsNamedAndNotRepeated(t *testing.T) {
	for _, of := range []string{"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"} {
		for variable, value := range map[string]string{"HEADERS": "hunter2", "COMPRESSION": "hunter2", "TIMEOUT": "hunter2",
			"CERTIFICATE": "/hunter2", "CLIENT_CERTIFICATE": "/hunter2", "PROTOCOL": "hunter2", "ENDPOINT": "hunter2"} {
			t.Run(of+variable, func(t *testing.T) {
				t.Setenv(of+variable, value)
				endpoint := "http://c"
				if variable == "ENDPOINT" {
					endpoint = ""
				}
				_, err := Open(t.Context(), Config{Endpoint: endpoint, Share: 1, Log: silent})
				var e *hexbid.Error
				if !errors.As(err, &e) || e.Field != of+variable || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// TestNoServerOfTheProgramInflates: a package that registers a compressor opens every gRPC server to bombs.
func TestNoServerOfTheProgramInflates(t *testing.T) {
	if encoding.GetCompressor("gzip") != nil {
		t.Error("something that spans import registers gzip with gRPC")
	}
}
