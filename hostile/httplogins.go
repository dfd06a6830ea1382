package main

import (
	"context"
	"hash/crc32"
	"net/http"
	"strings"
	"sync"

	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/hostile/victim"
)

// httpLogins floods the HTTP port with credentials that nobody has. All are refused in the same words, and no log has
// them.
func httpLogins(ctx context.Context, r *round) error {
	said := &sayings{}
	err := r.inTurn(ctx, leastLogins, func(_ context.Context, i int) {
		t := loginTries[i%len(loginTries)]
		a, ok := r.askOver(r.server, t.name, webRequest{method: "GET", target: loginTargets[i%len(loginTargets)],
			headers: []string{"Authorization: " + t.draw(r.server)}})
		if !ok {
			return
		}
		if a.status != http.StatusUnauthorized && a.status != http.StatusTooManyRequests {
			r.tally.fall("%s: status %d, want %d: %.300s", t.name, a.status, http.StatusUnauthorized, a.body)
		}
		if t.wellFormed && a.status == http.StatusUnauthorized {
			said.add(a.body)
		}
	})
	if n := said.count(); n > 1 {
		r.tally.fall("credentials that nobody has are refused in %d ways, which tells them apart", n)
	}
	return err
}

const leastLogins = 2000

// sayings are the different answers to credentials of the right form.
type sayings struct {
	mu  sync.Mutex // guards all
	all map[string]bool
}

func (s *sayings) add(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]bool{}
	}
	s.all[text] = true
}

func (s *sayings) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// loginTargets have a length that is prime to that of loginTries, so that each try comes to each of them.
var loginTargets = []string{"/v1/whoami", "/v1/advertisers", "/v1/users", "/metrics", "/v1/market"}

// loginTry draws a credential that nobody has.
type loginTry struct {
	name       string
	wellFormed bool
	draw       func(*victim.Server) string
}

var loginTries = []loginTry{
	{"a key of nobody's", true, func(*victim.Server) string {
		text, _, _ := nobodysPepper.NewKey()
		return "Bearer " + text
	}},
	{"a key of somebody's with another secret", true, func(s *victim.Server) string {
		text, _, _ := nobodysPepper.NewKey()
		return "Bearer " + withIDOf(text, s.Key(""))
	}},
	{"a key with a wrong checksum", false, func(*victim.Server) string {
		text, _, _ := nobodysPepper.NewKey()
		return "Bearer " + text[:len(text)-1] + "#"
	}},
	{"a token without an algorithm", false, fixed("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJvcGVyYXRvciJ9.")},
	{"a token of zeros", false, fixed("Bearer " + strings.Repeat("A", 4000) + "." + strings.Repeat("A", 4000) + ".AAAA")},
	{"a name and a password", false, fixed("Basic b3BlcmF0b3I6b3BlcmF0b3I=")},
	{"nothing after Bearer", false, fixed("Bearer ")},
	{"nothing", false, fixed("")},
	{"a long credential", false, fixed("Bearer " + strings.Repeat("k", 12_000))},
	{"bytes", false, fixed("Bearer \xff\xfe\x80")},
	{"two keys in one", false, fixed("Bearer a, Bearer b")},
}

func fixed(text string) func(*victim.Server) string {
	return func(*victim.Server) string { return text }
}

// nobodysPepper draws keys of the right form that no server has.
var nobodysPepper = access.RandomPepper()

// withIDOf gives a key another one's id.
func withIDOf(key, other string) string {
	if other == "" {
		return key
	}
	const idEnd = len(access.KeyPrefix) + 12
	return withChecksum(other[:idEnd] + key[idEnd:len(key)-checksumDigits])
}

const (
	base62         = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	checksumDigits = 6
)

// withChecksum ends a key with the checksum that it needs to be looked up.
func withChecksum(key string) string {
	sum, text := crc32.ChecksumIEEE([]byte(key)), [checksumDigits]byte{}
	for i := range text {
		text[checksumDigits-1-i] = base62[sum%62]
		sum /= 62
	}
	return key + string(text[:])
}
