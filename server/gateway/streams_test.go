package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid/server"
)

// talk is a stream that a test writes lines to while it reads others.
type talk struct {
	t        testing.TB
	to       *io.PipeWriter
	response *http.Response
	lines    *bufio.Reader
}

// begin opens a stream and sends its first lines.
func (p *port) begin(path, first string) *talk {
	p.t.Helper()
	body, to := io.Pipe()
	p.t.Cleanup(func() { to.Close() })
	r, err := http.NewRequestWithContext(p.t.Context(), "POST", "http://"+p.address+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", linesType)
	go func() { _, _ = io.WriteString(to, first) }() // an error shows in the answer
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { response.Body.Close() })
	return &talk{p.t, to, response, bufio.NewReader(response.Body)}
}

func (s *talk) say(line string) {
	s.t.Helper()
	if _, err := io.WriteString(s.to, line); err != nil {
		s.t.Fatal(err)
	}
}

// hear returns the next line of the answer, nil at its end.
func (s *talk) hear() map[string]any {
	s.t.Helper()
	line, err := s.lines.ReadBytes('\n')
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return nil
	}
	var m map[string]any
	if err := errors.Join(err, json.Unmarshal(line, &m)); err != nil {
		s.t.Fatalf("%v in %q", err, line)
	}
	return m
}

func advertiser(id string) string {
	return fmt.Sprintf(`{"advertiser": {"name": "advertisers/%s", "display_name": "A"}}`, id) + "\n"
}

func TestAnUploadIsAnsweredWhileItGoesOn(t *testing.T) {
	p := open(t, nil)
	s := p.begin("/v1/resources:import", advertiser("a"))
	for i := range 3 {
		if o := s.hear(); o["name"] != "advertisers/a" || o["row"] != fmt.Sprint(i+1) {
			t.Fatalf("line %d: %v", i+1, o)
		}
		if i < 2 {
			s.say(advertiser("a"))
		}
	}
	s.to.Close()
	if o := s.hear(); o != nil {
		t.Errorf("after the last: %v", o)
	}
}

// TestEachLineOfAnUploadHasItsOutcome sends rows that are right, refused, and none at all, more than a batch has.
func TestEachLineOfAnUploadHasItsOutcome(t *testing.T) {
	p := open(t, nil)
	var body strings.Builder
	for i := range 2500 {
		switch i % 5 {
		case 1:
			body.WriteString(`{"advertiser": {"name": "Not A Name"}}` + "\n")
		case 3:
			body.WriteString([]string{"{bad\n", "[]\n", `{"advertiser": {"nam": 1}}` + "\n", "\xff\n", "null\n"}[i/5%5])
		case 4:
			fmt.Fprintf(&body, "\n  \n"+`{"row": "%d", "advertiser": {"name": "advertisers/a%d", "display_name": "A"}}`+"\n",
				9000+i, i)
		default:
			body.WriteString(advertiser(fmt.Sprintf("a%d", i)))
		}
	}
	a := p.must("POST", "/v1/resources:import", body.String(), "Content-Type: "+linesType)
	outcomes := strings.Split(strings.TrimSpace(a.text), "\n")
	if len(outcomes) != 2500 {
		t.Fatalf("%d outcomes: %.300s", len(outcomes), a.text)
	}
	for i, line := range outcomes {
		o := answered{text: line}
		action, number, field := o.field(t, "action"), o.field(t, "row"), o.field(t, "error.field")
		line := i + 1 + 2*(i/5) // two blank ones before each fifth
		right := false
		switch i % 5 {
		case 1:
			right = action == "IMPORT_ACTION_REJECTED" && field == "name" && number == fmt.Sprint(line)
		case 3:
			right = action == "IMPORT_ACTION_REJECTED" && o.field(t, "error.code") == "INVALID_ARGUMENT" &&
				number == fmt.Sprint(line) && (i/5%5 != 2 || field == "nam")
		case 4:
			right = action == "IMPORT_ACTION_CREATED" && number == fmt.Sprint(9000+i)
		default:
			right = action == "IMPORT_ACTION_CREATED" && number == fmt.Sprint(line)
		}
		if !right {
			t.Fatalf("outcome %d: %s", i, outcomes[i])
		}
	}
	p.must("GET", "/v1/advertisers/a2495", "")
}

