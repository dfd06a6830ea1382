package wire

import (
	"encoding/binary"
	"math"

	"github.com/hexbid/hexbid"
)

// Polygons are packed as numbers that a reader meets in this order, so that every bit
// of a coordinate comes back:
//
//	uvarint polygons, then of each
//	  uvarint rings, then of each
//	    uvarint positions, then of each latitude and longitude, doubles, little-endian
//
// Without polygons there are no bytes.

const positionBytes = 16

func appendPolygons(b []byte, polygons []hexbid.Polygon) []byte {
	if len(polygons) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(polygons)))
	for _, polygon := range polygons {
		b = binary.AppendUvarint(b, uint64(len(polygon)))
		for _, ring := range polygon {
			b = binary.AppendUvarint(b, uint64(len(ring)))
			for _, at := range ring {
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(at.Lat))
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(at.Lng))
			}
		}
	}
	return b
}

// unpackPolygons reverses appendPolygons. A count that the bytes cannot hold is an error before any memory is allocated
// for it.
func (c *conversion) unpackPolygons(field string, b []byte) []hexbid.Polygon {
	if len(b) == 0 {
		return nil
	}
	r := packed{rest: b}
	polygons := make([]hexbid.Polygon, r.count(1))
	for i := range polygons {
		polygons[i] = r.polygon()
	}
	if r.damaged || len(r.rest) > 0 {
		c.note(hexbid.Errorf(hexbid.DataLoss, field, "does not end where its counts say"))
		return nil
	}
	return polygons
}

// packed reads packed polygons. Damaged ones read as empty.
type packed struct {
	rest    []byte
	damaged bool
}

// count reads the number of elements that take at least so many bytes each.
func (p *packed) count(bytesEach int) int {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 || n > uint64((len(p.rest)-size)/bytesEach) {
		p.rest, p.damaged = nil, true
		return 0
	}
	p.rest = p.rest[size:]
	return int(n)
}

func (p *packed) polygon() hexbid.Polygon {
	polygon := make(hexbid.Polygon, p.count(1))
	for i := range polygon {
		polygon[i] = p.ring()
	}
	return polygon
}

func (p *packed) ring() []hexbid.Point {
	ring := make([]hexbid.Point, p.count(positionBytes))
	for i := range ring {
		at := p.rest[i*positionBytes:]
		ring[i].Lat = math.Float64frombits(binary.LittleEndian.Uint64(at))
		ring[i].Lng = math.Float64frombits(binary.LittleEndian.Uint64(at[8:]))
	}
	p.rest = p.rest[len(ring)*positionBytes:]
	return ring
}
