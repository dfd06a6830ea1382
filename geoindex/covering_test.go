package geoindex

import (
	"math/rand/v2"
	"testing"

	"github.com/hexbid/hexbid"
)

// crowded are areas of so many shapes of which many lie over each other, or over
// what is excluded.
var crowded = map[string]func(r *rand.Rand, n int) (in, out hexbid.Area){
	"circles within circles": func(r *rand.Rand, n int) (in, out hexbid.Area) {
		return hexbid.Area{Circles: circles(r, n, 0, 5000)}, out
	},
	"circles of the size of the globe": func(r *rand.Rand, n int) (in, out hexbid.Area) {
		return hexbid.Area{Circles: circles(r, n, 90, 9_000_000)}, out
	},
	"circles less circles": func(r *rand.Rand, n int) (in, out hexbid.Area) {
		return hexbid.Area{Circles: circles(r, n, 1, 3000)}, hexbid.Area{Circles: circles(r, n, 1, 3000)}
	},
	"circles less an intricate outline": func(r *rand.Rand, n int) (in, out hexbid.Area) {
		return hexbid.Area{Circles: circles(r, n, 30, 3000)},
			hexbid.Area{Polygons: []hexbid.Polygon{intricate["diagonal teeth"](10 * n)}}
	},
	"fine cells less an intricate outline, circles and provinces": func(r *rand.Rand, n int) (in, out hexbid.Area) {
		for _, c := range circles(r, n, 2, 10) {
			in.Cells = append(in.Cells, uint64(CellAt(VecOf(c.Center))))
		}
		return in, hexbid.Area{Circles: circles(r, n, 2, 100_000), Regions: []string{"330000", "320000"},
			Polygons: []hexbid.Polygon{intricate["teeth of every length"](10 * n)}}
	},
	"thousands of polygons": func(r *rand.Rand, n int) (in, out hexbid.Area) {
		for _, c := range circles(r, 10*n, 3, 10) {
			in.Polygons = append(in.Polygons, star(r, c.Center, 20_000))
		}
		return in, out
	},
	"thousands of polygons less thousands": func(r *rand.Rand, n int) (in, out hexbid.Area) {
		for _, c := range circles(r, 5*n, 3, 10) {
			in.Polygons = append(in.Polygons, star(r, c.Center, 20_000))
			out.Polygons = append(out.Polygons, star(r, c.Center, 10_000))
		}
		return in, out
	},
}

// circles draws circles around Hangzhou, so many degrees apart.
func circles(r *rand.Rand, n int, degrees, radiusM float64) []hexbid.Circle {
	all := make([]hexbid.Circle, n)
	for i := range all {
		all[i] = hexbid.Circle{Center: hexbid.Point{Lat: 30 + degrees*(r.Float64()-0.5),
			Lng: 120 + degrees*(r.Float64()-0.5)}, RadiusM: radiusM * (0.5 + r.Float64())}
	}
	return all
}

// TestTheStepsOfACoveringGrowWithItsShapesAlone counts the comparisons of cells
// with shapes and edges; one more cell may be in the making when the budget ends.
func TestTheStepsOfACoveringGrowWithItsShapesAlone(t *testing.T) {
	const lastQuestion = 20 // steps a shape
	for name, draw := range crowded {
		for _, n := range []int{100, 1000} {
			r := rand.New(rand.NewPCG(51, 52))
			in, out := draw(r, n)
			area, err := CompileArea(&in, &out, nil)
			if err != nil {
				t.Fatal(name, err)
			}
			postings, steps := area.cover()
			shapes := len(in.Circles) + len(in.Cells) + len(in.Polygons) + len(out.Circles) + len(out.Cells) + len(out.Regions) +
				len(out.Polygons)
			if most := stepsOfCovering + (stepsOfShape+lastQuestion)*shapes + mostSteps; steps > most {
				t.Errorf("%s: %d steps for %d shapes, above %d", name, steps, shapes, most)
			}
			t.Logf("%s: %d shapes, %.0f steps each, %.1f cells each", name, shapes, float64(steps)/float64(shapes),
				float64(len(postings))/float64(shapes))
			checkCovering(t, name, area, postings, &in)
		}
	}
}

// checkCovering tests positions around what the area names.
func checkCovering(t *testing.T, name string, area *Area, postings []Posting, in *hexbid.Area) {
	t.Helper()
	r := rand.New(rand.NewPCG(53, 54))
	var centers []hexbid.Point
	for _, c := range in.Circles {
		centers = append(centers, c.Center)
	}
	for _, c := range in.Cells {
		centers = append(centers, Cell(c).Center().Point())
	}
	for _, p := range in.Polygons {
		centers = append(centers, p[0][0])
	}
	for range 300 {
		at := Locate(near(r, centers[r.IntN(len(centers))], 3000))
		some, full := under(postings, &at)
		if member := area.Contains(&at); member && !some || full && !member {
			t.Fatalf("%s: %v: member %v, under a posting %v, under a full one %v", name, at.Point, member, some, full)
		}
	}
}
