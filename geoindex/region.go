package geoindex

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hexbid/hexbid"
)

// The outlines are coarse and their datum is not stated; they are taken as
// WGS-84. Apache License 2.0, from echarts 4.9.0; see NOTICE.

//go:embed data/provinces.geojson.gz
var provincesGZ []byte

//go:embed data/prefectures.geojson.gz
var prefecturesGZ []byte

//go:embed data/region_latin_names.csv
var latinNamesCSV string

// RegionID is the ordinal of a shipped region.
type RegionID uint16

// Region is a province or a prefecture of China.
type Region struct {
	Code    string // six-digit adcode
	Name    string // Chinese
	Latin   string // customary name, with its pinyin where that differs
	outline *polygon
}

// Province is the adcode of the province that a prefecture lies in; "" of a
// province.
func (r *Region) Province() string {
	if province := r.Code[:2] + "0000"; province != r.Code {
		return province
	}
	return ""
}

// OtherCodes are the adcodes that mean the region beside its own. A
// municipality is its own prefecture and has that prefecture's code too.
func (r *Region) OtherCodes() []string {
	var codes []string
	for _, other := range slices.Sorted(maps.Keys(municipalities)) {
		if municipalities[other] == r.Code {
			codes = append(codes, other)
		}
	}
	return codes
}

// Rings are the outline, each ring's last point its first.
func (r *Region) Rings() (rings [][]hexbid.Point) {
	var ring []hexbid.Point
	var end hexbid.Point
	for _, e := range r.outline.edges {
		from, to := hexbid.Point{Lat: e.lat1, Lng: e.lng1}, hexbid.Point{Lat: e.lat2, Lng: e.lng2}
		if len(ring) > 0 && from != end { // edges of a ring follow each other
			rings, ring = append(rings, ring), nil
		}
		if len(ring) == 0 {
			ring = append(ring, from)
		}
		ring, end = append(ring, to), to
	}
	if len(ring) > 0 {
		rings = append(rings, ring)
	}
	return rings
}

// Bounds are the region's extremes in degrees.
func (r *Region) Bounds() (west, east, south, north float64) {
	return r.outline.west, r.outline.east, r.outline.south, r.outline.north
}

// municipalities are the provinces that are cities, by their code as a
// prefecture. Chongqing's counties have a code of their own.
var municipalities = map[string]string{"110100": "110000", "120100": "120000", "310100": "310000", "500100": "500000",
	"500200": "500000"}

// MaxRegionsOver is the most regions that one point is said to lie in:
// simplified outlines overlap a little at their common borders.
const MaxRegionsOver = 6

// RegionSet is the regions over one point.
type RegionSet struct {
	ids [MaxRegionsOver]RegionID
	n   uint8
}

// All lists the set in order of adcode.
func (s *RegionSet) All() []RegionID { return s.ids[:s.n] }

// Has says whether a region is in the set.
func (s *RegionSet) Has(id RegionID) bool { return slices.Contains(s.All(), id) }

func (s *RegionSet) add(id RegionID) {
	if s.n < MaxRegionsOver {
		s.ids[s.n] = id
		s.n++
	}
}

// regionIndex finds the regions over a point: a raster over China tells for
// each square which regions fill it and whose border runs through it; only the
// latter are tested.
type regionIndex struct {
	regions []Region
	byCode  map[string]RegionID
	raster  []uint16 // class of each square
	classes []rasterClass
}

type rasterClass struct{ full, border []RegionID }

const (
	rasterSouth, rasterNorth = 3.0, 54.0
	rasterWest, rasterEast   = 73.0, 136.0
	rasterStep               = 0.1 // degrees
	rasterColumns            = int((rasterEast - rasterWest) / rasterStep)
	rasterRows               = int((rasterNorth - rasterSouth) / rasterStep)
)

var regions = sync.OnceValue(loadRegions)

// RegionByCode finds a region by its six-digit adcode, or by another that means
// the same region.
func RegionByCode(code string) (RegionID, error) {
	if own, ok := municipalities[code]; ok {
		code = own
	}
	id, ok := regions().byCode[code]
	if !ok {
		return 0, fmt.Errorf("%q is not the adcode of a shipped region: use a province or prefecture such as 330000 or "+
			"330100; "+
			"a district needs a polygon; hexbid regions lists them", hexbid.Shorten(code))
	}
	return id, nil
}

// Region is the shipped region of an id.
func (id RegionID) Region() *Region { return &regions().regions[id] }

// Preload reads the embedded outlines, which otherwise happens when the first
// point is located and takes some tenths of a second.
func Preload() { regions() }

// RegionCount is the number of shipped regions.
func RegionCount() int { return len(regions().regions) }

// RegionIDs are the shipped regions in order of adcode.
func RegionIDs() []RegionID {
	ids := make([]RegionID, RegionCount())
	for i := range ids {
		ids[i] = RegionID(i)
	}
	return ids
}

// RegionsOver finds the regions over a point.
func RegionsOver(p hexbid.Point) RegionSet { return regions().over(p) }

func (x *regionIndex) over(p hexbid.Point) (set RegionSet) {
	if p.Lat < rasterSouth || p.Lat >= rasterNorth || p.Lng < rasterWest || p.Lng >= rasterEast {
		return set
	}
	class := &x.classes[x.raster[square(p)]]
	for _, id := range class.full {
		set.add(id)
	}
	for _, id := range class.border {
		if x.regions[id].outline.contains(p) {
			set.add(id)
		}
	}
	return set
}

func square(p hexbid.Point) int { return rasterRow(p.Lat)*rasterColumns + rasterColumn(p.Lng) }

