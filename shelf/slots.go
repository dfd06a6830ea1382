package shelf

import "sync/atomic"

// slots are the places of numbers, in pages. A page without places is let go, so numbers that are used no more cost
// nothing but a pointer for each page. Any goroutine may read; one at a time may write.
type slots struct {
	pages atomic.Pointer[[]atomic.Pointer[page]]
}

const (
	pageBits  = 12
	pageSlots = 1 << pageBits
	// mostNumbers bounds the pointers to pages, which then take 32 MiB.
	mostNumbers = 1 << 34
)

type page struct {
	slots [pageSlots]atomic.Uint64
	taken int // slots that are not 0; the writer's
}

// at returns the slot of a number, nil if nothing near it is kept.
func (s *slots) at(number uint64) *atomic.Uint64 {
	pages := s.pages.Load()
	if pages == nil || number>>pageBits >= uint64(len(*pages)) {
		return nil
	}
	p := (*pages)[number>>pageBits].Load()
	if p == nil {
		return nil
	}
	return &p.slots[number%pageSlots]
}

// set writes the slot of a number. It makes or lets go the slot's page.
func (s *slots) set(number, place uint64) {
	hand := s.page(number)
	p := hand.Load()
	if p == nil {
		p = new(page)
		hand.Store(p)
	}
	switch before := p.slots[number%pageSlots].Swap(place); {
	case before == 0 && place != 0:
		p.taken++
	case before != 0 && place == 0:
		p.taken--
	}
	if p.taken == 0 {
		hand.Store(nil)
	}
}

// page returns the pointer to a number's page. There are twice as many pointers as before when there are too few.
func (s *slots) page(number uint64) *atomic.Pointer[page] {
	pages, at := s.pages.Load(), int(number>>pageBits)
	if pages == nil || at >= len(*pages) {
		var before []atomic.Pointer[page]
		if pages != nil {
			before = *pages
		}
		after := make([]atomic.Pointer[page], max(2*len(before), at+1))
		for i := range before {
			after[i].Store(before[i].Load())
		}
		pages = &after
		s.pages.Store(pages)
	}
	return &(*pages)[at]
}
