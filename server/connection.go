package server

import (
	"context"
	"crypto/x509"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"

	"github.com/hexbid/hexbid/access"
)

// connection is an open connection with the counts of what waits on it.
type connection struct {
	net.Conn
	of       *connections
	address  peerAddress
	origin   string // the peer's address, for principals
	alone    party  // the connection itself, until its caller is known
	joined   atomic.Pointer[party]
	joining  sync.Mutex   // admits one call that changes joined; lock it before all others
	counts   bool         // among its caller's connections
	accepted int64        // Unix nanoseconds
	worked   atomic.Int64 // when work last began or ended; 0 for never
	working  atomic.Int32 // calls and batches being worked on
	streams  atomic.Int32 // open streams

	proof       atomic.Pointer[access.Proof] // what the last credential proved
	certificate atomic.Pointer[x509.Certificate]
	asked       atomic.Bool // certificate is set, or there is none

	mu     sync.Mutex // guards the fields below
	own    waiting
	gone   bool // closed: it counts as waiting no more
	abuses abuses
}

// waiting counts what waits on a connection.
type waiting struct {
	receiving int64 // calls and streams that wait for a message
	calls     int64 // unary calls that wait for their request
	arriving  int64 // bytes received of messages that have not arrived whole
	untaken   int64 // bytes of answers that the caller has not taken
}

func (w waiting) bytes() int64 { return w.arriving + w.untaken }

// messageOverheadBytes approximates the size of a message's headers and frames.
const messageOverheadBytes = 128

// peerAddress is a remote address that leads a call to its connection.
type peerAddress struct {
	net.Addr
	connection *connection
}

// connectionOf returns the connection of a call, or a stand-in if the listener is not guarded.
func connectionOf(ctx context.Context) *connection {
	origin := ""
	if p, ok := peer.FromContext(ctx); ok {
		if a, ok := p.Addr.(*peerAddress); ok {
			return a.connection
		}
		if p.Addr != nil {
			origin = p.Addr.String()
		}
	}
	return &connection{of: &unguarded, origin: origin}
}

var unguarded = connections{limits: &Limits{StreamsAConnection: 1, WaitingCalls: 1 << 62, WaitingBytes: 1 << 62,
	ResetCalls: 1 << 62}}

// RemoteAddr implements net.Conn.
func (c *connection) RemoteAddr() net.Addr { return &c.address }

// Read implements net.Conn. While no message is expected, the bytes belong to settings, pings or the headers of the
// next call, and do not count. While one is expected, headers of other calls count as its bytes, but never beyond its
// limit.
func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	loud := false
	c.change(func(w *waiting) {
		if w.receiving == 0 {
			w.arriving = 0
		}
		w.arriving = min(w.arriving+int64(n), max(w.receiving, 1)*(c.of.requestBytes+messageOverheadBytes))
		loud = c.of.framed && c.abuses.isLoud(int64(n), c.of.permitted(w), time.Now(), c.of.limits)
	})
	if loud {
		c.of.expel(c, noisy)
	}
	return n, err
}

// Write implements net.Conn. It gives up a peer that takes nothing for a while. One goroutine writes all answers of a
// connection and would otherwise wait for good.
func (c *connection) Write(b []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.of.limits.StreamTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.of.forget(c)
	c.giveUp()
	return c.Conn.Close()
}

func (c *connection) waiting() waiting {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.own
}

// change alters the connection's counts and the sums over all connections. If a sum then exceeds its limit, the
// connection that holds the most is closed.
func (c *connection) change(by func(*waiting)) {
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return
	}
	before := c.own
	by(&c.own)
	over := c.of.add(c.own.calls-before.calls, c.own.bytes()-before.bytes())
	c.mu.Unlock()
	if over {
		c.of.shed()
	}
}

// giveUp removes the connection's counts from the sums for good.
func (c *connection) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of.add(-c.own.calls, -c.own.bytes())
	if of := c.joined.Load(); of != nil && c.counts {
		of.leave(c)
	}
	c.own, c.gone = waiting{}, true
}

// awaitCall counts a unary call that waits for its request, awaitBatch a stream that waits for its next message.
// callArrived and batchArrived end the wait and take the size of the message.
func (c *connection) awaitCall() {
	c.change(func(w *waiting) { w.receiving, w.calls = w.receiving+1, w.calls+1 })
}

func (c *connection) awaitBatch() { c.change(func(w *waiting) { w.receiving++ }) }

func (c *connection) callArrived(bytes int) {
	c.change(func(w *waiting) { w.calls--; w.arrived(bytes); c.abuses.credit(int64(bytes) + callHeadBytes) })
}

func (c *connection) batchArrived(bytes int) {
	c.change(func(w *waiting) { w.arrived(bytes); c.abuses.credit(int64(bytes) + messageOverheadBytes) })
}

func (w *waiting) arrived(bytes int) {
	w.receiving--
	w.arriving = max(0, w.arriving-int64(bytes)-messageOverheadBytes)
	if w.receiving == 0 {
		w.arriving = 0
	}
}

// begin and end enclose the work for a caller.
func (c *connection) begin() {
	c.working.Add(1)
	c.worked.Store(time.Now().UnixNano())
}

func (c *connection) end() {
	c.worked.Store(time.Now().UnixNano())
	if c.working.Add(-1) == 0 {
		c.party().hasRoom()
	}
}

// answer wraps an encoded message, in memory from Get, that waits for the caller to take it.
func (c *connection) answer(encoded *[]byte) answer {
	c.change(func(w *waiting) { w.untaken += int64(cap(*encoded)) })
	return answer{mem.NewBuffer(encoded, c)}
}

// leastAnswerBytes is the least size of a buffer that gRPC returns to the pool.
const leastAnswerBytes = 1<<10 + 1

// answerPool has buffers of the powers of 2 from 2 KiB to 1 MiB. gRPC's own pool has none between 32 KiB and 1 MiB, so
// in it a hundred answers of 40 kB that wait for their callers hold a hundred MiB.
var answerPool = newAnswerPool()

func newAnswerPool() mem.BufferPool {
	pool, err := mem.NewBinaryTieredBufferPool(11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
	if err != nil {
		panic("server: " + err.Error()) // it refuses exponents above 63 alone
	}
	return pool
}

// Get implements mem.BufferPool; gRPC calls only Put.
func (c *connection) Get(length int) *[]byte {
	return answerPool.Get(max(length, leastAnswerBytes))
}

// Put implements mem.BufferPool. gRPC calls it when an answer has been written or dropped.
func (c *connection) Put(encoded *[]byte) {
	c.change(func(w *waiting) { w.untaken -= int64(cap(*encoded)) })
	answerPool.Put(encoded)
}
