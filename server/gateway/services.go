package gateway

import (
	"context"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	routes "github.com/hexbid/hexbid/server/gateway/routes"
)

// services registers the generated handlers of each service.
var services = []func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error{
	of(routes.RegisterSearchServiceHandlerClient, pb.NewSearchServiceClient),
	of(routes.RegisterCampaignServiceHandlerClient, pb.NewCampaignServiceClient),
	of(routes.RegisterEventServiceHandlerClient, pb.NewEventServiceClient),
	of(routes.RegisterLedgerServiceHandlerClient, pb.NewLedgerServiceClient),
	of(routes.RegisterAccessServiceHandlerClient, pb.NewAccessServiceClient),
	of(routes.RegisterMarketServiceHandlerClient, pb.NewMarketServiceClient),
	of(routes.RegisterAuditServiceHandlerClient, pb.NewAuditServiceClient),
}

func of[C any](register func(context.Context, *runtime.ServeMux, C) error,
	client func(grpc.ClientConnInterface) C) func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error {
	return func(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
		return register(ctx, mux, client(conn))
	}
}
