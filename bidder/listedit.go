package bidder

import (
	"cmp"
	"slices"
)

// edit adds a posting to the list of a key, or removes one, which the list finds by its ordinal and the cap that it was
// posted with. The log collects edits and sorts them by list when it applies them. Posting a million campaigns
// therefore does not look their lists up a million times.
type edit struct {
	key     uint64
	posting posting
	order   uint32 // in which edits were noted
	going   bool
}

// editLog holds edits in chunks. A slice that grows by copying would cost a load more than all other work.
type editLog struct {
	chunks [][]edit
	n      int
	ever   int // edits noted since the start
}

const (
	chunkEdits  = 1 << 16 // the length of a chunk: two megabytes
	reusedEdits = 1 << 12 // a log up to this long keeps its memory for reuse: some two hundred changes
)

func (l *editLog) note(key uint64, p posting, going bool) {
	if l.n == len(l.chunks)*chunkEdits {
		l.chunks = append(l.chunks, make([]edit, 0, min(l.n, chunkEdits))) // the first chunk, seldom full, grows
	}
	last := &l.chunks[len(l.chunks)-1]
	*last = append(*last, edit{key, p, uint32(l.n), going})
	l.n++
	l.ever++
}

// empty drops all edits. It also drops their memory when that is large.
func (l *editLog) empty() {
	if l.n > reusedEdits {
		l.chunks = nil
	} else if l.n > 0 {
		l.chunks[0] = l.chunks[0][:0]
	}
	l.n = 0
}

// part returns the edits of one worker, with all edits of a key at the same worker.
func (l *editLog) part(worker, workers int) []edit {
	if workers == 1 {
		return slices.Concat(l.chunks...)
	}
	own := make([]edit, 0, l.n/workers*9/8)
	for _, chunk := range l.chunks {
		for i := range chunk {
			if int(chunk[i].key>>3*0x9e3779b97f4a7c15>>32)%workers == worker {
				own = append(own, chunk[i])
			}
		}
	}
	return own
}

func (e *edit) compare(f *edit) int {
	if e.key != f.key {
		return cmp.Compare(e.key, f.key)
	}
	return cmp.Or(cmp.Compare(e.posting.ordinal, f.posting.ordinal), cmp.Compare(e.order, f.order))
}

// listEdit holds the changes of one batch to one list.
type listEdit struct{ remove, add []posting }

// read takes the edits of one key off the front of sorted ones. A posting that was added and removed again before any
// snapshot leaves no trace.
func (e *listEdit) read(edits []edit) (rest []edit) {
	e.remove, e.add = e.remove[:0], e.add[:0]
	key := edits[0].key
	for len(edits) > 0 && edits[0].key == key {
		now := &edits[0]
		edits = edits[1:]
		switch last := len(e.add) - 1; {
		case !now.going:
			e.add = append(e.add, now.posting)
		case last >= 0 && e.add[last].ordinal == now.posting.ordinal:
			e.add = e.add[:last]
		default:
			e.remove = append(e.remove, now.posting)
		}
	}
	return edits
}
