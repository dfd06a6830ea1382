package main

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// fuzz sends nearly valid messages to every method. Half of them have fields with extreme values, half have altered
// bytes. It goes on until its share of the time is over, and makes at least leastFuzzed calls.
func fuzz(ctx context.Context, r *round) error {
	stop, cancel := r.until(ctx)
	defer cancel()
	conn, err := r.server.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := importRows(ctx, conn, append(programRows("fuzz"), placeRow("fuzz", 0, 1, -150),
		campaignRow("fuzz", 0, fuzzedCampaign().GetArea()))); err != nil {
		return err
	}
	conns, err := attackerConns(r.server)
	defer closeAll(conns)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	for worker := range fuzzWorkers {
		random := rand.New(rand.NewPCG(r.seed, uint64(1000+worker)))
		group.Go(func() {
			for i := 0; ctx.Err() == nil && (i < leastFuzzed/fuzzWorkers || stop.Err() == nil); i++ {
				caller := conn // the operator's: half of the calls get beyond all rights
				if random.IntN(2) == 0 {
					caller = oneOf(random, conns...)
				}
				r.fuzzOnce(ctx, caller, random)
			}
		})
	}
	group.Wait()
	return nil
}

const (
	leastFuzzed = 2000
	fuzzWorkers = 8
)

// fuzzed has valid messages of every method. fuzz changes them.
var fuzzed = []struct {
	method  string
	message proto.Message
}{
	{pb.SearchService_SearchNearby_FullMethodName, fuzzedSearch()},
	{pb.SearchService_SearchNearby_FullMethodName, fuzzedSearch()},
	{pb.CampaignService_Explain_FullMethodName, &pb.ExplainRequest{Name: "advertisers/fuzz/campaigns/c0",
		Request: fuzzedSearch()}},
	{pb.CampaignService_CreateAdvertiser_FullMethodName, &pb.CreateAdvertiserRequest{AdvertiserId: "fuzz-1",
		Advertiser: &pb.Advertiser{DisplayName: "f"}}},
	{pb.CampaignService_GetAdvertiser_FullMethodName, &pb.GetAdvertiserRequest{Name: "advertisers/fuzz"}},
	{pb.CampaignService_ListAdvertisers_FullMethodName, &pb.ListAdvertisersRequest{PageSize: 10, PageToken: "token"}},
	{pb.CampaignService_UpdateAdvertiser_FullMethodName,
		&pb.UpdateAdvertiserRequest{Advertiser: &pb.Advertiser{Name: "advertisers/fuzz", Etag: "1", DisplayName: "f"},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name", "state"}}, AllowMissing: true}},
	{pb.CampaignService_DeleteAdvertiser_FullMethodName, &pb.DeleteAdvertiserRequest{Name: "advertisers/fuzz", Etag: "1"}},
	{pb.CampaignService_CreateProgram_FullMethodName, &pb.CreateProgramRequest{Parent: "advertisers/fuzz", ProgramId: "q",
		Program: fuzzedProgram()}},
	{pb.CampaignService_GetProgram_FullMethodName, &pb.GetProgramRequest{Name: "advertisers/fuzz/programs/p"}},
	{pb.CampaignService_ListPrograms_FullMethodName, &pb.ListProgramsRequest{Parent: "advertisers/-", PageSize: 10}},
	{pb.CampaignService_UpdateProgram_FullMethodName, &pb.UpdateProgramRequest{Program: fuzzedProgram(),
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"hosts", "keywords", "minimum_age"}}, AllowMissing: true}},
	{pb.CampaignService_DeleteProgram_FullMethodName, &pb.DeleteProgramRequest{Name: "advertisers/fuzz/programs/q"}},
	{pb.CampaignService_CreatePlace_FullMethodName, &pb.CreatePlaceRequest{Parent: "advertisers/fuzz/programs/p",
		PlaceId: "m", Place: fuzzedPlace()}},
	{pb.CampaignService_GetPlace_FullMethodName, &pb.GetPlaceRequest{Name: "advertisers/fuzz/programs/p/places/l0"}},
	{pb.CampaignService_ListPlaces_FullMethodName, &pb.ListPlacesRequest{Parent: "advertisers/fuzz/programs/-",
		PageSize: 10}},
	{pb.CampaignService_UpdatePlace_FullMethodName, &pb.UpdatePlaceRequest{Place: fuzzedPlace(),
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"latitude", "longitude"}}}},
	{pb.CampaignService_ReviewPlace_FullMethodName, &pb.ReviewPlaceRequest{Name: "advertisers/fuzz/programs/p/places/l0",
		ReviewState: 2}},
	{pb.CampaignService_DeletePlace_FullMethodName, &pb.DeletePlaceRequest{Name: "advertisers/fuzz/programs/p/places/m"}},
	{pb.CampaignService_CreateCampaign_FullMethodName, &pb.CreateCampaignRequest{Parent: "advertisers/fuzz",
		CampaignId: "d", Campaign: fuzzedCampaign()}},
	{pb.CampaignService_GetCampaign_FullMethodName, &pb.GetCampaignRequest{Name: "advertisers/fuzz/campaigns/c0"}},
	{pb.CampaignService_ListCampaigns_FullMethodName,
		&pb.ListCampaignsRequest{Parent: "advertisers/fuzz", PageSize: 10, View: 2}},
	{pb.CampaignService_UpdateCampaign_FullMethodName, &pb.UpdateCampaignRequest{Campaign: fuzzedCampaign(),
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"area.polygons", "audience", "keywords"}}, AllowMissing: true}},
	{pb.CampaignService_DeleteCampaign_FullMethodName, &pb.DeleteCampaignRequest{Name: "advertisers/fuzz/campaigns/d"}},
	{pb.CampaignService_ListRegions_FullMethodName, &pb.ListRegionsRequest{Words: "hang", PageSize: 10}},
	{pb.CampaignService_Import_FullMethodName,
		&pb.ImportRequest{Rows: append(programRows("fuzz"), placeRow("fuzz", 0, 1, -150),
			&pb.ImportRow{Resource: &pb.ImportRow_Campaign{Campaign: fuzzedCampaign()}})}},
}