func TestAnUploadThatOnlyChecksChangesNothing(t *testing.T) {
	p := open(t, nil)
	a := p.must("POST", "/v1/resources:import?validate_only=true", advertiser("a"), "Content-Type: "+linesType)
	if a.field(t, "action") != "IMPORT_ACTION_CREATED" || p.ask("GET", "/v1/advertisers/a", "").StatusCode != 404 {
		t.Error(a.text)
	}
	for query, field := range map[string]string{"?rows=1": "query", "?validate": "validate"} {
		a := p.ask("POST", "/v1/resources:import"+query, advertiser("a"), "Content-Type: "+linesType)
		if a.StatusCode != 400 || a.field(t, "details.0.field_violations.0.field") != field {
			t.Errorf("%s: %s %s", query, a.Status, a.text)
		}
	}
}

func TestAStreamThatCannotBeginSaysWhyInItsStatus(t *testing.T) {
	p := open(t, nil)
	for path, empty := range map[string]string{"/v1/resources:import": "rows: the import is empty",
		"/v1/events:stream": ""} {
		if a := p.ask("POST", path, advertiser("a")); a.StatusCode != 415 || !strings.Contains(a.text, linesType) {
			t.Errorf("%s: %s %s", path, a.Status, a.text)
		}
		a := p.ask("POST", path, "\n", "Content-Type: "+linesType)
		if empty != "" && (a.StatusCode != 400 || !strings.Contains(a.text, empty)) || empty == "" && a.StatusCode != 200 {
			t.Errorf("%s: %s %s", path, a.Status, a.text)
		}
	}
	for _, only := range []string{"{bad", "{bad\n{bad\n"} {
		a := p.must("POST", "/v1/resources:import", only, "Content-Type: "+linesType)
		if n := strings.Count(a.text, "IMPORT_ACTION_REJECTED"); n != strings.Count(only, "bad") ||
			strings.Contains(a.text, "status") {
			t.Errorf("%q: %s", only, a.text)
		}
	}
}

func TestAStreamThatBringsNothingEndsAndSaysSo(t *testing.T) {
	p := open(t, func(c *Config, _ *server.Config) { c.Limits.LineTimeout = 500 * time.Millisecond })
	for _, rest := range []string{"", `{"advertiser": `} {
		s := p.begin("/v1/resources:import", advertiser("a")+rest)
		if o := s.hear(); o["name"] != "advertisers/a" {
			t.Fatalf("%v", o)
		}
		last := s.hear()
		status, _ := last["status"].(map[string]any)
		if status["code"] != 4.0 || !strings.Contains(fmt.Sprint(status["message"]), "line 2 did not arrive within 500ms") {
			t.Errorf("%v", last)
		}
		if o := s.hear(); o != nil {
			t.Errorf("after the end: %v", o)
		}
	}
}

func TestALineHasASize(t *testing.T) {
	p := open(t, func(c *Config, _ *server.Config) { c.Limits.BodyBytes = 100_000 })
	long := `{"advertiser": {"name": "advertisers/b", "display_name": "` + strings.Repeat("x", 100_000) + `"}}` + "\n"
	a := p.must("POST", "/v1/resources:import", advertiser("a")+long+advertiser("c"), "Content-Type: "+linesType)
	lines := strings.Split(strings.TrimSpace(a.text), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], `{"status":{"code":3,`) ||
		!strings.Contains(lines[1], "line 2 is too large") {
		t.Error(a.text)
	}
	if p.ask("GET", "/v1/advertisers/c", "").StatusCode != 404 {
		t.Error("a line after the end was taken")
	}
}

