package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// httpDoors makes requests as a page in a browser would, or a proxy, with a good credential: only the door keeps them
// out. None may change anything.
func httpDoors(ctx context.Context, r *round) error {
	tries := doorTries()
	err := r.inTurn(ctx, len(tries), func(_ context.Context, i int) {
		t := tries[i%len(tries)]
		q := webRequest{method: "POST", target: "/v1/advertisers?advertiser_id=" + pageID, key: r.server.Key(""),
			headers: t.headers, body: `{"display_name":"made by a page"}`}
		if t.method != "" {
			q.method = t.method
		}
		if a, ok := r.askOver(r.server, t.name, q); ok && a.status != t.status {
			r.tally.fall("%s: status %d, want %d: %.300s", t.name, a.status, t.status, a.body)
		}
		r.forge(i)
	})
	if err != nil {
		return err
	}
	return r.judgeUnmade(ctx, pageID)
}

// pageID names what a page would make.
const pageID = "made-by-a-page"

// doorTry is a request that the door refuses with a status.
type doorTry struct {
	name, method string // POST when empty
	headers      []string
	status       int
}

func doorTries() (tries []doorTry) {
	for _, host := range []string{"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost.",
		"[::1", strings.Repeat("h", 8000)} {
		tries = append(tries, doorTry{"the host " + host[:min(len(host), 30)], "", []string{"Host: " + host},
			http.StatusMisdirectedRequest})
	}
	for _, origin := range []string{"http://evil.example", "null", "http://localhost", "http://127.0.0.1:7602", "file://",
		"", "https://" + strings.Repeat("o", 8000)} {
		tries = append(tries, doorTry{"the origin " + origin[:min(len(origin), 30)], "", []string{"Origin: " + origin},
			http.StatusForbidden})
	}
	for _, host := range []string{"localhost@evil", "evil/localhost", "l\u043ecalhost", "local host", "\x7f"} {
		tries = append(tries, doorTry{"the malformed host " + host, "", []string{"Host: " + host}, http.StatusBadRequest})
	}
	page := "Origin: http://evil.example"
	return append(tries,
		doorTry{"two origins", "", []string{page, "Origin: http://localhost"}, http.StatusForbidden},
		doorTry{"a question before a request", "OPTIONS", []string{page, "Access-Control-Request-Method: POST"},
			http.StatusForbidden},
		doorTry{"another site", "", []string{"Sec-Fetch-Site: cross-site"}, http.StatusForbidden},
		doorTry{"a sibling", "", []string{"Sec-Fetch-Site: same-site"}, http.StatusForbidden},
		doorTry{"a form of a page", "", []string{"Content-Type: text/plain"}, http.StatusUnsupportedMediaType},
		doorTry{"a body without a type", "", []string{"Content-Type:"}, http.StatusUnsupportedMediaType})
}

// forgedAddress is where no caller comes from.
const forgedAddress = "203.0.113.66"

// forge says in headers that another machine calls. Without credentials the service refuses it, and with them it
// believes the connection.
func (r *round) forge(i int) {
	header := forgedHeaders[i%len(forgedHeaders)]
	a, ok := r.askOver(r.server, "a forged "+header[:min(len(header), 40)], webRequest{method: "GET", target: "/v1/whoami",
		key: r.server.Key(""), headers: []string{header}})
	want := http.StatusForbidden
	if r.server.DemandsCredentials() {
		want = http.StatusOK
	}
	if ok && (a.status != want || strings.Contains(a.body, forgedAddress)) {
		r.tally.fall("a forged %.40s: status %d, want %d: %.300s", header, a.status, want, a.body)
	}
}

var forgedHeaders = []string{"Forwarded: for=" + forgedAddress, `Forwarded: for="[::1]"`,
	"X-Forwarded-For: " + forgedAddress,
	"X-Forwarded-For: 127.0.0.1, " + forgedAddress, "x-FORWARDED-for: 127.0.0.1", "X-Forwarded-Host: localhost",
	"X-Forwarded-Proto: https", "X-Forwarded-For: " + strings.Repeat("1.1.1.1, ", 800) + forgedAddress,
	"Forwarded: " + strings.Repeat("for=127.0.0.1;", 500) + "for=" + forgedAddress, "X-Forwarded-Anything:",
	"Forwarded: for=\"unknown\", for=_hidden, for=" + forgedAddress}

// httpHeaders sends more headers than a request may have, longer ones, and ones without end.
func httpHeaders(ctx context.Context, r *round) error {
	floods := headerFloods()
	return r.inTurn(ctx, len(floods), func(_ context.Context, i int) {
		f := floods[i%len(floods)]
		q := webRequest{method: "GET", target: "/v1/whoami", key: r.server.Key(""), headers: f.headers}
		if f.target != "" {
			q.target = f.target
		}
		if a, ok := r.askOver(r.server, f.name, q); ok && a.status < 400 {
			r.tally.fall("%s: answered with %d", f.name, a.status)
		}
	})
}

type headerFlood struct {
	name, target string
	headers      []string
}

func headerFloods() []headerFlood {
	return []headerFlood{
		{name: "many headers", headers: repeated(3000, func(i int) string { return fmt.Sprintf("X-Flood-%d: y", i) })},
		{name: "a header many times", headers: repeated(5000, func(int) string { return "X-Flood: y" })},
		{name: "a long header", headers: []string{"X-Flood: " + strings.Repeat("y", 1<<20)}},
		{name: "headers of eight megabytes", headers: repeated(8, func(i int) string {
			return fmt.Sprintf("X-Flood-%d: %s", i, strings.Repeat("y", 1<<20))
		})},
		{name: "a header of a long name", headers: []string{strings.Repeat("n", 60_000) + ": y"}},
		{name: "a header without a name", headers: []string{": y"}},
		{name: "a header with a zero", headers: []string{"X-Flood: a\x00b"}},
		{name: "a header that is folded", headers: append([]string{"X-Flood: a"},
			repeated(5000, func(int) string { return " more" })...)},
		{name: "a line that is no header", headers: []string{"no header at all"}},
		{name: "cookies", headers: repeated(1000, func(i int) string { return fmt.Sprintf("Cookie: c%d=%060d", i, i) })},
		{name: "a long target", target: "/v1/" + strings.Repeat("t", 1<<20)},
		{name: "a long query", target: "/v1/advertisers?" + strings.Repeat("page_size=1&", 5000)},
		{name: "a query of nobody's", target: "/v1/whoami?" + strings.Repeat("a=b&", 3000)},
		{name: "a deadline of nobody's", headers: []string{"Grpc-Timeout: " + strings.Repeat("9", 100) + "H"}},
		{name: "two credentials", headers: []string{"Authorization: Bearer a", "Authorization: Bearer b"}},
	}
}

func repeated(n int, line func(i int) string) (lines []string) {
	for i := range n {
		lines = append(lines, line(i))
	}
	return lines
}
