package main

import (
	"context"
	"errors"
	"fmt"
	"path"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// remains are the records that a race has left. A race has so few names that one page of a list shows all.
type remains struct {
	names  []string // of campaigns, then places, then programs, then advertisers, so that each can be deleted in turn
	refers map[string][]string
}

func leftOver(ctx context.Context, client pb.CampaignServiceClient) (left remains, err error) {
	campaigns, ofCampaigns := client.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: "advertisers/-",
		PageSize: hexbid.MaxPageSize})
	places, ofPlaces := client.ListPlaces(ctx, &pb.ListPlacesRequest{Parent: "advertisers/-/programs/-",
		PageSize: hexbid.MaxPageSize})
	programs, ofPrograms := client.ListPrograms(ctx, &pb.ListProgramsRequest{Parent: "advertisers/-",
		PageSize: hexbid.MaxPageSize})
	advertisers, ofAdvertisers := client.ListAdvertisers(ctx, &pb.ListAdvertisersRequest{PageSize: hexbid.MaxPageSize})
	left.refers = map[string][]string{}
	add := func(name string, refers ...string) {
		left.names = append(left.names, name)
		left.refers[name] = refers
	}
	for _, c := range campaigns.GetCampaigns() {
		add(c.GetName(), parentOf(c.GetName()), c.GetProgram())
	}
	for _, l := range places.GetPlaces() {
		add(l.GetName(), parentOf(l.GetName()))
	}
	for _, p := range programs.GetPrograms() {
		add(p.GetName(), parentOf(p.GetName()))
	}
	for _, a := range advertisers.GetAdvertisers() {
		add(a.GetName())
	}
	return left, errors.Join(ofCampaigns, ofPlaces, ofPrograms, ofAdvertisers)
}

// parentOf returns the name that a name begins with: without the last id and the word before it.
func parentOf(name string) string { return path.Dir(path.Dir(name)) }

// auditReferences judges what a race has left, and leaves nothing of it.
func (r *round) auditReferences(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	client := pb.NewCampaignServiceClient(conn)
	if err := r.clear(ctx, client); err != nil {
		return err
	}
	fresh, err := r.fill(ctx, client, fmt.Sprintf("advertisers/fresh-%d", r.random.Uint32()))
	if err != nil {
		return err
	}
	for _, advertiser := range raceAdvertisers {
		raced, err := r.fill(ctx, client, "advertisers/"+advertiser)
		if err != nil {
			return err
		}
		if raced != fresh {
			r.tally.fall("a new advertiser takes %d campaigns, and one that lost everything in a race %d", fresh, raced)
		}
	}
	return r.clear(ctx, client)
}

// clear deletes everything. What refers to something that is missing is a fall, and so is what cannot be deleted
// although nothing refers to it any more.
func (r *round) clear(ctx context.Context, client pb.CampaignServiceClient) error {
	left, err := leftOver(ctx, client)
	if err != nil {
		return err
	}
	for _, name := range left.names {
		for _, needed := range left.refers[name] {
			if _, there := left.refers[needed]; !there {
				r.tally.fall("%s refers to %s, which is missing", name, needed)
			}
		}
	}
	for _, name := range left.names {
		if err := deleteOne(ctx, client, name); err != nil {
			r.tally.fall("%s cannot be deleted when all that referred to it is: %v", name, err)
		}
	}
	return nil
}

// deleteOne deletes the record of a name of any kind.
func deleteOne(ctx context.Context, client pb.CampaignServiceClient, name string) (err error) {
	switch path.Base(path.Dir(name)) {
	case "campaigns":
		_, err = client.DeleteCampaign(ctx, &pb.DeleteCampaignRequest{Name: name})
	case "places":
		_, err = client.DeletePlace(ctx, &pb.DeletePlaceRequest{Name: name})
	case "programs":
		_, err = client.DeleteProgram(ctx, &pb.DeleteProgramRequest{Name: name})
	default:
		_, err = client.DeleteAdvertiser(ctx, &pb.DeleteAdvertiserRequest{Name: name})
	}
	return err
}

// fill gives an advertiser campaigns around approved places of its programs until its limit is reached, and returns
// their number.
func (r *round) fill(ctx context.Context, client pb.CampaignServiceClient,
	advertiser string) (campaigns int, err error) {
	_, err = client.CreateAdvertiser(ctx, &pb.CreateAdvertiserRequest{AdvertiserId: path.Base(advertiser),
		Advertiser: &pb.Advertiser{DisplayName: "a"}})
	for _, id := range racePrograms {
		program := advertiser + "/programs/" + id
		_, e1 := client.CreateProgram(ctx, &pb.CreateProgramRequest{Parent: advertiser, ProgramId: id,
			Program: raceProgram(program)})
		_, e2 := client.CreatePlace(ctx, &pb.CreatePlaceRequest{Parent: program, PlaceId: "l0",
			Place: &pb.Place{Latitude: -60, Longitude: -150}})
		_, e3 := client.ReviewPlace(ctx, &pb.ReviewPlaceRequest{Name: program + "/places/l0",
			ReviewState: pb.ReviewState_REVIEW_STATE_APPROVED})
		err = errors.Join(err, e1, e2, e3)
	}
	for ; err == nil; campaigns++ {
		program := advertiser + "/programs/" + racePrograms[campaigns%len(racePrograms)]
		name := fmt.Sprintf("%s/campaigns/f%d", advertiser, campaigns)
		_, err = client.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{AllowMissing: true,
			Campaign: raceCampaign(name, program, &pb.Area{AroundPlacesM: 500})})
		if status.Code(err) == codes.ResourceExhausted {
			return campaigns, nil
		}
	}
	return campaigns, err
}
