package server

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/wire"
)

// marketService serves the operator's rules of the auction by the standard methods.
type marketService struct {
	pb.UnimplementedMarketServiceServer
	server *Server
}

func (s *marketService) exchange() *exchange.Exchange { return s.server.exchange.Load() }

// shower implements resources.
func (s *marketService) shower(ctx context.Context, _ pb.View) (func(hexbid.Resource) proto.Message, error) {
	now, err := s.exchange().MarketInForce(ctx)
	if err != nil {
		return nil, err
	}
	return func(r hexbid.Resource) proto.Message {
		m := wire.FromNoun(r).(*pb.Market)
		m.InForce, m.SettingsNotTaken = inForce(&now), now.NotTaken
		return withEtag(s, m, r)
	}, nil
}

// inForce shows what auctions follow.
func inForce(now *exchange.MarketInForce) *pb.MarketInForce {
	out := &pb.MarketInForce{Version: now.Version, PositionFactors: now.PositionFactors,
		PositionFactorsOnRender: now.FactorsOnRender, Distance: wire.FromDistances(bidder.TableOf(&now.Distance))}
	if out.PositionFactorsOnRender == nil {
		out.PositionFactorsOnRender = now.PositionFactors
	}
	if !now.Since.IsZero() {
		out.Since = timestamppb.New(now.Since)
	}
	return out
}

// GetMarket implements pb.MarketServiceServer.
func (s *marketService) GetMarket(ctx context.Context, r *pb.GetMarketRequest) (*pb.Market, error) {
	return get[*pb.Market](ctx, s, hexbid.KindMarket, r.GetName())
}

// UpdateMarket implements pb.MarketServiceServer.
func (s *marketService) UpdateMarket(ctx context.Context, r *pb.UpdateMarketRequest) (*pb.Market, error) {
	m, err := update(ctx, s, hexbid.KindMarket, r.GetMarket(),
		updateOptions{r.GetUpdateMask(), r.GetValidateOnly(), false})
	if err == nil && r.GetValidateOnly() {
		m.Forecast, err = s.forecast(ctx, m)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}
