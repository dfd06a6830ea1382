package gateway

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	tracecollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/spans"
)

// traced is a gateway that records every request.
type traced struct {
	*port
	recorder *spans.Recorder
	batches  chan []byte
}

func openTraced(t *testing.T, change func(*Config, *server.Config)) *traced {
	t.Helper()
	of := &traced{batches: make(chan []byte, 64)}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		of.batches <- body
	}))
	t.Cleanup(collector.Close)
	var err error
	if of.recorder, err = spans.Open(t.Context(), spans.Config{Endpoint: collector.URL, Share: 1,
		Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	of.port = open(t, func(c *Config, s *server.Config) {
		s.Spans = of.recorder
		if change != nil {
			change(c, s)
		}
	})
	return of
}

// told stops the gateway and returns its spans, and all that the collector was sent.
func (p *traced) told() (all []*tracepb.Span, sent []byte) {
	p.t.Helper()
	p.stop()
	if err := errors.Join(p.recorder.Flush(p.t.Context()), p.recorder.Close()); err != nil {
		p.t.Fatal(err)
	}
	close(p.batches)
	for body := range p.batches {
		sent = append(sent, body...)
		var batch tracecollector.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &batch); err != nil {
			p.t.Fatal(err)
		}
		for _, of := range batch.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				all = append(all, scope.GetSpans()...)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *tracepb.Span) int {
		return cmp.Compare(a.GetStartTimeUnixNano(), b.GetStartTimeUnixNano())
	})
	return all, sent
}

