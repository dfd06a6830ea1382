package cli

import (
	"context"
	"strings"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type regionsCommand struct {
	Words       []string `arg:"" optional:"" help:"Only regions that have all of these in an adcode, a name or their province's name: 杭州, hangzhou, 330100."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run lists regions.
func (c *regionsCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		var response pb.ListRegionsResponse
		for region, err := range hexbid.Pages(func(token string) ([]*pb.Region, string, error) {
			r, err := conn.campaigns.ListRegions(ctx, &pb.ListRegionsRequest{Words: strings.Join(c.Words, " "),
				PageSize: hexbid.MaxPageSize, PageToken: token})
			return r.GetRegions(), r.GetNextPageToken(), err
		}) {
			if err != nil {
				return err
			}
			response.Regions = append(response.Regions, region)
		}
		if c.Output == "json" {
			return printJSON(s, &response)
		}
		var t table
		t.add("ADCODE", "NAME", "LATIN NAME", "PROVINCE", "ALSO")
		for _, region := range response.GetRegions() {
			t.add(region.GetAdcode(), region.GetDisplayName(), region.GetLatinName(), region.GetProvinceAdcode(),
				strings.Join(region.GetOtherAdcodes(), ", "))
		}
		t.print(s.Stdout)
		return nil
	})
}
