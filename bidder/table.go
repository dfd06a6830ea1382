package bidder

import (
	"cmp"
	"slices"
)

// table is an immutable hash table from keys above 0 to runs of E. Few of the keys have an extra X. Its buckets are
// small and lie in groups that snapshots share: a change copies only the groups that it touches.
type table[E, X any] struct {
	groups paged[*group[E, X]]
	size   uint32 // buckets
	count  int    // keys
}

// group is a few adjacent buckets. Groups keep the array of pointers so short that it stays in a cache, which saves one
// cache miss on the way to a list.
type group[E, X any] [groupBuckets]bucket[E, X]

// bucket holds up to eight keys in two cache lines, and leads to a next bucket for more. One allocation holds the runs
// of all its keys, one after another. A list thus costs 26 bytes beside its postings, and the collector has nine
// objects to mark for forty lists.
type bucket[E, X any] struct {
	keys   [bucketKeys]uint64 // 0 for none
	ends   [bucketKeys]uint16 // where each key's run ends in runs
	all    []E
	extras *[bucketKeys]*X // nil when no key has one
	next   *bucket[E, X]
}

const (
	bucketKeys    = 8
	groupBuckets  = 8
	smallestTable = 64
	fullBucket    = 5 // keys in a bucket, on average, from which the table grows by a quarter
)

// slot returns the index of a key's bucket. It grows with the key's hash.
func (t *table[E, X]) slot(key uint64) uint32 {
	const golden = 0x9e3779b97f4a7c15 // 2⁶⁴/φ: Fibonacci hashing (Knuth, TAOCP 6.4)
	return uint32(key * golden >> 32 * uint64(t.size) >> 32)
}

// bucket returns the bucket where a key would be, nil in an empty table.
func (t *table[E, X]) bucket(key uint64) *bucket[E, X] {
	if t.size == 0 {
		return nil
	}
	return t.at(t.slot(key))
}

func (t *table[E, X]) at(slot uint32) *bucket[E, X] {
	return &(*t.groups.at(slot / groupBuckets))[slot%groupBuckets]
}

// find returns the run and the extra of a key. A key has at least one of them.
func (b *bucket[E, X]) find(key uint64) (run []E, extra *X) {
	for ; b != nil; b = b.next {
		for i, k := range &b.keys {
			if k == key {
				return b.entry(i)
			}
		}
	}
	return nil, nil
}

func (b *bucket[E, X]) entry(i int) (run []E, extra *X) {
	start := uint16(0)
	if i > 0 {
		start = b.ends[i-1]
	}
	if b.extras != nil {
		extra = b.extras[i]
	}
	return b.all[start:b.ends[i]:b.ends[i]], extra
}

// get returns the run and the extra of a key.
func (t *table[E, X]) get(key uint64) (run []E, extra *X) { return t.bucket(key).find(key) }

// entry is a key with its run and extra. A run is so short that the ends of eight fit into 16 bits.
type entry[E, X any] struct {
	key   uint64
	run   []E
	extra *X
}

// entries appends the entries of a bucket and of its next one to a slice.
func (b *bucket[E, X]) entries(to []entry[E, X]) []entry[E, X] {
	for ; b != nil; b = b.next {
		for i, key := range &b.keys {
			if key != 0 {
				run, extra := b.entry(i)
				to = append(to, entry[E, X]{key, run, extra})
			}
		}
	}
	return to
}

// pack makes a bucket of some entries and copies their runs.
func pack[E, X any](entries []entry[E, X]) (b bucket[E, X]) {
	here, rest, n := entries[:min(bucketKeys, len(entries))], entries[min(bucketKeys, len(entries)):], 0
	for i := range here {
		n += len(here[i].run)
	}
	if n > 0 {
		b.all = make([]E, 0, n)
	}
	for i := range b.keys {
		if i < len(here) {
			b.keys[i], b.all = here[i].key, append(b.all, here[i].run...)
			b.setExtra(i, here[i].extra)
		}
		b.ends[i] = uint16(len(b.all))
	}
	if len(rest) > 0 {
		next := pack(rest)
		b.next = &next
	}
	return b
}

