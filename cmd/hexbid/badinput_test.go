package main

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// badInput is one bad call, and what its error must say.
type badInput struct {
	name  string
	call  func(context.Context, *testServer) error
	code  codes.Code
	field string
	words []string // the value and the remedy
}

func search(change func(*pb.SearchNearbyRequest)) func(context.Context, *testServer) error {
	return func(ctx context.Context, s *testServer) error {
		r := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30.2553, Longitude: 120.1640}, Viewer: &pb.Viewer{}}
		change(r)
		_, err := s.search.SearchNearby(ctx, r)
		return err
	}
}

func create(change func(*pb.Campaign)) func(context.Context, *testServer) error {
	return func(ctx context.Context, s *testServer) error {
		c := goodCampaign()
		change(c)
		_, err := s.campaigns.CreateCampaign(ctx,
			&pb.CreateCampaignRequest{Parent: "advertisers/a", CampaignId: "bad", Campaign: c})
		return err
	}
}

func goodCampaign() *pb.Campaign {
	return &pb.Campaign{DisplayName: "c", Program: "advertisers/a/programs/p",
		PricingModel: pb.PricingModel_PRICING_MODEL_CPC, BidMicros: 1_000_000, DailyBudgetMicros: 50_000_000,
		Area: &pb.Area{Circles: []*pb.Circle{{Latitude: 30.2553, Longitude: 120.1640, RadiusM: 2000}}}}
}

var badSearches = []badInput{
	{"no location", search(func(r *pb.SearchNearbyRequest) { r.Location = nil }), codes.InvalidArgument, "location",
		[]string{"missing"}},
	{"latitude 91", search(func(r *pb.SearchNearbyRequest) { r.Location.Latitude = 91 }), codes.InvalidArgument,
		"location.latitude", []string{"91", "-90 to 90"}},
	{"longitude -181", search(func(r *pb.SearchNearbyRequest) { r.Location.Longitude = -181 }), codes.InvalidArgument,
		"location.longitude", []string{"-181", "-180 to 180"}},
	{"latitude NaN", search(func(r *pb.SearchNearbyRequest) { r.Location.Latitude = math.NaN() }), codes.InvalidArgument,
		"location.latitude", []string{"NaN"}},
	{"longitude infinite", search(func(r *pb.SearchNearbyRequest) { r.Location.Longitude = math.Inf(1) }),
		codes.InvalidArgument, "location.longitude", []string{"+Inf"}},
	{"accuracy NaN", search(func(r *pb.SearchNearbyRequest) { r.Location.AccuracyM = math.NaN() }), codes.InvalidArgument,
		"location.accuracy_m", []string{"NaN"}},
	{"unknown datum", search(func(r *pb.SearchNearbyRequest) { r.Location.Datum = 77 }), codes.InvalidArgument,
		"location.datum", []string{"77", "0 to 3"}},
	{"unknown host", search(func(r *pb.SearchNearbyRequest) { r.Host = 99 }), codes.InvalidArgument, "host",
		[]string{"99"}},
	{"negative gender", search(func(r *pb.SearchNearbyRequest) { r.Viewer.Gender = -1 }), codes.InvalidArgument,
		"viewer.gender", []string{"-1"}},
	{"unknown interest", search(func(r *pb.SearchNearbyRequest) { r.Viewer.Interests = []pb.Category{500} }),
		codes.InvalidArgument, "viewer.interests", []string{"500"}},
	{"age 200", search(func(r *pb.SearchNearbyRequest) { r.Viewer.Age = proto.Int32(200) }), codes.InvalidArgument,
		"viewer.age", []string{"200", "0 to 120"}},
	{"age -1", search(func(r *pb.SearchNearbyRequest) { r.Viewer.Age = proto.Int32(-1) }), codes.InvalidArgument,
		"viewer.age", []string{"-1", "unset"}},
	{"radius 0", search(func(r *pb.SearchNearbyRequest) { r.RadiusM = proto.Float64(0) }), codes.InvalidArgument,
		"radius_m", []string{"0", "50000"}},
	{"radius 1e9", search(func(r *pb.SearchNearbyRequest) { r.RadiusM = proto.Float64(1e9) }), codes.InvalidArgument,
		"radius_m", []string{"1e+09", "50000"}},
	{"radius NaN", search(func(r *pb.SearchNearbyRequest) { r.RadiusM = proto.Float64(math.NaN()) }),
		codes.InvalidArgument, "radius_m", []string{"NaN"}},
	{"limit 101", search(func(r *pb.SearchNearbyRequest) { r.NearbyLimit = proto.Int32(101) }), codes.InvalidArgument,
		"nearby_limit", []string{"101", "0 to 100"}},
	{"slots 11", search(func(r *pb.SearchNearbyRequest) { r.SponsoredSlots = proto.Int32(11) }), codes.InvalidArgument,
		"sponsored_slots", []string{"11", "0 to 10"}},
	{"long words", search(func(r *pb.SearchNearbyRequest) { r.Words = strings.Repeat("面", 100) }), codes.InvalidArgument,
		"words", []string{"300 bytes", "200"}},
	{"unknown home region", search(func(r *pb.SearchNearbyRequest) { r.Viewer.HomeRegion = "999999" }),
		codes.InvalidArgument, "viewer.home_region", []string{"999999", "330100"}},
	{"corrupt page token", search(func(r *pb.SearchNearbyRequest) { r.PageToken = "AQAAAAFdBWVqhOG3hG" }),
		codes.InvalidArgument, "page_token", []string{"AQAAAAFd", "first page"}},
}

