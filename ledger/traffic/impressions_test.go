package traffic

import (
	"encoding/binary"
	"testing"
)

// see judges and counts an impression.
func (f *Filter) see(i *Impression) Reason {
	r := f.JudgeImpression(i)
	f.Seen(i, r)
	return r
}

// TestAViewerWhoSeesMoreThanAPersonCanIsFiltered: five ads a second are too many, and one a second is not. A viewer
// who is caught does not count for the cell.
func TestAViewerWhoSeesMoreThanAPersonCanIsFiltered(t *testing.T) {
	for _, c := range []struct {
		aSecond, limit, most int // impressions that pass in an hour
	}{{1, 120, 3600}, {5, 120, 120}, {5, 0, 5 * 3600}} {
		limits := DefaultLimits()
		limits.ViewerImpressions = c.limit
		f, passed := NewFilter(limits), 0
		for i := range 3600 * c.aSecond {
			s := Impression{At: int64(i) * second / int64(c.aSecond), Cell: 7, HasViewer: true, Viewer: [16]byte{1}}
			switch r := f.see(&s); r {
			case Valid:
				passed++
			case ViewerImpressions:
			default:
				t.Fatalf("impression %d is filtered for %s", i, r)
			}
		}
		if passed != c.most {
			t.Errorf("of %d a second %d pass, want %d", c.aSecond, passed, c.most)
		}
		if _, looks := f.cells.sums(7, 3600*second); c.limit > 0 && looks > 120 {
			t.Errorf("the cell has %f impressions in its minute", looks)
		}
	}
}

// TestACellWhereNobodyClicksWhatIsSeenIsFiltered while far more is seen than usual. A crowd of the same size that
// clicks one in a hundred is not, nor is a place that has as much every day, even if nobody clicks there.
func TestACellWhereNobodyClicksWhatIsSeenIsFiltered(t *testing.T) {
	const crowd, machine, dense = 1, 2, 3
	f, off := NewFilter(DefaultLimits()), DefaultLimits()
	off.CellImpressions = 0
	without := NewFilter(off)
	filtered, seen := map[uint64]int{}, map[uint64]int{}
	for at := range int64(4 * 3600) {
		each := map[uint64]int{crowd: 1, machine: 1, dense: 80}
		if at >= 3*3600 {
			each[crowd], each[machine] = 80, 80
		}
		for cell, n := range each {
			for range n {
				s := look(cell, at*second)
				if f.see(s) == CellImpressions {
					filtered[cell]++
				}
				if without.see(s) != Valid {
					t.Fatal("a rule that is off filters")
				}
				seen[cell]++
				if cell == crowd && seen[cell]%100 == 0 {
					f.Clicked(&Click{At: at * second, Cell: cell}, Valid)
				}
			}
		}
	}
	if filtered[crowd] > 0 || filtered[dense] > 0 || filtered[machine] < 280_000 || filtered[machine] > 3600*80-1900 {
		t.Errorf("of %v impressions %v are filtered", seen, filtered)
	}
}

// TestWindowsKnowWhatTheyCover: also those that many keys have cut short.
func TestWindowsKnowWhatTheyCover(t *testing.T) {
	w := newWindow[uint64](day, 100)
	at := int64(1e15)
	w.add(1, at, 0, 1)
	if got := w.covered(at + 3600*second); got.Hours() != 1 {
		t.Errorf("an hour after the first count, %s are covered", got)
	}
	for key := range uint64(250) { // the second generation is full
		w.add(key, at+3600*second, 0, 1)
	}
	if got := w.covered(at + 2*3600*second); got.Hours() > 2 || got.Hours() < 1 {
		t.Errorf("when the tables were filled an hour ago, %s are covered", got)
	}
	if got := w.covered(at + 10*day.Microseconds()); got != 0 {
		t.Errorf("after a rest of days %s are covered", got)
	}
}

// TestJudgingAnImpressionAllocatesNothing in tables that know its viewer and its cell.
func TestJudgingAnImpressionAllocatesNothing(t *testing.T) {
	f := NewFilter(DefaultLimits())
	s := Impression{At: second, Cell: 5, HasViewer: true}
	binary.BigEndian.PutUint64(s.Viewer[:], 9)
	f.see(&s)
	if n := testing.AllocsPerRun(100, func() { f.see(&s) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
