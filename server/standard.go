package server

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/wire"
)

// The standard methods. Each is a line over the generic ones.

// CreateAdvertiser implements pb.CampaignServiceServer.
func (s *campaignService) CreateAdvertiser(ctx context.Context, r *pb.CreateAdvertiserRequest) (*pb.Advertiser, error) {
	return create(ctx, s, r.GetAdvertiser(), creation{hexbid.KindAdvertiser, "", r.GetAdvertiserId(), r.GetValidateOnly()})
}

// GetAdvertiser implements pb.CampaignServiceServer.
func (s *campaignService) GetAdvertiser(ctx context.Context, r *pb.GetAdvertiserRequest) (*pb.Advertiser, error) {
	a, err := get[*pb.Advertiser](ctx, s, hexbid.KindAdvertiser, r.GetName())
	if err != nil {
		return nil, err
	}
	has, atMost, err := s.exchange().Holdings(ctx, r.GetName())
	a.Holdings, a.Limits = wire.FromHoldings(&has), wire.FromHoldings(&atMost)
	return a, err
}

// ListAdvertisers implements pb.CampaignServiceServer.
func (s *campaignService) ListAdvertisers(ctx context.Context,
	r *pb.ListAdvertisersRequest) (*pb.ListAdvertisersResponse, error) {
	page, next, err := list[*pb.Advertiser](ctx, s,
		listing{hexbid.KindAdvertiser, "", r.GetPageSize(), r.GetPageToken(), 0})
	return &pb.ListAdvertisersResponse{Advertisers: page, NextPageToken: next}, err
}

// UpdateAdvertiser implements pb.CampaignServiceServer.
func (s *campaignService) UpdateAdvertiser(ctx context.Context, r *pb.UpdateAdvertiserRequest) (*pb.Advertiser, error) {
	return update(ctx, s, hexbid.KindAdvertiser, r.GetAdvertiser(),
		updateOptions{r.GetUpdateMask(), r.GetValidateOnly(), r.GetAllowMissing()})
}

// DeleteAdvertiser implements pb.CampaignServiceServer.
func (s *campaignService) DeleteAdvertiser(ctx context.Context, r *pb.DeleteAdvertiserRequest) (*emptypb.Empty, error) {
	return remove(ctx, s, removal{hexbid.KindAdvertiser, r.GetName(), r.GetEtag(), r.GetValidateOnly()})
}

// CreateProgram implements pb.CampaignServiceServer.
func (s *campaignService) CreateProgram(ctx context.Context, r *pb.CreateProgramRequest) (*pb.Program, error) {
	return create(ctx, s, r.GetProgram(), creation{hexbid.KindProgram, r.GetParent(), r.GetProgramId(),
		r.GetValidateOnly()})
}

// GetProgram implements pb.CampaignServiceServer.
func (s *campaignService) GetProgram(ctx context.Context, r *pb.GetProgramRequest) (*pb.Program, error) {
	return get[*pb.Program](ctx, s, hexbid.KindProgram, r.GetName())
}

// ListPrograms implements pb.CampaignServiceServer.
func (s *campaignService) ListPrograms(ctx context.Context,
	r *pb.ListProgramsRequest) (*pb.ListProgramsResponse, error) {
	page, next, err := list[*pb.Program](ctx, s, listing{hexbid.KindProgram, r.GetParent(), r.GetPageSize(),
		r.GetPageToken(), 0})
	return &pb.ListProgramsResponse{Programs: page, NextPageToken: next}, err
}

// UpdateProgram implements pb.CampaignServiceServer.
func (s *campaignService) UpdateProgram(ctx context.Context, r *pb.UpdateProgramRequest) (*pb.Program, error) {
	return update(ctx, s, hexbid.KindProgram, r.GetProgram(),
		updateOptions{r.GetUpdateMask(), r.GetValidateOnly(), r.GetAllowMissing()})
}

// DeleteProgram implements pb.CampaignServiceServer.
func (s *campaignService) DeleteProgram(ctx context.Context, r *pb.DeleteProgramRequest) (*emptypb.Empty, error) {
	return remove(ctx, s, removal{hexbid.KindProgram, r.GetName(), r.GetEtag(), r.GetValidateOnly()})
}

