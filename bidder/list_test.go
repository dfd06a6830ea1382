package bidder

import (
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// each calls f for every key and what it leads to.
func (t *table[E, X]) each(f func(e *entry[E, X])) {
	var entries []entry[E, X]
	for slot := range t.size {
		entries = t.at(slot).entries(entries[:0])
		for i := range entries {
			f(&entries[i])
		}
	}
}

func TestACapCodeBoundsAndOrdersScores(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, 1e15), rapid.Int64Range(0, 1<<27)), 2, 2).Draw(t, "scores")
		a, b := scores[0], scores[1]
		if a > b {
			a, b = b, a
		}
		if capOf(a) > capOf(b) {
			t.Fatalf("%d < %d, but code %d > %d", a, b, capOf(a), capOf(b))
		}
		if v := valueOf(capOf(b)); v < float64(b) || v > float64(b)*(1+0x1p-13) {
			t.Fatalf("the code of %d stands for %.0f", b, v)
		}
		if twice := capOf(b) + twofold; twice < capOf(2*b) {
			t.Fatalf("twice the code of %d is %d, below %d", b, twice, capOf(2*b))
		}
	})
}

// TestALoweredCapBoundsTheLoweredScore, whatever the cap tells of a place, and is hardly above it.
func TestALoweredCapBoundsTheLoweredScore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		score := rapid.OneOf(rapid.Int64Range(1, 1e15), rapid.Int64Range(1, 1<<27)).Draw(t, "score")
		factor := rapid.Float64Range(1.0/leastLoweredPPM, 1).Draw(t, "factor")
		cap := capOf(score).at(geoindex.Whereabouts(rapid.Uint16Range(0, aboutMask).Draw(t, "whereabouts")))
		lowered := cap.lowered(factor)
		if of := valueOf(lowered); of < float64(score)*factor || of > float64(score)*factor*(1+0x1p-11)+1 {
			t.Fatalf("%d times %g is %g, its bound %g", score, factor, float64(score)*factor, of)
		}
		if lowered < capOf(int64(float64(score)*factor)) {
			t.Fatalf("%d times %g: the bound %d is below the code of the score", score, factor, lowered)
		}
	})
}

// valueOf is the score that a code stands for.
func valueOf(c capCode) float64 {
	exponent := max(0, int(c)>>mantissaBits-1)
	return math.Ldexp(float64(int(c)-exponent<<mantissaBits)/(1<<aboutBits), exponent)
}

// fakeSource remembers what was posted.
type fakeSource map[uint32]postedAs

func (s fakeSource) posted(i uint32) postedAs { return s[i] }

// TestAnEditedListHoldsWhatWasPosted drives a list through batches of additions
// and removals, and compares it with a sorted slice.
func TestAnEditedListHoldsWhatWasPosted(t *testing.T) {
	gate := targeting.Gate(&hexbid.Program{Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}})
	rapid.Check(t, func(t *rapid.T) {
		source, l, want := fakeSource{}, &list{}, []posting{}
		for range rapid.IntRange(1, 40).Draw(t, "batches") {
			e := &listEdit{}
			for range rapid.IntRange(0, 40).Draw(t, "removals") {
				if len(want) == 0 {
					break
				}
				i := rapid.IntRange(0, len(want)-1).Draw(t, "gone")
				e.remove = append(e.remove, posting{ordinal: want[i].ordinal, cap: want[i].cap})
				delete(source, want[i].ordinal)
				want = slices.Delete(want, i, i+1)
			}
			for range rapid.SampledFrom([]int{0, 1, 5, 60, 200}).Draw(t, "additions") {
				ordinal := uint32(rapid.IntRange(0, 2000).Draw(t, "ordinal"))
				if _, there := source[ordinal]; there {
					continue
				}
				cap := capOf(rapid.Int64Range(0, 50).Draw(t, "score"))
				source[ordinal] = postedAs{mask: gate.Mask(), cap: cap}
				if rapid.Bool().Draw(t, "its place is known") {
					cap = cap.at(geoindex.Whereabouts(rapid.Uint16Range(0, aboutMask).Draw(t, "whereabouts")))
				}
				p := posting{postingMask(gate.Mask(), geoindex.Posting{Touched: uint8(ordinal) & 0x7f,
					Full: uint8(ordinal>>2) & 0x7f}), ordinal, cap}
				e.add, want = append(e.add, p), append(want, p)
			}
			l = l.edited(e, source)
			slices.SortFunc(want, func(a, b posting) int { return inOrder(&a, &b) })
			checkList(t, l, want, source)
		}
	})
}

