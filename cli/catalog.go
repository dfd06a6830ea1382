package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type getCommand struct {
	What        string `arg:"" help:"A name such as advertisers/acme/campaigns/lunch, or a kind: advertisers, programs, places, campaigns."`
	Parent      string `help:"List only under this name; an id may be - for any." placeholder:"NAME"`
	PageSize    int32  `help:"Length of a page." default:"50"`
	Page        string `help:"next_page_token of the page before." placeholder:"TOKEN"`
	Output      string `short:"o" help:"table, json for programs, or yaml: documents for apply, with all pages of a list." enum:"table,json,yaml" default:"table"`
	clientFlags `embed:""`
}

// Run shows one resource, or lists a page. With -o yaml it writes all pages, because a file with one page would look as
// if the other resources were gone.
func (c *getCommand) Run(s *session) error {
	if !strings.Contains(c.What, "/") && c.Output == "yaml" {
		return c.writeDocuments(s)
	}
	return c.call(s, func(ctx context.Context, conn *client) error {
		if !strings.Contains(c.What, "/") {
			return c.list(ctx, s, conn.campaigns)
		}
		m, err := getByName(ctx, conn.campaigns, c.What)
		if err != nil {
			return err
		}
		if c.Output == "yaml" {
			return writeDocument(s.Stdout, m)
		}
		return printJSON(s, m)
	})
}

// listing is the list that is asked for. A parent may be the last part of an advertiser's name.
func (c *getCommand) listing() listing { return listing{c.What, parentOf(c.Parent), c.Page} }

func (c *getCommand) writeDocuments(s *session) error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	w := &walk{client: conn, timeout: c.Timeout, view: pb.View_VIEW_FULL, pageSize: c.PageSize}
	separator := ""
	for m, err := range w.all(s.ctx, c.listing()) {
		if err != nil {
			return err
		}
		if _, err := io.WriteString(s.Stdout, separator); err != nil {
			return err
		}
		if err := writeDocument(s.Stdout, m); err != nil {
			return err
		}
		separator = "---\n"
	}
	return nil
}

func writeDocument(w io.Writer, m proto.Message) error {
	text, err := documentOf(m)
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}

func getByName(ctx context.Context, c pb.CampaignServiceClient, name string) (resource, error) {
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
	case hexbid.KindCampaign:
		return c.GetCampaign(ctx, &pb.GetCampaignRequest{Name: name})
	}
	return nil, fmt.Errorf("%q is the name of one %s: get shows advertisers, programs, places and campaigns; see hexbid "+
		"users, clients, keys and market", name, n.Kind)
}

func (c *getCommand) list(ctx context.Context, s *session, campaigns pb.CampaignServiceClient) error {
	view := pb.View_VIEW_FULL
	if c.Output == "table" { // a table does not show the shapes of areas
		view = pb.View_VIEW_BASIC
	}
	l := c.listing()
	page, err := fetchPage(ctx, campaigns, l, c.PageSize, view)
	// a server may look at many names and find none that match
	for err == nil && len(page.resources) == 0 && page.next != "" {
		l.token = page.next
		page, err = fetchPage(ctx, campaigns, l, c.PageSize, view)
	}
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(s, page.response)
	}
	var t table
	t.add(tableHeads[c.What]...)
	for _, m := range page.resources {
		t.add(tableRow(m)...)
	}
	t.print(s.Stdout)
	if page.next != "" {
		fmt.Fprintln(s.Stdout, "More: --page", page.next)
	}
	return nil
}

// tableHeads are the columns of the table of each kind.
var tableHeads = map[string][]string{
	"advertisers": {"NAME", "DISPLAY NAME", "STATE"},
	"programs":    {"NAME", "DISPLAY NAME", "CATEGORY"},
	"places":      {"NAME", "DISPLAY NAME", "REVIEW", "AT"},
	"campaigns":   {"NAME", "DISPLAY NAME", "BID", "A DAY", "SERVING"},
}

func tableRow(m resource) []string {
	switch v := m.(type) {
	case *pb.Advertiser:
		return []string{v.GetName(), v.GetDisplayName(), stateName(v.GetState())}
	case *pb.Program:
		return []string{v.GetName(), v.GetDisplayName(), enumName(v.GetCategory())}
	case *pb.Place:
		return []string{v.GetName(), v.GetDisplayName(), enumName(v.GetReviewState()),
			fmt.Sprintf("%.5f, %.5f", v.GetLatitude(), v.GetLongitude())}
	case *pb.Campaign:
		serving := "yes"
		if !v.GetServing() {
			serving = v.GetNotServingReason()
		}
		return []string{v.GetName(), v.GetDisplayName(), price(v.GetBidMicros(), v.GetPricingModel()),
			hexbid.Money(v.GetDailyBudgetMicros()).String(), serving}
	}
	return nil
}

func stateName(s pb.ServingState) string {
	if s == pb.ServingState_SERVING_STATE_UNSPECIFIED {
		s = pb.ServingState_SERVING_STATE_ACTIVE
	}
	return enumName(s)
}

type approveCommand struct {
	Places      []string `arg:"" help:"Names of places."`
	Hide        bool     `help:"Hide them instead: they stay hidden, whatever their owners do, until they are approved."`
	clientFlags `embed:""`
}

// Run reviews each place and shows the place that the verdict is about, because its owner may have changed it since the
// operator looked.
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
			fmt.Fprintln(s.Stdout, place.GetName(), "is", enumName(place.GetReviewState())+":", placeLine(place))
		}
		return nil
	})
}

// placeLine returns all that viewers see of a place, in one line.
func placeLine(p *pb.Place) string {
	parts := []string{fmt.Sprintf("%.5f, %.5f", p.GetLatitude(), p.GetLongitude())}
	for _, text := range []string{p.GetDisplayName(), p.GetAddress(), p.GetOpeningHours()} {
		if text != "" {
			parts = append(parts, fmt.Sprintf("%q", text))
		}
	}
	return strings.Join(parts, "; ")
}
