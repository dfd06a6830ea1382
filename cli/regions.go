package cli

import (
	"context"
	"strings"

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
		r := &pb.ListRegionsRequest{Words: strings.Join(c.Words, " "), PageSize: 1000} // there are some 400
		response, err := conn.campaigns.ListRegions(ctx, r)
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return printJSON(s, response)
		}
		var t table
		t.add("ADCODE", "NAME", "LATIN NAME", "PROVINCE", "ALSO")
		for _, region := range response.GetRegions() {
			t.add(region.GetAdcode(), region.GetDisplayName(), region.GetLatinName(), region.GetProvinceAdcode(), strings.Join(region.GetOtherAdcodes(), ", "))
		}
		t.print(s.Stdout)
		return nil
	})
}