// CreatePlace implements pb.CampaignServiceServer.
func (s *campaignService) CreatePlace(ctx context.Context, r *pb.CreatePlaceRequest) (*pb.Place, error) {
	return create(ctx, s, r.GetPlace(), creation{hexbid.KindPlace, r.GetParent(), r.GetPlaceId(), r.GetValidateOnly()})
}

// GetPlace implements pb.CampaignServiceServer.
func (s *campaignService) GetPlace(ctx context.Context, r *pb.GetPlaceRequest) (*pb.Place, error) {
	return get[*pb.Place](ctx, s, hexbid.KindPlace, r.GetName())
}

// ListPlaces implements pb.CampaignServiceServer.
func (s *campaignService) ListPlaces(ctx context.Context, r *pb.ListPlacesRequest) (*pb.ListPlacesResponse, error) {
	page, next, err := list[*pb.Place](ctx, s,
		listing{hexbid.KindPlace, r.GetParent(), r.GetPageSize(), r.GetPageToken(), 0})
	return &pb.ListPlacesResponse{Places: page, NextPageToken: next}, err
}

// UpdatePlace implements pb.CampaignServiceServer.
func (s *campaignService) UpdatePlace(ctx context.Context, r *pb.UpdatePlaceRequest) (*pb.Place, error) {
	return update(ctx, s, hexbid.KindPlace, r.GetPlace(),
		updateOptions{r.GetUpdateMask(), r.GetValidateOnly(), r.GetAllowMissing()})
}

// DeletePlace implements pb.CampaignServiceServer.
func (s *campaignService) DeletePlace(ctx context.Context, r *pb.DeletePlaceRequest) (*emptypb.Empty, error) {
	return remove(ctx, s, removal{hexbid.KindPlace, r.GetName(), r.GetEtag(), r.GetValidateOnly()})
}

// CreateCampaign implements pb.CampaignServiceServer.
func (s *campaignService) CreateCampaign(ctx context.Context, r *pb.CreateCampaignRequest) (*pb.Campaign, error) {
	return create(ctx, s, r.GetCampaign(), creation{hexbid.KindCampaign, r.GetParent(), r.GetCampaignId(),
		r.GetValidateOnly()})
}

// GetCampaign implements pb.CampaignServiceServer.
func (s *campaignService) GetCampaign(ctx context.Context, r *pb.GetCampaignRequest) (*pb.Campaign, error) {
	c, err := get[*pb.Campaign](ctx, s, hexbid.KindCampaign, r.GetName())
	if err != nil {
		return nil, err
	}
	if c.Spend, err = s.spend(ctx, hexbid.UID(c.GetUid())); err != nil {
		return nil, err
	}
	if c.Spend != nil {
		c.Delivery, c.Spend.Delivery = c.Spend.Delivery, nil
	}
	return c, nil
}

// ListCampaigns implements pb.CampaignServiceServer.
func (s *campaignService) ListCampaigns(ctx context.Context,
	r *pb.ListCampaignsRequest) (*pb.ListCampaignsResponse, error) {
	page, next, err := list[*pb.Campaign](ctx, s, listing{hexbid.KindCampaign, r.GetParent(), r.GetPageSize(),
		r.GetPageToken(), r.GetView()})
	return &pb.ListCampaignsResponse{Campaigns: page, NextPageToken: next}, err
}

// UpdateCampaign implements pb.CampaignServiceServer.
func (s *campaignService) UpdateCampaign(ctx context.Context, r *pb.UpdateCampaignRequest) (*pb.Campaign, error) {
	return update(ctx, s, hexbid.KindCampaign, r.GetCampaign(),
		updateOptions{r.GetUpdateMask(), r.GetValidateOnly(), r.GetAllowMissing()})
}

// DeleteCampaign implements pb.CampaignServiceServer.
func (s *campaignService) DeleteCampaign(ctx context.Context, r *pb.DeleteCampaignRequest) (*emptypb.Empty, error) {
	return remove(ctx, s, removal{hexbid.KindCampaign, r.GetName(), r.GetEtag(), r.GetValidateOnly()})
}