func checkList(t *rapid.T, l *list, want []posting, source fakeSource) {
	below := l.below()
	if len(l.head) > mostInHead || len(below.fresh) > mostFresh || len(l.head) < leastInHead && l.tail != nil {
		t.Fatalf("a head of %d, %d fresh before a tail of %d blocks", len(l.head), len(below.fresh), len(below.blocks))
	}
	got := slices.Clone(l.head)
	for i := range l.head {
		if l.tail != nil && inOrder(&l.head[i], &below.top) >= 0 {
			t.Fatalf("%v in the head is not above the tail's top %v", l.head[i], below.top)
		}
	}
	for i := range below.fresh {
		if inOrder(&below.fresh[i], &below.top) < 0 {
			t.Fatalf("fresh %v is above the tail's top %v", below.fresh[i], below.top)
		}
	}
	for _, b := range below.blocks {
		postings := b.postings(source)
		if n := b.len(); n == 0 || n > targeting.BlockSize || n != len(postings) {
			t.Fatalf("a block of %d, and %d postings", n, len(postings))
		}
		if postings[0].cap > b.first {
			t.Fatalf("a block's caps are at most %d, of its first posting %d", b.first, postings[0].cap)
		}
		got = append(got, postings...)
	}
	byOrder := func(a, b posting) int { return inOrder(&a, &b) }
	if !slices.IsSortedFunc(got, byOrder) || !slices.IsSortedFunc(below.fresh, byOrder) {
		t.Fatalf("out of order: %v, fresh %v", got, below.fresh)
	}
	got = append(got, below.fresh...)
	slices.SortFunc(got, byOrder)
	if !slices.Equal(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
}

func TestATableHoldsWhatWasSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w tableWriter[int, string]
		want, before := map[uint64]entry[int, string]{}, map[uint64]entry[int, string]{}
		var frozen table[int, string]
		batches := rapid.IntRange(1, 40).Draw(t, "batches")
		for batch := range batches {
			w.apply(drawChanges(t, want))
			if batch == batches/2 {
				frozen, before = w.freeze(), maps.Clone(want)
			}
		}
		checkTable(t, &w.table, want)
		checkTable(t, &frozen, before) // what came after does not show
	})
}

// drawChanges draws a batch of changes, one a key, and makes them to a map too.
func drawChanges(t *rapid.T, want map[uint64]entry[int, string]) (changes []keyChange[int, string]) {
	for _, key := range rapid.SliceOfNDistinct(rapid.Uint64Range(1, 700), 0, 200, rapid.ID).Draw(t, "keys") {
		_, there := want[key]
		c := keyChange[int, string]{entry[int, string]{key: key}, !there}
		if kind := rapid.IntRange(0, 3).Draw(t, "kind"); kind > 0 {
			c.run = rapid.SliceOfN(rapid.Int(), 1, 5).Draw(t, "run")
			if kind == 3 {
				extra := rapid.String().Draw(t, "extra")
				c.extra = &extra
			}
			want[key] = c.entry
		} else {
			delete(want, key)
		}
		changes = append(changes, c)
	}
	return changes
}

