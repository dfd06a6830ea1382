package bidder

// table is an immutable hash table from keys above 0 to values, in small
// buckets that snapshots share: a change copies the buckets that it touches.
type table[V any] struct {
	buckets paged[*bucket[V]]
	size    uint32 // buckets
	count   int    // keys
}

// bucket holds eight keys in one cache line, and more in the next bucket. Values
// stand in it: a pointer less to follow.
type bucket[V any] struct {
	keys   [8]uint64 // 0 is none
	values [8]V
	next   *bucket[V]
}

// slot is the bucket of a key.
func (t *table[V]) slot(key uint64) uint32 {
	const golden = 0x9e3779b97f4a7c15 // 2⁶⁴/φ: Fibonacci hashing (Knuth, TAOCP 6.4)
	return uint32(key * golden >> 32 * uint64(t.size) >> 32)
}

// bucket is where a key would be, or nil.
func (t *table[V]) bucket(key uint64) *bucket[V] {
	if t.size == 0 {
		return nil
	}
	return *t.buckets.at(t.slot(key))
}

// find is the value of a key in its bucket, or nil.
func (b *bucket[V]) find(key uint64) *V {
	for ; b != nil; b = b.next {
		for i, k := range &b.keys {
			if k == key {
				return &b.values[i]
			}
		}
	}
	return nil
}

// get is the value of a key, or nil.
func (t *table[V]) get(key uint64) *V { return t.bucket(key).find(key) }

const (
	smallestTable = 64
	fullBucket    = 5 // keys a bucket, on average, from which the table grows by half
)

// tableWriter changes a table copy on write.
type tableWriter[V any] struct {
	table[V]
	writer pagedWriter[*bucket[V]]
	owned  map[*bucket[V]]struct{} // that no snapshot shares
	tidy   func(*[8]V)             // of a bucket's values, before it is shared; nil for nothing
}

// set replaces, adds, or with nil drops the value of a key.
func (w *tableWriter[V]) set(key uint64, value *V) {
	if w.count >= fullBucket*int(w.size) {
		w.grow()
	}
	w.put(key, value)
}

func (w *tableWriter[V]) put(key uint64, value *V) {
	if w.owned == nil {
		w.owned = map[*bucket[V]]struct{}{}
	}
	head := w.writer.edit(w.slot(key))
	w.buckets = w.writer.paged
	var free *uint64
	var freeValue *V
	for at := head; ; at = &(*at).next {
		if *at == nil {
			if value == nil || free != nil {
				break
			}
		}
		b := own(at, w.owned)
		for i := range b.keys {
			switch b.keys[i] {
			case key:
				if value == nil {
					b.keys[i], b.values[i] = 0, *new(V)
					w.count--
				} else {
					b.values[i] = *value
				}
				return
			case 0:
				if free == nil {
					free, freeValue = &b.keys[i], &b.values[i]
				}
			}
		}
	}
	if value != nil {
		*free, *freeValue = key, *value
		w.count++
	}
}

func (w *tableWriter[V]) grow() {
	old := w.table
	*w = tableWriter[V]{table: table[V]{size: max(old.size+old.size/2, smallestTable)}, tidy: w.tidy}
	for slot := range w.size {
		*w.writer.edit(slot) = nil
	}
	w.buckets = w.writer.paged
	old.each(w.put)
}

// each calls f for every key and value.
func (t *table[V]) each(f func(key uint64, value *V)) {
	if t.size == 0 {
		return
	}
	for slot := range t.size {
		for b := *t.buckets.at(slot); b != nil; b = b.next {
			for i, key := range b.keys {
				if key != 0 {
					f(key, &b.values[i])
				}
			}
		}
	}
}

// freeze gives the table as it is to a snapshot.
func (w *tableWriter[V]) freeze() table[V] {
	if w.tidy != nil {
		for b := range w.owned {
			w.tidy(&b.values)
		}
	}
	w.owned = nil
	return table[V]{w.writer.freeze(), w.size, w.count}
}
