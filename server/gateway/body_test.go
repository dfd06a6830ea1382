package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/server"
)

func TestWhatTheMethodDoesNotKnowIsRefusedByName(t *testing.T) {
	p := open(t, nil)
	p.must("POST", "/v1/advertisers?advertiser_id=a", `{"display_name": "A"}`)
	long := strings.Repeat("LONG", 5000) // which no answer repeats
	for _, c := range []struct{ method, path, body, field, words string }{
		{"POST", "/v1/nearby:search", `{"locatoin": {}}`, "locatoin", "unknown field"},
		{"POST", "/v1/nearby:search", `{"location": {"lat": 1}}`, "lat", "unknown field"},
		{"POST", "/v1/nearby:search", `{"location": {"latitude": "north"}}`, "latitude", "invalid value"},
		{"POST", "/v1/nearby:search", `{"nearbyLimit": 1e99}`, "nearby_limit", "invalid value"},
		{"POST", "/v1/nearby:search", `{"host": "HOST_NONE"}`, "host", "invalid value"},
		{"POST", "/v1/nearby:search", `{"words": "a", "words": "b"}`, "words", "duplicate"},
		{"POST", "/v1/nearby:search", `{"location": {"latitude": 99}}`, "location.latitude", "degrees"},
		{"POST", "/v1/nearby:search", `{"` + long + `": 1}`, "", "unknown field (line 1:2)"},
		{"POST", "/v1/nearby:search", `{"host": "` + long + `"}`, "host", "invalid value for enum field"},
		{"POST", "/v1/nearby:search", `{} {}`, "", "unexpected token"},
		{"POST", "/v1/nearby:search", `[]`, "", "unexpected token"},
		{"POST", "/v1/nearby:search", `{"words": "` + "\xff" + `"}`, "", "UTF-8"},
		{"POST", "/v1/nearby:search?trace=true", `{}`, "query", "the body"},
		{"POST", "/v1/events:record", `{"events": [{"kind": "EVENT_KIND_CLICK", "token": "x"}]}`, "events[0].event_id", ""},
		{"GET", "/v1/advertisers?page_sise=1", "", "page_sise", "no field"},
		{"DELETE", "/v1/advertisers/a?name=advertisers/b", "", "name", "path"},
		{"DELETE", "/v1/advertisers/a?etag.x=1", "", "etag.x", "no fields of its own"},
		{"GET", "/v1/advertisers?%zz", "", "query", "malformed"},
		{"GET", "/v1/advertisers?page_size=many", "", "query", "page_size"},
		{"GET", "/v1/advertisers?page_size=1&pageSize=2", "", "query", "duplicate"},
		{"GET", "/v1/advertisers/a?name=advertisers/b", "", "query", "leave the query out"},
		{"GET", "/v1/advertisers/a?name.x=1", "", "query", "leave the query out"},
		{"POST", "/v1/advertisers?advertiser.display_name=x", `{"display_name": "A"}`, "advertiser.display_name", "body"},
		{"POST", "/v1/advertisers", ``, "body", "names no field"},
		{"PATCH", "/v1/advertisers/a", `{}`, "body", "names no field"},
		{"PATCH", "/v1/advertisers/a", `{"name": {"x": 1}}`, "name", "invalid value"},
	} {
		a := p.ask(c.method, c.path, c.body)
		field, _ := a.field(t, "details.0.field_violations.0.field").(string)
		if a.StatusCode != 400 || a.field(t, "code") != 3.0 || field != c.field || !strings.Contains(a.text, c.words) {
			t.Errorf("%s %s %s: %s names %q: %s", c.method, c.path, hexbid.Shorten(c.body), a.Status, field, a.text)
		}
		if len(a.text) > 1000 {
			t.Errorf("%s %s: an error of %d bytes", c.method, c.path, len(a.text))
		}
		if strings.Contains(a.text, fieldMark) || strings.Contains(a.text, `\u001f`) || strings.Contains(a.text, "proto:") {
			t.Errorf("%s %s: an error shows how it travelled: %s", c.method, c.path, a.text)
		}
	}
}

