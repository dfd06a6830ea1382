package server

import (
	"net/netip"
	"strings"

	"github.com/hexbid/hexbid"
)

// Proxies say for whom they forward a call in the headers Forwarded and X-Forwarded-*. Everybody can write these, so
// they are believed from the proxies that the operator names, and from nobody else. Without credentials a forwarded
// call is refused, because it comes from another machine although its connection comes from this one.

var errForwarded = hexbid.Errorf(hexbid.Denied, "forwarded",
	"the call comes through a proxy, and this server serves callers of its own machine only: "+
		"start it with --auth required, and name the proxy in --trusted-proxy")

// hasForwarding reports whether headers say that a call was forwarded.
func hasForwarding(headers map[string][]string) bool {
	for key := range headers {
		if isForwarding(key) {
			return true
		}
	}
	return false
}

func isForwarding(key string) bool {
	const standard, common = "forwarded", "x-forwarded-"
	return strings.EqualFold(key, standard) || len(key) >= len(common) && strings.EqualFold(key[:len(common)], common)
}

// originOf returns where a call comes from: the peer's address, or the one for which trusted proxies speak. The error
// refuses a call that was forwarded from another machine to a server without credentials.
func (s *Server) originOf(c *claims) (origin string, err error) {
	if len(s.config.TrustedProxies) == 0 || !hasForwarding(c.headers) {
		return c.address, nil
	}
	from, ok := s.forwardedFor(c)
	if s.config.Auth == AuthRequired {
		if ok {
			return from.String(), nil
		}
		return c.address, nil
	}
	if !ok || !from.IsLoopback() {
		return c.address, errForwarded
	}
	return from.String(), nil
}

// forwardedFor returns the address for which trusted proxies speak. ok is false when the peer is no trusted proxy, or
// what it says is no address. A proxy writes one of the two headers and may pass the other one on as the caller wrote
// it. Nobody knows which, so where a call has both they must say the same.
func (s *Server) forwardedFor(c *claims) (from netip.Addr, ok bool) {
	at, err := netip.ParseAddrPort(c.address)
	if err != nil || !s.isTrusted(at.Addr()) {
		return from, false
	}
	standard, common := hopsIn(c.headers)
	switch {
	case standard == nil:
		return s.firstUntrusted(common)
	case common == nil:
		return s.firstUntrusted(standard)
	}
	from, ok = s.firstUntrusted(standard)
	other, alsoOK := s.firstUntrusted(common)
	return from, ok && alsoOK && from == other
}

// firstUntrusted walks the addresses that proxies have added, latest first, past those of trusted proxies. ok is false
// when one on the way is no address.
func (s *Server) firstUntrusted(hops []string) (from netip.Addr, ok bool) {
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := parseHop(hops[i])
		if err != nil {
			return from, false
		}
		if from = hop; !s.isTrusted(hop) {
			return hop, true
		}
	}
	return from, from.IsValid()
}

func (s *Server) isTrusted(a netip.Addr) bool {
	for _, p := range s.config.TrustedProxies {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

// hopsIn returns the addresses that proxies have added, in order: of Forwarded (RFC 7239), and of X-Forwarded-For. What
// a call does not have is nil.
func hopsIn(headers map[string][]string) (standard, common []string) {
	for key, values := range headers {
		switch {
		case strings.EqualFold(key, "forwarded"):
			for _, value := range values {
				for element := range strings.SplitSeq(value, ",") {
					standard = append(standard, forIn(element))
				}
			}
		case strings.EqualFold(key, "x-forwarded-for"):
			for _, value := range values {
				common = append(common, strings.Split(value, ",")...)
			}
		}
	}
	return standard, common
}

// forIn returns the parameter "for" of an element of Forwarded.
func forIn(element string) string {
	for pair := range strings.SplitSeq(element, ";") {
		if name, value, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && strings.EqualFold(name, "for") {
			return value
		}
	}
	return ""
}

// parseHop reads an address with or without a port, as in 10.0.0.7, "[2001:db8::1]:4711" or 2001:db8::1.
func parseHop(text string) (netip.Addr, error) {
	text = strings.Trim(strings.TrimSpace(text), `"`)
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a.Addr().Unmap(), nil
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return a.Unmap(), err
}
