package server

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// ask opens a call whose headers may take many frames, sends an empty request, and returns what becomes of it: a code,
// or "reset" or "closed" where the server ends the stream or the connection without one.
func (w *rawWire) ask(t testing.TB, method string, further ...string) string {
	t.Helper()
	const frameBytes = 16 << 10
	stream, block := w.next, append([]byte(nil), w.headers(method, further...)...)
	w.next += 2
	first := block[:min(len(block), frameBytes)]
	block = block[len(first):]
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndHeaders: len(block) == 0})
	for len(block) > 0 { // a connection that the server has closed shows below
		part := block[:min(len(block), frameBytes)]
		block = block[len(part):]
		_ = w.WriteContinuation(stream, len(block) == 0, part)
	}
	_ = w.WriteData(stream, true, make([]byte, 5))
	outcome := ""
	waitUntil(t, "a call ends", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch code := w.statuses[stream]; {
		case code != "":
			outcome = code
		case w.resets[stream]:
			outcome = "reset"
		default:
			select {
			case <-w.closed:
				outcome = "closed"
			default:
			}
		}
		return outcome != ""
	})
	return outcome
}

// TestACredentialIsTakenInOneFormAlone: what a call brings proves its caller when it is one authorization with one
// known credential, and proves nothing in every other form or size, at a cost that the bound on headers bounds.
func TestACredentialIsTakenInOneFormAlone(t *testing.T) {
	s, operator, app := serveKeys(t, nil)
	defer s.besidesAs(t, app)()
	const header = AuthorizationHeader
	unauthenticated, ok := fmt.Sprint(uint32(codes.Unauthenticated)), "0"
	many := func(n int, value string) (all []string) {
		for range n {
			all = append(all, header, value)
		}
		return all
	}
	token := strings.Repeat("A", 2000)
	for what, c := range map[string]struct {
		headers []string
		want    string // "" for anything but an answer
	}{
		"a key":                    {[]string{header, "Bearer " + operator}, ok},
		"a scheme in mixed case":   {[]string{header, "bEaReR " + operator}, ok},
		"a space behind":           {[]string{header, "Bearer " + operator + " "}, unauthenticated},
		"a tab behind":             {[]string{header, "Bearer " + operator + "\t"}, unauthenticated},
		"two spaces":               {[]string{header, "Bearer  " + operator}, unauthenticated},
		"a tab":                    {[]string{header, "Bearer\t" + operator}, unauthenticated},
		"a space before":           {[]string{header, " Bearer " + operator}, unauthenticated},
		"no space":                 {[]string{header, "Bearer" + operator}, unauthenticated},
		"a scheme of wide letters": {[]string{header, "Ｂearer " + operator}, unauthenticated},
		"a scheme with a long s":   {[]string{header, "Bea\u017fer " + operator}, unauthenticated},
		"a list":                   {[]string{header, "Bearer " + operator + ", Bearer " + operator}, unauthenticated},
		"a parameter":              {[]string{header, "Bearer " + operator + ";x"}, unauthenticated},
		"a comma":                  {[]string{header, "Bearer " + operator + ","}, unauthenticated},
		"quotes":                   {[]string{header, `Bearer "` + operator + `"`}, unauthenticated},
		"encoded": {[]string{header, "Bearer " + encoded(operator)},
			unauthenticated},
		"of Basic": {[]string{header,
			"Basic " + encoded("olga:"+operator)}, unauthenticated},
		"a NUL behind":        {[]string{header, "Bearer " + operator + "\x00"}, ""},
		"an empty one":        {[]string{header, ""}, unauthenticated},
		"a scheme alone":      {[]string{header, "Bearer "}, unauthenticated},
		"twice":               {many(2, "Bearer "+operator), unauthenticated},
		"a hundred times":     {many(100, "Bearer "+operator), unauthenticated},
		"of two callers":      {[]string{header, "Bearer " + app, header, "Bearer " + operator}, unauthenticated},
		"an empty one beside": {[]string{header, "Bearer " + operator, header, ""}, unauthenticated},
		"binary": {[]string{header + "-bin",
			encoded("Bearer " + operator)}, unauthenticated},
		"binary beside": {[]string{header, "Bearer " + operator, header + "-bin", "eA"}, ok},
		"by another name": {[]string{"proxy-authorization", "Bearer " + operator, "x-api-key", operator},
			unauthenticated},
		"as a cookie":                {[]string{"cookie", "authorization=Bearer " + operator}, unauthenticated},
		"in capitals":                {[]string{"Authorization", "Bearer " + operator}, ""},
		"8 KiB":                      {[]string{header, "Bearer " + strings.Repeat("x", 8<<10)}, unauthenticated},
		"a token of 6 KB":            {[]string{header, "Bearer " + token + "." + token + "." + token}, unauthenticated},
		"8 KiB behind a key":         {[]string{header, "Bearer " + operator + strings.Repeat("x", 8<<10)}, unauthenticated},
		"15 KiB of dots":             {[]string{header, "Bearer " + strings.Repeat(".", 15<<10)}, unauthenticated},
		"32 KiB":                     {[]string{header, "Bearer " + strings.Repeat("x", 32<<10)}, ""},
		"1 MiB":                      {[]string{header, "Bearer " + strings.Repeat("x", 1<<20)}, ""},
		"a key beside 32 KiB":        {[]string{header, "Bearer " + operator, "x", strings.Repeat("x", 32<<10)}, ""},
		"a key beside a thousand":    {append([]string{header, "Bearer " + operator}, many(1000, "x")...), ""},
		"a key and a thousand names": {append([]string{header, "Bearer " + operator}, names(1000)...), ""},
	} {
		w := s.rawWire(t)
		got := w.ask(t, pb.AccessService_WhoAmI_FullMethodName, c.headers...)
		if got != c.want && (c.want != "" || got == ok) {
			t.Errorf("%s: %s, want %q", what, got, c.want)
		}
		if after := s.rawWire(t).ask(t, pb.AccessService_WhoAmI_FullMethodName, header, "Bearer "+operator); after != ok {
			t.Errorf("%s: after it a good key has %s", what, after)
		}
		w.Close()
	}
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// names returns so many headers of names of their own.
func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("x-%d", i), "x")
	}
	return all
}

// besidesAs is besides with a credential.
func (s *served) besidesAs(t *testing.T, key string) (stop func()) {
	t.Helper()
	done, ended := make(chan struct{}), make(chan struct{})
	conn, mine := s.dial(t), bearing(t.Context(), "Bearer "+key)
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := pb.NewSearchServiceClient(conn).SearchNearby(mine, anywhere); err != nil {
				t.Errorf("a search beside: %v", err)
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}
