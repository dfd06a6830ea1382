package server

import (
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

// openConnection returns a connection that counts among its caller's, of a port with room for many.
func openConnection() *connection { return portFor(1 << 28).connect() }

// portFor returns a port where a caller may have so many connections.
func portFor(most int) *connections {
	return &connections{limits: &Limits{CallerConnections: most}, log: slog.New(slog.DiscardHandler),
		open: map[*connection]struct{}{}}
}

// connect returns an open connection that counts among its caller's.
func (s *connections) connect() *connection {
	c := &connection{of: s, Conn: discarding{}, counts: true, address: peerAddress{Addr: &net.TCPAddr{}}}
	s.open[c] = struct{}{}
	return c
}

// discarding is the network below a connection that nobody reads.
type discarding struct{ net.Conn }

func (discarding) Close() error { return nil }

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
	for i := range 3 * fewRemembered {
		c := openConnection()
		mustJoin(t, &p, c, &hexbid.Principal{ID: fmt.Sprintf("users/u%d", i)})
		c.giveUp()
	}
	if len(p.named.of) > fewRemembered || p.named.of[superapp.ID] != busy.party() ||
		p.named.of[alice.ID] != connected.party() {
		t.Errorf("%d parties are kept", len(p.named.of))
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
		if n := len(c.party().open); n != 1 {
			t.Fatalf("%d connections are counted", n)
		}
	}
}

// crowd returns so many connections of one caller, each of them working.
func crowd(t *testing.T, p *parties, s *connections, n int) (all []*connection) {
	t.Helper()
	for range n {
		c := s.connect()
		mustJoin(t, p, c, &superapp)
		c.begin()
		all = append(all, c)
	}
	return all
}

// TestARefusedConnectionLooksAtTheOthersOnce refuses many calls of a caller whose connections all work.
func TestARefusedConnectionLooksAtTheOthersOnce(t *testing.T) {
	const most, calls = 256, 10_000
	var p parties
	s := portFor(most)
	all, further := crowd(t, &p, s, most), []*connection{s.connect(), s.connect()}
	of := all[0].party()
	for n := range calls {
		if err := p.join(further[n%len(further)], &superapp); !exhausted(err) {
			t.Fatalf("call %d over a connection too many: %v", n, err)
		}
	}
	if of.looked != most {
		t.Errorf("%d refused calls looked at %d connections, want %d", calls, of.looked, most)
	}
	if len(of.open) != most {
		t.Errorf("%d connections are counted, want %d", len(of.open), most)
	}
}

// TestARefusedConnectionIsLetInOnceThereIsRoom makes room in each way there is.
func TestARefusedConnectionIsLetInOnceThereIsRoom(t *testing.T) {
	for what, makeRoom := range map[string]func(*parties, *connection){
		"one becomes idle": func(_ *parties, c *connection) { c.end() },
		"one closes":       func(_ *parties, c *connection) { _ = c.Close() },
		"one is expelled":  func(_ *parties, c *connection) { c.of.expel(c, resetting) },
		"one is another's": func(p *parties, c *connection) { _ = p.join(c, &alice) },
	} {
		var p parties
		s := portFor(3)
		all, further := crowd(t, &p, s, 3), s.connect()
		if err := p.join(further, &superapp); !exhausted(err) {
			t.Fatal(err)
		}
		makeRoom(&p, all[1])
		if err := p.join(further, &superapp); err != nil {
			t.Errorf("when %s: %v", what, err)
		}
		if n := len(further.party().open); n != 3 {
			t.Errorf("when %s: %d connections are counted, want 3", what, n)
		}
	}
}

// TestWhoHasRoomIsLetIn compares random histories of connections with what they must come to: a further connection is
// refused if, and only if, its caller has all it may have and each is working.
func TestWhoHasRoomIsLetIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p parties
		s := portFor(rapid.IntRange(1, 4).Draw(t, "most"))
		callers := []*hexbid.Principal{&superapp, &alice}
		var all []*connection
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(all) == 0 || rapid.IntRange(0, 3).Draw(t, "connects") == 0 {
				all = append(all, s.connect())
			}
			c := rapid.SampledFrom(all).Draw(t, "connection")
			_, open := s.open[c]
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				c.begin()
			case 1:
				if c.working.Load() > 0 {
					c.end()
				}
			case 2:
				_ = c.Close()
			default:
				caller := rapid.SampledFrom(callers).Draw(t, "caller")
				if !open || c.party().owner == caller.ID {
					continue
				}
				has, working := 0, 0
				for other := range s.open {
					if other.party().owner == caller.ID {
						has++
						working += int(min(1, other.working.Load()))
					}
				}
				full := has >= s.limits.CallerConnections && working == has
				if err := p.join(c, caller); exhausted(err) != full {
					t.Fatalf("%s has %d connections, %d work, %d are the most: %v", caller.ID, has, working,
						s.limits.CallerConnections, err)
				}
			}
		}
	})
}

// TestRoomThatComesDuringALookIsNoticed ends the work of a caller's connections while a further one is refused.
func TestRoomThatComesDuringALookIsNoticed(t *testing.T) {
	const most = 8
	for range 2_000 {
		var p parties
		s := portFor(most)
		all, further := crowd(t, &p, s, most), s.connect()
		var together sync.WaitGroup
		for _, c := range all[:2] {
			together.Go(c.end)
		}
		together.Go(func() { _ = p.join(further, &superapp) })
		together.Wait()
		if err := p.join(further, &superapp); err != nil {
			t.Fatalf("two connections are idle: %v", err)
		}
	}
}

// TestPartiesThatAllCountAreSeldomLookedAt has each of very many callers keep a connection.
func TestPartiesThatAllCountAreSeldomLookedAt(t *testing.T) {
	var p parties
	s := portFor(1)
	for i := range 8 * fewRemembered {
		mustJoin(t, &p, s.connect(), &hexbid.Principal{ID: fmt.Sprintf("users/u%d", i)})
	}
	if len(p.named.of) != 8*fewRemembered || p.named.looked > 8*fewRemembered {
		t.Errorf("%d parties are kept, and %d were looked at for them", len(p.named.of), p.named.looked)
	}
	for c := range s.open {
		c.giveUp()
	}
	for i := range 16 * fewRemembered {
		c := s.connect()
		mustJoin(t, &p, c, &hexbid.Principal{ID: fmt.Sprintf("users/v%d", i)})
		c.giveUp()
	}
	if len(p.named.of) > fewRemembered {
		t.Errorf("%d parties are kept after nearly all have gone", len(p.named.of))
	}
}