func fuzzedSearch() *pb.SearchNearbyRequest {
	return &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 1, Longitude: -150, Datum: 2, AccuracyM: 10},
		Viewer: &pb.Viewer{UserKey: "u", Age: proto.Int32(30), Gender: 1, OperatingSystem: 2, Network: 3,
			Interests: []pb.Category{1, 2}, CreditBand: 3, HomeRegion: "330100"},
		Host: attackersHost, Scene: 2, Words: "coffee 咖啡", Category: attackersCategory, RadiusM: proto.Float64(3000),
		NearbyLimit: proto.Int32(20), SponsoredSlots: proto.Int32(3), Personalization: 1, Trace: true}
}

func fuzzedProgram() *pb.Program {
	return &pb.Program{Name: "advertisers/fuzz/programs/p", DisplayName: "p", AlternativeNames: []string{"咖啡"},
		Category: attackersCategory, Hosts: []pb.Host{attackersHost}, OperatingSystems: []pb.OperatingSystem{1},
		MinimumAge: 18, Path: "p", IconUri: "https://icon", Keywords: []string{"coffee"}}
}

func fuzzedPlace() *pb.Place {
	return &pb.Place{Name: "advertisers/fuzz/programs/p/places/l0", DisplayName: "l", Latitude: 1, Longitude: -150,
		Datum: 3, Address: "a", OpeningHours: "Mo-Su"}
}

func fuzzedCampaign() *pb.Campaign {
	c := campaignOf("fuzz", 0, &pb.Area{AroundPlacesM: 500,
		Circles: []*pb.Circle{{Latitude: 1, Longitude: -150, Datum: 1, RadiusM: 100}}, H3Cells: []string{"8f0a00000000000"},
		Regions: []string{"330100"}, Polygons: []string{`{"type":"Polygon","coordinates":[[[-150,0],[-149,0],[-149,1],[-150,0]]]}`}})
	c.ExcludedArea = &pb.Area{Circles: []*pb.Circle{{Latitude: 1, Longitude: -150, RadiusM: 20}}}
	c.StartTime, c.EndTime, c.TimeZone = &timestamppb.Timestamp{Seconds: 1e9}, &timestamppb.Timestamp{Seconds: 4e9},
		"Asia/Shanghai"
	c.WeeklyHours = []*pb.WeeklyHours{{Day: 1, StartHour: 8, EndHour: 20}}
	c.Audience = &pb.Audience{Ages: []*pb.AgeRange{{MinAge: 18, MaxAge: 40}}, Genders: []pb.Gender{1},
		OperatingSystems: []pb.OperatingSystem{1}, Hosts: []pb.Host{1}, Scenes: []pb.Scene{2}, Networks: []pb.Network{1},
		Interests: []pb.Category{1}, IncludeUnknown: []pb.AudienceDimension{1, 10}, CreditBands: []pb.CreditBand{2},
		Residences: []pb.Residence{1}, ExcludedInterests: []pb.Category{3}}
	c.FrequencyCap = &pb.FrequencyCap{Impressions: 2, Window: durationpb.New(3600e9), ServeUncapped: true}
	c.Creatives = []*pb.Creative{{Host: 1, Title: "t", Promotion: "p", Path: "p", ImageUri: "https://i",
		Coupon: &pb.Coupon{Text: "c", Terms: "t", ValidUntilTime: &timestamppb.Timestamp{Seconds: 4e9}, TotalCount: 5}}}
	c.HostBids = []*pb.HostBid{{Host: 1, MultiplierPpm: 2_000_000}}
	c.Keywords = []*pb.Keyword{{Text: "coffee 咖啡", Match: 2}, {Text: "tea", Negative: true}}
	return c
}

