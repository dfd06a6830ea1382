package frames

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Pool keeps connections to a server, and replaces those that have ended: a server ends each at some age.
type Pool struct {
	dial   func(context.Context) (*Conn, error)
	places []place
}

// place holds a connection of a pool.
type place struct {
	mu   sync.Mutex
	conn *Conn
}

// NewPool makes a pool of so many connections that dial makes.
func NewPool(ctx context.Context, connections int, dial func(context.Context) (*Conn, error)) (*Pool, error) {
	p := &Pool{dial: dial, places: make([]place, connections)}
	for i := range p.places {
		if _, err := p.conn(ctx, i); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// Call makes the call i on one of the connections, in turn, and returns its status. Without a connection that is
// Unavailable.
func (p *Pool) Call(ctx context.Context, i int, message []byte) error {
	conn, err := p.conn(ctx, i%len(p.places))
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	return conn.Call(ctx, message)
}

// conn returns the connection of a place, a new one if it has ended.
func (p *Pool) conn(ctx context.Context, i int) (*Conn, error) {
	at := &p.places[i]
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.conn != nil && at.conn.Err() == nil {
		return at.conn, nil
	}
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	if at.conn != nil {
		at.conn.Close()
	}
	at.conn = conn
	return conn, nil
}

// Close ends all connections. Calls under way fail.
func (p *Pool) Close() {
	for i := range p.places {
		at := &p.places[i]
		at.mu.Lock()
		if at.conn != nil {
			at.conn.Close()
		}
		at.mu.Unlock()
	}
}
