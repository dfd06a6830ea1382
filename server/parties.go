package server

import (
	"sync"

	"github.com/hexbid/hexbid"
)

// parties are the users and clients that call. All connections of one share a party, so opening more of them wins no
// larger part of a busy server.
type parties struct {
	mu sync.Mutex // guards of
	of map[string]*party
}

// mostParties is how many parties there are before idle ones are dropped.
const mostParties = 10_000

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
	of := p.named(caller.ID)
	if !c.counts {
		c.joined.Store(of)
		return nil
	}
	most := c.of.limits.callerConnections()
	if int(of.connections.Add(1)) > most && !c.of.displaceFor(c, of) {
		of.connections.Add(-1)
		return hexbid.Errorf(hexbid.Exhausted, "",
			"%s has %d connections open, the most, and all are working: make its calls over fewer connections",
			caller.ID, most)
	}
	c.join(of)
	return nil
}

// join lets a connection be one of a party's, which has counted it.
func (c *connection) join(of *party) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		of.connections.Add(-1)
		return
	}
	if before := c.joined.Swap(of); before != nil {
		before.connections.Add(-1)
	}
}

// named returns the party of a user or a client.
func (p *parties) named(owner string) *party {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.of[owner]
	if of == nil {
		of = &party{owner: owner}
		p.put(of)
	}
	return of
}

// put keeps a party. It drops those that have neither a connection nor anything under way when there are many.
func (p *parties) put(of *party) {
	if len(p.of) >= mostParties {
		for owner, idle := range p.of {
			if idle.underWay.Load() == 0 && idle.connections.Load() == 0 {
				delete(p.of, owner)
			}
		}
	}
	if p.of == nil {
		p.of = map[string]*party{}
	}
	p.of[of.owner] = of
}

// party returns whose calls those of the connection are.
func (c *connection) party() *party {
	if of := c.joined.Load(); of != nil {
		return of
	}
	return &c.alone
}