func TestAPatchChangesWhatItsBodyHas(t *testing.T) {
	p := open(t, nil)
	p.must("POST", "/v1/advertisers?advertiser_id=a",
		`{"display_name": "A", "frequency_cap": {"impressions": 3, "window": "7200s"}}`)
	get := func() answered { return p.must("GET", "/v1/advertisers/a", "") }
	p.must("PATCH", "/v1/advertisers/a", `{"display_name": "B", "frequencyCap": {"impressions": 4}}`)
	if a := get(); a.field(t, "display_name") != "B" || a.field(t, "frequency_cap.impressions") != 4.0 ||
		a.field(t, "frequency_cap.window") != "7200s" {
		t.Error(a.text)
	}
	p.must("PATCH", "/v1/advertisers/a?update_mask=state", `{"display_name": "C", "state": "SERVING_STATE_PAUSED"}`)
	if a := get(); a.field(t, "display_name") != "B" || a.field(t, "state") != "SERVING_STATE_PAUSED" {
		t.Error(a.text)
	}
	p.must("PATCH", "/v1/advertisers/a", `{"frequency_cap": null}`)
	if a := get(); a.field(t, "frequency_cap") != nil || a.field(t, "display_name") != "B" {
		t.Error(a.text)
	}
	p.must("PATCH", "/v1/advertisers/a", get().text) // all of it as it is
	stale := `{"display_name": "D", "etag": "AAAAAAAAAAAAAAAAAAAAAA"}`
	if a := p.ask("PATCH", "/v1/advertisers/a", stale); a.StatusCode != 409 || a.field(t, "code") != 10.0 {
		t.Errorf("%s %s", a.Status, a.text)
	}
	p.must("PATCH", "/v1/advertisers/a?update_mask=*", `{"display_name": "E"}`)
	if a := get(); a.field(t, "state") != nil || a.field(t, "display_name") != "E" {
		t.Error(a.text)
	}
	if a := p.must("DELETE", "/v1/advertisers/a", ""); strings.TrimSpace(a.text) != "{}" {
		t.Error(a.text)
	}
}

func TestABodyHasASizeAndATime(t *testing.T) {
	p := open(t, func(c *Config, _ *server.Config) {
		c.Limits.BodyBytes, c.Limits.BodyTimeout = 100_000, 500*time.Millisecond
	})
	large := `{"display_name": "` + strings.Repeat("x", 100_000) + `"}`
	if a := p.ask("POST", "/v1/advertisers", large); a.StatusCode != 413 || !strings.Contains(a.text, "100000") {
		t.Errorf("%s %s", a.Status, a.text)
	}
	if a := p.ask("POST", "/v1/nearby:search", large[:70_000]); a.StatusCode != 413 {
		t.Errorf("%s %s", a.Status, a.text)
	}
	chunked := "POST /v1/advertisers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n30d40\r\n" + strings.Repeat(" ", 200_000)
	if got := raw(t, p.address, chunked, patience); !strings.HasPrefix(got, "HTTP/1.1 413") ||
		!strings.Contains(got, "Connection: close") {
		t.Errorf("%.300q", got)
	}
	slow := "POST /v1/advertisers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
		"Content-Length: 50\r\n\r\n{"
	if got := raw(t, p.address, slow, patience); !strings.HasPrefix(got, "HTTP/1.1 408") {
		t.Errorf("%.300q", got)
	}
}

func TestABodyOfManyEmptyObjectsIsRefusedBeforeItIsDecoded(t *testing.T) {
	p := open(t, nil)
	many := `{"events": [` + strings.Repeat("{},", maxObjects) + `{}]}`
	if a := p.ask("POST", "/v1/events:record", many); a.StatusCode != 400 || !strings.Contains(a.text, "500000 objects") {
		t.Errorf("%s %.300s", a.Status, a.text)
	}
}

