package bidder

// pageSize is the number of items a page: small enough to copy on a change,
// large enough that the table of pages stays short.
const pageSize = 512

// paged is an immutable array by ordinal, in pages that snapshots share.
type paged[T any] struct{ pages []*[pageSize]T }

// at is the item of an ordinal below the array's length.
func (p paged[T]) at(i uint32) *T { return &p.pages[i/pageSize][i%pageSize] }

// len is the number of items that there are pages for.
func (p paged[T]) len() uint32 { return uint32(len(p.pages) * pageSize) }

// pagedWriter changes a paged copy on write: a page is copied the first time
// that it is changed after a freeze.
type pagedWriter[T any] struct {
	paged[T]
	owned map[uint32]bool // pages that no snapshot shares
}

// edit gives an item to change, growing the array as needed.
func (w *pagedWriter[T]) edit(i uint32) *T {
	if w.owned == nil {
		w.owned = map[uint32]bool{}
	}
	page := i / pageSize
	for uint32(len(w.pages)) <= page {
		w.owned[uint32(len(w.pages))] = true
		w.pages = append(w.pages, new([pageSize]T))
	}
	if !w.owned[page] {
		fresh := *w.pages[page]
		w.pages[page] = &fresh
		w.owned[page] = true
	}
	return &w.pages[page][i%pageSize]
}

// freeze gives the array as it is to a snapshot.
func (w *pagedWriter[T]) freeze() paged[T] {
	clear(w.owned)
	return paged[T]{append([]*[pageSize]T(nil), w.pages...)}
}

// ordinals gives out small numbers and takes them back.
type ordinals struct {
	free []uint32
	next uint32
}

func (o *ordinals) take() uint32 {
	if n := len(o.free); n > 0 {
		i := o.free[n-1]
		o.free = o.free[:n-1]
		return i
	}
	o.next++
	return o.next - 1
}

func (o *ordinals) giveBack(i uint32) { o.free = append(o.free, i) }
