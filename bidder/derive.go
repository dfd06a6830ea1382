package bidder

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
)

// derivation is the version of Derive's results. It changes whenever Derive returns something else for an equal area.
// The indexer then derives again whatever a store holds from earlier versions.
const derivation = 1

// Derive computes the packed covering of a campaign's area without its excluded area, and returns it with the number of
// its cells. It leaves out the discs around the program's places: they belong to surrounds, which change when a place
// does. A covering therefore depends on the campaign's two areas alone. The error names a cell or an adcode that does
// not exist.
func Derive(c *hexbid.Campaign) (d *store.Derived, cells int, err error) {
	area, err := geoindex.CompileArea(&c.Area, &c.Excluded, nil)
	if err != nil {
		return nil, 0, err
	}
	covering := area.Cover()
	return &store.Derived{By: derivation, Inputs: fingerprintOf(c), Value: geoindex.PackCovering(nil, covering)},
		len(covering), nil
}

// holds reports whether a stored derivation (nil for none) still equals what Derive would return.
func holds(d *store.Derived, c *hexbid.Campaign) bool {
	return d != nil && d.By == derivation && d.Inputs == fingerprintOf(c)
}

// fingerprintOf hashes everything that Derive reads of a campaign.
func fingerprintOf(c *hexbid.Campaign) uint64 {
	var f fingerprint
	f.hash.Reset()
	f.area(&c.Area)
	f.area(&c.Excluded)
	f.flush()
	return f.hash.Sum64()
}

// fingerprint hashes areas. It hashes the length of each list before the list, so different areas never write the same
// bytes.
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
	_, _ = f.hash.WriteString(s) // a digest never fails
}

func (f *fingerprint) flush() {
	_, _ = f.hash.Write(f.buffer[:f.filled]) // a digest never fails
	f.filled = 0
}
