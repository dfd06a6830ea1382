package server

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connections are those that are open. They bound how many there are, how many calls
// wait for their request, and how many bytes wait: of requests for their rest, of
// answers for their caller. Past a bound the connection that has the most goes,
// never the one that works.
type connections struct {
	limits       *Limits
	requestBytes int64 // that a request may have
	log          *slog.Logger

	calls, bytes atomic.Int64 // that wait, on all connections

	mu     sync.Mutex // guards open, logged and since; taken before a connection's own
	open   map[*connection]struct{}
	logged time.Time // when a closing was last logged
	since  int       // closings since then

	closed [closingCount]atomic.Int64
}

// closing is why a connection was closed.
type closing uint8

const (
	displaced    closing = iota // a newcomer took its place
	turnedAway                  // every other one was working
	tooManyCalls                // most of the calls that wait were its own
	tooManyBytes                // most of the bytes that wait were its own
	closingCount
)

var closingWords = [closingCount]string{"displaced", "turned_away", "waiting_calls", "waiting_bytes"}

func newConnections(config *Config) *connections {
	return &connections{limits: &config.Limits, requestBytes: int64(config.MaxRequestBytes), log: config.Log, open: map[*connection]struct{}{}}
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

// admit takes a connection in, in the place of another when there are as many as may
// be. It closes the newcomer and returns nil when every other one works.
func (s *connections) admit(conn net.Conn) *connection {
	c := &connection{Conn: conn, of: s, caller: networkCaller(conn.RemoteAddr().String()), accepted: time.Now().UnixNano()}
	c.address = peerAddress{conn.RemoteAddr(), c}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.limits.Connections {
		idlest := s.idlest()
		if idlest == nil {
			s.close(c, turnedAway)
			return nil
		}
		s.close(idlest, displaced)
	}
	s.open[c] = struct{}{}
	return c
}

// idlest is the connection that has been without work the longest, those that never
// brought any first; nil when all are working.
func (s *connections) idlest() (idlest *connection) {
	for c := range s.open {
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

// shed closes the connection that has most of what waits, when too much does. It
// takes what the closed one has out of the sums, so that one excess closes one.
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

// add changes the sums of what waits, and says whether they are above the limits.
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

// close closes a connection and says so in the log, at most once a second. The lock
// is held.
func (s *connections) close(c *connection, why closing) {
	delete(s.open, c)
	c.giveUp()
	_ = c.Conn.Close() // it goes whatever it says
	s.closed[why].Add(1)
	if s.since++; time.Since(s.logged) >= time.Second {
		s.log.Warn("connections were closed to keep to the limits", "last", c.address.String(), "reason", closingWords[why], "closed", s.since, "open", len(s.open))
		s.logged, s.since = time.Now(), 0
	}
}

func (s *connections) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}
