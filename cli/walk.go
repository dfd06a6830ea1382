package cli

import (
	"context"
	"fmt"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// resource is a wire message of the catalogue.
type resource interface {
	proto.Message
	GetName() string
	GetEtag() string
}

// listing is a list of a kind, which is named in the plural, under a parent, from a page token on. An empty parent
// means any.
type listing struct{ kind, parent, token string }

// page is a page of a listing.
type page struct {
	response  proto.Message
	resources []resource
	next      string
}

// fetchPage reads a page.
func fetchPage(
	ctx context.Context, campaigns pb.CampaignServiceClient, l listing, size int32, view pb.View,
) (p page, err error) {
	if l.parent == "" {
		l.parent = map[string]string{"programs": "advertisers/-", "campaigns": "advertisers/-",
			"places": "advertisers/-/programs/-"}[l.kind]
	}
	switch l.kind {
	case "advertisers":
		r, err := campaigns.ListAdvertisers(ctx, &pb.ListAdvertisersRequest{PageSize: size, PageToken: l.token})
		return page{r, resources(r.GetAdvertisers()), r.GetNextPageToken()}, err
	case "programs":
		r, err := campaigns.ListPrograms(ctx, &pb.ListProgramsRequest{Parent: l.parent, PageSize: size, PageToken: l.token})
		return page{r, resources(r.GetPrograms()), r.GetNextPageToken()}, err
	case "places":
		r, err := campaigns.ListPlaces(ctx, &pb.ListPlacesRequest{Parent: l.parent, PageSize: size, PageToken: l.token})
		return page{r, resources(r.GetPlaces()), r.GetNextPageToken()}, err
	case "campaigns":
		r, err := campaigns.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: l.parent, PageSize: size,
			PageToken: l.token, View: view})
		return page{r, resources(r.GetCampaigns()), r.GetNextPageToken()}, err
	}
	return page{}, fmt.Errorf("%q is neither a name nor a kind: use advertisers, programs, places or campaigns "+
		"(users, clients and keys have commands of their own)", l.kind)
}

func resources[T resource](list []T) []resource {
	out := make([]resource, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}

// walk reads lists to their end. Each page has the full timeout.
type walk struct {
	client   *client
	timeout  time.Duration
	view     pb.View
	pageSize int32
}

// all iterates over the resources of a listing, in order of name.
func (w *walk) all(ctx context.Context, l listing) iter.Seq2[resource, error] {
	return hexbid.PagesFrom(l.token, func(token string) ([]resource, string, error) {
		ctx, cancel := context.WithTimeout(ctx, w.timeout)
		defer cancel()
		l.token = token
		p, err := fetchPage(ctx, w.client.campaigns, l, w.pageSize, w.view)
		return p.resources, p.next, err
	})
}
