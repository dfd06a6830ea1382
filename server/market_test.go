package server

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

// TestMarketsThatNoAuctionTakesAreRefusedByField updates the market with lists that are too long, numbers that are none
// and entries that stand twice. Each error names the field, and the market stays.
func TestMarketsThatNoAuctionTakesAreRefusedByField(t *testing.T) {
	catalogue := store.NewMemory()
	if _, err := exchange.FirstMarket(t.Context(), catalogue, &hexbid.Market{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	client := pb.NewMarketServiceClient(serveOn(t, catalogue, nil).dial(t))
	catering := pb.Category_CATEGORY_CATERING
	table := func(ends []float64, factors ...int64) *pb.Market {
		return &pb.Market{Distance: &pb.DistanceTable{EndsM: ends, Factors: []*pb.CategoryDistance{{FactorPpm: factors}}}}
	}
	for _, c := range []struct {
		field  string
		market *pb.Market
	}{
		{"priors", &pb.Market{Priors: make([]*pb.CategoryPrior, 100_000)}},
		{"priors[1]", &pb.Market{Priors: []*pb.CategoryPrior{{Category: catering, PriorPpm: 5}, {Category: catering,
			PriorPpm: 6}}}},
		{"priors[0].prior_ppm", &pb.Market{Priors: []*pb.CategoryPrior{{Category: catering, PriorPpm: -1}}}},
		{"priors[0].prior_ppm", &pb.Market{Priors: []*pb.CategoryPrior{{Category: catering, PriorPpm: math.MaxInt64}}}},
		{"priors[0].category", &pb.Market{Priors: []*pb.CategoryPrior{{Category: 999, PriorPpm: 5}}}},
		{"position_factors", &pb.Market{PositionFactors: make([]int64, 500_000)}},
		{"position_factors[0]", &pb.Market{PositionFactors: slices.Repeat([]int64{math.MaxInt64}, hexbid.MaxSlots)}},
		{"scene_mechanisms", &pb.Market{SceneMechanisms: make([]*pb.SceneMechanism, 100_000)}},
		{"mechanism", &pb.Market{Mechanism: 77}},
		{"reserves", &pb.Market{Reserves: make([]*pb.Reserve, 100_000)}},
		{"reserves[0].region", &pb.Market{Reserves: []*pb.Reserve{{Region: strings.Repeat("3", 1<<20)}}}},
		{"reserves[0].region", &pb.Market{Reserves: []*pb.Reserve{{Region: "999999"}}}},
		{"reserves[0].per_thousand_micros", &pb.Market{Reserves: []*pb.Reserve{{PerThousandMicros: math.MaxInt64}}}},
		{"increment_micros", &pb.Market{IncrementMicros: math.MinInt64}},
		{"minimum_bid_cpc_micros", &pb.Market{MinimumBidCpcMicros: math.MaxInt64}},
		{"minimum_bid_cpm_micros", &pb.Market{MinimumBidCpmMicros: -1}},
		{"distance.ends_m", table(make([]float64, 500_000))},
		{"distance.ends_m[0]", table([]float64{math.NaN()}, 2, 1)},
		{"distance.ends_m[0]", table([]float64{math.Inf(1)}, 2, 1)},
		{"distance.ends_m[0]", table([]float64{-5}, 2, 1)},
		{"distance.ends_m[1]", table([]float64{5, 5}, 3, 2, 1)},
		{"distance.factors[0].factor_ppm", table([]float64{5}, make([]int64, 500_000)...)},
		{"distance.factors[0].factor_ppm[1]", table([]float64{5}, 1, 2)},
		{"distance.factors", &pb.Market{Distance: &pb.DistanceTable{Factors: make([]*pb.CategoryDistance, 100_000)}}},
	} {
		c.market.Name = hexbid.MarketName
		mask := &fieldmaskpb.FieldMask{Paths: []string{"*"}}
		for _, validate := range []bool{true, false} {
			_, err := client.UpdateMarket(t.Context(), &pb.UpdateMarketRequest{Market: c.market, UpdateMask: mask,
				ValidateOnly: validate})
			if code := status.Code(err); code != codes.InvalidArgument || !namesField(err, "market."+c.field) {
				t.Errorf("%s: %.300v", c.field, err)
			}
		}
	}
	if m, err := client.GetMarket(t.Context(), &pb.GetMarketRequest{Name: hexbid.MarketName}); err != nil ||
		m.GetInForce().GetVersion() != 1 || len(m.GetReserves()) != 0 {
		t.Errorf("after updates that were refused: %v, %v", m, err)
	}
}

// namesField reports whether an error is about a field or a part of it, and is short.
func namesField(err error, field string) bool {
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok && len(bad.GetFieldViolations()) > 0 && len(err.Error()) < 10_000 {
			return strings.HasPrefix(bad.GetFieldViolations()[0].GetField(), field)
		}
	}
	return false
}
