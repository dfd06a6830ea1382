package bidder

import (
	"runtime"
	"slices"
	"sync"

	"github.com/hexbid/hexbid/geoindex"
)

// lists is the room of the posting lists. It collects edits of postings until apply is called. Each list that they
// touch is then looked up and copied once.
type lists struct {
	table     tableWriter[posting, tail]
	edits     editLog
	keysByRes [otherKeys + 1]int // number of lists by the resolution of their key
	asked     int                // postings that blocks were made of, or turned back into, since the start
}

// otherKeys is the index in keysByRes of keys that are no cells: regions and everywhere.
const otherKeys = geoindex.Finest + 1

// These constants bound the edits that wait.
const (
	// mostEdits bounds their memory: half a gigabyte, and as much again while they are
	// sorted.
	mostEdits = 1 << 24
	// manyEdits is the number from which every core helps to make them.
	manyEdits = 5000
)

// note adds an edit that puts a posting into the list of a key, or removes it. Until apply is called, posted must
// return what the postings were made with.
func (l *lists) note(key uint64, p posting, going bool) { l.edits.note(key, p, going) }

// apply makes the edits that were noted.
func (l *lists) apply(from postingSource) {
	workers := 1
	if l.edits.n >= manyEdits {
		workers = runtime.GOMAXPROCS(0)
	}
	after := make([][]keyChange[posting, tail], workers)
	sources := make([]countedSource, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			sources[worker].postingSource = from
			after[worker] = l.edited(l.edits.part(worker, workers), &sources[worker])
		})
	}
	group.Wait()
	for i := range sources {
		l.asked += sources[i].asked
	}
	l.set(slices.Concat(after...))
	l.edits.empty()
}

// edited returns the changed lists. It changes nothing else.
func (l *lists) edited(edits []edit, from postingSource) (after []keyChange[posting, tail]) {
	slices.SortFunc(edits, func(a, b edit) int { return a.compare(&b) })
	var e listEdit
	for len(edits) > 0 {
		key := edits[0].key
		if edits = e.read(edits); len(e.add)+len(e.remove) > 0 {
			before := l.at(key)
			become := before.edited(&e, from)
			after = append(after, keyChange[posting, tail]{entry[posting, tail]{key, become.head, become.tail},
				len(before.head) == 0})
		}
	}
	return after
}

// at returns the list of a key, an empty one when the key has none.
func (l *lists) at(key uint64) *list {
	head, tail := l.table.get(key)
	return &list{head, tail}
}

// set stores changed lists and counts the keys in use.
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

// freezeInto shares the present lists with a snapshot.
func (l *lists) freezeInto(s *Snapshot) {
	s.lists = l.table.freeze()
	for res, n := range l.keysByRes {
		if n > 0 {
			s.resolutions |= 1 << res
		}
	}
}
