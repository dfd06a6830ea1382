package gateway

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/spans"
)

func TestACallOverHTTPContinuesTheTraceOfItsCaller(t *testing.T) {
	exported := make(chan []byte, 16)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		exported <- body
	}))
	defer collector.Close()
	recorder, err := spans.Open(t.Context(), spans.Config{Endpoint: collector.URL, Share: 1,
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, func(_ *Config, s *server.Config) { s.Spans = recorder })
	p.must("POST", "/v1/nearby:search", `{"location":{"latitude":30,"longitude":120}}`,
		"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate: v=secret-word")
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	close(exported)
	var all []byte
	for body := range exported {
		all = append(all, body...)
	}
	trace, parent := "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c", "\xb7\xad\x6b\x71\x69\x20\x33\x31"
	if !bytes.Contains(all, []byte(trace)) || !bytes.Contains(all, []byte(parent)) {
		t.Errorf("%d bytes of spans do not name the caller's", len(all))
	}
	if bytes.Contains(all, []byte("secret-word")) {
		t.Error("spans hold what the caller put in tracestate")
	}
}
