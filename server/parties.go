package server

import (
	"sync"
	"sync/atomic"

	"github.com/hexbid/hexbid"
)

// parties are the users and clients that call. All connections of one share a party, so opening more of them wins no
// larger part of a busy server.
type parties struct {
	mu    sync.Mutex // guards named
	named remembered[*party]
}

// party is one who calls: a user or a client with all its connections, or a connection whose caller is not known.
type party struct {
	owner    string       // resource name of the user or the client; "" for a connection
	underWay atomic.Int64 // calls that wait for a core or use one
	holds    holding      // of what is worked on

	// crowded says that all of open were working when a further connection was refused, and that none of them has
	// ended its work or closed since. While it holds, a refusal costs no look at them.
	crowded atomic.Bool

	mu     sync.Mutex               // guards the fields below; lock it after all others
	open   map[*connection]struct{} // that count as the party's
	looked uint64                   // connections looked at so far, for one that is idle
}

// join lets the further calls of a connection count for its caller. A caller without a name leaves it as it is. The
// error is Exhausted: the caller has as many connections as one may have, and all of them are working.
func (p *parties) join(c *connection, caller *hexbid.Principal) error {
	if caller.ID == "" || c.party().owner == caller.ID {
		return nil
	}
	c.joining.Lock()
	defer c.joining.Unlock()
	if c.party().owner == caller.ID { // another of the connection's first calls has joined it
		return nil
	}
	of := p.party(caller.ID)
	if !c.counts {
		c.joined.Store(of)
		return nil
	}
	most := c.of.limits.callerConnections()
	displaced, admitted := of.admit(c, most)
	if !admitted {
		return hexbid.Errorf(hexbid.Exhausted, "",
			"%s has %d connections open, the most, and all are working: make its calls over fewer connections",
			caller.ID, most)
	}
	if displaced != nil {
		c.of.expel(displaced, crowding)
	}
	c.join(of)
	return nil
}

// join lets a connection be one of a party's, which has admitted it.
func (c *connection) join(of *party) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		of.leave(c)
		return
	}
	if before := c.joined.Swap(of); before != nil {
		before.leave(c)
	}
}

// admit counts a connection as the party's. If the party has as many as it may have, its idlest makes room, and the
// caller must close that one. While all are working there is no room.
func (p *party) admit(c *connection, most int) (displaced *connection, admitted bool) {
	if p.crowded.Load() {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) >= most {
		if displaced = p.idlest(); displaced == nil {
			return nil, false
		}
		delete(p.open, displaced)
	}
	if p.open == nil {
		p.open = map[*connection]struct{}{}
	}
	p.open[c] = struct{}{}
	return displaced, true
}

// idlest returns the party's connection that has been without work the longest, nil when all are working.
//
// It sets crowded before it looks. A connection that ends its work after the look at it therefore finds crowded set,
// and takes it back. The caller holds the lock.
func (p *party) idlest() *connection {
	if p.crowded.Load() {
		return nil
	}
	p.crowded.Store(true)
	p.looked += uint64(len(p.open))
	idlest := idlestOf(p.open)
	if idlest != nil {
		p.crowded.Store(false)
	}
	return idlest
}

// hasRoom tells the party that one of its connections is idle, or that it has one less.
func (p *party) hasRoom() {
	if p.crowded.Load() {
		p.crowded.Store(false)
	}
}

// leave ends the count of a connection.
func (p *party) leave(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
	p.hasRoom()
}

// isIdle reports whether nobody misses the party when it is dropped.
func (p *party) isIdle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.underWay.Load() == 0 && len(p.open) == 0
}

// party returns the party of a user or a client.
func (p *parties) party(owner string) *party {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.named.of[owner]
	if of == nil {
		of = &party{owner: owner}
		p.named.put(owner, of, (*party).isIdle)
	}
	return of
}

// party returns whose calls those of the connection are.
func (c *connection) party() *party {
	if of := c.joined.Load(); of != nil {
		return of
	}
	return &c.alone
}
