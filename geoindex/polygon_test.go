package geoindex

import (
	"compress/gzip"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
)

func hangzhouOutline(t testing.TB) []hexbid.Polygon {
	t.Helper()
	f, err := os.Open("testdata/hangzhou_osm.geojson.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	polygons, _, err := ParsePolygons(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return polygons
}

// slowContains is the oracle: a ray through every edge of every ring.
func slowContains(p hexbid.Polygon, q hexbid.Point) bool {
	in := false
	for _, ring := range p {
		for i := 1; i < len(ring); i++ {
			a, b := ring[i-1], ring[i]
			if (a.Lat > q.Lat) != (b.Lat > q.Lat) && q.Lng < (b.Lng-a.Lng)*(q.Lat-a.Lat)/(b.Lat-a.Lat)+a.Lng {
				in = !in
			}
		}
	}
	return in
}

func TestOutlinesAgreeWithARayOnManyPoints(t *testing.T) {
	id, err := RegionByCode("330000")
	if err != nil {
		t.Fatal(err)
	}
	province := id.Region().outline
	city := hangzhouOutline(t)
	compiled := make([]*polygon, len(city))
	for i, p := range city {
		compiled[i] = compilePolygon(p)
	}
	points := 100_000
	if testing.Short() {
		points = 5000
	}
	r := rand.New(rand.NewPCG(21, 22))
	inside := 0
	for i := range points {
		q := hexbid.Point{Lat: 26.5 + 5*r.Float64(), Lng: 117.5 + 6*r.Float64()}
		crossings := 0
		for j := range province.edges {
			crossings += oneIf(province.edges[j].crossedBy(q))
		}
		if province.contains(q) != (crossings%2 == 1) {
			t.Fatalf("Zhejiang and %v: the bands disagree with a ray", q)
		}
		inside += crossings % 2
		if i%20 != 0 {
			continue
		}
		for j := range city {
			if compiled[j].contains(q) != slowContains(city[j], q) {
				t.Fatalf("Hangzhou and %v: the bands disagree with a ray", q)
			}
		}
	}
	if inside < points/10 {
		t.Errorf("only %d points lay inside", inside)
	}
}

func TestAnOutlineOf25000VerticesIsCoveredInItsBudget(t *testing.T) {
	city := hangzhouOutline(t)
	in := hexbid.Area{Polygons: city}
	area, err := CompileArea(&in, &hexbid.Area{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	postings := area.Cover()
	if len(postings) > CellBudget(len(city)) {
		t.Errorf("%d cells", len(postings))
	}
	r := rand.New(rand.NewPCG(23, 24))
	fulls := 0
	for range 20_000 {
		at := Locate(hexbid.Point{Lat: 29 + 2*r.Float64(), Lng: 118 + 3*r.Float64()})
		some, full := under(postings, &at)
		member := area.Contains(&at)
		if member && !some || full && !member {
			t.Fatalf("%v: member %v, under a posting %v, under a full one %v", at.Point, member, some, full)
		}
		fulls += oneIf(full)
	}
	t.Logf("%d cells, %d of 20,000 points under a full one", len(postings), fulls)
}

func TestPolygonsAtThePolesAndTheAntimeridian(t *testing.T) {
	for name, c := range map[string]struct {
		geojson string
		in, out []hexbid.Point
	}{
		"a polar cap": {`{"type":"Polygon","coordinates":[[[-180,-60],[180,-60],[180,-90],[-180,-90],[-180,-60]]]}`,
			[]hexbid.Point{{Lat: -89.9, Lng: 12}, {Lat: -61, Lng: 180}, {Lat: -75, Lng: -180}},
			[]hexbid.Point{{Lat: -59, Lng: 0}, {Lat: 80, Lng: 0}}},
		"Fiji, split": {`{"type":"MultiPolygon","coordinates":[[[[177,-20],[180,-20],[180,-16],[177,-16],[177,-20]]],[[[-180,-20],[-178,-20],[-178,-16],[-180,-16],[-180,-20]]]]}`,
			[]hexbid.Point{{Lat: -18, Lng: 179.99}, {Lat: -18, Lng: 180}, {Lat: -18, Lng: -180}, {Lat: -18, Lng: -179}},
			[]hexbid.Point{{Lat: -18, Lng: 176}, {Lat: -18, Lng: -177}, {Lat: -18, Lng: 0}}},
		"a hole": {`{"type":"Polygon","coordinates":[[[0,0],[10,0],[10,10],[0,10],[0,0]],[[4,4],[4,6],[6,6],[6,4],[4,4]]]}`,
			[]hexbid.Point{{Lat: 1, Lng: 1}, {Lat: 5, Lng: 3}}, []hexbid.Point{{Lat: 5, Lng: 5}, {Lat: -1, Lng: 1}}},
	} {
		polygons, _, err := ParsePolygons(c.geojson)
		if err != nil {
			t.Fatal(name, err)
		}
		in := hexbid.Area{Polygons: polygons}
		area, err := CompileArea(&in, &hexbid.Area{}, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		postings := area.Cover()
		for i, p := range append(c.in, c.out...) {
			at := Locate(p)
			want := i < len(c.in)
			some, full := under(postings, &at)
			if area.Contains(&at) != want || want && !some || full && !want {
				t.Errorf("%s: %v is inside: %v (under a posting %v, a full one %v), want %v", name, p,
					area.Contains(&at), some, full, want)
			}
		}
	}
}

func TestPolygonsThatBoundNothingAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ geojson, word string }{
		"two points":     {`{"type":"Polygon","coordinates":[[[0,0],[1,1]]]}`, "at least four"},
		"open ring":      {`{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}`, "open ring"},
		"bow tie":        {`{"type":"Polygon","coordinates":[[[0,0],[3,2],[3,0],[0,1],[0,0]]]}`, "crosses itself"},
		"zero area":      {`{"type":"Polygon","coordinates":[[[0,0],[1,1],[2,2],[0,0]]]}`, "zero area"},
		"no ring":        {`{"type":"Polygon","coordinates":[]}`, "without a ring"},
		"off the globe":  {`{"type":"Polygon","coordinates":[[[0,0],[200,0],[1,1],[0,0]]]}`, "200"},
		"too long edge":  {`{"type":"Polygon","coordinates":[[[170,0],[-170,0],[-170,5],[170,5],[170,0]]]}`, "antimeridian"},
		"not GeoJSON":    {`{"type":`, "not GeoJSON"},
		"a line":         {`{"type":"LineString","coordinates":[[0,0],[1,1]]}`, "LineString"},
		"half positions": {`{"type":"Polygon","coordinates":[[[0],[1],[2],[0]]]}`, "longitude and latitude"},
	} {
		polygons, _, err := ParsePolygons(c.geojson)
		if err == nil {
			campaign := hexbid.Campaign{DisplayName: "c", Program: "advertisers/a/programs/p", Pricing: hexbid.CPC, Bid: 1,
				DailyBudget: 1, Area: hexbid.Area{Polygons: polygons}}
			err = campaign.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v, want %q", name, err, c.word)
		}
	}
}

func TestTooManyVerticesAreRefusedAndAsManyAsPermittedAreNot(t *testing.T) {
	circle := func(n int) hexbid.Polygon {
		var ring []hexbid.Point
		for i := range n - 1 {
			sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n-1))
			ring = append(ring, hexbid.Point{Lat: 30 + sin, Lng: 120 + cos})
		}
		return hexbid.Polygon{append(ring, ring[0])}
	}
	for n, word := range map[int]string{hexbid.MaxVertices: "", hexbid.MaxVertices + 1: "more than 50000"} {
		campaign := hexbid.Campaign{DisplayName: "c", Program: "advertisers/a/programs/p", Pricing: hexbid.CPC, Bid: 1,
			DailyBudget: 1, Area: hexbid.Area{Polygons: []hexbid.Polygon{circle(n)}}}
		if err := campaign.Validate(); (err == nil) != (word == "") || err != nil && !strings.Contains(err.Error(), word) {
			t.Errorf("%d vertices: %v", n, err)
		}
	}
}

