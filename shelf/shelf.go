// Package shelf keeps short byte strings by number within a bound on memory. Whoever asks names a version, and gets the
// bytes only if they were put with that version; so bytes of an earlier one are never found.
//
// Numbers are dense, as those that a counter gives out are. A number's slot is therefore an element of an array, which
// holds where the bytes lie, and a look-up reads two lines of memory beside the bytes themselves: the slot and the head
// of the entry. A hash map with a policy of what to keep (ristretto) reads eight, and an entry takes 250 bytes more.
//
// Entries are written one after another into slabs. When all slabs are full, the oldest is dropped, after those of its
// entries that were found since they were put have been put again. This is the CLOCK algorithm, a slab at a time. A
// dropped slab is left to the garbage collector and not used again, so bytes that a reader holds never change. The
// collector sees a few large pieces without pointers, however many entries there are.
//
// The state is the slots and the slabs of a Shelf.
package shelf

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// Shelf keeps byte strings. Any goroutine may use it at any time.
type Shelf struct {
	slabBytes int
	slots     slots
	slabs     []atomic.Pointer[slab] // the slab with serial s is at s % len(slabs)

	mu   sync.Mutex // guards what follows, and lets one goroutine write
	last *slab      // that is being filled
}

// slab is a piece of memory with entries one after another. Its bytes below used do not change.
type slab struct {
	serial uint64 // from 1
	bytes  []byte
	used   int // the writer's
}

// An entry begins with its head: its number, its version and the length of its bytes.
const headBytes = 8 + 8 + 8

const (
	mostSlabBytes  = 256 << 10 // dropping one takes a fraction of a millisecond
	leastSlabBytes = 1 << 10
	leastSlabs     = 16
	mostAgain      = 3 // of four bytes of a slab that is dropped are put again at most, so that dropping gains room
	largestOfASlab = 4 // entries of more than this part of a slab are not kept
)

// New makes a shelf whose slabs take at most maxBytes. Its slots take 8 bytes beside that for each number, in pages of
// 4096 numbers one of which is kept.
func New(maxBytes int64) *Shelf {
	size := max(min(maxBytes/leastSlabs, mostSlabBytes), leastSlabBytes)
	return &Shelf{slabBytes: int(size), slabs: make([]atomic.Pointer[slab], max(maxBytes/size, leastSlabs))}
}

// Find returns the bytes of a number if they are of a version. The bytes are shared: do not change them.
func (s *Shelf) Find(number, version uint64) (found []byte, ok bool) {
	slot := s.slots.at(number)
	if slot == nil {
		return nil, false
	}
	at := place(slot.Load())
	entry := s.entry(at)
	if entry == nil || binary.LittleEndian.Uint64(entry) != number || binary.LittleEndian.Uint64(entry[8:]) != version {
		return nil, false
	}
	if !at.found() {
		slot.CompareAndSwap(uint64(at), uint64(at|foundBit)) // if it fails, the entry has just been put again
	}
	return entry[headBytes:], true
}

// entry returns the entry at a place, nil if it has been dropped.
func (s *Shelf) entry(at place) []byte {
	serial, offset := at.parts()
	slab := s.slabs[serial%uint64(len(s.slabs))].Load()
	if slab == nil || slab.serial != serial {
		return nil
	}
	return slab.at(offset)
}

// at returns the entry at an offset.
func (b *slab) at(offset int) []byte {
	entry := b.bytes[offset:]
	end := headBytes + int(binary.LittleEndian.Uint64(entry[16:]))
	return entry[:end:end]
}

// Put keeps a copy of the bytes of a number and a version, in place of those before. It returns what it keeps, or the
// bytes themselves if they are too long to be kept.
func (s *Shelf) Put(number, version uint64, content []byte) []byte {
	if !s.takes(number, content) {
		return content
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(number, version, content)
}

// Offer is Put for bytes that nobody has asked for yet. It keeps them if that drops no others, or if the number is kept
// with another version. It reports whether there is room for more.
func (s *Shelf) Offer(number, version uint64, content []byte) (room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	room = s.last == nil || s.last.serial < uint64(len(s.slabs))
	slot := s.slots.at(number)
	if s.takes(number, content) && (room || slot != nil && slot.Load() != 0) {
		s.put(number, version, content)
	}
	return room
}

// takes reports whether an entry may be kept.
func (s *Shelf) takes(number uint64, content []byte) bool {
	return headBytes+len(content) <= s.slabBytes/largestOfASlab && number < mostNumbers
}

// put writes an entry. The caller holds mu.
func (s *Shelf) put(number, version uint64, content []byte) []byte {
	entry, at := s.room(headBytes + len(content))
	binary.LittleEndian.PutUint64(entry, number)
	binary.LittleEndian.PutUint64(entry[8:], version)
	binary.LittleEndian.PutUint64(entry[16:], uint64(len(content)))
	copy(entry[headBytes:], content)
	s.slots.set(number, uint64(at))
	return entry[headBytes:]
}

// room returns memory for an entry, and the place of that. The caller holds mu.
func (s *Shelf) room(size int) (entry []byte, at place) {
	for s.last == nil || s.last.used+size > len(s.last.bytes) {
		s.next()
	}
	offset := s.last.used
	s.last.used += size
	return s.last.bytes[offset:s.last.used:s.last.used], placeAt(s.last.serial, offset)
}

// next begins a slab in place of the oldest. It puts those entries of the oldest again that were found, the first ones
// of them if there are many.
func (s *Shelf) next() {
	serial := uint64(1)
	if s.last != nil {
		serial = s.last.serial + 1
	}
	hand := &s.slabs[serial%uint64(len(s.slabs))]
	oldest := hand.Load()
	s.last = &slab{serial: serial, bytes: make([]byte, s.slabBytes)}
	hand.Store(s.last)
	if oldest == nil {
		return
	}
	for offset := 0; offset < oldest.used; {
		entry := oldest.at(offset)
		s.again(oldest, offset, entry)
		offset += len(entry)
	}
}

// again puts an entry of a dropped slab into the last one if it was found and there is room, and else empties its slot.
func (s *Shelf) again(from *slab, offset int, entry []byte) {
	number := binary.LittleEndian.Uint64(entry)
	slot := s.slots.at(number)
	if slot == nil {
		return
	}
	at := place(slot.Load())
	if at&^foundBit != placeAt(from.serial, offset) {
		return // the number has newer bytes
	}
	if !at.found() || s.last.used+len(entry) > s.slabBytes/4*mostAgain {
		s.slots.set(number, 0)
		return
	}
	copied, to := s.room(len(entry))
	copy(copied, entry)
	slot.Store(uint64(to))
}

// place is where an entry lies: its slab's serial, its offset there, and whether it was found since it was put. 0 is
// nowhere.
type place uint64

const foundBit place = 1

// offsetBits is the number of bits of an offset: mostSlabBytes is less than 1<<20.
const offsetBits = 20

func placeAt(serial uint64, offset int) place {
	return place(serial<<offsetBits|uint64(offset)) << 1
}

func (p place) parts() (serial uint64, offset int) {
	return uint64(p >> (1 + offsetBits)), int(p >> 1 & (1<<offsetBits - 1))
}

func (p place) found() bool { return p&foundBit != 0 }
