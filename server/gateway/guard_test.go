package gateway

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/server"
)

const here = `{"location": {"latitude": 30.2553, "longitude": 120.164}}`

func TestOnlyNamedPagesAndHostsReachTheServer(t *testing.T) {
	p := open(t, func(c *Config, _ *server.Config) {
		c.Hosts, c.Origins = []string{"api.example.com"}, []string{"https://console.example.com"}
	})
	for _, c := range []struct {
		about   string
		want    int
		headers []string
	}{
		{"no page", 200, nil},
		{"a named host", 200, []string{"Host: API.example.com"}},
		{"a named host with a port", 200, []string{"Host: api.example.com:8443"}},
		{"an address", 200, []string{"Host: [::1]:7602"}},
		{"a name that was pointed here", 421, []string{"Host: evil.example"}},
		{"a name that ends like ours", 421, []string{"Host: evilapi.example.com"}},
		{"no name", 421, []string{"Host: :80"}},
		{"half an address", 421, []string{"Host: [::1"}},
		{"a named page", 200, []string{"Origin: https://console.example.com"}},
		{"a named page of another port", 403, []string{"Origin: https://console.example.com:8443"}},
		{"another page", 403, []string{"Origin: https://evil.example"}},
		{"a page without a name", 403, []string{"Origin: null"}},
		{"our own address as a page", 403, []string{"Origin: http://localhost:7602"}},
		{"an image in another page", 403, []string{"Sec-Fetch-Site: cross-site"}},
		{"a page of a neighbour", 403, []string{"Sec-Fetch-Site: same-site"}},
		{"an address that a person typed", 200, []string{"Sec-Fetch-Site: none"}},
	} {
		for method, path := range map[string]string{"GET": "/v1/regions?words=310000", "POST": "/v1/nearby:search",
			"DELETE": "/v1/advertisers/none", "HEAD": "/healthz"} {
			body, want := "", c.want
			if method == "POST" {
				body = here
			}
			if method == "DELETE" && want == 200 {
				want = 404
			}
			a := p.ask(method, path, body, c.headers...)
			if a.StatusCode != want {
				t.Errorf("%s, %s: %s %s", c.about, method, a.Status, a.text)
			}
			if want >= 400 && want != 404 && method != "HEAD" && a.field(t, "code") != float64(codes.PermissionDenied) {
				t.Errorf("%s, %s: %s", c.about, method, a.text)
			}
			allowed := a.Header.Get("Access-Control-Allow-Origin")
			if named := c.about == "a named page"; (allowed != "") != named {
				t.Errorf("%s, %s: the browser is told %q", c.about, method, allowed)
			}
		}
	}
}

func TestANamedPageMayAskBeforeItSends(t *testing.T) {
	p := open(t, func(c *Config, _ *server.Config) { c.Origins = []string{"https://console.example.com"} })
	ask := func(origin string) answered {
		return p.ask("OPTIONS", "/v1/nearby:search", "", "Origin: "+origin, "Access-Control-Request-Method: POST")
	}
	a := ask("https://console.example.com")
	if a.StatusCode != http.StatusNoContent ||
		a.Header.Get("Access-Control-Allow-Origin") != "https://console.example.com" ||
		!strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "Authorization") ||
		a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%s %v", a.Status, a.Header)
	}
	if a := ask("https://evil.example"); a.StatusCode != http.StatusForbidden ||
		a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s %v", a.Status, a.Header)
	}
}

func TestABodyIsJSONAndSaysSo(t *testing.T) {
	p := open(t, nil)
	for kind, want := range map[string]int{"application/json": 200, "application/json; charset=UTF-8": 200,
		"application/json; charset=gbk": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415,
		"multipart/form-data; boundary=x": 415, "application/x-ndjson": 415, "": 415, "json": 415, "application/json;": 200,
		"text/plain; application/json": 415} {
		if a := p.ask("POST", "/v1/nearby:search", here, "Content-Type: "+kind); a.StatusCode != want {
			t.Errorf("%q: %s %s", kind, a.Status, a.text)
		}
	}
	if a := p.ask("POST", "/v1/nearby:search", here, "Content-Encoding: gzip"); a.StatusCode != 415 {
		t.Errorf("a compressed body: %s %s", a.Status, a.text)
	}
	if a := p.ask("GET", "/v1/regions", "{}"); a.StatusCode != 400 || !strings.Contains(a.text, "leave it out") {
		t.Errorf("a body of a GET: %s %s", a.Status, a.text)
	}
}

