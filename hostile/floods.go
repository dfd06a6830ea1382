package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

const (
	floodClients     = 16
	callsAClient     = 16
	floodCallTimeout = 10 * time.Second
)

// callFloods makes the most expensive calls from many clients at once. The service may refuse or delay them. It may
// refuse bystanders, but must never answer them wrongly.
func callFloods(ctx context.Context, r *round) error {
	ctx, cancel := r.until(ctx)
	defer cancel()
	var group sync.WaitGroup
	for client := range floodClients {
		conns, err := attackerConns(r.server)
		defer closeAll(conns)
		if err != nil {
			return err
		}
		for i := range callsAClient {
			random := rand.New(rand.NewPCG(r.seed, uint64(client*callsAClient+i)))
			group.Go(func() {
				for ctx.Err() == nil {
					f, conn := floods[random.IntN(len(floods))], oneOf(random, conns...)
					one, cancel := context.WithTimeout(ctx, floodCallTimeout)
					err := f.call(one, conn, random)
					cancel()
					if ctx.Err() == nil {
						r.tally.called(f.name, err)
					}
				}
			})
		}
	}
	group.Wait()
	return nil
}

var floods = []struct {
	name string
	call func(context.Context, *grpc.ClientConn, *rand.Rand) error
}{
	{"a wide search", func(ctx context.Context, conn *grpc.ClientConn, r *rand.Rand) error {
		_, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx, wideSearch(r))
		return err
	}},
	{"a search abandoned", func(ctx context.Context, conn *grpc.ClientConn, r *rand.Rand) error {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(r.IntN(2000))*time.Microsecond)
		defer cancel()
		_, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx, wideSearch(r))
		return err
	}},
	{"a traced search", func(ctx context.Context, conn *grpc.ClientConn, r *rand.Rand) error {
		request := wideSearch(r)
		request.Trace = true
		_, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx, request)
		return err
	}},
	{"deep pages", deepPages},
	{"an explanation", func(ctx context.Context, conn *grpc.ClientConn, r *rand.Rand) error {
		_, err := pb.NewCampaignServiceClient(conn).Explain(ctx,
			&pb.ExplainRequest{Name: "advertisers/bystander-1/campaigns/c", Request: wideSearch(r)})
		return err
	}},
	{"a list of campaigns", func(ctx context.Context, conn *grpc.ClientConn, _ *rand.Rand) error {
		_, err := pb.NewCampaignServiceClient(conn).ListCampaigns(ctx,
			&pb.ListCampaignsRequest{Parent: "advertisers/-", PageSize: hexbid.MaxPageSize, View: pb.View_VIEW_FULL})
		return err
	}},
	{"a list of places", func(ctx context.Context, conn *grpc.ClientConn, _ *rand.Rand) error {
		_, err := pb.NewCampaignServiceClient(conn).ListPlaces(ctx,
			&pb.ListPlacesRequest{Parent: "advertisers/-/programs/none", PageSize: hexbid.MaxPageSize})
		return err
	}},
	{"a list of regions", func(ctx context.Context, conn *grpc.ClientConn, _ *rand.Rand) error {
		_, err := pb.NewCampaignServiceClient(conn).ListRegions(ctx,
			&pb.ListRegionsRequest{Words: "a a a a a a a a", PageSize: hexbid.MaxPageSize})
		return err
	}},
}

func wideSearch(r *rand.Rand) *pb.SearchNearbyRequest {
	return &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: -60 + r.Float64(), Longitude: -150 + r.Float64()},
		Words: []string{"", "a a a", "面"}[r.IntN(3)], RadiusM: proto.Float64(50_000), NearbyLimit: proto.Int32(100),
		SponsoredSlots: proto.Int32(10)}
}

// deepPages reads a list page by page to its end.
func deepPages(ctx context.Context, conn *grpc.ClientConn, r *rand.Rand) error {
	request := wideSearch(r)
	for {
		answer, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx, request)
		if err != nil || answer.GetNextPageToken() == "" {
			return err
		}
		request.PageToken = answer.GetNextPageToken()
	}
}
