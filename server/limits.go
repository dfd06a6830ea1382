package server

import (
	"time"

	"github.com/hexbid/hexbid"
)

// Limits bound what callers can use. docs/operators.md says what each protects.
type Limits struct {
	// Searches, Reads, Writes, Imports and Events bound the calls of each class that are worked on at once; for imports
	// and streams of events, the batches.
	Searches, Reads, Writes, Imports, Events int
	// Wait is the mean time that calls may wait for a core. While they wait longer, the server lets fewer calls in: reads
	// and imports first, events last. 0 lets all in.
	Wait time.Duration
	// WorkingBytes bounds the encoded bytes of the writes and batches that are worked on at once. Decoded they take
	// some five times as much.
	WorkingBytes int64
	// EventBytes bounds the encoded bytes of the calls and batches of events that are worked on at once. Decoded and
	// opened they take some five times as much.
	EventBytes int64
	// Connections bounds the open connections. A newcomer beyond it replaces the one that has been without work the
	// longest.
	Connections int
	// CallerConnections bounds the open connections of one user or search client at one port; 0 is a quarter of
	// Connections. A further one takes the place of the caller's idlest. While all of them are working, its calls are
	// refused.
	CallerConnections int
	// StreamsAConnection bounds the open streams of a connection (Import, StreamEvents, WatchAlerts, health's
	// Watch, reflection).
	StreamsAConnection int
	// CallsAConnection bounds the open calls of a connection, streams included.
	CallsAConnection int
	// WaitingCalls bounds the calls, over all connections, whose request has not arrived. WaitingBytes bounds the bytes
	// of incomplete requests and of untaken answers. Beyond either, the connection that holds the most is closed.
	WaitingCalls, WaitingBytes int64
	// RequestTimeout is how long a request may take to arrive whole. A call without a deadline gets this time in all,
	// the arrival of its request included.
	RequestTimeout time.Duration
	// StreamTimeout is how long a stream may bring nothing while none of its messages is worked on, and how long its
	// client may leave an answer untaken.
	StreamTimeout time.Duration
	// HandshakeTimeout bounds the start of TLS and HTTP/2.
	HandshakeTimeout time.Duration
	// IdleTimeout closes a connection that has had no call for so long.
	IdleTimeout time.Duration
	// ConnectionAge is how long a connection may live: then its client is told to open another one, and what is under
	// way may go on as long again. So load spreads over new servers, and a certificate that was withdrawn goes.
	ConnectionAge time.Duration
	// NoiseBytes bounds the bytes of a connection that belong to no message, beyond 64 KiB a second: pings, settings,
	// windows, headers without end. ResetCalls bounds the calls that a connection opens and takes back, beyond four for
	// each that it lets be answered. A connection beyond either is closed.
	NoiseBytes, ResetCalls int64
	// NoiseTimeout is how long a connection may be beyond NoiseBytes.
	NoiseTimeout time.Duration
}

// DefaultLimits returns limits for a machine of a few cores and 8 GB.
func DefaultLimits() Limits {
	return Limits{
		Searches: 4096, Reads: 256, Writes: 256, Imports: 32, Events: 1024, Wait: 2 * time.Millisecond,
		WorkingBytes: 128 << 20, EventBytes: 32 << 20,
		Connections: 1024, StreamsAConnection: 8, CallsAConnection: 128,
		WaitingCalls: 16 << 10, WaitingBytes: 512 << 20,
		RequestTimeout: 10 * time.Second, StreamTimeout: 30 * time.Second, HandshakeTimeout: 10 * time.Second,
		IdleTimeout: 10 * time.Minute, ConnectionAge: time.Hour, NoiseBytes: 1 << 20, NoiseTimeout: time.Second,
		ResetCalls: 1000,
	}
}

// callerConnections returns how many connections one caller may have.
func (l *Limits) callerConnections() int {
	if l.CallerConnections > 0 {
		return l.CallerConnections
	}
	return max(1, l.Connections/4)
}

// Validate refuses limits under which nothing works. Its error names the flag.
func (l *Limits) Validate() error {
	for _, limit := range []struct {
		flag  string
		value int
	}{{"max-searches", l.Searches}, {"max-reads", l.Reads}, {"max-writes", l.Writes}, {"max-imports", l.Imports},
		{"max-events", l.Events}, {"max-connections", l.Connections}} {
		if limit.value < 1 {
			return hexbid.Invalidf(limit.flag, "%d permits nothing: use 1 or more", limit.value)
		}
	}
	if l.CallerConnections < 0 {
		return hexbid.Invalidf("max-caller-connections", "%d is below zero: use 0 for a quarter of "+
			"--max-connections, or more", l.CallerConnections)
	}
	if l.Wait < 0 {
		return hexbid.Invalidf("max-wait", "%s is below zero: use 0 for no limit, or more", l.Wait)
	}
	if l.WaitingBytes < 1<<20 {
		return hexbid.Invalidf("max-waiting-mb", "%d permits nothing: use 1 or more", l.WaitingBytes>>20)
	}
	return nil
}
