package server

import (
	"testing"

	"github.com/hexbid/hexbid"
)

// A party that sends more than a class takes is refused itself, and leaves an eighth of the places to those that hold
// less.
func TestOnePartyDoesNotTakeAllOfAClass(t *testing.T) {
	const limit, bytes = 64, 1 << 10
	s := newServer(t, func(c *Config) {
		l := &c.Limits
		l.Searches, l.Reads, l.Writes, l.Imports, l.Events = limit, limit, limit, limit, limit
	})
	for of := searching; of < classCount; of++ {
		fill := func(g *gate, by *party, bytes int) (entered int) {
			for ; entered < 2*limit; entered++ {
				if err := g.enter(bytes, by); err != nil {
					if hexbid.KindOf(err) != hexbid.Exhausted {
						t.Fatal(err)
					}
					break
				}
			}
			return entered
		}
		g, greedy, modest, third := &s.gates[of], new(party), new(party), new(party)
		if n := fill(g, greedy, bytes); n != limit-limit/keptPart {
			t.Errorf("one party has %d %s worked on, want %d", n, classWords[of], limit-limit/keptPart)
		}
		if n := fill(g, modest, bytes); n != limit/keptPart {
			t.Errorf("beside it another has %d %s worked on, want %d", n, classWords[of], limit/keptPart)
		}
		if n := fill(g, third, bytes); n != 0 {
			t.Errorf("beyond the limit %d %s are worked on", n, classWords[of])
		}
		g.leave(bytes, modest)
		if n := fill(g, greedy, bytes); n != 0 {
			t.Errorf("the greedy party takes %d %s that another has left", n, classWords[of])
		}
		for range limit/keptPart - 1 {
			g.leave(bytes, modest)
		}
		for range limit - limit/keptPart {
			g.leave(bytes, greedy)
		}
		if g.working.Load() != 0 || g.memory != nil && g.memory.taken.Load() != 0 {
			t.Errorf("%d %s are left at the end", g.working.Load(), classWords[of])
		}
	}
}

// So it is with bytes; a first request may be larger than what is kept.
func TestOnePartyDoesNotTakeAllOfTheMemory(t *testing.T) {
	r, greedy, modest := &room{limit: 64 << 20}, new(party), new(party)
	for range 7 {
		if !r.take(8<<20, greedy) {
			t.Fatal("it does not take what is free")
		}
	}
	if r.take(1, greedy) {
		t.Error("one party takes what is kept for the others")
	}
	if !r.take(8<<20, modest) {
		t.Error("another's first request finds no room")
	}
	if r.take(1, new(party)) || r.taken.Load() != r.limit {
		t.Errorf("%d bytes are taken of %d", r.taken.Load(), r.limit)
	}
	small := &room{limit: 10}
	if !small.take(10, new(party)) {
		t.Error("a first request that fits does not")
	}
}
