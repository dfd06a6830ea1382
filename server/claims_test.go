package server

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/hexbid/hexbid/access"
)

// FuzzClaims reads what a call may bring: authorizations, and what proxies are said to have added. A bearer is taken
// from one authorization of the one scheme, as it is. An address is believed when the peer is a trusted proxy.
func FuzzClaims(f *testing.F) {
	trusted := netip.MustParsePrefix("10.0.0.0/8")
	s := &Server{config: Config{Auth: AuthRequired, TrustedProxies: []netip.Prefix{trusted}}}
	f.Add("Bearer hxb_x", "", uint8(1), "10.0.0.1:80", "203.0.113.7", "")
	f.Add("bearer  x", "Bearer y", uint8(2), "10.0.0.1:80", "", `for="[2001:db8::1]:4711";proto=https, for=10.1.2.3`)
	f.Add("Basic eDp5", "", uint8(1), "203.0.113.7:1", "10.0.0.1, 10.0.0.2", "for=_hidden")
	f.Add("", "", uint8(0), "", strings.Repeat(",", 100), "for=;;;=,")
	f.Add("Bearer \x00", "", uint8(1), "[::ffff:10.0.0.1]:1", "::ffff:203.0.113.7", `for="`)
	f.Fuzz(func(t *testing.T, first, second string, lines uint8, peer, added, standard string) {
		c := claims{address: peer, authorization: []string{first, second}[:min(lines, 2)], headers: http.Header{}}
		if added != "" {
			c.headers["X-Forwarded-For"] = []string{added}
		}
		if standard != "" {
			c.headers["Forwarded"] = []string{standard}
		}
		credentials, refusal := credentialsIn(&c)
		if taken := refusal == access.NotRefused && credentials.Bearer != ""; taken && (len(c.authorization) != 1 ||
			!strings.EqualFold(first[:len("bearer ")], "bearer ") || credentials.Bearer != first[len("bearer "):]) {
			t.Errorf("%q gives the bearer %q", c.authorization, credentials.Bearer)
		} else if !taken && len(c.authorization) > 0 && refusal == access.NotRefused {
			t.Errorf("%q is passed over", c.authorization)
		}
		origin, err := s.originOf(&c)
		if err != nil || origin == peer {
			return
		}
		at, err := netip.ParseAddrPort(peer)
		if err != nil || !trusted.Contains(at.Addr().Unmap()) {
			t.Errorf("%s is believed to speak for %s", peer, origin)
		}
		if _, err := netip.ParseAddr(origin); err != nil {
			t.Errorf("a call comes from %q", origin)
		}
	})
}