func (b *bucket[E, X]) setExtra(i int, extra *X) {
	if extra == nil {
		return
	}
	if b.extras == nil {
		b.extras = new([bucketKeys]*X)
	}
	b.extras[i] = extra
}

// tableWriter changes a table by copy on write.
type tableWriter[E, X any] struct {
	table[E, X]
	writer  pagedWriter[*group[E, X]]
	scratch []entry[E, X]
}

// keyChange sets the run and extra of a key. With neither it drops the key.
type keyChange[E, X any] struct {
	entry[E, X]
	isNew bool // the table did not have the key
}

func (c *keyChange[E, X]) drops() bool { return len(c.run) == 0 && c.extra == nil }

// apply makes changes, at most one for a key. It sorts them.
func (w *tableWriter[E, X]) apply(changes []keyChange[E, X]) {
	added := 0
	for i := range changes {
		if changes[i].isNew && !changes[i].drops() {
			added++
		}
	}
	if w.count+added > fullBucket*int(w.size) {
		w.grow(w.count + added)
	}
	if w.size == 0 {
		return // nothing to drop
	}
	slices.SortFunc(changes, func(a, b keyChange[E, X]) int { return cmp.Compare(w.slot(a.key), w.slot(b.key)) })
	var own *group[E, X]
	var number uint32 // of the group that is owned last
	for len(changes) > 0 {
		slot, n := w.slot(changes[0].key), 1
		for n < len(changes) && w.slot(changes[n].key) == slot {
			n++
		}
		if own == nil || slot/groupBuckets != number {
			number = slot / groupBuckets
			own = w.ownGroup(number)
		}
		w.change(&own[slot%groupBuckets], changes[:n])
		changes = changes[n:]
	}
	w.groups = w.writer.paged
}

// ownGroup makes a group the writer's own, because snapshots may share the present one.
func (w *tableWriter[E, X]) ownGroup(number uint32) *group[E, X] {
	at, own := w.writer.edit(number), new(group[E, X])
	*own = **at
	*at = own
	return own
}

// change makes the changes of one bucket.
func (w *tableWriter[E, X]) change(b *bucket[E, X], changes []keyChange[E, X]) {
	entries := b.entries(w.scratch[:0])
	w.count -= len(entries)
	for i := range changes {
		c := &changes[i]
		entries = slices.DeleteFunc(entries, func(e entry[E, X]) bool { return e.key == c.key })
		if !c.drops() {
			entries = append(entries, c.entry)
		}
	}
	w.count += len(entries)
	*b, w.scratch = pack(entries), entries
}

// grow makes room for so many keys. The keys of the old table in slot order are nearly in the slot order of the larger
// one, so each new bucket is made once.
func (w *tableWriter[E, X]) grow(keys int) {
	old := w.table
	*w = tableWriter[E, X]{table: table[E, X]{size: max(old.size+old.size/4, uint32(keys/fullBucket+1), smallestTable),
		count: old.count}}
	for number := range w.size/groupBuckets + 1 {
		*w.writer.edit(number) = new(group[E, X])
	}
	var waiting, from []entry[E, X] // entries of the slot reached in the new table, and of a slot in the old one
	reached := uint32(0)
	put := func() { (*w.writer.edit(reached / groupBuckets))[reached%groupBuckets] = pack(waiting) }
	for slot := range old.size {
		from = old.at(slot).entries(from[:0])
		slices.SortFunc(from, func(a, b entry[E, X]) int { return cmp.Compare(w.slot(a.key), w.slot(b.key)) })
		for _, e := range from {
			if now := w.slot(e.key); now != reached {
				put()
				waiting, reached = waiting[:0], now
			}
			waiting = append(waiting, e)
		}
	}
	put()
	w.groups = w.writer.paged
}

// freeze shares the present table with a snapshot.
func (w *tableWriter[E, X]) freeze() table[E, X] {
	clear(w.scratch[:cap(w.scratch)]) // drop references to old runs
	return table[E, X]{w.writer.freeze(), w.size, w.count}
}