func TestSettingsThatNameNothingAreRefused(t *testing.T) {
	for _, c := range []struct {
		field  string
		change func(*Config)
	}{
		{"http-hosts", func(c *Config) { c.Hosts = []string{"https://api.example.com"} }},
		{"http-hosts", func(c *Config) { c.Hosts = []string{"*.example.com"} }},
		{"http-origins", func(c *Config) { c.Origins = []string{"*"} }},
		{"http-origins", func(c *Config) { c.Origins = []string{"console.example.com"} }},
		{"http-origins", func(c *Config) { c.Origins = []string{"https://console.example.com/"} }},
	} {
		base := server.DefaultConfig()
		s, err := server.New(base)
		if err != nil {
			t.Fatal(err)
		}
		config := Config{Limits: DefaultLimits(), Registry: base.Registry, Log: base.Log}
		c.change(&config)
		_, err = New(config, s)
		if all, _ := hexbid.ErrorsOf(err); len(all) != 1 || all[0].Field != c.field {
			t.Errorf("%+v: %v", config.Hosts, err)
		}
	}
}

func TestOperationsAnswerWhoeverWatches(t *testing.T) {
	p := open(t, nil)
	if a := p.must("GET", "/healthz", ""); a.field(t, "status") != "SERVING" {
		t.Error(a.text)
	}
	if a := p.must("GET", "/readyz", ""); a.field(t, "status") != "SERVING" || !strings.Contains(a.text,
		`"hexbid.v1.SearchService":"SERVING"`) {
		t.Error(a.text)
	}
	p.must("POST", "/v1/nearby:search", here)
	if a := p.must("GET", "/metrics", ""); !strings.Contains(a.text,
		`hexbid_calls_total{code="OK",method="SearchNearby"} 1`) || !strings.Contains(a.text,
		`hexbid_connections{port="http"} 1`) {
		t.Error(a.text)
	}
	if a := p.must("GET", "/openapi.json", ""); a.field(t, "swagger") != "2.0" {
		t.Error(a.text)
	}
}

func TestAServerThatIsNotReadySaysSoOverHTTP(t *testing.T) {
	base := server.DefaultConfig()
	s, err := server.New(base)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{Limits: DefaultLimits(), Registry: base.Registry, Log: base.Log}, s)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/v1/regions": 503} {
		w := record(g, "GET", path, "")
		if w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestMetricsAreForOperatorsAndAuditors(t *testing.T) {
	p := open(t, nil)
	for role, want := range map[hexbid.Role]int{hexbid.Nobody: 403, hexbid.Searcher: 403,
		hexbid.Operator: 200, hexbid.Auditor: 200} {
		w, r := request("GET", "/metrics", "")
		r = r.WithContext(hexbid.WithPrincipal(r.Context(), hexbid.Principal{Role: role}))
		if err := p.metrics(w, r); err != nil {
			p.fail(w, r, err)
		}
		if w.Code != want {
			t.Errorf("%s: %d %s", role, w.Code, w.Body)
		}
	}
}

// TestProfilesAreForOperators, and there are none unless the operator asked for them.
func TestProfilesAreForOperators(t *testing.T) {
	p := open(t, func(c *Config, _ *server.Config) { c.Profiles = true })
	for role, want := range map[hexbid.Role]int{hexbid.Nobody: 403, hexbid.Searcher: 403, hexbid.Member: 403,
		hexbid.Auditor: 403, hexbid.Operator: 200} {
		for name := range profiles {
			if name == "profile" || name == "trace" { // they record for a while
				if want == 200 {
					continue
				}
			}
			w, r := request("GET", profilePath+name, "")
			r = r.WithContext(hexbid.WithPrincipal(r.Context(), hexbid.Principal{Role: role}))
			if err := p.own["GET "+profilePath+name].answer(w, r); err != nil {
				p.fail(w, r, err)
			}
			if w.Code != want || want == 403 && strings.Contains(w.Body.String(), "goroutine") {
				t.Errorf("%s, %q: %d %.200s", role, name, w.Code, w.Body)
			}
		}
	}
	if a := p.ask("GET", profilePath+"goroutine?debug=1", ""); a.StatusCode != 200 ||
		!strings.Contains(a.text, "goroutine profile:") {
		t.Errorf("%s %.200s", a.Status, a.text)
	}
}

