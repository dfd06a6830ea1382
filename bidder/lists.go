package bidder

import (
	"runtime"
	"slices"
	"sync"

	"github.com/hexbid/hexbid/geoindex"
)

// lists is the room of the posting lists. Edits of postings are noted, and made when
// apply is called: each list that they touch is looked up and copied once.
type lists struct {
	table     tableWriter[posting, tail]
	edits     editLog
	keysByRes [otherKeys + 1]int // lists by the resolution of their key
}

// otherKeys stands for regions and everywhere where keys are told by resolution.
const otherKeys = geoindex.Finest + 1

// Bounds of the edits noted.
const (
	// mostEdits bounds their memory: half a gigabyte, and as much again while they are
	// sorted.
	mostEdits = 1 << 24
	// manyEdits is the number from which every core helps to make them.
	manyEdits = 5000
)

// note notes an edit of one posting, which comes to the list of a key or goes. Postings
// say what they were made with until apply.
func (l *lists) note(key uint64, p posting, going bool) { l.edits.note(key, p, going) }

// apply makes the edits noted.
func (l *lists) apply(from postingSource) {
	workers := 1
	if l.edits.n >= manyEdits {
		workers = runtime.GOMAXPROCS(0)
	}
	after := make([][]keyChange[posting, tail], workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() { after[worker] = l.edited(l.edits.part(worker, workers), from) })
	}
	group.Wait()
	l.set(slices.Concat(after...))
	l.edits.empty()
}

// edited makes lists from edits; it changes nothing else.
func (l *lists) edited(edits []edit, from postingSource) (after []keyChange[posting, tail]) {
	slices.SortFunc(edits, func(a, b edit) int { return a.compare(&b) })
	var e listEdit
	for len(edits) > 0 {
		key := edits[0].key
		if edits = e.read(edits); len(e.add)+len(e.remove) > 0 {
			before := l.at(key)
			become := before.edited(&e, from)
			after = append(after, keyChange[posting, tail]{entry[posting, tail]{key, become.head, become.tail}, len(before.head) == 0})
		}
	}
	return after
}

// at is the list of a key, perhaps an empty one.
func (l *lists) at(key uint64) *list {
	head, tail := l.table.get(key)
	return &list{head, tail}
}

// set puts changed lists in their place, and counts the keys in use.
func (l *lists) set(changed []keyChange[posting, tail]) {
	for i := range changed {
		c := &changed[i]
		res, ok := geoindex.Key(c.key &^ withKeywords).CellResolution()
		if !ok {
			res = otherKeys
		}
		if !c.isNew {
			l.keysByRes[res]--
		}
		if !c.drops() {
			l.keysByRes[res]++
		}
	}
	l.table.apply(changed)
}

// freezeInto gives the lists as they are to a snapshot.
func (l *lists) freezeInto(s *Snapshot) {
	s.lists = l.table.freeze()
	for res, n := range l.keysByRes {
		if n > 0 {
			s.resolutions |= 1 << res
		}
	}
}
