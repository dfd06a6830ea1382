package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func TestATraceHasTheSameWinnersAndSaysWhyTheOthersLost(t *testing.T) {
	s, ctx := boot(t, withDemo), testContext(t)
	r := rand.New(rand.NewPCG(3, 3))
	for range 20 {
		request := bruteRequest(r, 30.2553+0.02*r.NormFloat64(), 120.1640+0.02*r.NormFloat64())
		request.Trace = true
		got, err := s.search.SearchNearby(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		trace := got.GetTrace()
		for i, won := range got.GetSponsored() {
			if e := trace.GetEntries()[i]; e.GetCampaign() != won.GetCampaign() || e.GetPriceMicros() != won.GetPriceMicros() ||
				e.GetSlot() != won.GetSlot() || e.GetPriceSetBy() == "" {
				t.Fatalf("slot %d: the trace has %v, the answer %v", i+1, e, won)
			}
		}
		if len(trace.GetCells()) != 16 || trace.GetMatches() > trace.GetCandidates() ||
			trace.GetCandidates() > trace.GetCampaigns() {
			t.Errorf("trace %v", trace)
		}
		if accounted := int64(len(trace.GetLosses())+len(got.GetSponsored())) +
			trace.GetLossesOmitted(); accounted != trace.GetCandidates() {
			t.Errorf("%d campaigns are accounted for, %d were candidates", accounted, trace.GetCandidates())
		}
		for _, l := range trace.GetLosses() {
			if l.GetRule() == "" || l.GetReason() == "" {
				t.Errorf("a loss without a reason: %v", l)
			}
		}
	}
}

func TestATraceIsForOperators(t *testing.T) {
	s := boot(t, func(c *ServeConfig) { c.AllowTrace = "no" })
	err := search(func(r *pb.SearchNearbyRequest) { r.Trace = true })(testContext(t), s)
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a trace where none is permitted: %v", err)
	}
}

func TestEveryDatumGivesTheSameAnswerInItsOwnCoordinates(t *testing.T) {
	s, ctx := boot(t, withDemo), testContext(t)
	point := hexbid.Point{Lat: 30.2553, Lng: 120.1640}
	var want *pb.SearchNearbyResponse
	for _, datum := range []hexbid.Datum{hexbid.WGS84, hexbid.GCJ02, hexbid.BD09} {
		at := geoindex.FromWGS84(datum, point)
		got, err := s.search.SearchNearby(ctx,
			&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: at.Lat, Longitude: at.Lng, Datum: pb.Datum(datum)},
				Viewer: &pb.Viewer{Age: proto.Int32(30)}, NearbyLimit: proto.Int32(100)})
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if len(got.GetNearby()) != len(want.GetNearby()) || len(got.GetNearby()) < 50 {
			t.Fatalf("%d nearby in datum %d, %d in WGS-84", len(got.GetNearby()), datum, len(want.GetNearby()))
		}
		for i, n := range got.GetNearby() {
			w := want.GetNearby()[i]
			shown := hexbid.Point{Lat: n.GetPlace().GetLatitude(), Lng: n.GetPlace().GetLongitude()}
			truth := hexbid.Point{Lat: w.GetPlace().GetLatitude(), Lng: w.GetPlace().GetLongitude()}
			if n.GetProgram().GetName() != w.GetProgram().GetName() || math.Abs(n.GetDistanceM()-w.GetDistanceM()) > 0.01 ||
				int32(n.GetPlace().GetDatum()) != int32(datum) {
				t.Fatalf("nearby %d: %v, in WGS-84 %v", i, n, w)
			}
			if d := geoindex.ToWGS84(datum, shown).DistanceM(truth); d > 0.01 {
				t.Fatalf("place %d is %g m off in datum %d", i, d, datum)
			}
		}
	}
}