var badCampaigns = []badInput{
	{"budget below one click", create(func(c *pb.Campaign) { c.DailyBudgetMicros = 999_999 }), codes.InvalidArgument,
		"campaign.daily_budget_micros", []string{"999999", "1000000"}},
	{"total budget below one click", create(func(c *pb.Campaign) { c.TotalBudgetMicros = 1 }), codes.InvalidArgument,
		"campaign.total_budget_micros", []string{"1000000"}},
	{"negative bid", create(func(c *pb.Campaign) { c.BidMicros = -5 }), codes.InvalidArgument, "campaign.bid_micros",
		[]string{"-5", "1000000000"}},
	{"bid beyond the market", create(func(c *pb.Campaign) { c.BidMicros = math.MaxInt64 }), codes.InvalidArgument,
		"campaign.bid_micros", []string{"9223372036854775807"}},
	{"negative budget", create(func(c *pb.Campaign) { c.DailyBudgetMicros = math.MinInt64 }), codes.InvalidArgument,
		"campaign.daily_budget_micros", []string{"-9223372036854775808"}},
	{"a host's bid beyond the market", create(func(c *pb.Campaign) {
		c.BidMicros, c.HostBids = 900_000_000, []*pb.HostBid{{Host: 3, MultiplierPpm: 1_200_000}}
	}), codes.InvalidArgument, "campaign.host_bids.multiplier_ppm", []string{"1080000000", "alipay"}},
	{"a multiplier of nothing", create(func(c *pb.Campaign) { c.HostBids = []*pb.HostBid{{Host: 3}} }),
		codes.InvalidArgument, "campaign.host_bids.multiplier_ppm", []string{"0", "10000000"}},
	{"two bids on a host", create(func(c *pb.Campaign) {
		c.HostBids = []*pb.HostBid{{Host: 3, MultiplierPpm: 1_000_000}, {Host: 3, MultiplierPpm: 2_000_000}}
	}), codes.InvalidArgument, "campaign.host_bids.host", []string{"alipay", "twice"}},
	{"no pricing model", create(func(c *pb.Campaign) { c.PricingModel = 0 }), codes.InvalidArgument,
		"campaign.pricing_model", []string{"not stated"}},
	{"ends before it starts", create(func(c *pb.Campaign) {
		c.StartTime, c.EndTime = timestamppb.New(testNow), timestamppb.New(testNow.Add(-time.Hour))
	}), codes.InvalidArgument, "campaign.end_time", []string{"2026-11-20T03:07:30Z", "not after"}},
	{"a time in the year 9000", create(func(c *pb.Campaign) { c.EndTime = timestamppb.New(testNow.AddDate(7000, 0, 0)) }),
		codes.InvalidArgument, "campaign.end_time", []string{"2200"}},
	{"unknown time zone", create(func(c *pb.Campaign) { c.TimeZone = "Mars/Olympus" }), codes.InvalidArgument,
		"campaign.time_zone", []string{"Mars/Olympus", "Asia/Shanghai"}},
	{"hours that run backwards", create(func(c *pb.Campaign) {
		c.WeeklyHours = []*pb.WeeklyHours{{Day: 1, StartHour: 14, EndHour: 10}}
	}), codes.InvalidArgument, "campaign.weekly_hours", []string{"14 to 10"}},
	{"unknown adcode", create(func(c *pb.Campaign) { c.Area = &pb.Area{Regions: []string{"123456"}} }),
		codes.InvalidArgument, "campaign.area.regions", []string{"123456", "330100"}},
	{"not a cell", create(func(c *pb.Campaign) { c.Area = &pb.Area{H3Cells: []string{"xyz"}} }), codes.InvalidArgument,
		"campaign.area.h3_cells", []string{"xyz", "hexadecimal"}},
	{"no area", create(func(c *pb.Campaign) { c.Area = nil }), codes.InvalidArgument, "campaign.area",
		[]string{"everywhere"}},
	{"a circle of a metre", create(func(c *pb.Campaign) { c.Area.Circles[0].RadiusM = 1 }), codes.InvalidArgument,
		"campaign.area.circles.radius_m", []string{"10 to"}},
	{"a circle off the globe", create(func(c *pb.Campaign) { c.Area.Circles[0].Latitude = math.NaN() }),
		codes.InvalidArgument, "campaign.area.circles.latitude", []string{"NaN"}},
	{"a megabyte of name", create(func(c *pb.Campaign) { c.DisplayName = strings.Repeat("x", 1<<20) }),
		codes.InvalidArgument, "campaign.display_name", []string{"1048576 bytes", "at most 200"}},
	{"a promotion of eleven characters", create(func(c *pb.Campaign) {
		c.Creatives = []*pb.Creative{{Promotion: "一二三四五六七八九十一"}}
	}), codes.InvalidArgument, "campaign.creatives.promotion", []string{"11 characters", "at most 10"}},
	{"a coupon without an end", create(func(c *pb.Campaign) {
		c.Creatives = []*pb.Creative{{Coupon: &pb.Coupon{Text: "x", TotalCount: 1}}}
	}), codes.InvalidArgument, "campaign.creatives.coupon.valid_until_time", []string{"missing"}},
	{"no coupons", create(func(c *pb.Campaign) {
		c.Creatives = []*pb.Creative{{Coupon: &pb.Coupon{Text: "x", ValidUntilTime: timestamppb.New(testNow)}}}
	}), codes.InvalidArgument, "campaign.creatives.coupon.total_count", []string{"0", "1 to"}},
	{"a keyword of nothing", create(func(c *pb.Campaign) { c.Keywords = []*pb.Keyword{{Text: "!?"}} }),
		codes.InvalidArgument, "campaign.keywords.text", []string{"!?", "no letter"}},
	{"age range upside down", create(func(c *pb.Campaign) {
		c.Audience = &pb.Audience{Ages: []*pb.AgeRange{{MinAge: 30, MaxAge: 18}}}
	}), codes.InvalidArgument, "campaign.audience.ages", []string{"30 to 18"}},
	{"unknown program", create(func(c *pb.Campaign) { c.Program = "advertisers/a/programs/none" }), codes.NotFound,
		"campaign.program", []string{"programs/none", "create it first"}},
	{"another advertiser's program", create(func(c *pb.Campaign) { c.Program = "advertisers/b/programs/p" }),
		codes.InvalidArgument, "campaign.program", []string{"another advertiser"}},
}

