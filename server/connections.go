package server

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// connections holds the open connections. It bounds their number, the calls that wait for their request, and the bytes
// that wait: of incomplete requests and of untaken answers. Beyond a bound it closes the connection that holds the most
// of what waits. A newcomer replaces an idle connection, never a working one.
type connections struct {
	limits       *Limits
	requestBytes int64 // the most of one request
	proxies      []netip.Prefix
	framed       bool // they speak HTTP/2, where bytes may belong to no call
	log          *slog.Logger

	calls, bytes atomic.Int64 // waiting, on all connections

	mu     sync.Mutex // guards open, logged and since; lock it before a connection's own
	open   map[*connection]struct{}
	logged time.Time // when a closing was logged last
	since  int       // closings since logged

	closed [closingCount]atomic.Int64
}

// closing says why a connection was closed.
type closing uint8

const (
	displaced    closing = iota // a newcomer took its place
	turnedAway                  // every other one was working
	tooManyCalls                // it held the most of the waiting calls
	tooManyBytes                // it held the most of the waiting bytes
	crowding                    // its caller opened more than one may have
	noisy                       // it sent too many bytes that belong to no message
	resetting                   // it took too many calls back
	closingCount
)

var closingWords = [closingCount]string{"displaced", "turned_away", "waiting_calls", "waiting_bytes", "caller",
	"noise", "resets"}

func newConnections(config *Config) *connections {
	return &connections{limits: &config.Limits, requestBytes: int64(config.MaxRequestBytes), log: config.Log,
		proxies: config.TrustedProxies, open: map[*connection]struct{}{}}
}

// guardedListener counts the connections that it accepts.
type guardedListener struct {
	net.Listener
	*connections
}

// Accept implements net.Listener.
func (l guardedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.admit(conn); c != nil {
			return c, nil
		}
	}
}

// admit accepts a connection. If there are already as many as allowed, it closes the idlest to make room. If all others
// are working, it closes the newcomer and returns nil.
func (s *connections) admit(conn net.Conn) *connection {
	c := &connection{Conn: conn, of: s, origin: conn.RemoteAddr().String(), accepted: time.Now().UnixNano()}
	c.address, c.counts = peerAddress{conn.RemoteAddr(), c}, !s.isOfProxy(c.origin)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.limits.Connections {
		idlest := idlestOf(s.open)
		if idlest == nil {
			s.close(c, turnedAway)
			return nil
		}
		s.close(idlest, displaced)
	}
	s.open[c] = struct{}{}
	return c
}

// isOfProxy reports whether a peer is a trusted proxy, whose connections carry the calls of many.
func (s *connections) isOfProxy(peer string) bool {
	at, err := netip.ParseAddrPort(peer)
	return err == nil && slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(at.Addr().Unmap()) })
}

// idlestOf returns the connection among some that has been without work the longest, nil when all are working. A
// connection that never brought work comes before all others.
func idlestOf(some map[*connection]struct{}) (idlest *connection) {
	for c := range some {
		if c.working.Load() == 0 && (idlest == nil || c.idlerThan(idlest)) {
			idlest = c
		}
	}
	return idlest
}

func (c *connection) idlerThan(d *connection) bool {
	if worked, other := c.worked.Load(), d.worked.Load(); worked != other {
		return worked < other
	}
	return c.accepted < d.accepted
}

// shed closes the connection that holds the most, if too much waits. It removes the closed connection's counts at once,
// so that one excess closes only one.
func (s *connections) shed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.calls.Load() > s.limits.WaitingCalls:
		s.closeMost(func(c *connection) int64 { return c.waiting().calls }, tooManyCalls)
	case s.bytes.Load() > s.limits.WaitingBytes:
		s.closeMost(func(c *connection) int64 { return c.waiting().bytes() }, tooManyBytes)
	}
}

func (s *connections) closeMost(of func(*connection) int64, why closing) {
	var worst *connection
	var most int64
	for c := range s.open {
		if n := of(c); worst == nil || n > most {
			worst, most = c, n
		}
	}
	if worst != nil {
		s.close(worst, why)
	}
}

// expel closes a connection.
func (s *connections) expel(c *connection, why closing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.open[c]; open {
		s.close(c, why)
	}
}

// add changes the sums and reports whether they exceed the limits.
func (s *connections) add(calls, bytes int64) (over bool) {
	callsNow, bytesNow := s.calls.Add(calls), s.bytes.Add(bytes)
	return calls > 0 && callsNow > s.limits.WaitingCalls || bytes > 0 && bytesNow > s.limits.WaitingBytes
}

// forget drops a connection that has been closed.
func (s *connections) forget(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// close closes a connection and logs it, at most once a second. The caller holds the lock.
func (s *connections) close(c *connection, why closing) {
	delete(s.open, c)
	c.giveUp()
	_ = c.Conn.Close() // an error changes nothing
	s.closed[why].Add(1)
	if s.since++; time.Since(s.logged) >= time.Second {
		s.log.Warn("connections were closed to keep to the limits", "last", c.address.String(), "reason", closingWords[why],
			"closed", s.since, "open", len(s.open))
		s.logged, s.since = time.Now(), 0
	}
}

func (s *connections) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}
