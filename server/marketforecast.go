package server

import (
	"context"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/wire"
)

// forecast shows what a market that was validated would do.
func (s *marketService) forecast(ctx context.Context, m *pb.Market) (*pb.MarketForecast, error) {
	rules, _, err := wire.ToNoun(m)
	if err != nil {
		return nil, err
	}
	f, err := s.exchange().ForecastMarket(ctx, rules.(*hexbid.Market))
	if err != nil {
		return nil, err
	}
	return &pb.MarketForecast{Auctions: f.Auctions, SampledAuctions: f.Sampled, SampledWinners: f.SampledWinners,
		BelowReservePpm: f.BelowReservePPM, ChangedPpm: f.ChangedPPM, WinnersBefore: f.WinnersBefore,
		WinnersAfter: f.WinnersAfter, RevenueBeforeMicros: int64(f.RevenueBefore),
		RevenueAfterMicros: int64(f.RevenueAfter), BelowMinimumCpc: uint64(f.BelowMinimumCPC),
		BelowMinimumCpm: uint64(f.BelowMinimumCPM), Notices: f.Notices}, nil
}
