package traffic

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Changes raises the bids of campaigns by a hundredth and puts them back, one
// after another, as an advertiser's tool would all day.
type Changes struct {
	client    pb.CampaignServiceClient
	campaigns []*pb.Campaign // as they were found

	mu     sync.Mutex // guards raised
	raised map[int]bool
}

const mostChanged = 2000

// NewChanges lists campaigns to change, at most 2,000. Its error is of the server,
// or Unavailable where there are none.
func NewChanges(ctx context.Context, client pb.CampaignServiceClient) (*Changes, error) {
	c := &Changes{client: client, raised: map[int]bool{}}
	for campaign, err := range hexbid.Pages(func(token string) ([]*pb.Campaign, string, error) {
		r, err := client.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: "advertisers/-", PageSize: hexbid.MaxPageSize, PageToken: token})
		return r.GetCampaigns(), r.GetNextPageToken(), err
	}) {
		if err != nil {
			return nil, fmt.Errorf("listing campaigns to change: %w", err)
		}
		if c.campaigns = append(c.campaigns, campaign); len(c.campaigns) == mostChanged {
			break
		}
	}
	if len(c.campaigns) == 0 {
		return nil, hexbid.Errorf(hexbid.Unavailable, "", "the market has no campaigns to change")
	}
	return c, nil
}

// Change makes the i-th change.
func (c *Changes) Change(ctx context.Context, i int) error {
	at := i % len(c.campaigns)
	c.mu.Lock()
	raise := !c.raised[at]
	c.raised[at] = raise
	c.mu.Unlock()
	return c.setBid(ctx, at, raise)
}

func (c *Changes) setBid(ctx context.Context, at int, raised bool) error {
	was := c.campaigns[at]
	bid := was.GetBidMicros()
	if raised {
		bid += max(bid/100_000, 1) * 1000
	}
	_, err := c.client.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{Campaign: &pb.Campaign{Name: was.GetName(), BidMicros: bid}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bid_micros"}}})
	return err
}

// Restore puts every bid back. Its errors are of the server.
func (c *Changes) Restore(ctx context.Context) error {
	var failed []error
	for at, raised := range c.raised {
		if !raised {
			continue
		}
		if err := c.setBid(ctx, at, false); err != nil {
			failed = append(failed, fmt.Errorf("putting the bid of %s back: %w", c.campaigns[at].GetName(), err))
		}
	}
	return errors.Join(failed...)
}
