package geoindex

import (
	"encoding/binary"
	"errors"
)

// A packed covering takes some five bytes a posting: a byte of what it is, the
// difference of its number from the one before, and its marks where they are
// not plain. The number of a cell is its base cell and digits, without those
// below its resolution, so that neighbours differ by little.
const (
	packedResolution = 0x1f // of a cell; or one of the next two
	packedRegion     = 16
	packedEverywhere = 17
	packedAllTouched = 1 << 5
	packedAllFull    = 1 << 6
	packedNoneFull   = 1 << 7
)

// PackCovering appends postings, in order of key, to a buffer.
func PackCovering(to []byte, postings []Posting) []byte {
	lastKind, last := byte(packedResolution), uint64(0)
	for _, p := range postings {
		kind, number := p.Key.numbered()
		if kind != lastKind {
			lastKind, last = kind, 0
		}
		head := kind
		if p.Touched == everyChild {
			head |= packedAllTouched
		}
		switch p.Full {
		case everyChild:
			head |= packedAllFull
		case 0:
			head |= packedNoneFull
		}
		to = binary.AppendVarint(append(to, head), int64(number-last))
		if head&packedAllTouched == 0 {
			to = append(to, p.Touched)
		}
		if head&(packedAllFull|packedNoneFull) == 0 {
			to = append(to, p.Full)
		}
		last = number
	}
	return to
}

var errPacked = errors.New("not a packed covering")

// UnpackCovering appends what PackCovering wrote to a buffer.
func UnpackCovering(to []Posting, packed []byte) ([]Posting, error) {
	lastKind, last := byte(packedResolution), uint64(0)
	for len(packed) > 0 {
		head := packed[0]
		if kind := head & packedResolution; kind != lastKind {
			lastKind, last = kind, 0
		}
		step, n := binary.Varint(packed[1:])
		if n <= 0 || lastKind > packedEverywhere {
			return nil, errPacked
		}
		packed, last = packed[1+n:], last+uint64(step)
		p := Posting{Key: keyNumbered(lastKind, last), Touched: everyChild, Full: everyChild}
		given := true
		if head&packedAllTouched == 0 {
			p.Touched, packed, given = firstOf(packed)
		}
		switch head & (packedAllFull | packedNoneFull) {
		case 0:
			var more bool
			p.Full, packed, more = firstOf(packed)
			given = given && more
		case packedNoneFull:
			p.Full = 0
		}
		if !given {
			return nil, errPacked
		}
		to = append(to, p)
	}
	return to, nil
}

// firstOf cuts the first byte off, if there is one.
func firstOf(b []byte) (first uint8, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	return b[0], b[1:], true
}

// numbered tells a key's kind and its number among those.
func (k Key) numbered() (kind byte, number uint64) {
	if k == Everywhere {
		return packedEverywhere, 0
	}
	if k&regionKey != 0 {
		return packedRegion, uint64(k &^ regionKey)
	}
	c := Cell(k)
	return byte(c.Resolution()), uint64(c) & (1<<52 - 1) >> digitShift(c.Resolution())
}

func keyNumbered(kind byte, number uint64) Key {
	switch kind {
	case packedEverywhere:
		return Everywhere
	case packedRegion:
		return regionKey | Key(number&0xffff)
	}
	res := int(kind)
	digits := Cell(number) << digitShift(res) & (1<<52 - 1)
	return KeyOfCell(cellMode | Cell(res)<<52 | digits | digitsMask>>(3*uint(res)))
}
