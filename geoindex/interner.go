package geoindex

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"weak"

	"github.com/hexbid/hexbid"
)

// Interner stores one compiled copy of equal polygons for as long as an area uses it. One goroutine uses an Interner.
type Interner struct {
	polygons map[polygonKey]weak.Pointer[polygon]
	sweepAt  int // size at which the keys of polygons that nothing uses are swept out
}

// polygonKey stands for the positions of a polygon's rings.
type polygonKey [sha256.Size]byte

// smallestSweep is the size below which sweeping does not pay.
const smallestSweep = 1024

func keyOf(p hexbid.Polygon) polygonKey {
	h := sha256.New()
	for _, ring := range p {
		for _, v := range ring {
			var b [16]byte
			binary.LittleEndian.PutUint64(b[:8], math.Float64bits(v.Lat))
			binary.LittleEndian.PutUint64(b[8:], math.Float64bits(v.Lng))
			h.Write(b[:])
		}
		h.Write([]byte{0}) // a ring ends
	}
	return polygonKey(h.Sum(nil))
}

// polygon compiles a polygon, or finds the one compiled before. A nil Interner
// compiles anew.
func (x *Interner) polygon(p hexbid.Polygon) *polygon {
	if x == nil {
		return compilePolygon(p)
	}
	key := keyOf(p)
	if same := x.polygons[key].Value(); same != nil {
		return same
	}
	x.sweep()
	compiled := compilePolygon(p)
	x.polygons[key] = weak.Make(compiled)
	return compiled
}

// sweep removes the keys of polygons that no area uses any more. It runs whenever the number of keys has doubled since
// the last sweep, so its cost is spread over the polygons compiled.
func (x *Interner) sweep() {
	if x.polygons == nil {
		x.polygons, x.sweepAt = map[polygonKey]weak.Pointer[polygon]{}, smallestSweep
	}
	if len(x.polygons) < x.sweepAt {
		return
	}
	maps.DeleteFunc(x.polygons, func(_ polygonKey, p weak.Pointer[polygon]) bool { return p.Value() == nil })
	x.sweepAt = max(smallestSweep, 2*len(x.polygons))
}