var badCalls = []badInput{
	{"stale etag", func(ctx context.Context, s *testServer) error {
		_, err := s.campaigns.UpdateAdvertiser(ctx,
			&pb.UpdateAdvertiserRequest{Advertiser: &pb.Advertiser{Name: "advertisers/a", DisplayName: "x",
				Etag: "AAAAAAAAAAAAAAAAAAAAAA"}})
		return err
	}, codes.Aborted, "etag", []string{"read it again"}},
	{"not an etag", func(ctx context.Context, s *testServer) error {
		_, err := s.campaigns.DeleteCampaign(ctx, &pb.DeleteCampaignRequest{Name: "advertisers/a/campaigns/c", Etag: "?"})
		return err
	}, codes.InvalidArgument, "etag", []string{"as it came"}},
	{"a program that campaigns use", func(ctx context.Context, s *testServer) error {
		_, err := s.campaigns.DeleteProgram(ctx, &pb.DeleteProgramRequest{Name: "advertisers/a/programs/p"})
		return err
	}, codes.FailedPrecondition, "name", []string{"advertisers/a/campaigns/c", "delete that first"}},
	{"an advertiser that has programs", func(ctx context.Context, s *testServer) error {
		_, err := s.campaigns.DeleteAdvertiser(ctx, &pb.DeleteAdvertiserRequest{Name: "advertisers/a"})
		return err
	}, codes.FailedPrecondition, "name", []string{"delete that first"}},
	{"a field mask off the message", func(ctx context.Context, s *testServer) error {
		_, err := s.campaigns.UpdateCampaign(ctx,
			&pb.UpdateCampaignRequest{Campaign: &pb.Campaign{Name: "advertisers/a/campaigns/c"},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bid_yuan"}}})
		return err
	}, codes.InvalidArgument, "update_mask", []string{"bid_yuan"}},
	{"an id with a slash", func(ctx context.Context, s *testServer) error {
		_, err := s.campaigns.CreateAdvertiser(ctx, &pb.CreateAdvertiserRequest{AdvertiserId: "a/b",
			Advertiser: &pb.Advertiser{DisplayName: "x"}})
		return err
	}, codes.InvalidArgument, "advertiser_id", []string{"a/b", "a-z"}},
	{"an id that exists", func(ctx context.Context, s *testServer) error {
		_, err := s.campaigns.CreateAdvertiser(ctx, &pb.CreateAdvertiserRequest{AdvertiserId: "a",
			Advertiser: &pb.Advertiser{DisplayName: "x"}})
		return err
	}, codes.AlreadyExists, "name", []string{"advertisers/a"}},
	{"a page token of another list", func(ctx context.Context, s *testServer) error {
		_, err := s.campaigns.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: "advertisers/a",
			PageToken: "advertisers/z/campaigns/c"})
		return err
	}, codes.InvalidArgument, "page_token", []string{"previous answer"}},
	{"an empty import", importing(), codes.InvalidArgument, "rows", []string{"at least one"}},
	{"an empty batch", importing(&pb.ImportRequest{}), codes.InvalidArgument, "rows", []string{"1 to 1000"}},
	{"explaining nothing", func(ctx context.Context, s *testServer) error {
		_, err := s.campaigns.Explain(ctx, &pb.ExplainRequest{Name: "advertisers/a/campaigns/none",
			Request: &pb.SearchNearbyRequest{Location: &pb.Location{}}})
		return err
	}, codes.NotFound, "name", []string{"campaigns/none"}},
	{"explaining nowhere", func(ctx context.Context, s *testServer) error {
		_, err := s.campaigns.Explain(ctx, &pb.ExplainRequest{Name: "advertisers/a/campaigns/c"})
		return err
	}, codes.InvalidArgument, "request.location", []string{"missing"}},
	{"invalid UTF-8", func(ctx context.Context, s *testServer) error {
		var out []byte
		// SearchNearbyRequest.words (field 5) = ff fe.
		return s.conn.Invoke(ctx, pb.SearchService_SearchNearby_FullMethodName, []byte{0x2a, 2, 0xff, 0xfe}, &out,
			grpc.ForceCodecV2(rawCodec{}))
	}, codes.InvalidArgument, "words", []string{"UTF-8"}},
	{"bytes that are no message", func(ctx context.Context, s *testServer) error {
		var out []byte
		return s.conn.Invoke(ctx, pb.CampaignService_CreateCampaign_FullMethodName, []byte{0xff, 0xff, 0xff}, &out,
			grpc.ForceCodecV2(rawCodec{}))
	}, codes.InvalidArgument, "", []string{"does not decode"}},
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
func (rawCodec) Name() string { return "proto" }

var _ encoding.CodecV2 = rawCodec{}

func importing(batches ...*pb.ImportRequest) func(context.Context, *testServer) error {
	return func(ctx context.Context, s *testServer) error {
		stream, err := s.campaigns.Import(ctx)
		if err != nil {
			return err
		}
		for _, b := range batches {
			if err := stream.Send(b); err != nil {
				return err
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
}

// smallCatalogue stores an advertiser with a program, a place and a campaign, and a second advertiser.
func smallCatalogue(t *testing.T, ctx context.Context, s *testServer) {
	c := goodCampaign()
	c.Name = "advertisers/a/campaigns/c"
	importRows(t, ctx, s, []*pb.ImportRow{
		{Resource: &pb.ImportRow_Advertiser{Advertiser: &pb.Advertiser{Name: "advertisers/a", DisplayName: "A"}}},
		{Resource: &pb.ImportRow_Advertiser{Advertiser: &pb.Advertiser{Name: "advertisers/b", DisplayName: "B"}}},
		{Resource: &pb.ImportRow_Program{Program: &pb.Program{Name: "advertisers/a/programs/p", DisplayName: "P", Category: 1,
			Hosts: []pb.Host{1}}}},
		{Resource: &pb.ImportRow_Program{Program: &pb.Program{Name: "advertisers/b/programs/p", DisplayName: "P", Category: 1,
			Hosts: []pb.Host{1}}}},
		{Resource: &pb.ImportRow_Place{Place: &pb.Place{Name: "advertisers/a/programs/p/places/l", Latitude: 30.2553,
			Longitude: 120.1640}}},
		{Resource: &pb.ImportRow_Campaign{Campaign: c}},
	})
}

func TestBadInputIsNamedAndChangesNothing(t *testing.T) {
	s, ctx := boot(t, func(c *ServeConfig) { c.Data = t.TempDir() }), testContext(t)
	smallCatalogue(t, ctx, s)
	before := s.main.exchange.Size()
	for _, group := range [][]badInput{badSearches, badCampaigns, badCalls} {
		for _, bad := range group {
			t.Run(bad.name, func(t *testing.T) {
				checkError(t, bad.call(ctx, s), &bad)
				if after := s.main.exchange.Size(); after != before {
					t.Errorf("the catalogue changed from %+v to %+v", before, after)
				}
				if err := search(func(*pb.SearchNearbyRequest) {})(ctx, s); err != nil {
					t.Errorf("the server does not serve any more: %v", err)
				}
			})
		}
	}
}

func checkError(t *testing.T, err error, want *badInput) {
	t.Helper()
	got := status.Convert(err)
	if got.Code() != want.code {
		t.Fatalf("%v: want %v", err, want.code)
	}
	for _, w := range want.words {
		if !strings.Contains(got.Message(), w) {
			t.Errorf("%q does not say %q", got.Message(), w)
		}
	}
	if len(got.Message()) > 500 {
		t.Errorf("the message has %d bytes", len(got.Message()))
	}
	if want.field == "" {
		return
	}
	for _, d := range got.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok && bad.GetFieldViolations()[0].GetField() == want.field {
			return
		}
	}
	t.Errorf("the details %v do not name the field %q", got.Details(), want.field)
}

// TestARowInErrorDoesNotHoldUpTheOthers mixes good and bad rows in a batch.
func TestARowInErrorDoesNotHoldUpTheOthers(t *testing.T) {
	s, ctx := boot(t, nil), testContext(t)
	smallCatalogue(t, ctx, s)
	good, bad := goodCampaign(), goodCampaign()
	good.Name, bad.Name, bad.BidMicros = "advertisers/a/campaigns/good", "advertisers/a/campaigns/bad", -1
	stream, err := s.campaigns.Import(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.ImportRequest{Rows: []*pb.ImportRow{{Row: 1,
		Resource: &pb.ImportRow_Campaign{Campaign: bad}}, {Row: 2},
		{Row: 3, Resource: &pb.ImportRow_Campaign{Campaign: good}}}}); err != nil {
		t.Fatal(err)
	}
	r, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if o := r.GetOutcomes()[0]; o.GetAction() != pb.ImportAction_IMPORT_ACTION_REJECTED ||
		o.GetError().GetField() != "campaign.bid_micros" || o.GetRow() != 1 {
		t.Errorf("the bad row: %v", o)
	}
	if o := r.GetOutcomes()[1]; o.GetError().GetField() != "resource" {
		t.Errorf("the empty row: %v", o)
	}
	if o := r.GetOutcomes()[2]; o.GetAction() != pb.ImportAction_IMPORT_ACTION_CREATED || !o.GetServing() {
		t.Errorf("the good row: %v", o)
	}
	if _, err := s.campaigns.GetCampaign(ctx, &pb.GetCampaignRequest{Name: bad.Name}); status.Code(err) != codes.NotFound {
		t.Errorf("the bad row was stored: %v", err)
	}
}
