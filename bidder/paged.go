package bidder

import (
	"sync"

	"github.com/hexbid/hexbid"
)

const (
	pageBits = 6 // of items in a page: small, because a change copies a page
	midBits  = 8 // of pages in a middle node
)

type (
	page[T any]   [1 << pageBits]T
	middle[T any] [1 << midBits]*page[T]
)

// paged is an immutable array by ordinal. It is a tree of three levels, and snapshots share its pages.
type paged[T any] struct{ middles []*middle[T] }

// at returns the item of an ordinal below the array's length.
func (p paged[T]) at(i uint32) *T {
	return &p.middles[i>>(pageBits+midBits)][i>>pageBits%(1<<midBits)][i%(1<<pageBits)]
}

// len returns the number of items that there are pages for.
func (p paged[T]) len() uint32 {
	if len(p.middles) == 0 {
		return 0
	}
	last, pages := p.middles[len(p.middles)-1], uint32(0)
	for pages < 1<<midBits && last[pages] != nil {
		pages++
	}
	return uint32(len(p.middles)-1)<<(pageBits+midBits) + pages<<pageBits
}

// pagedWriter changes a paged by copy on write. It copies a page at its first change after a freeze.
type pagedWriter[T any] struct {
	paged[T]
	owned    map[*page[T]]struct{} // pages that no snapshot shares
	ownedMid map[*middle[T]]struct{}
}

// edit returns an item to change. It grows the array as needed.
func (w *pagedWriter[T]) edit(i uint32) *T {
	if w.owned == nil {
		w.owned, w.ownedMid = map[*page[T]]struct{}{}, map[*middle[T]]struct{}{}
	}
	for int(i>>(pageBits+midBits)) >= len(w.middles) {
		w.middles = append(w.middles, nil)
	}
	mid := own(&w.middles[i>>(pageBits+midBits)], w.ownedMid)
	return &own(&mid[i>>pageBits%(1<<midBits)], w.owned)[i%(1<<pageBits)]
}

// own makes the target of a slot the writer's own: it keeps one that is already owned, copies a shared one and makes a
// missing one.
func own[T any](slot **T, owned map[*T]struct{}) *T {
	if *slot != nil {
		if _, mine := owned[*slot]; mine {
			return *slot
		}
	}
	fresh := new(T)
	if *slot != nil {
		*fresh = **slot
	}
	owned[fresh] = struct{}{}
	*slot = fresh
	return fresh
}

// freeze shares the present array with a snapshot.
func (w *pagedWriter[T]) freeze() paged[T] {
	w.owned, w.ownedMid = nil, nil
	return paged[T]{append([]*middle[T](nil), w.middles...)}
}

// growing is an array by ordinal that no snapshot shares, so its items change in place.
type growing[T any] struct{ pages []*page[T] }

// at returns an item that has room already, to read or to change.
func (g *growing[T]) at(i uint32) *T { return &g.pages[i>>pageBits][i%(1<<pageBits)] }

// clear makes room for an item and sets it to the zero T.
func (g *growing[T]) clear(i uint32) {
	for int(i>>pageBits) >= len(g.pages) {
		g.pages = append(g.pages, new(page[T]))
	}
	var zero T
	*g.at(i) = zero
}

// ordinals assigns small numbers and takes them back.
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

// byUID holds a T for some uids; the zero T stands for none. Uids are assigned in sequence, so pages of them are nearly
// full.
type byUID[T comparable] map[hexbid.UID]*uidPage[T]

const uidsAPage = 1024

type uidPage[T comparable] struct {
	items [uidsAPage]T
	count int // of items that are not zero
}

func (m byUID[T]) at(uid hexbid.UID) (item T) {
	if p := m[uid/uidsAPage]; p != nil {
		item = p.items[uid%uidsAPage]
	}
	return item
}

// set stores an item for a uid. The zero T removes the uid's item.
func (m byUID[T]) set(uid hexbid.UID, item T) {
	var none T
	p := m[uid/uidsAPage]
	if p == nil {
		if item == none {
			return
		}
		p = &uidPage[T]{}
		m[uid/uidsAPage] = p
	}
	slot := &p.items[uid%uidsAPage]
	if *slot != none {
		p.count--
	}
	if *slot = item; item != none {
		p.count++
	}
	if p.count == 0 {
		delete(m, uid/uidsAPage)
	}
}

// uidMap finds ordinals by uid, in some five bytes each.
type uidMap struct{ numbers byUID[uint32] } // each the ordinal plus 1

func newUIDMap() uidMap { return uidMap{byUID[uint32]{}} }

func (m uidMap) get(uid hexbid.UID) (uint32, bool) {
	number := m.numbers.at(uid)
	return number - 1, number != 0
}

func (m uidMap) set(uid hexbid.UID, ordinal uint32) { m.numbers.set(uid, ordinal+1) }

func (m uidMap) drop(uid hexbid.UID) { m.numbers.set(uid, 0) }

// sharedUIDs is a uidMap that the indexer changes while readers look uids up. It is always the present state. A reader
// therefore checks the record of the ordinal in its own snapshot.
type sharedUIDs struct {
	mu   sync.RWMutex // guards uids
	uids uidMap
}

func (s *sharedUIDs) get(uid hexbid.UID) (uint32, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.uids.get(uid)
}

func (s *sharedUIDs) set(uid hexbid.UID, ordinal uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uids.set(uid, ordinal)
}

func (s *sharedUIDs) drop(uid hexbid.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uids.drop(uid)
}
