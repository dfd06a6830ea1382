package server

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

// unheard is a store whose changes never come to the index.
type unheard struct{ store.Store }

func (unheard) Watch(after uint64) *store.Feed { return store.NewTape(after, nil).Feed(after) }

// TestAWriteWhoseTimeIsUpSaysWhatBecameOfIt lets the server's own bound end every
// write: after its commit, or on a busy machine before.
func TestAWriteWhoseTimeIsUpSaysWhatBecameOfIt(t *testing.T) {
	s := serveOn(t, unheard{store.NewMemory()}, func(c *Config) { c.Limits.RequestTimeout = 200 * time.Millisecond })
	client := pb.NewCampaignServiceClient(s.dial(t))
	// write tries until a write is durable; one that fails must have changed nothing.
	write := func(name string, call func() error) {
		t.Helper()
		waitUntil(t, "a write of "+name+" is durable", func() bool {
			err := call()
			_, missing := s.exchange.Load().Get(ctx, name)
			there := hexbid.KindOf(missing) != hexbid.NotFound
			if there != (err == nil) || err != nil && status.Code(err) != codes.DeadlineExceeded {
				t.Fatalf("%s: %v; it is there: %v", name, err, there)
			}
			return err == nil
		})
	}
	write("advertisers/a", func() error {
		_, err := client.CreateAdvertiser(t.Context(), &pb.CreateAdvertiserRequest{AdvertiserId: "a",
			Advertiser: &pb.Advertiser{DisplayName: "A"}})
		return err
	})
	write("advertisers/a/programs/p", func() error {
		_, err := client.CreateProgram(t.Context(), &pb.CreateProgramRequest{Parent: "advertisers/a", ProgramId: "p",
			Program: &pb.Program{DisplayName: "P", Category: pb.Category_CATEGORY_CATERING,
				Hosts: []pb.Host{pb.Host_HOST_WECHAT}}})
		return err
	})
	write("advertisers/a/campaigns/c", func() error {
		c, err := client.CreateCampaign(t.Context(), &pb.CreateCampaignRequest{Parent: "advertisers/a", CampaignId: "c",
			Campaign: &pb.Campaign{
				DisplayName: "C", Program: "advertisers/a/programs/p", PricingModel: pb.PricingModel_PRICING_MODEL_CPC,
				BidMicros: 1_000_000, DailyBudgetMicros: 10_000_000, Area: &pb.Area{Everywhere: true}}})
		if err == nil && !slices.Contains(c.GetNotices(), exchange.NotYetSearchable) {
			t.Errorf("notices %q", c.GetNotices())
		}
		return err
	})
}