func (r *round) fuzzOnce(ctx context.Context, conn *grpc.ClientConn, random *rand.Rand) {
	f := fuzzed[random.IntN(len(fuzzed))]
	m := proto.Clone(f.message)
	for range 1 + random.IntN(3) {
		distort(random, m.ProtoReflect())
	}
	body, err := proto.MarshalOptions{AllowPartial: true}.Marshal(m)
	if err != nil || random.IntN(2) == 0 {
		body, _ = proto.Marshal(f.message)
		body = alter(random, body)
	}
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	var answer []byte
	r.tally.called(f.method, conn.Invoke(ctx, f.method, body, &answer, grpc.ForceCodecV2(rawCodec{})))
}

// distort sets a field of the message, or of a message inside it, to an extreme value.
func distort(r *rand.Rand, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	field := fields.Get(r.IntN(fields.Len()))
	switch {
	case field.IsList():
		list := m.Mutable(field).List()
		if list.Len() > 0 && r.IntN(2) == 0 {
			if field.Message() != nil {
				distort(r, list.Get(r.IntN(list.Len())).Message())
				return
			}
			list.Set(r.IntN(list.Len()), extreme(r, field))
			return
		}
		for range 1 << r.IntN(11) {
			if field.Message() != nil {
				list.AppendMutable()
			} else {
				list.Append(extreme(r, field))
			}
		}
	case field.Message() != nil:
		distort(r, m.Mutable(field).Message())
	case r.IntN(8) == 0:
		m.Clear(field)
	default:
		m.Set(field, extreme(r, field))
	}
}

func oneOf[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// extreme returns a value at or beyond the limits of a field.
func extreme(r *rand.Rand, field protoreflect.FieldDescriptor) protoreflect.Value {
	whole := oneOf[int64](r, 0, 1, -1, 2, 120, 121, 1000, 1001, math.MaxInt32, math.MinInt32,
		math.MaxInt64, math.MinInt64, 1e12)
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(whole)))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(whole))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(whole)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(whole))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(oneOf(r, 0, math.Copysign(0, -1), 90, 180, -180, math.NaN(), math.Inf(1),
			math.Inf(-1), 1e308, 5e-324, 90.0000001, 1e7))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("\x00\xff"))
	}
	return protoreflect.ValueOfString(oneOf(r, "", "-", "/", "advertisers/-", "advertisers/fuzz/programs/-", "../..",
		"\x00", "咖啡", "é"+string(make([]byte, 300)),
		`{"type":"Polygon","coordinates":[[[0,0],[0,0],[0,0],[0,0]]]}`, `{"type":"Polygon","coordinates":[[]]}`,
		`{"type":"MultiPolygon","coordinates":null}`, `{"type":"Feature","geometry":{}}`,
		"8f0a00000000000", "ffffffffffffffff", "000000", "330100", "Asia/Nowhere", "../../etc/passwd", "*",
		"area.circles.latitude", "18446744073709551616", "%s%n"))
}

// alter changes some bytes of a message.
func alter(r *rand.Rand, body []byte) []byte {
	for range 1 + r.IntN(4) {
		if len(body) == 0 {
			return []byte{byte(r.IntN(256))}
		}
		at := r.IntN(len(body))
		to := at + r.IntN(len(body)-at)
		switch r.IntN(5) {
		case 0:
			body[at] ^= 1 << r.IntN(8)
		case 1:
			body[at] = byte(oneOf(r, 0, 0x7f, 0x80, 0xff))
		case 2:
			body = body[:at]
		case 3:
			body = append(body[:at:at], body[to:]...)
		case 4:
			body = append(body[:to:to], body[at:]...)
		}
	}
	return body
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

// Marshal implements encoding.CodecV2.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal implements encoding.CodecV2.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// Name implements encoding.CodecV2.
func (rawCodec) Name() string { return "proto" }
