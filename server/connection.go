package server

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"

	"github.com/hexbid/hexbid"
)

// connection is one that is open, and what waits on it.
type connection struct {
	net.Conn
	of       *connections
	address  peerAddress
	caller   hexbid.Principal // whom its calls are made for
	accepted int64            // Unix nanoseconds
	worked   atomic.Int64     // when work last began or ended; 0 for never
	working  atomic.Int32     // calls and batches that are worked on
	streams  atomic.Int32     // that are open

	mu   sync.Mutex // guards own and gone
	own  waiting
	gone bool // closed: nothing of it waits any more
}

// waiting is what waits on a connection.
type waiting struct {
	receiving int64 // calls and streams, for a message
	calls     int64 // unary calls, for their request
	arriving  int64 // bytes read that belong to no message that has arrived whole
	untaken   int64 // bytes of answers that the caller has not taken
}

func (w waiting) bytes() int64 { return w.arriving + w.untaken }

// messageOverheadBytes is about what the headers and frames of a message take.
const messageOverheadBytes = 128

// peerAddress is the remote address by which a call finds its connection.
type peerAddress struct {
	net.Addr
	connection *connection
}

// connectionOf is the connection of a call; a stand-in where the listener was not
// guarded.
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
	return &connection{of: &unguarded, caller: networkCaller(origin)}
}

// networkCaller is whom calls from an address are made for: so far the operator,
// whoever reaches the port.
func networkCaller(address string) hexbid.Principal {
	return hexbid.Principal{Role: hexbid.Operator, Origin: address}
}

var unguarded = connections{limits: &Limits{StreamsAConnection: 1, WaitingCalls: 1 << 62, WaitingBytes: 1 << 62}}

// RemoteAddr implements net.Conn.
func (c *connection) RemoteAddr() net.Addr { return &c.address }

// Read implements net.Conn. What is read while no message is waited for is no
// message's: settings, pings, and the headers of the next call. While one is, headers of
// other calls count as its bytes, but never as more than it may have.
func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.change(func(w *waiting) {
		if w.receiving == 0 {
			w.arriving = 0
		}
		w.arriving = min(w.arriving+int64(n), max(w.receiving, 1)*(c.of.requestBytes+messageOverheadBytes))
	})
	return n, err
}

// Write implements net.Conn. A peer that takes nothing for a while is given up: one
// goroutine writes all of a connection's answers, and would wait for good.
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

// change alters what waits on the connection, and with it the sums of all. When
// they are above the limits then, the connection that has the most is closed.
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

// giveUp takes what waits on a connection out of the sums, for good.
func (c *connection) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of.add(-c.own.calls, -c.own.bytes())
	c.own, c.gone = waiting{}, true
}

// awaitCall notes that a unary call waits for its request, awaitBatch that a stream
// waits for its next message; callArrived and batchArrived end that, with the size of
// what came.
func (c *connection) awaitCall() {
	c.change(func(w *waiting) { w.receiving, w.calls = w.receiving+1, w.calls+1 })
}

func (c *connection) awaitBatch() { c.change(func(w *waiting) { w.receiving++ }) }

func (c *connection) callArrived(bytes int) {
	c.change(func(w *waiting) { w.calls--; w.arrived(bytes) })
}

func (c *connection) batchArrived(bytes int) {
	c.change(func(w *waiting) { w.arrived(bytes) })
}

func (w *waiting) arrived(bytes int) {
	w.receiving--
	w.arriving = max(0, w.arriving-int64(bytes)-messageOverheadBytes)
	if w.receiving == 0 {
		w.arriving = 0
	}
}

// begin and end enclose work for a caller.
func (c *connection) begin() {
	c.working.Add(1)
	c.worked.Store(time.Now().UnixNano())
}

func (c *connection) end() {
	c.working.Add(-1)
	c.worked.Store(time.Now().UnixNano())
}

// answer is an encoded message, in memory that Get gave, that waits for the caller to
// take it.
func (c *connection) answer(encoded *[]byte) answer {
	c.change(func(w *waiting) { w.untaken += int64(cap(*encoded)) })
	return answer{mem.NewBuffer(encoded, c)}
}

// leastAnswerBytes is the least memory of which gRPC says when it is done with it.
const leastAnswerBytes = 1<<10 + 1

// Get implements mem.BufferPool, of which gRPC uses Put alone.
func (c *connection) Get(length int) *[]byte {
	return mem.DefaultBufferPool().Get(max(length, leastAnswerBytes))
}

// Put implements mem.BufferPool: an answer has been written, or was given up.
func (c *connection) Put(encoded *[]byte) {
	c.change(func(w *waiting) { w.untaken -= int64(cap(*encoded)) })
	mem.DefaultBufferPool().Put(encoded)
}
