package bidder

import "github.com/hexbid/hexbid/geoindex"

// directory finds the list of a key. It is a hash table of small pages; a page
// is copied when one of its lists changes, so that snapshots share the rest.
type directory struct {
	pages []*directoryPage // a power of two; nil is empty
	count int              // keys
}

// directoryPage is searched from front to back: eight keys are one cache line.
type directoryPage struct {
	keys  []geoindex.Key
	lists []*list
}

const (
	keysPerPage   = 8
	smallestPages = 64
)

func (d *directory) page(k geoindex.Key) int {
	const golden = 0x9e3779b97f4a7c15 // 2⁶⁴/φ: Fibonacci hashing (Knuth, TAOCP 6.4)
	return int(uint64(k) * golden >> 32 & uint64(len(d.pages)-1))
}

// find is the list of a key, or nil.
func (d *directory) find(k geoindex.Key) *list {
	if len(d.pages) == 0 {
		return nil
	}
	page := d.pages[d.page(k)]
	if page == nil {
		return nil
	}
	for i, key := range page.keys {
		if key == k {
			return page.lists[i]
		}
	}
	return nil
}

// with is a directory with some lists replaced; an empty list drops its key.
// Pages are copied once however many of their lists change.
func (d *directory) with(changed map[geoindex.Key]*list) directory {
	next := directory{pages: d.grownPages(len(changed)), count: d.count}
	owned := map[int]bool{}
	for key, l := range changed {
		i := next.page(key)
		if !owned[i] {
			next.pages[i] = next.pages[i].clone()
			owned[i] = true
		}
		next.count += next.pages[i].set(key, l)
	}
	return next
}

// grownPages copies the table of pages, first doubling it until it has room.
func (d *directory) grownPages(more int) []*directoryPage {
	size := max(len(d.pages), smallestPages)
	for size*keysPerPage < d.count+more {
		size *= 2
	}
	if size == len(d.pages) {
		return append([]*directoryPage(nil), d.pages...)
	}
	grown := directory{pages: make([]*directoryPage, size)}
	for _, page := range d.pages {
		if page == nil {
			continue
		}
		for i, key := range page.keys {
			at := grown.page(key)
			if grown.pages[at] == nil {
				grown.pages[at] = &directoryPage{}
			}
			grown.pages[at].set(key, page.lists[i])
		}
	}
	return grown.pages
}

func (p *directoryPage) clone() *directoryPage {
	if p == nil {
		return &directoryPage{}
	}
	return &directoryPage{append([]geoindex.Key(nil), p.keys...), append([]*list(nil), p.lists...)}
}

// set replaces, adds or drops a list; it returns the change in number.
func (p *directoryPage) set(k geoindex.Key, l *list) int {
	for i, key := range p.keys {
		if key != k {
			continue
		}
		if len(l.blocks) > 0 {
			p.lists[i] = l
			return 0
		}
		last := len(p.keys) - 1
		p.keys[i], p.lists[i] = p.keys[last], p.lists[last]
		p.keys, p.lists = p.keys[:last], p.lists[:last]
		return -1
	}
	if len(l.blocks) == 0 {
		return 0
	}
	p.keys, p.lists = append(p.keys, k), append(p.lists, l)
	return 1
}
