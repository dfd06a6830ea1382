package server

import (
	"fmt"
	"testing"

	"github.com/hexbid/hexbid"
)

// openConnection returns a connection that counts among its caller's, of a port with room for many.
func openConnection() *connection {
	return &connection{of: &connections{limits: &Limits{Connections: 1 << 30}}, counts: true}
}

func mustJoin(t *testing.T, p *parties, c *connection, caller *hexbid.Principal) {
	t.Helper()
	if err := p.join(c, caller); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionsOfOneClientAreOneParty(t *testing.T) {
	var p parties
	first, second, other, unknown := openConnection(), openConnection(), openConnection(), openConnection()
	mustJoin(t, &p, first, &superapp)
	mustJoin(t, &p, second, &superapp)
	mustJoin(t, &p, other, &alice)
	mustJoin(t, &p, unknown, &hexbid.Principal{Role: hexbid.Operator})
	if first.party() != second.party() || first.party() == other.party() || unknown.party() != &unknown.alone {
		t.Error("the parties are not those of the callers")
	}
	if mustJoin(t, &p, second, &alice); second.party() != other.party() {
		t.Error("a connection with another caller's credential stays with the first one's party")
	}
}

func TestIdlePartiesAreDropped(t *testing.T) {
	var p parties
	busy, connected := openConnection(), openConnection()
	mustJoin(t, &p, busy, &superapp)
	busy.party().underWay.Add(1)
	busy.giveUp()
	mustJoin(t, &p, connected, &alice)
	for i := range 3 * mostParties {
		c := openConnection()
		mustJoin(t, &p, c, &hexbid.Principal{ID: fmt.Sprintf("users/u%d", i)})
		c.giveUp()
	}
	if len(p.of) > mostParties || p.of[superapp.ID] != busy.party() || p.of[alice.ID] != connected.party() {
		t.Errorf("%d parties are kept", len(p.of))
	}
}

// TestTheFirstCallsOfAConnectionCountItOnce makes them at the same time, by a caller who may have one connection.
func TestTheFirstCallsOfAConnectionCountItOnce(t *testing.T) {
	const calls = 8
	for range 500 {
		var p parties
		c := &connection{of: &connections{limits: &Limits{CallerConnections: 1}}, counts: true}
		ready, refused := make(chan struct{}), make(chan error, calls)
		for range calls {
			go func() {
				<-ready
				refused <- p.join(c, &superapp)
			}()
		}
		close(ready)
		for range calls {
			if err := <-refused; err != nil {
				t.Fatal(err)
			}
		}
		if n := c.party().connections.Load(); n != 1 {
			t.Fatalf("%d connections are counted", n)
		}
	}
}
