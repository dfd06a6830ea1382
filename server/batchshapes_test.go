package server

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/wire"
)

func TestRowsBeyondTheShapesOfABatchAreRefused(t *testing.T) {
	campaign := func(circles, vertices int) *hexbid.Campaign {
		c := &hexbid.Campaign{Area: hexbid.Area{Circles: make([]hexbid.Circle, circles)}}
		if vertices > 0 {
			c.Excluded.Polygons = []hexbid.Polygon{{make([]hexbid.Point, vertices)}}
		}
		return c
	}
	var b batchShapes
	for i, c := range []struct {
		row         hexbid.Resource
		field, word string
	}{
		{campaign(49_999, 0), "", ""},
		{campaign(1, 1), "campaign.area", "50001 circles, cells, regions and polygons, above 50000"},
		{campaign(1, 0), "", ""},
		{&hexbid.Place{}, "", ""},
		{campaign(1, 0), "campaign.area", "another batch"},
	} {
		checkRefusal(t, i, b.admit(c.row), c.field, c.word)
	}
	b = batchShapes{}
	checkRefusal(t, 0, b.admit(campaign(0, maxBatchVertices)), "", "")
	checkRefusal(t, 1, b.admit(campaign(0, 1)), "campaign.area.polygons", "500001 vertices, above 500000")
}

func checkRefusal(t *testing.T, row int, err error, field, word string) {
	t.Helper()
	if field == "" {
		if err != nil {
			t.Errorf("row %d: %v", row, err)
		}
		return
	}
	e, ok := err.(*hexbid.Error)
	if !ok || e.Kind != hexbid.Exhausted || e.Field != field || !strings.Contains(e.Detail, word) {
		t.Errorf("row %d: %v, want %s about %s", row, err, word, field)
	}
}

// costly are batches of up to 8 MB and of as many shapes as are taken, each made
// to cost much.
var costly = map[string]func() []*pb.Area{
	"circles apart": func() []*pb.Area {
		return areas(50, func(r *rand.Rand, a *pb.Area) { a.Circles = wireCircles(r, 1000, 20, 2000) })
	},
	"circles on each other": func() []*pb.Area {
		return areas(50, func(r *rand.Rand, a *pb.Area) { a.Circles = wireCircles(r, 1000, 0.1, 5000) })
	},
	"circles of the globe": func() []*pb.Area {
		return areas(50, func(r *rand.Rand, a *pb.Area) { a.Circles = wireCircles(r, 1000, 60, 6_000_000) })
	},
	"a thousand rows of fifty circles": func() []*pb.Area {
		return areas(1000, func(r *rand.Rand, a *pb.Area) { a.Circles = wireCircles(r, 50, 0.1, 5000) })
	},
	"squares": func() []*pb.Area {
		return areas(50, func(r *rand.Rand, a *pb.Area) {
			for range 1000 {
				a.Polygons = append(a.Polygons, square(r, 0.01))
			}
		})
	},
	"long teeth of every length": func() []*pb.Area {
		return areas(10, func(_ *rand.Rand, a *pb.Area) { a.Polygons = []string{teeth(49_000)} })
	},
	"small teeth of every length, and circles": func() []*pb.Area {
		return areas(430, func(r *rand.Rand, a *pb.Area) {
			a.Polygons, a.Circles = []string{teeth(1000)}, wireCircles(r, 100, 20, 20_000)
		})
	},
	"steps on a grid of ten": func() []*pb.Area {
		return areas(10, func(_ *rand.Rand, a *pb.Area) {
			a.Polygons = []string{`{"type":"Polygon","coordinates":[[` + strings.Repeat("[1,1],[2,1],[2,2],[1,2],", 12_400) +
				`[1,1]]]}`}
		})
	},
}

func areas(rows int, fill func(r *rand.Rand, a *pb.Area)) []*pb.Area {
	r := rand.New(rand.NewPCG(61, 62))
	all := make([]*pb.Area, rows)
	for i := range all {
		all[i] = &pb.Area{}
		fill(r, all[i])
	}
	return all
}

func wireCircles(r *rand.Rand, n int, degrees, radiusM float64) []*pb.Circle {
	circles := make([]*pb.Circle, n)
	for i := range circles {
		circles[i] = &pb.Circle{Latitude: 30 + degrees*(r.Float64()-0.5), Longitude: 110 + degrees*(r.Float64()-0.5),
			RadiusM: radiusM * (0.5 + r.Float64())}
	}
	return circles
}

func square(r *rand.Rand, degrees float64) string {
	south, west := math.Round(2000*r.Float64())/100, 100+math.Round(2000*r.Float64())/100
	return fmt.Sprintf(`{"type":"Polygon","coordinates":[[[%v,%v],[%[3]v,%[2]v],[%[3]v,%[4]v],[%[1]v,%[4]v],[%[1]v,%[2]v]]]}`, west, south, west+degrees, south+degrees)
}

func teeth(n int) string {
	r := rand.New(rand.NewPCG(63, 64))
	var b strings.Builder
	b.WriteString(`{"type":"Polygon","coordinates":[[[-80,-85],`)
	for i := range n {
		fmt.Fprintf(&b, "[%.3f,%.2f],", -80+160*float64(i)/float64(n), -80+80*r.Float64()+80*float64(i%2))
	}
	b.WriteString(`[80,-85],[-80,-85]]]}`)
	return b.String()
}

// BenchmarkBatch takes whole batches in: decoding, validating, compiling and
// covering. It reports seconds of CPU, which other work on the machine hardly alters.
func BenchmarkBatch(b *testing.B) {
	for name, make := range costly {
		b.Run(name, func(b *testing.B) {
			rows := make()
			bytes := 0
			for _, a := range rows {
				bytes += proto.Size(a)
			}
			before := cpuTime(b)
			for b.Loop() {
				for _, a := range rows {
					takeIn(b, a)
				}
			}
			b.ReportMetric((cpuTime(b)-before).Seconds()/float64(b.N), "cpu-s/batch")
			b.ReportMetric(float64(bytes)/1e6, "MB")
		})
	}
}

func takeIn(b *testing.B, a *pb.Area) {
	noun, _, err := wire.ToNoun(&pb.Campaign{DisplayName: "c", Program: "advertisers/a/programs/p",
		PricingModel: pb.PricingModel_PRICING_MODEL_CPC, BidMicros: 1, DailyBudgetMicros: 1, Area: a})
	if err != nil {
		b.Fatal(err)
	}
	c := noun.(*hexbid.Campaign)
	if err := c.Validate(); err != nil {
		b.Fatal(err)
	}
	area, err := geoindex.CompileArea(&c.Area, &c.Excluded, nil)
	if err != nil {
		b.Fatal(err)
	}
	area.Cover()
}

func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
