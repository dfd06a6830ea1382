package server

import (
	"context"

	"google.golang.org/grpc/metadata"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/wire"
)

// ClientHeader is the metadata key that a search client names itself by; the
// name travels in its tokens.
const ClientHeader = "x-hexbid-client"

type searchService struct {
	pb.UnimplementedSearchServiceServer
	server *Server
}

// answer is SearchNearby.
func (s *searchService) answer(ctx context.Context, r *pb.SearchNearbyRequest) (any, error) {
	request, err := wire.ToRequest(r)
	if err != nil {
		return nil, err
	}
	if request.Trace && !s.server.config.AllowTrace {
		return nil, hexbid.Errorf(hexbid.Denied, "trace", "is for operators: this server does not permit it (--allow-trace)")
	}
	if names := metadata.ValueFromIncomingContext(ctx, ClientHeader); len(names) > 0 {
		request.ClientID = names[0]
	}
	c := callOf(ctx)
	response, err := s.server.exchange.Load().Search(ctx, request, c.arrived)
	if err != nil {
		return nil, err
	}
	s.server.metrics.search(request.Slots, response) // none of a later page
	return answerTo(c, response, request.Datum), nil
}