func TestRingsThatWindTheWrongWayAreTurned(t *testing.T) {
	clockwise := `{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[1,0],[0,0]]]}`
	polygons, turned, err := ParsePolygons(clockwise)
	if err != nil || turned != 1 || hexbid.RingArea(polygons[0][0]) <= 0 {
		t.Errorf("%v, %d turned, %v", polygons, turned, err)
	}
	again, turned, err := ParsePolygons(FormatPolygon(polygons[0]))
	if err != nil || turned != 0 || len(again) != 1 || len(again[0][0]) != 5 {
		t.Errorf("written and read again: %v, %d turned, %v", again, turned, err)
	}
}

func TestEqualPolygonsAreCompiledOnceAndTestedOnce(t *testing.T) {
	var shared Interner
	polygons, _, err := ParsePolygons(`{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}`)
	if err != nil {
		t.Fatal(err)
	}
	in := hexbid.Area{Polygons: polygons}
	one, err1 := CompileArea(&in, &hexbid.Area{}, &shared)
	two, err2 := CompileArea(&in, &hexbid.Area{}, &shared)
	if err1 != nil || err2 != nil || one.in.polygons[0] != two.in.polygons[0] {
		t.Fatalf("two copies; %v, %v", err1, err2)
	}
	at := Locate(hexbid.Point{Lat: 0.5, Lng: 0.5})
	if !one.Contains(&at) || !two.Contains(&at) || at.next != 1 {
		t.Errorf("tested %d times", at.next)
	}
}

