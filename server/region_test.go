package server

import (
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

func TestRegionsAreListedInPages(t *testing.T) {
	s := openService(t, store.NewMemory())
	seen := 0
	for token, last := "", ""; ; {
		page, err := s.ListRegions(ctx, &pb.ListRegionsRequest{PageSize: 100, PageToken: token})
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
		if _, err := s.ListRegions(ctx, bad); hexbid.KindOf(err) != hexbid.Invalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
