package server

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// maxRegionWords bounds the words of a list of regions, in bytes.
const maxRegionWords = 200

// ListRegions implements pb.CampaignServiceServer. Its page token is the last
// adcode, in the clear.
func (s *campaignService) ListRegions(ctx context.Context, r *pb.ListRegionsRequest) (*pb.ListRegionsResponse, error) {
	if err := s.exchange().Admit(ctx, access.ListRegions); err != nil {
		return nil, err
	}
	size := int(r.GetPageSize())
	if size < 0 || size > maxPage {
		return nil, hexbid.Invalidf("page_size", "%d is out of range: use 1 to %d, or 0 for %d", size, maxPage, defaultPage)
	}
	if size == 0 {
		size = defaultPage
	}
	if n := len(r.GetWords()); n > maxRegionWords {
		return nil, hexbid.Invalidf("words", "has %d bytes: use at most %d", n, maxRegionWords)
	}
	if token := r.GetPageToken(); token != "" {
		if _, err := geoindex.RegionByCode(token); err != nil {
			return nil, hexbid.Invalidf("page_token", "%q is not from the previous answer to this request",
				hexbid.Shorten(token))
		}
	}
	response := &pb.ListRegionsResponse{}
	for _, region := range geoindex.FindRegions(r.GetWords()) {
		if region.Code <= r.GetPageToken() {
			continue
		}
		if len(response.GetRegions()) == size {
			response.NextPageToken = response.GetRegions()[size-1].GetAdcode()
			break
		}
		response.Regions = append(response.Regions, &pb.Region{Name: "regions/" + region.Code, Adcode: region.Code,
			DisplayName: region.Name, LatinName: region.Latin, ProvinceAdcode: region.Province(),
			OtherAdcodes: region.OtherCodes()})
	}
	return response, nil
}
