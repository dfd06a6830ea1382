package server

import (
	"context"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/wire"
)

// ClientHeader is the metadata key under which a search client names itself. Tokens carry the name.
const ClientHeader = "x-hexbid-client"

type searchService struct {
	pb.UnimplementedSearchServiceServer
	server *Server
}

// SearchNearby implements pb.SearchServiceServer.
func (s *searchService) SearchNearby(ctx context.Context, r *pb.SearchNearbyRequest) (*pb.SearchNearbyResponse, error) {
	found, err := s.search(ctx, r, time.Now())
	if err != nil {
		return nil, err
	}
	return found.message(), nil
}

// encoded answers a SearchNearby call from the network. It encodes the answer without building its message.
func (s *searchService) encoded(ctx context.Context, c *call, r *pb.SearchNearbyRequest) (answer, error) {
	found, err := s.search(ctx, r, c.arrived)
	if err != nil {
		return answer{}, err
	}
	c.recorded.Count("hexbid.sponsored", len(found.Sponsored))
	c.recorded.Count("hexbid.nearby", len(found.Nearby))
	defer c.recorded.Stage("encode").End()
	return found.encode(c.peer), nil
}

// found holds the results of a search and what else its answer depends on.
type found struct {
	*exchange.Response
	host    hexbid.Host  // whose creatives the answer shows
	datum   hexbid.Datum // for the answer's coordinates
	arrived time.Time    // when the whole request had arrived
}

// permitTrace refuses a trace, which evaluates every campaign, unless an operator asks a server that permits it.
func (s *searchService) permitTrace(ctx context.Context) error {
	switch role := hexbid.PrincipalOf(ctx).Role; {
	case role != hexbid.Operator && role != hexbid.System:
		return hexbid.Errorf(hexbid.Denied, "trace", "is for operators: leave it out")
	case !s.server.config.AllowTrace:
		return hexbid.Errorf(hexbid.Denied, "trace", "is for operators: this server does not permit it (--allow-trace)")
	}
	return nil
}

// search finds what both forms of an answer are made from.
func (s *searchService) search(ctx context.Context, r *pb.SearchNearbyRequest, arrived time.Time) (*found, error) {
	stage := s.server.config.Spans.Of(ctx).Stage("wire")
	request, err := wire.ToRequest(r)
	stage.End()
	if err != nil {
		return nil, err
	}
	if request.Trace {
		if err := s.permitTrace(ctx); err != nil {
			return nil, err
		}
	}
	request.ClientID = s.server.clientNamed(ctx)
	response, err := s.server.exchange.Load().Search(ctx, request, arrived)
	if err != nil {
		return nil, err
	}
	s.server.metrics.search(request.Slots, response) // later pages have no slots
	return &found{response, request.Host, request.Datum, arrived}, nil
}
