package geoindex

import (
	"encoding/csv"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/hexbid/hexbid"
)

func TestRegionsOverAgreesWithARayThroughEveryEdge(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	inSome := 0
	for range 3000 {
		p := hexbid.Point{Lat: 18 + 35*r.Float64(), Lng: 74 + 61*r.Float64()}
		if r.IntN(3) == 0 { // at a border
			outline := regions().regions[r.IntN(RegionCount())].outline
			e := outline.edges[r.IntN(len(outline.edges))]
			p = hexbid.Point{Lat: e.lat1 + 1e-4*r.NormFloat64(), Lng: e.lng1 + 1e-4*r.NormFloat64()}
		}
		set := RegionsOver(p)
		for id := range RegionCount() {
			crossings := 0
			for _, e := range regions().regions[id].outline.edges {
				crossings += oneIf(e.crossedBy(p))
			}
			if want := crossings%2 == 1; set.Has(RegionID(id)) != want {
				t.Fatalf("%v in %s: got %v, a ray says %v", p, RegionID(id).Region().Code, !want, want)
			}
		}
		inSome += oneIf(len(set.All()) > 0)
	}
	if inSome < 1000 {
		t.Errorf("only %d points lay in a region", inSome)
	}
}

func TestKnownCitiesLieInTheirRegions(t *testing.T) {
	for _, c := range []struct {
		p     hexbid.Point
		codes []string
	}{
		{hexbid.Point{Lat: 30.2553, Lng: 120.1640}, []string{"330000", "330100"}}, // Hangzhou
		{hexbid.Point{Lat: 31.2304, Lng: 121.4737}, []string{"310000"}},           // Shanghai
		{hexbid.Point{Lat: 37.5665, Lng: 126.9780}, nil},                          // Seoul
	} {
		set := RegionsOver(c.p)
		var got []string
		for _, id := range set.All() {
			got = append(got, id.Region().Code)
		}
		if len(got) != len(c.codes) {
			t.Errorf("%v lies in %v, want %v", c.p, got, c.codes)
			continue
		}
		for i := range got {
			if got[i] != c.codes[i] {
				t.Errorf("%v lies in %v, want %v", c.p, got, c.codes)
			}
		}
	}
}

func TestAMunicipalityIsItsOwnPrefecture(t *testing.T) {
	for _, code := range []string{"110000", "120000", "310000", "500000"} {
		province, err := RegionByCode(code)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := RegionByCode(code[:2] + "0100"); err != nil || id != province {
			t.Errorf("%s0100: region %d, %v; %s is %d", code[:2], id, err, code, province)
		}
	}
	if _, err := RegionByCode("330000100"); err == nil {
		t.Error("nine digits are no adcode")
	}
}

func TestRegionsAreFoundByWords(t *testing.T) {
	for words, want := range map[string]string{"杭州": "330100", "hangzhou": "330100", "浙江 杭": "330100",
		"ZHEJIANG hang": "330100", "xian": "610100", "310100": "310000",
		"hong kong": "810000", "neimenggu hohhot": "150100", "吉林 吉林 2202": "220200"} {
		found := FindRegions(words)
		if !slices.ContainsFunc(found, func(r *Region) bool { return r.Code == want }) || len(found) > 40 {
			t.Errorf("%q: %d regions without %s", words, len(found), want)
		}
	}
	if found := FindRegions(""); len(found) != RegionCount() {
		t.Errorf("no words: %d of %d regions", len(found), RegionCount())
	}
	for _, r := range FindRegions("") {
		if r.Latin == "" {
			t.Errorf("%s %s has no Latin name", r.Code, r.Name)
		}
	}
}

func TestDatumsAgreeWithTheVectorsWithinAMetre(t *testing.T) {
	f, err := os.Open("testdata/crs_vectors_gcoord.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	point := func(row []string, column int) hexbid.Point {
		lng, err1 := strconv.ParseFloat(row[column], 64)
		lat, err2 := strconv.ParseFloat(row[column+1], 64)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		return hexbid.Point{Lat: lat, Lng: lng}
	}
	worst, worstTrip := 0.0, 0.0
	for _, row := range rows[1:] {
		wgs, gcj, bd := point(row, 4), point(row, 6), point(row, 8)
		worst = max(worst,
			FromWGS84(hexbid.GCJ02, wgs).DistanceM(gcj), FromWGS84(hexbid.BD09, wgs).DistanceM(bd),
			ToWGS84(hexbid.GCJ02, gcj).DistanceM(wgs), ToWGS84(hexbid.BD09, bd).DistanceM(wgs))
		for _, datum := range []hexbid.Datum{hexbid.WGS84, hexbid.GCJ02, hexbid.BD09} {
			worstTrip = max(worstTrip, ToWGS84(datum, FromWGS84(datum, wgs)).DistanceM(wgs))
		}
	}
	t.Logf("%d vectors: worst %.2f m, worst round trip %.4f m", len(rows)-1, worst, worstTrip)
	if len(rows) < 600 || worst > 1 || worstTrip > 0.1 {
		t.Errorf("%d vectors: worst %.2f m, worst round trip %.4f m", len(rows)-1, worst, worstTrip)
	}
}

func TestGCJ02AgreesWithEviltransform(t *testing.T) {
	for _, v := range [][4]float64{
		{31.1774276, 121.5272106, 31.17530398364597, 121.531541859215},
		{22.543847, 113.912316, 22.540796131694766, 113.9171764808363},
		{39.911954, 116.377817, 39.91334545536069, 116.38404722455657},
	} {
		got := FromWGS84(hexbid.GCJ02, hexbid.Point{Lat: v[0], Lng: v[1]})
		if d := got.DistanceM(hexbid.Point{Lat: v[2], Lng: v[3]}); d > 1e-6 {
			t.Errorf("%v: %g m off", v, d)
		}
	}
}

func BenchmarkRegionsOver(b *testing.B) {
	p := hexbid.Point{Lat: 30.2553, Lng: 120.1640}
	RegionsOver(p)
	for b.Loop() {
		RegionsOver(p)
	}
}

func BenchmarkLoadRegions(b *testing.B) {
	for b.Loop() {
		loadRegions()
	}
}

// TestRingsOfARegionAreItsOutline: closed, and as many edges as it was read with.
func TestRingsOfARegionAreItsOutline(t *testing.T) {
	for _, id := range RegionIDs() {
		r := id.Region()
		west, east, south, north := r.Bounds()
		edges := 0
		for _, ring := range r.Rings() {
			if len(ring) < 3 || ring[0] != ring[len(ring)-1] {
				t.Fatalf("%s has a ring of %d points from %v to %v", r.Code, len(ring), ring[0], ring[len(ring)-1])
			}
			edges += len(ring) - 1
			for _, p := range ring {
				if p.Lng < west || p.Lng > east || p.Lat < south || p.Lat > north {
					t.Fatalf("%s: %v is out of its bounds", r.Code, p)
				}
			}
		}
		if edges != len(r.outline.edges) {
			t.Errorf("%s: %d edges of %d", r.Code, edges, len(r.outline.edges))
		}
	}
}
