package main

import (
	"fmt"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Attackers store programs on a host and in a category that bystanders never search.
const (
	attackersHost, attackersCategory = pb.Host_HOST_WECHAT, pb.Category_CATEGORY_PETS
)

// programRows returns an advertiser of the attackers and its program.
func programRows(advertiser string) []*pb.ImportRow {
	name := "advertisers/" + advertiser
	return []*pb.ImportRow{
		{Resource: &pb.ImportRow_Advertiser{Advertiser: &pb.Advertiser{Name: name, DisplayName: advertiser}}},
		{Resource: &pb.ImportRow_Program{Program: &pb.Program{Name: name + "/programs/p", DisplayName: "p",
			Category: attackersCategory, Hosts: []pb.Host{attackersHost}}}},
	}
}

func campaignOf(advertiser string, i int, area *pb.Area) *pb.Campaign {
	name := "advertisers/" + advertiser
	return &pb.Campaign{Name: fmt.Sprintf("%s/campaigns/c%d", name, i), DisplayName: "c", Program: name + "/programs/p",
		PricingModel: pb.PricingModel_PRICING_MODEL_CPC, BidMicros: yuan, DailyBudgetMicros: 1000 * yuan,
		Pacing: pb.Pacing_PACING_ASAP, Area: area}
}

func campaignRow(advertiser string, i int, area *pb.Area) *pb.ImportRow {
	return &pb.ImportRow{Row: int64(i), Resource: &pb.ImportRow_Campaign{Campaign: campaignOf(advertiser, i, area)}}
}

func placeRow(advertiser string, i int, latitude, longitude float64) *pb.ImportRow {
	name := fmt.Sprintf("advertisers/%s/programs/p/places/l%d", advertiser, i)
	return &pb.ImportRow{Row: int64(i),
		Resource: &pb.ImportRow_Place{Place: &pb.Place{Name: name, Latitude: latitude, Longitude: longitude}}}
}
