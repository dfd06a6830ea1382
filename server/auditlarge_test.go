package server

import (
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

// circular returns a polygon of so many vertices.
func circular(vertices int, radius float64) hexbid.Polygon {
	var outline []hexbid.Point
	for i := range vertices - 1 {
		angle := 2 * math.Pi * float64(i) / float64(vertices-1)
		outline = append(outline, hexbid.Point{Lat: 30 + radius*math.Sin(angle), Lng: 120 + radius*math.Cos(angle)})
	}
	return hexbid.Polygon{append(outline, outline[0])}
}

// TestEveryChangeFitsIntoAnAnswer changes a campaign to areas of many vertices and the most vertices that there may be.
// Every page of its history is one that any client takes.
func TestEveryChangeFitsIntoAnAnswer(t *testing.T) {
	const vertices = 20_000 // whose areas FULL shows, one before and after
	x := openMatrix(t)
	name := x.own.advertiser + "/campaigns/c"
	for i, vertices := range []int{vertices, vertices, hexbid.MaxVertices, hexbid.MaxVertices} {
		if _, err := x.exchange.Load().Update(ctx, name, store.AnyVersion, false,
			func(r hexbid.Resource) (hexbid.Resource, error) {
				next := *r.(*hexbid.Campaign)
				size := 0.1 + 0.01*float64(i)
				next.Area = hexbid.Area{Polygons: []hexbid.Polygon{circular(vertices, size)}}
				next.Excluded = hexbid.Area{Polygons: []hexbid.Polygon{circular(vertices, size/4)}}
				return &next, nil
			}); err != nil {
			t.Fatal(err)
		}
	}
	operator := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: hexbid.Operator})
	for _, view := range []pb.View{pb.View_VIEW_BASIC, pb.View_VIEW_FULL} {
		request, told := &pb.ListChangesRequest{Resource: name, View: view}, []*pb.Change{}
		for {
			page, err := pb.NewAuditServiceClient(x.InProcess()).ListChanges(operator, request)
			if err != nil {
				t.Fatal(err)
			}
			if size := proto.Size(page); size > maxChangeBytes+maxPageBytes {
				t.Errorf("a page of %s has %d bytes", view, size)
			}
			told = append(told, page.GetChanges()...)
			if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
				break
			}
		}
		if len(told) != 5 {
			t.Fatalf("%s tells %d changes", view, len(told))
		}
		// The newest first: of the two with the most vertices nothing is shown, of the others one field or all.
		// The first update also took out the places that the campaign was around.
		for i, want := range map[pb.View][]int{pb.View_VIEW_BASIC: {0, 0, 0, 1},
			pb.View_VIEW_FULL: {0, 0, 1, 3}}[view] {
			shown := 0
			for _, f := range told[i].GetResources()[0].GetFields() {
				if !f.GetOmitted() && (f.GetBefore() != nil || f.GetAfter() != nil) {
					shown++
				}
			}
			if fields := len(told[i].GetResources()[0].GetFields()); shown != want || fields < 2 {
				t.Errorf("%s shows %d of %d fields of change %d, want %d", view, shown, fields, i, want)
			}
		}
	}
}