func TestBodiesAreWorkedOnUpToALimit(t *testing.T) {
	p := open(t, func(c *Config, _ *server.Config) { c.Limits.WorkingBytes = 2 << 20 })
	p.working.Add(2<<20 - 10)
	if a := p.ask("POST", "/v1/nearby:search", here); a.StatusCode != 429 || a.field(t, "code") != 8.0 {
		t.Errorf("%s %s", a.Status, a.text)
	}
	p.working.Add(-(2<<20 - 10))
	p.must("POST", "/v1/nearby:search", here)
	if n := p.working.Load(); n != 0 {
		t.Errorf("%d bytes are worked on after them", n)
	}
}

// TestNothingInABodyBecomesARequest sends lengths that contradict each other, with a second request where a server that
// believed the other length would look for one. At most one request is answered, and the second never runs.
func TestNothingInABodyBecomesARequest(t *testing.T) {
	p := open(t, nil)
	for name, text := range smuggled() {
		t.Run(name, func(t *testing.T) { mustNotSmuggle(t, p, p.address, text) })
	}
}

// smuggled returns requests by what is wrong with them. %d in each stands for the name of an advertiser that the inner
// request would make.
func smuggled() map[string]string {
	const line = "POST /v1/nearby:search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	inner := "POST /v1/advertisers?advertiser_id=smuggled HTTP/1.1\r\nHost: localhost\r\n" +
		"Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"display_name\":\"S\"}"
	chunk := func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }
	return map[string]string{
		"chunked and a length": line + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n", len(here)) +
			chunk(here) + "0\r\n\r\n" + inner,
		"a length that covers the second": line + fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n",
			len(inner)+5) + "0\r\n\r\n" + inner,
		"two lengths": line + fmt.Sprintf("Content-Length: %d\r\nContent-Length: %d\r\n\r\n", len(here), len(here+inner)) +
			here + inner,
		"a list of lengths": line + fmt.Sprintf("Content-Length: %d, 5\r\n\r\n", len(here)) + here + inner,
		"a signed length":   line + fmt.Sprintf("Content-Length: +%d\r\n\r\n", len(here)) + here + inner,
		"an encoding of another name": line + "Transfer-Encoding: xchunked\r\n" +
			fmt.Sprintf("Content-Length: %d\r\n\r\n", len(here)) + here + inner,
		"two encodings": line + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" +
			chunk(here) + "0\r\n\r\n" + inner,
		"a space before the colon": line + "Transfer-Encoding : chunked\r\n\r\n" + chunk(here) + "0\r\n\r\n" + inner,
		"a folded header":          line + "Transfer-Encoding:\r\n chunked\r\n\r\n" + chunk(here) + "0\r\n\r\n" + inner,
		"a body of a GET": fmt.Sprintf("GET /v1/regions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
			len(inner)) + inner,
		"a chunk of a wrong size": line + "Transfer-Encoding: chunked\r\n\r\n2\r\n" + here + "\r\n0\r\n\r\n" + inner,
		"a chunk's size with a space": line + "Transfer-Encoding: chunked\r\n\r\n" +
			fmt.Sprintf(" %x\r\n", len(here)) + here + "\r\n0\r\n\r\n" + inner,
		"a chunk too large to count": line + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + here + inner,
		"a host of another name in the second place": "POST /v1/nearby:search HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n" +
			fmt.Sprintf("Content-Length: %d\r\n\r\n", len(here)) + here + inner,
		"an encoding with a vertical tab": line + "Transfer-Encoding: \x0bchunked\r\n" +
			fmt.Sprintf("Content-Length: %d\r\n\r\n", len(here)) + here + inner,
		"a list of encodings": line + "Transfer-Encoding: identity, chunked\r\n\r\n" + chunk(here) + "0\r\n\r\n" +
			inner,
		"a length with a comma and nothing": line + fmt.Sprintf("Content-Length: %d,\r\n\r\n", len(here)) + here + inner,
		"a length in hexadecimal":           line + fmt.Sprintf("Content-Length: 0x%x\r\n\r\n", len(here)) + here + inner,
		"a tunnel":                          "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n" + inner,
		"the preface of HTTP/2":             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner,
		"HTTP/1.0 and chunks": strings.Replace(line, "HTTP/1.1", "HTTP/1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n" +
			chunk(here) + "0\r\n\r\n" + inner,
	}
}

