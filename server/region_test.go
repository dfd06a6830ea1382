package server

import (
	"context"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func TestRegionsAreListedInPages(t *testing.T) {
	var s campaignService
	seen := 0
	for token, last := "", ""; ; {
		page, err := s.ListRegions(context.Background(), &pb.ListRegionsRequest{PageSize: 100, PageToken: token})
		if err != nil || len(page.GetRegions()) > 100 {
			t.Fatal(len(page.GetRegions()), err)
		}
		for _, r := range page.GetRegions() {
			if r.GetAdcode() <= last || r.GetDisplayName() == "" || r.GetLatinName() == "" {
				t.Errorf("after %s: %v", last, r)
			}
			last = r.GetAdcode()
			seen++
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if seen != geoindex.RegionCount() {
		t.Errorf("%d of %d regions", seen, geoindex.RegionCount())
	}
	for _, bad := range []*pb.ListRegionsRequest{{PageSize: -1}, {PageSize: 1001}, {PageToken: "x"},
		{Words: string(make([]byte, 201))}} {
		if _, err := s.ListRegions(context.Background(), bad); hexbid.KindOf(err) != hexbid.Invalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
