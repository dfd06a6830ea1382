package server

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// post sends bytes to a method as they are, and returns the status of the call.
func (s *served) post(t *testing.T, method string, body []byte, encoding string) codes.Code {
	t.Helper()
	plain := &http.Transport{Protocols: new(http.Protocols)}
	plain.Protocols.SetUnencryptedHTTP2(true)
	defer plain.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address+method, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "Grpc-Encoding": {encoding}}
	answer, err := plain.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	text := answer.Trailer.Get("Grpc-Status") + answer.Header.Get("Grpc-Status")
	code, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("status %q", text)
	}
	return codes.Code(code)
}

// TestAMalformedRequestIsNotTheOperatorsBusiness sends what gRPC answers with INTERNAL, as
// its protocol says. Callers must not be able to fill the log with failures.
func TestAMalformedRequestIsNotTheOperatorsBusiness(t *testing.T) {
	var log lockedBuffer
	s := serve(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for name, c := range map[string]struct {
		body, encoding string
		want           codes.Code
	}{
		"half a prefix":                 {"\x00\x00\x00", "identity", codes.Internal},
		"half a message":                {"\x00\x00\x00\x00\x05ab", "identity", codes.Internal},
		"compressed without a method":   {"\x01\x00\x00\x00\x00", "identity", codes.Internal},
		"an unknown kind of payload":    {"\x07\x00\x00\x00\x00", "identity", codes.Internal},
		"compressed with an unknown":    {"\x01\x00\x00\x00\x00", "gzip", codes.Unimplemented},
		"a message of four gigabytes":   {"\x00\xff\xff\xff\xff", "identity", codes.ResourceExhausted},
		"a message that is no protobuf": {"\x00\x00\x00\x00\x02\xff\xff", "identity", codes.InvalidArgument},
	} {
		for _, method := range []string{searchMethod, pb.CampaignService_CreateCampaign_FullMethodName,
			pb.CampaignService_Import_FullMethodName} {
			if got := s.post(t, method, []byte(c.body), c.encoding); got != c.want {
				t.Errorf("%s to %s: %v, want %v", name, method, got, c.want)
			}
		}
	}
	for _, method := range []string{searchMethod, pb.CampaignService_CreateCampaign_FullMethodName} {
		if got := s.post(t, method, nil, "identity"); got != codes.Internal {
			t.Errorf("no message to %s: %v", method, got)
		}
	}
	s.grpc.GracefulStop() // all calls are over, and have logged what they log
	if text := log.String(); text != "" {
		t.Errorf("the log says: %s", text)
	}
}

// lockedBuffer is a buffer that many goroutines write to.
type lockedBuffer struct {
	mu     sync.Mutex // guards buffer
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
