package traffic

import (
	"math"
	"time"
)

// window counts by key over a rolling length of time. It keeps two generations. A generation ends when its time is
// over, or when it holds as many keys as it may; the older one then goes. A key's sum is its count in the newer
// generation, and of the older one's the part that its time still has in the window, as if its counts were spread
// evenly.
//
// A sum is therefore never more than what the last two lengths counted. While there are more keys than a generation
// holds, the window is shorter, and sums are lower. Of what is judged that filters less, never more. Of what is usual
// for a cell of clicks it filters more.
type window[K comparable] struct {
	length       int64 // microseconds
	keys         int   // of a generation at most
	older, newer map[K]counts
	from         int64 // when the newer generation began, and the older ended
	olderFrom    int64 // when the older began
}

// counts are two counters of a key. They stop at the highest number.
type counts struct{ clicks, others uint32 }

func newWindow[K comparable](length time.Duration, keys int) window[K] {
	return window[K]{length: length.Microseconds(), keys: keys, older: map[K]counts{}, newer: map[K]counts{}}
}

// forget drops the counts of a key.
func (w *window[K]) forget(key K) {
	delete(w.older, key)
	delete(w.newer, key)
}

// turn brings the generations to an instant.
func (w *window[K]) turn(at int64) {
	switch passed := at - w.from; {
	case passed >= 2*w.length:
		clear(w.older)
		clear(w.newer)
		w.from, w.olderFrom = at, at
	case passed >= w.length:
		w.replace(w.from + w.length)
	}
}

// replace begins a generation.
func (w *window[K]) replace(from int64) {
	clear(w.older)
	w.older, w.newer, w.from, w.olderFrom = w.newer, w.older, from, w.from
}

// sums returns a key's counts in the window that ends at an instant.
func (w *window[K]) sums(key K, at int64) (clicks, others float64) {
	w.turn(at)
	newer, older := w.newer[key], w.older[key]
	left := max(0, 1-float64(at-w.from)/float64(w.length))
	return float64(newer.clicks) + left*float64(older.clicks), float64(newer.others) + left*float64(older.others)
}

// add counts.
func (w *window[K]) add(key K, at int64, clicks, others uint32) {
	w.turn(at)
	c, known := w.newer[key]
	if !known && len(w.newer) >= w.keys {
		w.replace(at)
	}
	c.clicks, c.others = plus(c.clicks, clicks), plus(c.others, others)
	w.newer[key] = c
}

func plus(a, b uint32) uint32 { return uint32(min(uint64(a)+uint64(b), math.MaxUint32)) }
