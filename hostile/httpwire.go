package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hexbid/hexbid/hostile/victim"
)

// webWire is a connection to the HTTP port that is written byte by byte, so that it can say what no HTTP library would.
type webWire struct {
	net.Conn
	answers *bufio.Reader
}

func webWireTo(s *victim.Server) (*webWire, error) {
	conn, err := net.DialTimeout("tcp", s.HTTPAddress, victim.Patience)
	if err != nil {
		return nil, err
	}
	return &webWire{conn, bufio.NewReader(conn)}, nil
}

// say writes text. The server may rightly close the connection, and read no more.
func (w *webWire) say(text string) error {
	if err := w.SetWriteDeadline(time.Now().Add(wireTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(w.Conn, text)
	return err
}

// webAnswer is what the HTTP port answered.
type webAnswer struct {
	status int
	header http.Header
	body   string
}

// mostAnswerBytes is the most of an answer that is read.
const mostAnswerBytes = 64 << 20

// hear reads the answer to a request of some method.
func (w *webWire) hear(method string) (a webAnswer, err error) {
	if err := w.SetReadDeadline(time.Now().Add(victim.Patience)); err != nil {
		return a, err
	}
	response, err := http.ReadResponse(w.answers, &http.Request{Method: method})
	if err != nil {
		return a, err
	}
	return webAnswerOf(response)
}

func webAnswerOf(response *http.Response) (webAnswer, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, mostAnswerBytes))
	return webAnswer{response.StatusCode, response.Header, string(body)}, err
}

// webRequest is a request in its parts. Nothing of it needs to be right.
type webRequest struct {
	method, target string
	key            string   // credential; "" for none
	headers        []string // lines; Host and the type of the body have defaults
	body           string
}

const (
	ownHost  = "Host: localhost"
	jsonBody = "Content-Type: application/json"
)

// text writes the request as it goes over the connection. A length goes with a body that states no other.
func (q webRequest) text() string {
	head := strings.ToLower(strings.Join(q.headers, "\n"))
	lines := []string{q.method + " " + q.target + " HTTP/1.1"}
	if !strings.HasPrefix(head, "host:") && !strings.Contains(head, "\nhost:") {
		lines = append(lines, ownHost)
	}
	if !strings.Contains(head, "content-type:") && q.body != "" {
		lines = append(lines, jsonBody)
	}
	if q.key != "" {
		lines = append(lines, "Authorization: Bearer "+q.key)
	}
	if !strings.Contains(head, "content-length") && !strings.Contains(head, "transfer-encoding") && q.body != "" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(q.body)))
	}
	return strings.Join(append(lines, q.headers...), "\r\n") + "\r\n\r\n" + q.body
}

// askOver sends a request over a connection of its own and judges the answer. It returns false when the server closed
// the connection without one, which it may.
func (r *round) askOver(s *victim.Server, what string, q webRequest) (webAnswer, bool) {
	w, err := webWireTo(s)
	if err != nil {
		r.tally.fall("%s: no connection: %v", what, err)
		return webAnswer{}, false
	}
	defer w.Close()
	_ = w.say(q.text()) // an answer may come before all of it is read
	a, err := w.hear(q.method)
	if err != nil {
		r.tally.calls.Add(1)
		if isTimeout(err) {
			r.tally.fall("%s: no answer within %v", what, victim.Patience)
		}
		return a, false
	}
	r.tally.answered(what, a)
	return a, true
}

func isTimeout(err error) bool {
	late, is := err.(net.Error)
	return is && late.Timeout()
}

// documentedStatuses are those that docs/http.md tells callers of, besides success.
var documentedStatuses = map[int]bool{400: true, 401: true, 403: true, 404: true, 405: true, 408: true, 409: true,
	413: true, 415: true, 421: true, 429: true, 431: true, 499: true, 501: true, 503: true, 504: true, 505: true}

// bareStatuses are answered in a line of text, because the request is no HTTP that a method could be found in.
var bareStatuses = map[int]bool{400: true, 431: true, 501: true, 505: true}

// mostErrorBytes bounds an error: it never repeats a request.
const mostErrorBytes = 16 << 10

// neverAnswered are parts of what no answer to an attacker may hold: keys, and what a panic prints.
var neverAnswered = []string{"hxb_", "goroutine ", "runtime error", ".go:"}

// answered counts an attacker's request over HTTP and judges its answer. The service may refuse the request, in one of
// the ways that callers are told of. It must not fail internally, nor tell a secret.
func (t *tally) answered(what string, a webAnswer) {
	t.calls.Add(1)
	switch {
	case a.status == http.StatusTooManyRequests:
		t.refused.Add(1)
	case a.status == http.StatusRequestTimeout || a.status == http.StatusGatewayTimeout:
		t.late.Add(1)
	case a.status >= 300 && !documentedStatuses[a.status]:
		t.internal.Add(1)
		t.fall("%s: status %d, which is not documented: %.300s", what, a.status, a.body)
	}
	for _, secret := range neverAnswered {
		if strings.Contains(a.body, secret) {
			t.fall("%s: the answer has %q: %.300s", what, secret, a.body)
		}
	}
	if a.status >= 300 {
		t.judgeError(what, a)
	}
}

// judgeError judges the body of a refusal.
func (t *tally) judgeError(what string, a webAnswer) {
	if len(a.body) > mostErrorBytes {
		t.fall("%s: an error of %d bytes", what, len(a.body))
	}
	if bareStatuses[a.status] && strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		return
	}
	var said struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal([]byte(a.body), &said); a.body != "" && (err != nil || said.Code == 0 || said.Message == "") {
		t.fall("%s: status %d comes with no google.rpc.Status: %.300s", what, a.status, a.body)
	}
}

// attackerKeys returns the credentials of attackers over HTTP: two of them nobody's. Where none are demanded it is no
// credential.
func (r *round) attackerKeys() []string {
	s := r.server
	if !s.DemandsCredentials() {
		return []string{""}
	}
	return []string{s.Key("clients/" + attackerClient), s.Key("users/" + attackerMember),
		s.Key("users/" + attackerReader), "", alteredKey(s.Key(""))}
}

const webWorkers = 8

// inTurn makes each of n attempts in turn, by several workers at once, until the attack's share of the time is over,
// and each at least once.
func (r *round) inTurn(ctx context.Context, n int, attempt func(ctx context.Context, i int)) error {
	stop, cancel := r.until(ctx)
	defer cancel()
	var group sync.WaitGroup
	for worker := range webWorkers {
		group.Go(func() {
			for i := worker; ctx.Err() == nil && (i < n || stop.Err() == nil); i += webWorkers {
				attempt(ctx, i)
			}
		})
	}
	group.Wait()
	return ctx.Err()
}

// askWeb makes a search with an ordinary client. A server that is full of connections on which nobody has asked yet
// makes room by closing the oldest of them, and that may be this client's. It then asks again, as gRPC's clients do.
func askWeb(ctx context.Context, client *http.Client, url, key, body string) (a webAnswer, err error) {
	for range webAttempts {
		a, err = askWebOnce(ctx, client, url, key, body)
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			break
		}
	}
	return a, err
}

const webAttempts = 3

func askWebOnce(ctx context.Context, client *http.Client, url, key, body string) (webAnswer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return webAnswer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header["Idempotency-Key"] = nil // lets the library ask again over another connection than one kept too long
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := client.Do(request)
	if err != nil {
		return webAnswer{}, err
	}
	return webAnswerOf(response)
}
