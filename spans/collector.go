package spans

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
)

// collector sends spans to a collector's OTLP port over HTTP. It implements otlptrace.Client, as the library's own
// client does. That one makes every gRPC server of its program inflate what callers compress, and nothing can undo
// it. A caller would then make the server inflate a thousand times what the caller sent.
//
// Source: OTLP 1.9, "OTLP/HTTP", and "OpenTelemetry Protocol Exporter" for the variables.
type collector struct {
	url        string
	headers    http.Header
	compressed bool
	http       *http.Client
}

// defaultTimeout is how long a collector may take for a batch, unless a variable says otherwise.
const defaultTimeout = 10 * time.Second

// newCollector makes a client of the collector at an endpoint. An empty endpoint leaves it to the environment. Its
// error names a variable or the flag, and repeats no value, which may be a secret.
func newCollector(endpoint string) (*collector, error) {
	if endpoint == "" {
		endpoint = os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	}
	if endpoint == "" { // the general variable names the folder of all kinds of telemetry
		endpoint = strings.TrimSuffix(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), "/") + defaultPath
	}
	c := &collector{headers: http.Header{}}
	var err error
	if c.url, err = endpointOf(endpoint); err != nil {
		return nil, err
	}
	if err := c.setHeaders(ofTraces("HEADERS")); err != nil {
		return nil, err
	}
	switch ofTraces("COMPRESSION") {
	case "", "none":
	case "gzip":
		c.compressed = true
	default:
		return nil, hexbid.Invalidf("OTEL_EXPORTER_OTLP_COMPRESSION", "is not known: use gzip or none")
	}
	timeout := defaultTimeout
	if text := ofTraces("TIMEOUT"); text != "" {
		ms, err := strconv.ParseUint(text, 10, 31)
		if err != nil || ms == 0 {
			return nil, hexbid.Invalidf("OTEL_EXPORTER_OTLP_TIMEOUT", "is no number of milliseconds above 0")
		}
		timeout = time.Duration(ms) * time.Millisecond
	}
	config, err := clientTLS()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	c.http = &http.Client{Transport: transport, Timeout: timeout}
	return c, nil
}

// ofTraces returns a variable of the exporter. The one for traces alone stands above the general one.
func ofTraces(name string) string {
	if own := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_" + name); own != "" {
		return own
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_" + name)
}

// setHeaders reads "name=value,…", where values are percent-encoded.
func (c *collector) setHeaders(text string) error {
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !found || name == "" || err != nil {
			return hexbid.Invalidf("OTEL_EXPORTER_OTLP_HEADERS", "is no list of name=value with commas between")
		}
		c.headers.Set(name, value)
	}
	return nil
}

// clientTLS returns the roots that collectors' certificates are checked by, and the certificate that is shown to them.
func clientTLS() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if path := ofTraces("CERTIFICATE"); path != "" {
		roots, err := os.ReadFile(path)
		config.RootCAs = x509.NewCertPool()
		if err != nil || !config.RootCAs.AppendCertsFromPEM(roots) {
			return nil, hexbid.Invalidf("OTEL_EXPORTER_OTLP_CERTIFICATE", "names no file of certificates in PEM")
		}
	}
	if path := ofTraces("CLIENT_CERTIFICATE"); path != "" {
		own, err := tls.LoadX509KeyPair(path, ofTraces("CLIENT_KEY"))
		if err != nil {
			return nil, hexbid.Invalidf("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
				"and OTEL_EXPORTER_OTLP_CLIENT_KEY name no certificate with its key in PEM")
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}

// Start implements otlptrace.Client.
func (c *collector) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *collector) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// mostRead bounds what is read of a collector's answer, so that its connection can be used again.
const mostRead = 64 << 10

// UploadTraces implements otlptrace.Client. It sends a batch once: spans that a collector does not take are counted and
// dropped.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&collectorpb.ExportTraceServiceRequest{ResourceSpans: spans})
	if err != nil {
		return err
	}
	if c.compressed {
		body = compress(body)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = c.headers.Clone()
	request.Header.Set("Content-Type", "application/x-protobuf")
	if c.compressed {
		request.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	told, err := io.ReadAll(io.LimitReader(answer.Body, mostRead))
	if err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answered %s", answer.Status)
	}
	var took collectorpb.ExportTraceServiceResponse
	if proto.Unmarshal(told, &took) == nil && took.GetPartialSuccess().GetRejectedSpans() > 0 {
		return fmt.Errorf("the collector refused %d spans", took.GetPartialSuccess().GetRejectedSpans())
	}
	return nil
}

func compress(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}
