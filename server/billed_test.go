package server

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

const (
	adCampaign = "advertisers/a/campaigns/c"
	clickPrice = 100_000 // what the reserve makes a click cost
)

// serveBilled serves a market with a ledger on a journal, and one campaign in it. A reserve prices its clicks.
func serveBilled(t *testing.T, j journal.Journal, change func(*Config)) *served {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Options{Journal: j, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // after the market; a journal that fails on purpose fails here too
	market := exchange.DefaultConfig()
	market.Log, market.Cards, market.Ledger, market.Currency = slog.New(slog.DiscardHandler), wire.Cards{}, l, "CNY"
	market.AuctionBudget = time.Minute // the machine may be busy
	s := serveMarket(t, storeWithMarket(t), market, change)
	follow, stop := context.WithCancel(context.Background())
	followed := make(chan struct{})
	go func() { s.FollowLedger(follow, l); close(followed) }()
	t.Cleanup(func() { stop(); <-followed })
	stream, err := pb.NewCampaignServiceClient(s.dial(t)).Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.ImportRequest{Rows: adRows()}); err != nil {
		t.Fatal(err)
	}
	r, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.GetOutcomes() {
		if o.GetError() != nil {
			t.Fatal(o)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Fatal(err)
	}
	return s
}

// storeWithMarket returns a store whose market has a reserve that prices clicks at clickPrice.
func storeWithMarket(t *testing.T) store.Store {
	t.Helper()
	s := store.NewMemory()
	if _, err := exchange.FirstMarket(t.Context(), s, &hexbid.Market{Distance: &hexbid.DistanceTable{},
		Reserves: []hexbid.Reserve{{PerThousand: 3_000_000}}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return s
}

func adRows() []*pb.ImportRow {
	const program = "advertisers/a/programs/p"
	return []*pb.ImportRow{
		{Resource: &pb.ImportRow_Advertiser{Advertiser: &pb.Advertiser{Name: "advertisers/a", DisplayName: "A"}}},
		{Resource: &pb.ImportRow_Program{Program: &pb.Program{Name: program, DisplayName: "P",
			Category: pb.Category_CATEGORY_CATERING, Hosts: []pb.Host{pb.Host_HOST_WECHAT}}}},
		{Resource: &pb.ImportRow_Campaign{Campaign: &pb.Campaign{Name: adCampaign, DisplayName: "C", Program: program,
			PricingModel: pb.PricingModel_PRICING_MODEL_CPC, BidMicros: 1_000_000, DailyBudgetMicros: 1_000_000_000,
			Pacing: pb.Pacing_PACING_ASAP, Area: &pb.Area{Everywhere: true}}}},
	}
}

// as names the client of a call.
func as(ctx context.Context, client string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, ClientHeader, client)
}

// adToken returns the token of a sponsored result for the client "app".
func adToken(t *testing.T, conn *grpc.ClientConn) string {
	t.Helper()
	r, err := pb.NewSearchServiceClient(conn).SearchNearby(as(t.Context(), "app"),
		&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30, Longitude: 120}, Host: pb.Host_HOST_WECHAT})
	if err != nil || len(r.GetSponsored()) != 1 || r.GetSponsored()[0].GetPriceMicros() != clickPrice {
		t.Fatalf("%v, %v", r, err)
	}
	return r.GetSponsored()[0].GetToken()
}

func clickOf(token, id string) *pb.Event {
	return &pb.Event{Kind: pb.EventKind_EVENT_KIND_CLICK, Token: token, EventId: id}
}

// mustClick reports a click of a new token.
func mustClick(t *testing.T, conn *grpc.ClientConn) *pb.EventResult {
	t.Helper()
	r, err := pb.NewEventServiceClient(conn).RecordEvents(as(t.Context(), "app"),
		&pb.RecordEventsRequest{Events: []*pb.Event{clickOf(adToken(t, conn), "c")}})
	if err != nil || len(r.GetResults()) != 1 || r.GetResults()[0].GetChargedMicros() != clickPrice {
		t.Fatalf("%v, %v", r, err)
	}
	return r.GetResults()[0]
}
