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

// join lets the further calls of a connection count for its caller. A caller without a name leaves it as it is.
func (p *parties) join(c *connection, caller *hexbid.Principal) {
	if caller.ID == "" || c.party().owner == caller.ID {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.of[caller.ID]
	if of == nil {
		of = &party{owner: caller.ID}
		p.put(of)
	}
	c.joined.Store(of)
}

// put keeps a party. It drops those that have nothing under way when there are many; their connections go on with them.
func (p *parties) put(of *party) {
	if len(p.of) >= mostParties {
		for owner, idle := range p.of {
			if idle.underWay.Load() == 0 {
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
