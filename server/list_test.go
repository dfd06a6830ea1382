package server

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/pebble"
	"github.com/hexbid/hexbid/token"
	"github.com/hexbid/hexbid/wire"
)

var ctx = hexbid.WithPrincipal(context.Background(), hexbid.Principal{Role: hexbid.System, ID: "tests",
	Origin: hexbid.InProcess})

// forEngines runs a test on the catalogue of every engine.
func forEngines(t *testing.T, test func(*testing.T, *campaignService)) {
	t.Run("memory", func(t *testing.T) { test(t, openService(t, store.NewMemory())) })
	t.Run("pebble", func(t *testing.T) {
		s, err := pebble.Open(pebble.Options{Dir: t.TempDir(), Currency: "CNY", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		test(t, openService(t, s))
	})
}

// openService opens a catalogue of one advertiser and program.
func openService(t *testing.T, s store.Store) *campaignService {
	t.Helper()
	t.Cleanup(func() { s.Close() })
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	config := exchange.DefaultConfig()
	config.Log = slog.New(slog.DiscardHandler)
	e, err := exchange.Open(ctx, config, s, keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	host := newServer(t, nil)
	host.exchange.Store(e)
	service := &campaignService{server: host}
	mustImport(t, service,
		&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A"},
		&hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/a/programs/p"}, DisplayName: "P", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}})
	return service
}

func mustImport(t *testing.T, s *campaignService, resources ...hexbid.Resource) {
	t.Helper()
	for _, o := range s.exchange().Import(ctx, resources, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
}

// round is a polygon of so many vertices.
func round(vertices int) hexbid.Polygon {
	ring := make([]hexbid.Point, vertices)
	for i := range ring {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(vertices))
		ring[i] = hexbid.Point{Lat: 30.25 + 0.1*sin, Lng: 120.16 + 0.1*cos}
	}
	ring[vertices-1] = ring[0]
	return hexbid.Polygon{ring}
}

// shaped is a campaign in an area of such polygons.
func shaped(id string, polygons ...hexbid.Polygon) *hexbid.Campaign {
	return &hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a/campaigns/" + id}, DisplayName: id,
		Program: "advertisers/a/programs/p", Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 10_000_000,
		Area: hexbid.Area{Polygons: polygons}}
}

// mustListCampaigns reads every page of a list.
func mustListCampaigns(t *testing.T, s *campaignService, r *pb.ListCampaignsRequest) (pages [][]*pb.Campaign) {
	t.Helper()
	for {
		page, err := s.ListCampaigns(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page.GetCampaigns())
		if page.GetNextPageToken() == "" {
			return pages
		}
		r.PageToken = page.GetNextPageToken()
	}
}

func TestAPageOfBigCampaignsEndsAtAMegabyte(t *testing.T) {
	forEngines(t, func(t *testing.T, s *campaignService) {
		const small, all = 30, 32
		for i := range small { // some 80 kB each
			mustImport(t, s, shaped(fmt.Sprintf("c%02d", i), round(2000)))
		}
		mustImport(t, s, shaped("c05-giant", round(40_000)), shaped("z", round(10)))
		for _, parent := range []string{"advertisers/a", "advertisers/-"} {
			pages := mustListCampaigns(t, s, &pb.ListCampaignsRequest{Parent: parent, PageSize: 1000, View: pb.View_VIEW_FULL})
			last, seen := "", 0
			for _, page := range pages {
				bytes := proto.Size(&pb.ListCampaignsResponse{Campaigns: page})
				if slack := 16 * len(page); bytes > maxPageBytes+slack && len(page) > 1 {
					t.Errorf("a page of %d campaigns takes %d bytes", len(page), bytes)
				}
				for _, c := range page {
					if c.GetName() <= last || len(c.GetArea().GetPolygons()) != 1 {
						t.Errorf("%q with %d polygons after %q", c.GetName(), len(c.GetArea().GetPolygons()), last)
					}
					last, seen = c.GetName(), seen+1
				}
			}
			if seen != all {
				t.Errorf("%d campaigns of %d on %d pages", seen, all, len(pages))
			}
			if len(pages) < 4 || len(pages) > 9 {
				t.Errorf("%d pages for some three and a half megabytes", len(pages))
			}
		}
	})
}

func TestAListLeavesShapesOutUnlessAsked(t *testing.T) {
	forEngines(t, func(t *testing.T, s *campaignService) {
		c := shaped("c", round(20), round(30))
		c.Area.Circles = []hexbid.Circle{{Center: hexbid.Point{Lat: 30, Lng: 120}, RadiusM: 500}}
		c.Area.Regions, c.Excluded.Cells = []string{"330100"}, []uint64{0x89309ab36abffff}
		mustImport(t, s, c)
		pages := mustListCampaigns(t, s, &pb.ListCampaignsRequest{Parent: "advertisers/a"})
		listed := pages[0][0]
		if a := listed.GetArea(); len(a.GetPolygons())+len(a.GetCircles()) != 0 || a.GetOmittedShapes() != 3 ||
			len(a.GetRegions()) != 1 {
			t.Errorf("BASIC gave the area %v", a)
		}
		if a := listed.GetExcludedArea(); len(a.GetH3Cells()) != 0 || a.GetOmittedShapes() != 1 {
			t.Errorf("BASIC gave the excluded area %v", a)
		}
		full := mustListCampaigns(t, s, &pb.ListCampaignsRequest{Parent: "advertisers/a", View: pb.View_VIEW_FULL})[0][0]
		got, err := s.GetCampaign(ctx, &pb.GetCampaignRequest{Name: c.Name})
		if err != nil || !proto.Equal(full, got) || len(got.GetArea().GetPolygons()) != 2 {
			t.Errorf("FULL gave %v\nGet gave %v, %v", full, got, err)
		}
		if _, err := s.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: "advertisers/a",
			View: 9}); hexbid.KindOf(err) != hexbid.Invalid {
			t.Errorf("view 9: %v", err)
		}
	})
}

func TestWhatAListLeftOutIsNotLostInAWrite(t *testing.T) {
	s := openService(t, store.NewMemory())
	c := shaped("c", round(20))
	c.Area.AroundPlacesM, c.Excluded.Circles = 500,
		[]hexbid.Circle{{Center: hexbid.Point{Lat: 30, Lng: 120}, RadiusM: 500}}
	mustImport(t, s, c)
	listed := mustListCampaigns(t, s, &pb.ListCampaignsRequest{Parent: "advertisers/a"})[0][0]
	refused := func(what string, err error) {
		t.Helper()
		if hexbid.KindOf(err) != hexbid.Invalid || !strings.Contains(err.Error(), "view FULL") {
			t.Errorf("%s: %v", what, err)
		}
	}
	listed.Etag = ""
	for _, mask := range []string{"", "*", "area", "excluded_area", "area.polygons", "excluded_area.circles"} {
		r := &pb.UpdateCampaignRequest{Campaign: listed}
		if mask != "" {
			r.UpdateMask = &fieldmaskpb.FieldMask{Paths: []string{mask}}
		}
		_, err := s.UpdateCampaign(ctx, r)
		refused("an update of "+mask, err)
	}
	_, err := s.CreateCampaign(ctx, &pb.CreateCampaignRequest{Parent: "advertisers/a", CampaignId: "copy",
		Campaign: listed})
	refused("a copy", err)
	_, _, err = wire.ToNoun(listed) // as Import does
	refused("an import", err)
	listed.BidMicros = 2_000_000
	updated, err := s.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{Campaign: listed,
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bid_micros", "area.around_places_m"}}})
	if err != nil || updated.GetBidMicros() != 2_000_000 || len(updated.GetArea().GetPolygons()) != 1 ||
		len(updated.GetExcludedArea().GetCircles()) != 1 {
		t.Errorf("an update of the bid alone: %v, %v", updated, err)
	}
}

func TestAPageMayBeEmptyAndGoOn(t *testing.T) {
	engine := store.NewMemory()
	s := openService(t, engine)
	const owners = maxPageNames*3/4 + 1
	var steps []store.Step
	add := func(name string) {
		steps = append(steps, store.Step{Put: &store.Record{Resource: &hexbid.Place{Meta: hexbid.Meta{Name: name}}}})
	}
	for i := range owners { // each has places of programs around the one that is asked for
		add(fmt.Sprintf("advertisers/b%d/programs/b/places/l", i))
		add(fmt.Sprintf("advertisers/b%d/programs/x/places/l", i))
	}
	add("advertisers/z/programs/p/places/last")
	if _, err := engine.Commit(ctx, []store.Group{{Steps: steps}}); err != nil {
		t.Fatal(err)
	}
	r := &pb.ListPlacesRequest{Parent: "advertisers/-/programs/p"}
	var lengths []int
	for {
		page, err := s.ListPlaces(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		lengths = append(lengths, len(page.GetPlaces()))
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			break
		}
	}
	if !slices.Equal(lengths, []int{0, 1}) {
		t.Errorf("pages of %v places; want an empty one, then the last place", lengths)
	}
	for _, token := range []string{"advertisers/b/programs/p/places/l", "advertisers/a", "x"} {
		_, err := s.ListPlaces(ctx, &pb.ListPlacesRequest{Parent: "advertisers/a/programs/-", PageToken: token})
		if hexbid.KindOf(err) != hexbid.Invalid || !strings.Contains(err.Error(), "page_token") {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

func TestAMaskHasABoundedNumberOfPaths(t *testing.T) {
	mask := &fieldmaskpb.FieldMask{Paths: slices.Repeat([]string{"bid_micros"}, maxMaskPaths)}
	if _, err := merge(&pb.Campaign{}, &pb.Campaign{}, mask); err != nil {
		t.Error(err)
	}
	mask.Paths = append(mask.Paths, "bid_micros")
	if _, err := merge(&pb.Campaign{}, &pb.Campaign{}, mask); hexbid.KindOf(err) != hexbid.Invalid ||
		!strings.Contains(err.Error(), "at most 200") {
		t.Errorf("a path too many: %v", err)
	}
}