// TestProfilesTakeACredential where credentials are required.
func TestProfilesTakeACredential(t *testing.T) {
	p := open(t, func(c *Config, s *server.Config) { c.Profiles, s.Auth = true, server.AuthRequired })
	for name := range profiles {
		if a := p.ask("GET", profilePath+name, ""); a.StatusCode != 401 {
			t.Errorf("%q: %s %.200s", name, a.Status, a.text)
		}
	}
}

func TestOverTLSTheSameIsServed(t *testing.T) {
	cert, key := certificate(t)
	p := open(t, func(_ *Config, s *server.Config) { s.TLSCert, s.TLSKey = cert, key })
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	r, err := client.Post("https://"+p.address+"/v1/nearby:search", jsonType, strings.NewReader(here))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 200 || r.ProtoMajor != 2 {
		t.Errorf("%s over %s", r.Status, r.Proto)
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", p.address, old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was taken")
	}
}

func TestAConnectionThatSendsNoHeadersIsClosed(t *testing.T) {
	p := open(t, func(c *Config, _ *server.Config) { c.Limits.HeaderTimeout = 300 * time.Millisecond })
	for _, slow := range []string{"", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"} {
		if got := raw(t, p.address, slow, patience); strings.Contains(got, "200") {
			t.Errorf("%q", got)
		}
	}
	long := fmt.Sprintf("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", maxHeaderBytes))
	if got := raw(t, p.address, long, patience); !strings.HasPrefix(got, "HTTP/1.1 431") {
		t.Errorf("%.200q", got)
	}
}

// TestCallersProveWhoTheyAreOverHTTP: without a credential every route but health and the document is refused, ours and
// the generated ones alike.
func TestCallersProveWhoTheyAreOverHTTP(t *testing.T) {
	p := open(t, func(_ *Config, c *server.Config) { c.Auth = server.AuthRequired })
	for _, headers := range [][]string{nil, {"Authorization: Bearer hxb_nothing"}, {"X-Hexbid-Client: app"},
		{"Grpc-Metadata-Authorization: Bearer x"}} {
		for path, want := range map[string]int{"/v1/advertisers": 401, "/v1/alerts:watch": 401, "/metrics": 401,
			"/healthz": 200, "/readyz": 200, "/openapi.json": 200} {
			a := p.ask("GET", path, "", headers...)
			if a.StatusCode != want || want == 401 && (a.Header.Get("WWW-Authenticate") != "Bearer" ||
				a.field(t, "code") != float64(codes.Unauthenticated)) {
				t.Errorf("%v, %s: %s %.300s", headers, path, a.Status, a.text)
			}
		}
		if a := p.ask("POST", "/v1/nearby:search", here, headers...); a.StatusCode != 401 {
			t.Errorf("%v, a search: %s %.300s", headers, a.Status, a.text)
		}
		if a := p.ask("POST", "/v1/resources:import", advertiser("a"), append(headers, "Content-Type: "+linesType)...); a.
			StatusCode != 401 {
			t.Errorf("%v, an upload: %s %.300s", headers, a.Status, a.text)
		}
	}
}

// TestAPortOnLoopbackIsNotForPages: a page that is open in a browser of the machine reaches loopback too, by a name of
// its own that it points there.
func TestAPortOnLoopbackIsNotForPages(t *testing.T) {
	h := RefusePages(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	for _, c := range []struct {
		host    string
		headers []string
		want    int
	}{
		{"127.0.0.1:7601", nil, 204}, {"[::1]:7601", nil, 204}, {"localhost:7601", nil, 204}, {"LOCALHOST", nil, 204},
		{"evil.example:7601", nil, 421}, {"127.0.0.1.evil.example", nil, 421}, {"", nil, 421}, {":7601", nil, 421},
		{"localhost.", nil, 421}, {"127.0.0.1", []string{"Origin", "null"}, 403},
		{"127.0.0.1", []string{"Origin", "http://127.0.0.1:7601"}, 403},
		{"127.0.0.1", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"127.0.0.1", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"127.0.0.1", []string{"Sec-Fetch-Site", "none"}, 204},
	} {
		w, r := request("GET", "/metrics", "")
		r.Host = c.host
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		if h.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%q, %q: %d %s", c.host, c.headers, w.Code, w.Body)
		}
	}
}