func checkTable(t *rapid.T, got *table[int, string], want map[uint64]entry[int, string]) {
	n := 0
	got.each(func(e *entry[int, string]) {
		if n++; !slices.Equal(want[e.key].run, e.run) || want[e.key].extra != e.extra {
			t.Fatalf("key %d is %v, want %v", e.key, e, want[e.key])
		}
	})
	if n != len(want) || got.count != len(want) {
		t.Fatalf("%d keys, counted as %d, want %d", n, got.count, len(want))
	}
	for key := range uint64(701) {
		if run, extra := got.get(key); key > 0 && (!slices.Equal(run, want[key].run) || extra != want[key].extra) {
			t.Fatalf("get %d: %v, want %v", key, run, want[key])
		}
	}
}

func TestCoveringsAreASliceOfTextsByCampaign(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var fast coverings
		plain := map[uint32]string{}
		for range rapid.IntRange(1, 300).Draw(t, "edits") {
			i := rapid.Uint32Range(0, 200).Draw(t, "campaign")
			text := rapid.StringN(0, 20, 60).Draw(t, "covering")
			fast.set(i, []byte(text))
			plain[i] = text
		}
		for i := range uint32(300) {
			if got := string(fast.at(i)); got != plain[i] {
				t.Fatalf("campaign %d has %q, want %q", i, got, plain[i])
			}
		}
	})
}

// TestEditsOfABatchLeaveWhatTheLastOnesSay notes postings that come and go, more
// than once a batch, and compares what is left with the plain account.
func TestEditsOfABatchLeaveWhatTheLastOnesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type place struct {
			key     uint64
			ordinal uint32
		}
		before, now := map[place]capCode{}, map[place]capCode{}
		for key := range uint64(3) {
			for ordinal := range uint32(4) {
				if rapid.Bool().Draw(t, "posted before") {
					before[place{key, ordinal}] = capCode(ordinal)
				}
			}
		}
		maps.Copy(now, before)
		var edits []edit
		for range rapid.IntRange(1, 40).Draw(t, "edits") {
			at := place{rapid.Uint64Range(0, 2).Draw(t, "key"), rapid.Uint32Range(0, 3).Draw(t, "ordinal")}
			cap, going := now[at]
			if going {
				delete(now, at)
			} else {
				cap = capCode(rapid.Uint32Range(0, 9).Draw(t, "cap"))
				now[at] = cap
			}
			edits = append(edits, edit{at.key, posting{ordinal: at.ordinal, cap: cap}, uint32(len(edits)), going})
		}
		slices.SortFunc(edits, func(a, b edit) int { return a.compare(&b) })
		for e := (listEdit{}); len(edits) > 0; {
			key := edits[0].key
			edits = e.read(edits)
			for _, p := range e.remove {
				if cap, there := before[place{key, p.ordinal}]; !there || cap != p.cap {
					t.Fatalf("key %d: %v goes, before there was %v", key, p, before)
				}
				delete(before, place{key, p.ordinal})
			}
			for _, p := range e.add {
				if _, there := before[place{key, p.ordinal}]; there {
					t.Fatalf("key %d: %v comes twice", key, p)
				}
				before[place{key, p.ordinal}] = p.cap
			}
		}
		if !maps.Equal(before, now) {
			t.Fatalf("after the edits %v, want %v", before, now)
		}
	})
}

func TestALogOfEditsGivesBackWhatWasNoted(t *testing.T) {
	var l editLog
	for _, n := range []int{0, 3, chunkEdits, 2*chunkEdits + 5, chunkEdits + 1, 7} {
		for i := range n {
			l.note(uint64(i%97), posting{ordinal: uint32(i)}, false)
		}
		seen := map[uint32]bool{}
		for worker := range 3 {
			for _, e := range l.part(worker, 3) {
				if seen[e.order] || e.order != e.posting.ordinal {
					t.Fatalf("of %d: %+v twice, or out of order", n, e)
				}
				seen[e.order] = true
			}
		}
		if whole := l.part(0, 1); len(seen) != n || len(whole) != n || l.n != n {
			t.Fatalf("of %d edits, %d in parts, %d in one", n, len(seen), len(whole))
		}
		l.empty()
	}
}
