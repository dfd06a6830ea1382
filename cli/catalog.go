package cli

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type getCommand struct {
	What        string `arg:"" help:"A name such as advertisers/acme/campaigns/lunch, or a kind: advertisers, programs, places, campaigns."`
	Parent      string `help:"List only under this name; an id may be - for any." placeholder:"NAME"`
	PageSize    int32  `help:"Length of a page, at most 1000; one of large campaigns may be shorter." default:"50"`
	Page        string `help:"next_page_token of the page before."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run shows one resource, or lists a page.
func (c *getCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		if !strings.Contains(c.What, "/") {
			return c.list(ctx, s, conn.campaigns)
		}
		m, err := getByName(ctx, conn.campaigns, c.What)
		if err != nil {
			return err
		}
		return printJSON(s, m)
	})
}

func getByName(ctx context.Context, c pb.CampaignServiceClient, name string) (proto.Message, error) {
	n, err := hexbid.ParseName(name)
	if err != nil {
		return nil, err
	}
	switch n.Kind {
	case hexbid.KindAdvertiser:
		return c.GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: name})
	case hexbid.KindProgram:
		return c.GetProgram(ctx, &pb.GetProgramRequest{Name: name})
	case hexbid.KindPlace:
		return c.GetPlace(ctx, &pb.GetPlaceRequest{Name: name})
	}
	return c.GetCampaign(ctx, &pb.GetCampaignRequest{Name: name})
}

func (c *getCommand) list(ctx context.Context, s *session, campaigns pb.CampaignServiceClient) error {
	var t table
	page, next, err := c.fetch(ctx, campaigns, &t)
	for err == nil && next != "" && t.isEmpty() { // a server may look through much and find nothing yet
		t, c.Page = table{}, next
		page, next, err = c.fetch(ctx, campaigns, &t)
	}
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(s, page)
	}
	t.print(s.Stdout)
	if next != "" {
		fmt.Fprintln(s.Stdout, "More: --page", next)
	}
	return nil
}

// fetch reads a page and its table.
func (c *getCommand) fetch(ctx context.Context, campaigns pb.CampaignServiceClient, t *table) (proto.Message, string, error) {
	parent := c.Parent
	if parent == "" {
		parent = map[string]string{"programs": "advertisers/-", "campaigns": "advertisers/-", "places": "advertisers/-/programs/-"}[c.What]
	}
	switch c.What {
	case "advertisers":
		r, err := campaigns.ListAdvertisers(ctx, &pb.ListAdvertisersRequest{PageSize: c.PageSize, PageToken: c.Page})
		t.add("NAME", "DISPLAY NAME", "STATE")
		for _, a := range r.GetAdvertisers() {
			t.add(a.GetName(), a.GetDisplayName(), stateName(a.GetState()))
		}
		return r, r.GetNextPageToken(), err
	case "programs":
		r, err := campaigns.ListPrograms(ctx, &pb.ListProgramsRequest{Parent: parent, PageSize: c.PageSize, PageToken: c.Page})
		t.add("NAME", "DISPLAY NAME", "CATEGORY")
		for _, p := range r.GetPrograms() {
			t.add(p.GetName(), p.GetDisplayName(), enumName(p.GetCategory()))
		}
		return r, r.GetNextPageToken(), err
	case "places":
		r, err := campaigns.ListPlaces(ctx, &pb.ListPlacesRequest{Parent: parent, PageSize: c.PageSize, PageToken: c.Page})
		t.add("NAME", "DISPLAY NAME", "REVIEW", "AT")
		for _, p := range r.GetPlaces() {
			t.add(p.GetName(), p.GetDisplayName(), enumName(p.GetReviewState()), fmt.Sprintf("%.5f, %.5f", p.GetLatitude(), p.GetLongitude()))
		}
		return r, r.GetNextPageToken(), err
	case "campaigns":
		r, err := campaigns.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: parent, PageSize: c.PageSize, PageToken: c.Page, View: c.view()})
		t.add("NAME", "DISPLAY NAME", "BID", "A DAY", "SERVING")
		for _, p := range r.GetCampaigns() {
			serving := "yes"
			if !p.GetServing() {
				serving = p.GetNotServingReason()
			}
			t.add(p.GetName(), p.GetDisplayName(), price(p.GetBidMicros(), p.GetPricingModel()), hexbid.Money(p.GetDailyBudgetMicros()).String(), serving)
		}
		return r, r.GetNextPageToken(), err
	}
	return nil, "", fmt.Errorf("%q is neither a name nor a kind: use advertisers, programs, places or campaigns", c.What)
}

// view leaves the shapes of campaigns out of a table, which does not show them.
// What may be written back has them.
func (c *getCommand) view() pb.View {
	if c.Output == "table" {
		return pb.View_VIEW_BASIC
	}
	return pb.View_VIEW_FULL
}

func stateName(s pb.ServingState) string {
	if s == pb.ServingState_SERVING_STATE_UNSPECIFIED {
		s = pb.ServingState_SERVING_STATE_ACTIVE
	}
	return enumName(s)
}

type deleteCommand struct {
	Names       []string `arg:"" help:"Names of resources; what needs others goes first."`
	clientFlags `embed:""`
}

// Run deletes each.
func (c *deleteCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		for _, name := range c.Names {
			if err := deleteByName(ctx, conn.campaigns, name); err != nil {
				return err
			}
			fmt.Fprintln(s.Stdout, "deleted", name)
		}
		return nil
	})
}

func deleteByName(ctx context.Context, c pb.CampaignServiceClient, name string) error {
	n, err := hexbid.ParseName(name)
	if err != nil {
		return err
	}
	switch n.Kind {
	case hexbid.KindAdvertiser:
		_, err = c.DeleteAdvertiser(ctx, &pb.DeleteAdvertiserRequest{Name: name})
	case hexbid.KindProgram:
		_, err = c.DeleteProgram(ctx, &pb.DeleteProgramRequest{Name: name})
	case hexbid.KindPlace:
		_, err = c.DeletePlace(ctx, &pb.DeletePlaceRequest{Name: name})
	case hexbid.KindCampaign:
		_, err = c.DeleteCampaign(ctx, &pb.DeleteCampaignRequest{Name: name})
	}
	return err
}

type approveCommand struct {
	Places      []string `arg:"" help:"Names of places."`
	Hide        bool     `help:"Hide them instead."`
	clientFlags `embed:""`
}

// Run reviews each.
func (c *approveCommand) Run(s *session) error {
	verdict := pb.ReviewState_REVIEW_STATE_APPROVED
	if c.Hide {
		verdict = pb.ReviewState_REVIEW_STATE_HIDDEN
	}
	return c.call(s, func(ctx context.Context, conn *client) error {
		for _, name := range c.Places {
			place, err := conn.campaigns.ReviewPlace(ctx, &pb.ReviewPlaceRequest{Name: name, ReviewState: verdict})
			if err != nil {
				return err
			}
			fmt.Fprintln(s.Stdout, place.GetName(), "is", enumName(place.GetReviewState()))
		}
		return nil
	})
}