// mustNotSmuggle sends bytes to an address and checks that no second request came out of them.
func mustNotSmuggle(t *testing.T, p *port, address, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite() // nothing more comes, so the server answers what it takes for requests
	got, _ := io.ReadAll(conn)           // a reset is an end too
	if n := strings.Count(string(got), "HTTP/1."); n > 1 {
		t.Errorf("%d answers to one request:\n%s", n, got)
	}
	if a := p.ask("GET", "/v1/advertisers/smuggled", ""); a.StatusCode != 404 {
		t.Errorf("the second request ran: %s\n%s", a.text, got)
	}
}

// A port without TLS speaks HTTP/1.1 alone, so that a server in front of it takes no bytes for another protocol's.
func TestAnUpgradeToHTTP2IsPassedOver(t *testing.T) {
	p := open(t, nil)
	got := raw(t, p.address, "GET /v1/regions HTTP/1.1\r\nHost: localhost\r\n"+
		"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", patience)
	if !strings.HasPrefix(got, "HTTP/1.1 200") || strings.Count(got, "HTTP/") != 1 {
		t.Errorf("%.300q", got)
	}
}

func TestARequestInFlightFinishesWhenTheServerStops(t *testing.T) {
	p := open(t, nil)
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "POST /v1/nearby:search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n\r\n%s", len(here), here[:5])
	waitUntil(t, "the request is in flight", func() bool {
		return strings.Contains(p.must("GET", "/metrics", "").text, `hexbid_waiting_calls{port="http"} 1`)
	})
	go p.stop()
	waitUntil(t, "the server accepts no more", func() bool {
		other, err := net.Dial("tcp", p.address)
		if err == nil {
			other.Close()
		}
		return err != nil
	})
	if _, err := io.WriteString(conn, here[5:]); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200") {
		t.Errorf("%.200q, %v", got, err)
	}
}

func waitUntil(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come about that %s", what)
		}
	}
}

func TestAClientIsNamedByItsHeaderAndNotByMetadata(t *testing.T) {
	p := open(t, nil)
	search := `{"location": {"latitude": 30.2553, "longitude": 120.164}, "host": "HOST_WECHAT", "sponsored_slots": 1}`
	token := p.must("POST", "/v1/nearby:search", search, "X-Hexbid-Client: app").field(t, "sponsored.0.token")
	if token == nil {
		t.Fatal("no ad was shown")
	}
	event, _ := json.Marshal(map[string]any{"events": []any{map[string]any{"kind": "EVENT_KIND_IMPRESSION", "token": token,
		"event_id": "e"}}})
	outcome := func(header string) any {
		return p.must("POST", "/v1/events:record", string(event), header).field(t, "results.0.outcome")
	}
	for _, header := range []string{"X-Hexbid-Client: other", "Grpc-Metadata-X-Hexbid-Client: app", "X: y"} {
		if got := outcome(header); got != "EVENT_OUTCOME_REFUSED" {
			t.Errorf("%s: %v", header, got)
		}
	}
	if got := outcome("X-Hexbid-Client: app"); got != "EVENT_OUTCOME_RECORDED" && got != "EVENT_OUTCOME_CHARGED" {
		t.Errorf("the client itself: %v", got)
	}
}
