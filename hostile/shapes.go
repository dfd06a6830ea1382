package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// shapeBombs imports batches of eight megabytes, each full of one shape that is expensive to check, to cover or to
// index. The service may refuse a row, but must answer each batch.
func shapeBombs(ctx context.Context, r *round) error {
	stop, cancel := r.until(ctx)
	defer cancel()
	for i := 0; i < len(shapes) || stop.Err() == nil; i++ {
		s := shapes[i%len(shapes)]
		advertiser := fmt.Sprintf("shapes-%d", i)
		rows := programRows(advertiser)
		for size := 0; len(rows) < 1000; {
			row := campaignRow(advertiser, len(rows), s.area(r.random))
			if size += proto.Size(row); size > mostBytes-4096 && len(rows) > 2 {
				break
			}
			rows = append(rows, row)
		}
		if err := r.importBomb(ctx, s.name, rows); err != nil {
			return err
		}
	}
	return nil
}

// importBomb imports one batch over a connection of its own.
func (r *round) importBomb(ctx context.Context, name string, rows []*pb.ImportRow) error {
	conn, err := r.server.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	err = exchangeBatch(ctx, conn, rows, func(o *pb.ImportOutcome) {
		r.tally.row(o.GetError() == nil)
		if code := o.GetError().GetCode(); code == "INTERNAL" || code == "UNKNOWN" {
			r.tally.internal.Add(1)
			r.tally.fall("%s: row %d ended with %v", name, o.GetRow(), o.GetError())
		}
	})
	r.tally.called(name, err)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		r.tally.fall("a batch of %s was not answered in %v", name, victim.Patience)
	}
	return nil
}

// exchangeBatch sends one batch and passes each outcome on.
func exchangeBatch(ctx context.Context, conn *grpc.ClientConn, rows []*pb.ImportRow,
	outcome func(*pb.ImportOutcome)) error {
	stream, err := pb.NewCampaignServiceClient(conn).Import(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&pb.ImportRequest{Rows: rows}); err != nil && err != io.EOF {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	answer, err := stream.Recv()
	for _, o := range answer.GetOutcomes() {
		outcome(o)
	}
	return err
}

// shapes are areas, each the worst of its kind.
var shapes = []struct {
	name string
	area func(*rand.Rand) *pb.Area
}{
	{"zigzag over all latitudes", func(*rand.Rand) *pb.Area { return polygons(zigzag(40_000, 170, 0)) }},
	{"zigzag across a diagonal", func(*rand.Rand) *pb.Area { return polygons(zigzag(13_000, 80, 1)) }},
	{"zigzag of the most vertices", func(*rand.Rand) *pb.Area { return polygons(zigzag(49_000, 1, 0.5)) }},
	{"comb", func(*rand.Rand) *pb.Area { return polygons(comb(24_000)) }},
	{"star", func(r *rand.Rand) *pb.Area { return polygons(star(r, 30_000)) }},
	{"holes", func(*rand.Rand) *pb.Area { return polygons(holes(9_000)) }},
	{"crossings", func(r *rand.Rand) *pb.Area { return polygons(crossings(r, 20_000)) }},
	{"triangles", func(r *rand.Rand) *pb.Area { return polygons(triangles(r, 5_000)) }},
	{"slivers", func(r *rand.Rand) *pb.Area { return slivers(r) }},
	{"circles over each other", func(r *rand.Rand) *pb.Area { return circles(r, 1000, 0.01, 1e5) }},
	{"circles far apart", func(r *rand.Rand) *pb.Area { return circles(r, 1000, 1, 10) }},
	{"circles of all sizes", func(r *rand.Rand) *pb.Area { return circles(r, 1000, 1, math.Exp(2.4+13*r.Float64())) }},
	{"cells", func(r *rand.Rand) *pb.Area { return cells(r, 1000) }},
	{"regions", func(*rand.Rand) *pb.Area { return &pb.Area{Regions: []string{"330100", "330000", "110000", "310000"}} }},
	{"around many places", func(r *rand.Rand) *pb.Area { return &pb.Area{AroundPlacesM: 10_000_000 * r.Float64()} }},
}

func polygons(texts ...string) *pb.Area { return &pb.Area{Polygons: texts} }

// ring writes a closed ring of points, longitude first.
func ring(points [][2]float64) string {
	var out strings.Builder
	out.WriteByte('[')
	for i := range len(points) + 1 {
		p := points[i%len(points)]
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "[%.6f,%.6f]", p[0], p[1])
	}
	return out.String() + "]"
}

