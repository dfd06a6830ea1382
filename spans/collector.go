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
	named := setting{"trace-endpoint", endpoint}
	if endpoint == "" {
		if named = ofTraces("ENDPOINT"); named.name == generally+"ENDPOINT" { // the folder of all kinds of telemetry
			named.text = strings.TrimSuffix(named.text, "/") + defaultPath
		}
	}
	c := &collector{headers: http.Header{}}
	var err error
	if c.url, err = named.endpoint(); err != nil {
		return nil, err
	}
	if err := c.setHeaders(ofTraces("HEADERS")); err != nil {
		return nil, err
	}
	switch compression := ofTraces("COMPRESSION"); compression.text {
	case "", "none":
	case "gzip":
		c.compressed = true
	default:
		return nil, hexbid.Invalidf(compression.name, "is not known: use gzip or none")
	}
	timeout, err := ofTraces("TIMEOUT").timeout()
	if err != nil {
		return nil, err
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

// setting is the value of a flag or a variable, with its name for errors.
type setting struct{ name, text string }

// generally begins the exporter's variables for all kinds of telemetry.
const generally = "OTEL_EXPORTER_OTLP_"

// ofTraces returns a variable of the exporter. The one for traces alone stands above the general one.
func ofTraces(name string) setting {
	own := generally + "TRACES_" + name
	if text := os.Getenv(own); text != "" {
		return setting{own, text}
	}
	return setting{generally + name, os.Getenv(generally + name)}
}

// endpoint checks an endpoint and completes its path. A password in it would be a secret in a flag.
func (s setting) endpoint() (string, error) {
	u, err := url.Parse(s.text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", hexbid.Invalidf(s.name, "is no URL: give scheme, host and port, as in http://127.0.0.1:4318")
	case u.User != nil || u.RawQuery != "":
		return "", hexbid.Invalidf(s.name,
			"may hold neither a password nor a query: give credentials in OTEL_EXPORTER_OTLP_HEADERS")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = defaultPath
	}
	return u.String(), nil
}

// timeout reads a time in milliseconds.
func (s setting) timeout() (time.Duration, error) {
	if s.text == "" {
		return defaultTimeout, nil
	}
	ms, err := strconv.ParseUint(s.text, 10, 31)
	if err != nil || ms == 0 {
		return 0, hexbid.Invalidf(s.name, "is no number of milliseconds above 0")
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// setHeaders reads "name=value,…", where values are percent-encoded.
func (c *collector) setHeaders(from setting) error {
	for pair := range strings.SplitSeq(from.text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !found || name == "" || err != nil {
			return hexbid.Invalidf(from.name, "is no list of name=value with commas between")
		}
		c.headers.Set(name, value)
	}
	return nil
}

// clientTLS returns the roots that collectors' certificates are checked by, and the certificate that is shown to them.
func clientTLS() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if trusted := ofTraces("CERTIFICATE"); trusted.text != "" {
		roots, err := os.ReadFile(trusted.text)
		config.RootCAs = x509.NewCertPool()
		if err != nil || !config.RootCAs.AppendCertsFromPEM(roots) {
			return nil, hexbid.Invalidf(trusted.name, "names no file of certificates in PEM")
		}
	}
	if shown, key := ofTraces("CLIENT_CERTIFICATE"), ofTraces("CLIENT_KEY"); shown.text != "" {
		own, err := tls.LoadX509KeyPair(shown.text, key.text)
		if err != nil {
			return nil, hexbid.Invalidf(shown.name, "and %s name no certificate with its key in PEM", key.name)
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
		return rejectedError(took.GetPartialSuccess().GetRejectedSpans())
	}
	return nil
}

// rejectedError is a number of spans that a collector rejected of a batch. It took the others.
type rejectedError int64

// Error says how many.
func (n rejectedError) Error() string {
	return fmt.Sprintf("the collector rejected %d spans", int64(n))
}

func compress(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}