func TestPolygonsThatNothingUsesAreSweptFromTheInterner(t *testing.T) {
	var shared Interner
	compile := func(i int) *Area {
		at := hexbid.Point{Lat: float64(i) / 1000, Lng: 10}
		in := hexbid.Area{Polygons: []hexbid.Polygon{{{at, {Lat: at.Lat, Lng: 11}, {Lat: at.Lat + 1, Lng: 11}, at}}}}
		area, err := CompileArea(&in, &hexbid.Area{}, &shared)
		if err != nil {
			t.Fatal(err)
		}
		return area
	}
	kept := compile(-1)
	for round := range 20 {
		for i := range smallestSweep {
			compile(round*smallestSweep + i)
		}
		runtime.GC() // weak pointers to what is unreachable are nil after it
	}
	if n := len(shared.polygons); n > 3*smallestSweep {
		t.Errorf("%d keys are kept of %d polygons, of which one is used", n, 20*smallestSweep)
	}
	if again := compile(-1); again.in.polygons[0] != kept.in.polygons[0] {
		t.Error("a polygon in use was swept")
	}
}

func FuzzParsePolygons(f *testing.F) {
	f.Add(`{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}`)
	f.Add(`{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		polygons, _, err := ParsePolygons(text)
		if err != nil {
			return
		}
		campaign := hexbid.Campaign{DisplayName: "c", Program: "advertisers/a/programs/p", Pricing: hexbid.CPC, Bid: 1,
			DailyBudget: 1, Area: hexbid.Area{Polygons: polygons}}
		if len(polygons) == 0 || campaign.Validate() != nil {
			return
		}
		area, err := CompileArea(&campaign.Area, &hexbid.Area{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		postings := area.Cover()
		at := Locate(polygons[0][0][0])
		if some, full := under(postings, &at); area.Contains(&at) && !some || full && !area.Contains(&at) {
			t.Fatalf("%v: under a posting %v, a full one %v", at.Point, some, full)
		}
	})
}

func BenchmarkContains25000Vertices(b *testing.B) {
	compiled := compilePolygon(hangzhouOutline(b)[0])
	r := rand.New(rand.NewPCG(25, 26))
	points := make([]hexbid.Point, 1024)
	for i := range points {
		points[i] = hexbid.Point{Lat: 29.2 + 1.3*r.Float64(), Lng: 118.4 + 2.3*r.Float64()}
	}
	i := 0
	for b.Loop() {
		compiled.contains(points[i&1023])
		i++
	}
}