func polygon(rings ...string) string {
	return `{"type":"Polygon","coordinates":[` + strings.Join(rings, ",") + `]}`
}

// zigzag returns a band whose edges run to and fro across it. The slope turns the band.
func zigzag(vertices int, heightDegrees, slope float64) string {
	var up, down [][2]float64
	step := 80 / float64(vertices)
	for i := range vertices / 2 {
		x := -160 + step*float64(i)
		y := heightDegrees * (float64(i%2) - 0.5)
		y = max(-89, min(89, y*(1-slope/2)+slope*(x+120)/2))
		up, down = append(up, [2]float64{x, y}), append(down, [2]float64{x + step/4, y})
	}
	for i := len(down) - 1; i >= 0; i-- {
		up = append(up, down[i])
	}
	return polygon(ring(up))
}

// comb returns a ring of teeth that hang from a beam.
func comb(teeth int) string {
	points := [][2]float64{{-160, 80}}
	step := 60 / float64(teeth)
	for i := range teeth {
		x := -160 + step*float64(i)
		points = append(points, [2]float64{x, -80}, [2]float64{x + step/2, 79})
	}
	return polygon(ring(append(points, [2]float64{-100, 80})))
}

func star(r *rand.Rand, vertices int) string {
	var points [][2]float64
	for i := range vertices {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(vertices))
		reach := 1 + 29*r.Float64()
		points = append(points, [2]float64{-130 + reach*cos, reach * sin})
	}
	return polygon(ring(points))
}

// holes returns a square with many small square holes.
func holes(n int) string {
	rings := []string{ring([][2]float64{{-160, 0}, {-100, 0}, {-100, 60}, {-160, 60}})}
	side := int(math.Sqrt(float64(n)))
	step := 59 / float64(side)
	for i := range n {
		x, y := -159.9+step*float64(i%side), 0.1+step*float64(i/side)
		if y+step/2 < 60 {
			rings = append(rings, ring([][2]float64{{x, y}, {x, y + step/2}, {x + step/2, y + step/2}, {x + step/2, y}}))
		}
	}
	return polygon(rings...)
}

// crossings returns a ring that crosses itself everywhere. The service must refuse it quickly.
func crossings(r *rand.Rand, vertices int) string {
	var points [][2]float64
	for range vertices {
		points = append(points, [2]float64{-160 + 60*r.Float64(), -60 + 120*r.Float64()})
	}
	return polygon(ring(points))
}

func triangles(r *rand.Rand, n int) string {
	var all []string
	for range n {
		x, y := -160+50*r.Float64(), -60+120*r.Float64()
		all = append(all, "["+ring([][2]float64{{x, y}, {x + 0.01, y}, {x, y + 0.01}})+"]")
	}
	return `{"type":"MultiPolygon","coordinates":[` + strings.Join(all, ",") + `]}`
}

// slivers returns an area of thin, long polygons, minus as many others.
func slivers(r *rand.Rand) *pb.Area {
	a := &pb.Area{}
	for range 50 {
		x, y := -160+50*r.Float64(), -60+60*r.Float64()
		a.Polygons = append(a.Polygons, polygon(ring([][2]float64{{x, y}, {x + 40, y + 50}, {x + 40.00001, y + 50}})))
	}
	return a
}

func circles(r *rand.Rand, n int, spread, radiusM float64) *pb.Area {
	a := &pb.Area{}
	for range n {
		a.Circles = append(a.Circles, &pb.Circle{Latitude: spread * 60 * (r.Float64() - 0.5),
			Longitude: -150 + spread*50*r.Float64(), RadiusM: max(10, min(1e7, radiusM))})
	}
	return a
}

// cells returns H3 cells of resolution 15. It makes them from their numbers: mode, resolution, base cell, fifteen
// digits.
func cells(r *rand.Rand, n int) *pb.Area {
	a := &pb.Area{}
	for range n {
		cell := uint64(1)<<59 | 15<<52 | uint64(5+r.IntN(3))<<45 // base cells that are not pentagons
		for digit := range 15 {
			cell |= uint64(r.IntN(7)) << (3 * digit)
		}
		a.H3Cells = append(a.H3Cells, fmt.Sprintf("%x", cell))
	}
	return a
}
