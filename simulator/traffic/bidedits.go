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

// BidEdits raises the bids of campaigns by a hundredth and lowers them again, one campaign after another, as an
// advertiser's tool would all day.
type BidEdits struct {
	client    pb.CampaignServiceClient
	campaigns []*pb.Campaign // as listed, before any edit

	mu     sync.Mutex // guards raised
	raised map[int]bool
}

const mostEdited = 2000

// NewBidEdits lists the campaigns to edit, at most 2,000. It returns the server's error, or Unavailable when there
// are no campaigns.
func NewBidEdits(ctx context.Context, client pb.CampaignServiceClient) (*BidEdits, error) {
	e := &BidEdits{client: client, raised: map[int]bool{}}
	for campaign, err := range hexbid.Pages(func(token string) ([]*pb.Campaign, string, error) {
		r, err := client.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: "advertisers/-", PageSize: hexbid.MaxPageSize,
			PageToken: token})
		return r.GetCampaigns(), r.GetNextPageToken(), err
	}) {
		if err != nil {
			return nil, fmt.Errorf("listing campaigns to edit: %w", err)
		}
		if e.campaigns = append(e.campaigns, campaign); len(e.campaigns) == mostEdited {
			break
		}
	}
	if len(e.campaigns) == 0 {
		return nil, hexbid.Errorf(hexbid.Unavailable, "", "the market has no campaigns to edit")
	}
	return e, nil
}

// Edit makes the i-th edit.
func (e *BidEdits) Edit(ctx context.Context, i int) error {
	at := i % len(e.campaigns)
	e.mu.Lock()
	raise := !e.raised[at]
	e.raised[at] = raise
	e.mu.Unlock()
	return e.setBid(ctx, at, raise)
}

func (e *BidEdits) setBid(ctx context.Context, at int, raised bool) error {
	was := e.campaigns[at]
	bid := was.GetBidMicros()
	if raised {
		bid += max(bid/100_000, 1) * 1000
	}
	_, err := e.client.UpdateCampaign(ctx,
		&pb.UpdateCampaignRequest{Campaign: &pb.Campaign{Name: was.GetName(), BidMicros: bid},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bid_micros"}}})
	return err
}

// Restore lowers every raised bid to what it was. It returns the server's errors.
func (e *BidEdits) Restore(ctx context.Context) error {
	var failed []error
	for at, raised := range e.raised {
		if !raised {
			continue
		}
		if err := e.setBid(ctx, at, false); err != nil {
			failed = append(failed, fmt.Errorf("putting the bid of %s back: %w", e.campaigns[at].GetName(), err))
		}
	}
	return errors.Join(failed...)
}