// attributes returns the attributes of a span as text, in the order of their names.
func attributes(s *tracepb.Span) string {
	var all []string
	for _, a := range s.GetAttributes() {
		value := a.GetValue().GetStringValue()
		if value == "" {
			value = strings.TrimPrefix(a.GetValue().String(), "int_value:")
		}
		all = append(all, a.GetKey()+"="+value)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// children returns the spans within one, by their names in the order of their beginnings.
func children(all []*tracepb.Span, of *tracepb.Span) (names []string, spans []*tracepb.Span) {
	for _, s := range all {
		if bytes.Equal(s.GetParentSpanId(), of.GetSpanId()) && bytes.Equal(s.GetTraceId(), of.GetTraceId()) {
			names, spans = append(names, s.GetName()), append(spans, s)
		}
	}
	return names, spans
}

const (
	theirTrace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	theirSpan  = "b7ad6b7169203331"
)

// TestARequestOverHTTPIsRecordedFromTheDoorOn compares the spans of requests: their routes, attributes and stages, and
// the call in this process among the stages.
func TestARequestOverHTTPIsRecordedFromTheDoorOn(t *testing.T) {
	p := openTraced(t, nil)
	search := `{"location":{"latitude":30,"longitude":120}}`
	p.ask("POST", "/v1/nearby:search", search, theirTrace)
	p.ask("GET", "/v1/advertisers/one?view=1", "")
	p.ask("GET", "/v1/advertisers/onebsent", "")
	p.ask("POST", "/v1/nearby:search", `{"location":`)
	p.ask("GET", "/v1/nothing/here", "")
	p.ask("BREW", "/v1/nearby:search", search)
	p.ask("GET", "/healthz", "")
	p.ask("GET", "/openapi.json", "")
	all, _ := p.told()
	for _, want := range []struct{ name, attributes, stages string }{
		{"POST /v1/nearby:search", "http.request.method=POST http.response.status_code=200 " +
			"http.route=/v1/nearby:search url.scheme=http", "receive decode hexbid.v1.SearchService/SearchNearby encode"},
		{"GET /v1/{name=advertisers/*}", "http.request.method=GET http.response.status_code=400 " +
			"http.route=/v1/{name=advertisers/*} url.scheme=http", "receive decode"},
		{"GET /v1/{name=advertisers/*}", "http.request.method=GET http.response.status_code=404 " +
			"http.route=/v1/{name=advertisers/*} url.scheme=http",
			"receive decode hexbid.v1.CampaignService/GetAdvertiser encode"},
		{"POST /v1/nearby:search", "http.request.method=POST http.response.status_code=400 " +
			"http.route=/v1/nearby:search url.scheme=http", "receive decode"},
		{"GET", "http.request.method=GET http.response.status_code=404 url.scheme=http", "receive decode"},
		{"HTTP", "http.request.method=_OTHER http.response.status_code=400 url.scheme=http", ""},
	} {
		at := slices.IndexFunc(all, func(s *tracepb.Span) bool {
			return s.GetName() == want.name && attributes(s) == want.attributes
		})
		if at < 0 {
			t.Errorf("there is no %s with %s", want.name, want.attributes)
			continue
		}
		names, within := children(all, all[at])
		if got := strings.Join(names, " "); got != want.stages {
			t.Errorf("%s has the stages %s", want.name, got)
		}
		for i, s := range within {
			from, to := s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano()
			if from < all[at].GetStartTimeUnixNano() || to > all[at].GetEndTimeUnixNano() ||
				i > 0 && from < within[i-1].GetEndTimeUnixNano() {
				t.Errorf("%s: %s is not where it belongs", want.name, s.GetName())
			}
		}
		if all[at].GetKind() != tracepb.Span_SPAN_KIND_SERVER {
			t.Errorf("%s is of kind %v", want.name, all[at].GetKind())
		}
	}
	requests := slices.DeleteFunc(slices.Clone(all), func(s *tracepb.Span) bool {
		return s.GetKind() != tracepb.Span_SPAN_KIND_SERVER
	})
	if len(requests) != 6 {
		t.Errorf("%d spans came to the door", len(requests))
	}
	if parent := hex.EncodeToString(requests[0].GetParentSpanId()); parent != theirSpan {
		t.Errorf("the first request belongs to %s", parent)
	}
}

// TestBatchesOfAStreamOverHTTPBelongToItsRequest: the request's span lasts as long as the stream.
func TestBatchesOfAStreamOverHTTPBelongToItsRequest(t *testing.T) {
	p := openTraced(t, nil)
	p.ask("POST", "/v1/resources:import", `{"advertiser":{"name":"advertisers/b","display_name":"x"}}`+"\n", theirTrace,
		"Content-Type: "+linesType)
	all, _ := p.told()
	at := slices.IndexFunc(all, func(s *tracepb.Span) bool { return s.GetName() == "POST /v1/resources:import" })
	if at < 0 {
		t.Fatalf("no request among %d spans", len(all))
	}
	names, _ := children(all, all[at])
	if hex.EncodeToString(all[at].GetParentSpanId()) != theirSpan ||
		!slices.Equal(names, []string{"hexbid.v1.CampaignService/Import"}) {
		t.Errorf("%v has %q", all[at], names)
	}
}

func TestSpansOfRequestsHoldNothingOfAViewerNorACredential(t *testing.T) {
	p := openTraced(t, nil)
	secrets := []string{"viewer-7d1f", "hxb_secretsecret", "30.123456", "120.654321", "advertisers/one", "secret-state",
		"secret-baggage", "secret-agent", "secret-query", "secret-host", "SECRETVERB"}
	search := `{"location":{"latitude":30.123456,"longitude":120.654321},"viewer":{"user_key":"viewer-7d1f"}}`
	p.ask("POST", "/v1/nearby:search", search, theirTrace, "tracestate: v=secret-state", "baggage: k=secret-baggage",
		"User-Agent: secret-agent")
	p.ask("POST", "/v1/nearby:search", search, "Authorization: Bearer hxb_secretsecret")
	p.ask("POST", "/v1/nearby:search", search, "Host: secret-host")
	p.ask("GET", "/v1/advertisers/one?secret-query=viewer-7d1f", "")
	p.ask("SECRETVERB", "/v1/advertisers/one", "")
	all, sent := p.told()
	for _, secret := range secrets {
		if bytes.Contains(sent, []byte(secret)) {
			t.Errorf("spans hold %q", secret)
		}
	}
	if len(all) < 5 {
		t.Errorf("there are only %d spans", len(all))
	}
}
