package bidder

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
)

// derivation is the version of what Derive works out. It changes whenever Derive gives
// something else for an equal area: what earlier versions have left in a store is then
// worked out again.
const derivation = 1

// Derive works out where a campaign is posted: the packed covering of its area without
// its excluded area, and the number of cells of it. It leaves out the discs around the
// program's places. Those belong to surrounds, which change when a place does. So a
// covering depends on nothing but the campaign's two areas. The error is of a cell or
// an adcode that does not exist.
func Derive(c *hexbid.Campaign) (d *store.Derived, cells int, err error) {
	area, err := geoindex.CompileArea(&c.Area, &c.Excluded, nil)
	if err != nil {
		return nil, 0, err
	}
	covering := area.Cover()
	return &store.Derived{By: derivation, Inputs: fingerprintOf(c), Value: geoindex.PackCovering(nil, covering)},
		len(covering), nil
}

// holds says whether something derived, nil for nothing, is what Derive would give.
func holds(d *store.Derived, c *hexbid.Campaign) bool {
	return d != nil && d.By == derivation && d.Inputs == fingerprintOf(c)
}

// fingerprintOf stands for all that Derive reads of a campaign.
func fingerprintOf(c *hexbid.Campaign) uint64 {
	var f fingerprint
	f.hash.Reset()
	f.area(&c.Area)
	f.area(&c.Excluded)
	f.flush()
	return f.hash.Sum64()
}

// fingerprint hashes areas. Each list is hashed after its length, so that no two
// different areas write the same bytes.
type fingerprint struct {
	hash   xxhash.Digest
	buffer [512]byte
	filled int
}

func (f *fingerprint) area(a *hexbid.Area) {
	f.number(a.AroundPlacesM)
	f.count(len(a.Circles))
	for i := range a.Circles {
		f.point(a.Circles[i].Center)
		f.number(a.Circles[i].RadiusM)
	}
	f.count(len(a.Cells))
	for _, cell := range a.Cells {
		f.word(cell)
	}
	f.count(len(a.Regions))
	for _, region := range a.Regions {
		f.text(region)
	}
	f.count(len(a.Polygons))
	for _, polygon := range a.Polygons {
		f.polygon(polygon)
	}
	everywhere := 0
	if a.Everywhere {
		everywhere = 1
	}
	f.count(everywhere)
}

func (f *fingerprint) polygon(rings hexbid.Polygon) {
	f.count(len(rings))
	for _, ring := range rings {
		f.count(len(ring))
		for _, vertex := range ring {
			f.point(vertex)
		}
	}
}

func (f *fingerprint) point(p hexbid.Point) {
	f.number(p.Lat)
	f.number(p.Lng)
}

func (f *fingerprint) number(v float64) { f.word(math.Float64bits(v)) }

func (f *fingerprint) count(n int) { f.word(uint64(n)) }

func (f *fingerprint) word(v uint64) {
	if f.filled == len(f.buffer) {
		f.flush()
	}
	binary.LittleEndian.PutUint64(f.buffer[f.filled:], v)
	f.filled += 8
}

func (f *fingerprint) text(s string) {
	f.count(len(s))
	f.flush()
	_, _ = f.hash.WriteString(s) // a digest takes every text
}

func (f *fingerprint) flush() {
	_, _ = f.hash.Write(f.buffer[:f.filled]) // a digest takes all bytes
	f.filled = 0
}
