package server

import (
	"time"

	"github.com/hexbid/hexbid"
)

// Limits bound what callers can take. docs/operators.md says what each protects.
type Limits struct {
	// Searches, Reads, Writes and Imports bound what is worked on at once; of
	// imports, batches.
	Searches, Reads, Writes, Imports int
	// WorkingBytes bounds the writes and batches worked on at once by their bytes as
	// they came; decoded they take some five times as much.
	WorkingBytes int64
	// Connections bounds the connections. A newcomer beyond it takes the place of
	// the one that has been without work the longest.
	Connections int
	// StreamsAConnection bounds the streams (Import, health's Watch, reflection)
	// that a connection has open.
	StreamsAConnection int
	// CallsAConnection bounds the calls of all kinds that a connection has open.
	CallsAConnection int
	// WaitingCalls bounds the calls of all connections whose request has not
	// arrived, WaitingBytes the bytes of requests that have not arrived whole and of
	// answers that callers have not taken. Past either the connection that has the
	// most of it is closed.
	WaitingCalls, WaitingBytes int64
	// RequestTimeout is how long a request may take to arrive whole, and the time of
	// a call that states no deadline, the arrival of its request included.
	RequestTimeout time.Duration
	// StreamTimeout is how long a stream may bring nothing while nothing of it is
	// worked on, and how long its client may leave an answer untaken.
	StreamTimeout time.Duration
	// HandshakeTimeout is how long TLS and HTTP/2 may take to begin.
	HandshakeTimeout time.Duration
	// IdleTimeout closes a connection that has had no call for so long.
	IdleTimeout time.Duration
}

// DefaultLimits suit a machine of a few cores and 8 GB.
func DefaultLimits() Limits {
	return Limits{
		Searches: 4096, Reads: 256, Writes: 256, Imports: 32, WorkingBytes: 128 << 20,
		Connections: 1024, StreamsAConnection: 8, CallsAConnection: 1024,
		WaitingCalls: 16 << 10, WaitingBytes: 512 << 20,
		RequestTimeout: 10 * time.Second, StreamTimeout: 30 * time.Second, HandshakeTimeout: 10 * time.Second, IdleTimeout: 10 * time.Minute,
	}
}

// Validate refuses limits under which nothing works; the error names the flag.
func (l *Limits) Validate() error {
	for _, limit := range []struct {
		flag  string
		value int
	}{{"max-searches", l.Searches}, {"max-reads", l.Reads}, {"max-writes", l.Writes}, {"max-imports", l.Imports}, {"max-connections", l.Connections}} {
		if limit.value < 1 {
			return hexbid.Invalidf(limit.flag, "%d permits nothing: use 1 or more", limit.value)
		}
	}
	if l.WaitingBytes < 1<<20 {
		return hexbid.Invalidf("max-waiting-mb", "%d permits nothing: use 1 or more", l.WaitingBytes>>20)
	}
	return nil
}
