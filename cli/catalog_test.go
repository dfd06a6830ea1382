package cli

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// slowLister returns two empty pages before the one with a campaign.
type slowLister struct {
	pb.CampaignServiceClient
	asked []string // page tokens
	views []pb.View
}

func (l *slowLister) ListCampaigns(_ context.Context, r *pb.ListCampaignsRequest,
	_ ...grpc.CallOption) (*pb.ListCampaignsResponse, error) {
	l.asked, l.views = append(l.asked, r.GetPageToken()), append(l.views, r.GetView())
	if len(l.asked) < 3 {
		return &pb.ListCampaignsResponse{NextPageToken: strings.Repeat("n", len(l.asked))}, nil
	}
	return &pb.ListCampaignsResponse{Campaigns: []*pb.Campaign{{Name: "advertisers/a/campaigns/found"}},
		NextPageToken: "more"}, nil
}

func TestGetGoesOnOverEmptyPages(t *testing.T) {
	for output, view := range map[string]pb.View{"table": pb.View_VIEW_BASIC, "json": pb.View_VIEW_FULL} {
		var lister slowLister
		var out bytes.Buffer
		c := getCommand{What: "campaigns", Output: output}
		if err := c.list(context.Background(), &session{Env: Env{Stdout: &out}}, &lister); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(lister.asked, []string{"", "n", "nn"}) || lister.views[2] != view {
			t.Errorf("asked for pages %q with view %v", lister.asked, lister.views)
		}
		if !strings.Contains(out.String(), "campaigns/found") || !strings.Contains(out.String(), "more") {
			t.Errorf("printed %s", &out)
		}
	}
}
