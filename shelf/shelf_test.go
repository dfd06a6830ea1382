package shelf

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// content is what a test puts for a number and a version: its length and its bytes follow from both.
func content(number, version uint64) []byte {
	return bytes.Repeat(fmt.Append(nil, number, " ", version), 1+int(version%20))
}

// TestWhatIsFoundIsWhatWasPutLastWithTheVersion compares a small shelf, which drops much, with a map.
func TestWhatIsFoundIsWhatWasPutLastWithTheVersion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, last := New(int64(rapid.IntRange(0, 64<<10).Draw(t, "bytes"))), map[uint64]uint64{}
		for range rapid.IntRange(1, 2000).Draw(t, "steps") {
			number, version := rapid.Uint64Range(0, 9000).Draw(t, "number"), rapid.Uint64Range(1, 100).Draw(t, "version")
			want := content(number, version)
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				if got := s.Put(number, version, want); !bytes.Equal(got, want) {
					t.Fatalf("put %q, got %q", want, got)
				}
				last[number] = version
			case 1:
				_, before := s.Find(number, last[number])
				room := s.Offer(number, version, want)
				if _, kept := s.Find(number, version); kept != (before || room) {
					t.Fatalf("offered; was there: %v, room: %v, kept: %v", before, room, kept)
				} else if kept {
					last[number] = version
				}
			default:
				version, put := last[number]
				if got, ok := s.Find(number, version); ok && (!put || !bytes.Equal(got, content(number, version))) {
					t.Fatalf("found %q of %d with %d, put: %v", got, number, version, put)
				}
				if got, ok := s.Find(number, version+1); ok {
					t.Fatalf("found %q of %d with another version", got, number)
				}
			}
			checkPages(t, s)
		}
	})
}

// checkPages compares the pages with their slots.
func checkPages(t *rapid.T, s *Shelf) {
	pages := s.slots.pages.Load()
	if pages == nil {
		return
	}
	for i := range *pages {
		if p := (*pages)[i].Load(); p != nil {
			taken := 0
			for j := range p.slots {
				if p.slots[j].Load() != 0 {
					taken++
				}
			}
			if taken != p.taken || taken == 0 {
				t.Fatalf("page %d has %d slots, says %d", i, taken, p.taken)
			}
		}
	}
}

// TestMemoryIsBounded puts twenty times what fits, under numbers that go on and on.
func TestMemoryIsBounded(t *testing.T) {
	const bound = 1 << 20
	s := New(bound)
	for i := range uint64(100_000) {
		s.Put(i, 1, make([]byte, 200))
	}
	total, pages := 0, 0
	for i := range s.slabs {
		if b := s.slabs[i].Load(); b != nil {
			total += len(b.bytes)
		}
	}
	for i := range *s.slots.pages.Load() {
		if (*s.slots.pages.Load())[i].Load() != nil {
			pages++
		}
	}
	if total > bound || total < bound/2 {
		t.Errorf("%d bytes of slabs, the bound is %d", total, bound)
	}
	if pages > 3 { // some 4,700 entries fit
		t.Errorf("%d pages of slots, although most numbers are gone", pages)
	}
}

// TestWhatIsFoundAgainAndAgainStays looks for few numbers often while many others come and go, each once.
func TestWhatIsFoundAgainAndAgainStays(t *testing.T) {
	s := New(1 << 20)
	const hot = 100
	for i := range uint64(hot) {
		s.Put(i, 1, make([]byte, 200))
	}
	lost := 0
	for i := range uint64(100_000) { // some twenty times of what fits
		s.Put(hot+i, 1, make([]byte, 200))
		if _, ok := s.Find(i%hot, 1); !ok {
			s.Put(i%hot, 1, make([]byte, 200))
			lost++
		}
	}
	if lost > hot/10 {
		t.Errorf("%d of %d numbers that were always found again were lost", lost, hot)
	}
	if _, ok := s.Find(hot+1, 1); ok {
		t.Error("what nobody looked for stayed")
	}
}

// TestAShelfThatIsAllFoundStillTakesMore finds everything that it has before each Put, so that all entries would stay.
func TestAShelfThatIsAllFoundStillTakesMore(t *testing.T) {
	s := New(64 << 10)
	for i := range uint64(3000) {
		want := content(i, 1)
		s.Put(i, 1, want)
		for j := range i + 1 {
			if got, ok := s.Find(j, 1); j == i && (!ok || !bytes.Equal(got, want)) {
				t.Fatalf("what was just put is not found: %q, %v", got, ok)
			}
		}
	}
}

func TestWhatIsTooLongOrTooHighIsNotKept(t *testing.T) {
	s := New(1 << 20)
	for number, content := range map[uint64][]byte{1: make([]byte, s.slabBytes), mostNumbers: make([]byte, 1)} {
		if got := s.Put(number, 1, content); len(got) != len(content) {
			t.Errorf("%d bytes, want %d", len(got), len(content))
		}
		if s.Offer(number, 1, content); s.last != nil {
			t.Error("it was kept")
		}
		if _, ok := s.Find(number, 1); ok {
			t.Error("it is found")
		}
	}
}

// TestReadersSeeWholeBytesWhileOthersWrite is for the race detector too: bytes that a reader holds do not change.
func TestReadersSeeWholeBytesWhileOthersWrite(t *testing.T) {
	s := New(32 << 10)
	var group sync.WaitGroup
	for worker := range uint64(4) {
		group.Go(func() {
			r, held := rand.New(rand.NewPCG(1, worker)), map[string][]byte{}
			for range 20_000 {
				number, version := r.Uint64N(300)*1000, r.Uint64N(3)
				want := content(number, version)
				got, ok := s.Find(number, version)
				if !ok {
					got = s.Put(number, version, want)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%d with %d: %q, want %q", number, version, got, want)
					return
				}
				held[string(want)] = got
			}
			for want, got := range held {
				if string(got) != want {
					t.Errorf("%q became %q", want, got)
				}
			}
		})
	}
	group.Wait()
}

func TestFindingAllocatesNothing(t *testing.T) {
	s := New(1 << 20)
	s.Put(1, 1, []byte("a"))
	if n := testing.AllocsPerRun(100, func() { s.Find(1, 1) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// BenchmarkFind looks for numbers at random among a million.
func BenchmarkFind(b *testing.B) {
	s := New(512 << 20)
	for i := range uint64(1_000_000) {
		s.Put(i, 1, make([]byte, 200))
	}
	r := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		if _, ok := s.Find(r.Uint64N(1_000_000), 1); !ok {
			b.Fatal("not found")
		}
	}
}
