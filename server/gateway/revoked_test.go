package gateway

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/store"
)

// A stream over HTTP ends with its credential, also while its caller sends nothing and waits.
func TestAStreamOverHTTPEndsWithItsKey(t *testing.T) {
	p := open(t, func(c *Config, s *server.Config) {
		c.Limits.LineTimeout, s.Limits.StreamTimeout = time.Hour, time.Hour
	})
	ctx := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: hexbid.System, ID: "test", Origin: hexbid.InProcess})
	for name, c := range map[string]struct{ method, path, first string }{
		"import": {"POST", "/v1/resources:import", advertiser("a")},
		"events": {"POST", "/v1/events:stream", `{"events": [{"kind": "EVENT_KIND_CLICK", "token": "x", "event_id": "1"}]}` +
			"\n"},
		"alerts": {"GET", "/v1/alerts:watch", ""},
	} {
		t.Run(name, func(t *testing.T) {
			user := "users/" + name
			if _, err := p.market.Create(ctx, &hexbid.User{Meta: hexbid.Meta{Name: user}, Role: hexbid.Operator},
				false); err != nil {
				t.Fatal(err)
			}
			_, key, err := p.market.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: user + "/keys/k"}})
			if err != nil {
				t.Fatal(err)
			}
			lines := p.beginWith(t, c.method, c.path, c.first, key)
			if m := lines.hear(); m == nil || m["status"] != nil {
				t.Fatalf("the first line: %v", m)
			}
			if err := p.market.Delete(ctx, user+"/keys/k", store.AnyVersion, false); err != nil {
				t.Fatal(err)
			}
			last := lines.hear()
			if s, _ := last["status"].(map[string]any); s == nil || s["code"] != float64(16) {
				t.Errorf("it ends with %v: want code 16", last)
			}
			if after := lines.hear(); after != nil {
				t.Errorf("after the end: %v", after)
			}
		})
	}
}

// beginWith opens a stream with a key, and sends its first lines.
func (p *port) beginWith(t *testing.T, method, path, first, key string) *talk {
	t.Helper()
	var body io.Reader
	if first != "" {
		rest, to := io.Pipe() // which brings nothing more
		t.Cleanup(func() { to.Close() })
		body = io.MultiReader(strings.NewReader(first), rest)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.address+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	if first != "" {
		r.Header.Set("Content-Type", linesType)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return &talk{t: t, response: response, lines: bufio.NewReader(response.Body)}
}