func TestAnUploadEndsWhenItsCallerGoes(t *testing.T) {
	p := open(t, nil)
	s := p.begin("/v1/resources:import", advertiser("a"))
	s.hear()
	s.response.Body.Close()
	s.to.CloseWithError(errors.New("gone"))
	waitUntil(t, "nothing of it is left", func() bool {
		return strings.Contains(p.must("GET", "/metrics", "").text, `method="Import"} 1`)
	})
	p.stop() // waits for all handlers
}

func TestBatchesOfEventsComeAsLines(t *testing.T) {
	p := open(t, nil)
	token := p.must("POST", "/v1/nearby:search", `{"location": {"latitude": 30.2553, "longitude": 120.164}}`).
		field(t, "sponsored.0.token")
	batch := func(number int, kind string) string {
		return fmt.Sprintf(`{"batch": %d, "events": [{"kind": "EVENT_KIND_%s", "token": %q, "event_id": "e"}]}`, number, kind,
			token) + "\n"
	}
	s := p.begin("/v1/events:stream", batch(7, "IMPRESSION"))
	outcome := func(o map[string]any) any {
		results, _ := o["results"].([]any)
		if len(results) != 1 {
			t.Fatalf("%v", o)
		}
		return results[0].(map[string]any)["outcome"]
	}
	if o := s.hear(); o["batch"] != "7" || outcome(o) != "EVENT_OUTCOME_RECORDED" {
		t.Errorf("%v", o)
	}
	s.say(batch(8, "CLICK"))
	if o := s.hear(); o["batch"] != "8" || outcome(o) != "EVENT_OUTCOME_CHARGED" {
		t.Errorf("%v", o)
	}
	s.say(`{"events": [{"knd": 1}]}` + "\n")
	status, _ := s.hear()["status"].(map[string]any)
	if status["code"] != 3.0 || !strings.Contains(fmt.Sprint(status), "knd") {
		t.Errorf("%v", status)
	}
}

func TestAlertsComeAsLines(t *testing.T) {
	p := open(t, nil)
	r, err := http.Get("http://" + p.address + "/v1/alerts:watch?parent=advertisers/one")
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(r.Body).ReadString('\n')
	if err != nil || strings.TrimSpace(strings.ReplaceAll(line, " ", "")) != `{"caught_up":true}` ||
		r.Header.Get("Content-Type") != linesType {
		t.Errorf("%q, %v, %v", line, r.Header, err)
	}
	r.Body.Close()
	if a := p.ask("GET", "/v1/alerts:watch?parent=campaigns/c", ""); a.StatusCode != 400 || a.field(t,
		"details.0.field_violations.0.field") != "parent" {
		t.Errorf("%s %s", a.Status, a.text)
	}
	p.stop() // the watch ends with its caller
}

// TestStreamsEndWithTheAgeOfTheirConnection opens each stream on a connection that is soon too old, and says nothing.
func TestStreamsEndWithTheAgeOfTheirConnection(t *testing.T) {
	p := open(t, func(c *Config, s *server.Config) {
		s.Limits.ConnectionAge, c.Limits.LineTimeout = 20*time.Millisecond, time.Hour
	})
	for _, stream := range Streams {
		body, silent := io.Pipe()
		defer silent.Close()
		r, err := http.NewRequestWithContext(t.Context(), stream.Method, "http://"+p.address+stream.Path, body)
		if err != nil {
			t.Fatal(err)
		}
		if r.Header.Set("Content-Type", linesType); stream.Line == nil {
			r.Body = nil
			r.Header.Del("Content-Type")
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil || !strings.Contains(string(text), "too old") {
			t.Errorf("%s ends with %s, %q, %v", stream.Path, response.Status, text, err)
		}
		response.Body.Close()
	}
}