func rasterRow(lat float64) int {
	return max(0, min(int((lat-rasterSouth)/rasterStep), rasterRows-1))
}

func rasterColumn(lng float64) int {
	return max(0, min(int((lng-rasterWest)/rasterStep), rasterColumns-1))
}

func loadRegions() *regionIndex {
	x := &regionIndex{byCode: map[string]RegionID{}}
	// A municipality is in both files: its finer outline counts.
	outlines := readOutlines(provincesGZ)
	for code, region := range readOutlines(prefecturesGZ) {
		outlines[code] = region
	}
	latin := readLatinNames()
	for _, code := range sortedCodes(outlines) {
		region := outlines[code]
		region.Latin = latin[code]
		x.byCode[code] = RegionID(len(x.regions))
		x.regions = append(x.regions, region)
	}
	x.rasterise()
	return x
}

func sortedCodes(outlines map[string]Region) []string {
	codes := make([]string, 0, len(outlines))
	for code := range outlines {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}

// readLatinNames reads the embedded names by adcode.
func readLatinNames() map[string]string {
	names := map[string]string{}
	for line := range strings.Lines(latinNamesCSV) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), ",")
		names[code] = name
	}
	return names
}

// FindRegions lists, in order of adcode, the regions that every one of the words
// is found in: in the Chinese name, at the beginning of an adcode or of a Latin
// name or a word of that, or so of the province that it lies in. Case, spaces
// and apostrophes do not count.
func FindRegions(words string) []*Region {
	var found []*Region
	for id := range regions().regions {
		r := RegionID(id).Region()
		lies := []*Region{r}
		if province, err := RegionByCode(r.Province()); err == nil {
			lies = append(lies, province.Region())
		}
		matches := true
		for _, word := range strings.Fields(words) {
			matches = matches && slices.ContainsFunc(lies, func(r *Region) bool { return r.has(plain(word)) })
		}
		if matches {
			found = append(found, r)
		}
	}
	return found
}

func (r *Region) has(word string) bool {
	begins := func(name string) bool { return strings.HasPrefix(plain(name), word) }
	names := strings.FieldsFunc(r.Latin, func(c rune) bool { return c == '(' || c == ')' })
	return strings.Contains(r.Name, word) || begins(r.Code) || slices.ContainsFunc(r.OtherCodes(), begins) ||
		slices.ContainsFunc(names, begins) || slices.ContainsFunc(strings.Fields(r.Latin), begins)
}

// plain folds what people write differently in a Latin name.
func plain(name string) string {
	return strings.NewReplacer(" ", "", "'", "", "’", "", "ü", "u").Replace(strings.ToLower(name))
}

// rasterise gives every square its class.
func (x *regionIndex) rasterise() {
	squares := make([]rasterClass, rasterRows*rasterColumns)
	for id := range x.regions {
		x.regions[id].outline.rasterise(func(square int, border bool) {
			if border {
				squares[square].border = append(squares[square].border, RegionID(id))
			} else {
				squares[square].full = append(squares[square].full, RegionID(id))
			}
		})
	}
	x.raster = make([]uint16, len(squares))
	known := map[string]uint16{}
	for i, class := range squares {
		key := fmt.Sprint(class.full, class.border)
		if len(class.full)+len(class.border) == 0 {
			key = ""
		}
		n, ok := known[key]
		if !ok {
			n = uint16(len(x.classes))
			known[key] = n
			x.classes = append(x.classes, class)
		}
		x.raster[i] = n
	}
}

// rasterise reports each square that the polygon fills or whose interior its
// border may touch.
func (p *polygon) rasterise(report func(square int, border bool)) {
	border := map[int]bool{}
	for _, e := range p.edges {
		for row := rasterRow(min(e.lat1, e.lat2)); row <= rasterRow(max(e.lat1, e.lat2)); row++ {
			for column := rasterColumn(min(e.lng1, e.lng2)); column <= rasterColumn(max(e.lng1, e.lng2)); column++ {
				border[row*rasterColumns+column] = true
			}
		}
	}
	for row := rasterRow(p.south); row <= rasterRow(p.north); row++ {
		known, inside := false, false
		for column := rasterColumn(p.west); column <= rasterColumn(p.east); column++ {
			square := row*rasterColumns + column
			if border[square] {
				report(square, true)
				known = false
				continue
			}
			if !known { // no border lies between squares of one run
				inside = p.contains(hexbid.Point{
					Lat: rasterSouth + (float64(row)+0.5)*rasterStep,
					Lng: rasterWest + (float64(column)+0.5)*rasterStep,
				})
				known = true
			}
			if inside {
				report(square, false)
			}
		}
	}
}

// readOutlines decodes an embedded GeoJSON file; it panics on a file that the
// build should not have embedded.
func readOutlines(gz []byte) map[string]Region {
	var file struct {
		Features []struct {
			ID         string
			Properties struct{ Name string }
			Geometry   geometry
		}
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(gz))
	if err == nil {
		err = json.NewDecoder(unzipped).Decode(&file)
	}
	if err != nil {
		panic(fmt.Sprintf("geoindex: embedded outlines: %v", err))
	}
	outlines := map[string]Region{}
	for _, f := range file.Features {
		polygons, err := f.Geometry.polygons(0)
		if err != nil {
			panic(fmt.Sprintf("geoindex: embedded outline %s: %v", f.ID, err))
		}
		outlines[f.ID] = Region{Code: f.ID, Name: f.Properties.Name, outline: compilePolygon(slices.Concat(polygons...))}
	}
	return outlines
}
