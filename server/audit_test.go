package server

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// changesIn lists changes page by page.
func changesIn(t *testing.T, c pb.AuditServiceClient, r *pb.ListChangesRequest) (names []string, pages []int) {
	t.Helper()
	for {
		page, err := c.ListChanges(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, len(page.GetChanges()))
		for _, change := range page.GetChanges() {
			names = append(names, change.GetName())
		}
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			return names, pages
		}
	}
}

func TestPagesOfChangesHaveEachChangeOnce(t *testing.T) {
	conn := serve(t, nil).dial(t)
	catalogue, audit := pb.NewCampaignServiceClient(conn), pb.NewAuditServiceClient(conn)
	for i := range 5 {
		for _, id := range []string{"a", "b"} {
			if _, err := catalogue.UpdateAdvertiser(t.Context(), &pb.UpdateAdvertiserRequest{AllowMissing: true,
				Advertiser: &pb.Advertiser{Name: "advertisers/" + id, DisplayName: fmt.Sprint(i)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole, _ := changesIn(t, audit, &pb.ListChangesRequest{Owner: "advertisers/a"})
	if len(whole) != 5 {
		t.Fatalf("%d changes of one advertiser, want 5", len(whole))
	}
	for size, lengths := range map[int32][]int{1: {1, 1, 1, 1, 1}, 2: {2, 2, 1}, 5: {5}} {
		names, pages := changesIn(t, audit, &pb.ListChangesRequest{Owner: "advertisers/a", PageSize: size})
		// The page that ends with the last change may be followed by an empty one.
		if !slices.Equal(names, whole) || !slices.Equal(pages, lengths) && !slices.Equal(pages, append(lengths, 0)) {
			t.Errorf("pages of %d: %v: %q; want %q", size, pages, names, whole)
		}
	}
}

func TestATokenOfChangesIsForItsOwnList(t *testing.T) {
	conn := serve(t, nil).dial(t)
	for _, id := range []string{"a", "b"} {
		if _, err := pb.NewCampaignServiceClient(conn).CreateAdvertiser(t.Context(), &pb.CreateAdvertiserRequest{
			AdvertiserId: id, Advertiser: &pb.Advertiser{DisplayName: id}}); err != nil {
			t.Fatal(err)
		}
	}
	audit := pb.NewAuditServiceClient(conn)
	first, err := audit.ListChanges(t.Context(), &pb.ListChangesRequest{PageSize: 1})
	if err != nil || first.GetNextPageToken() == "" {
		t.Fatalf("%v, %v", first, err)
	}
	for what, r := range map[string]*pb.ListChangesRequest{"an owner's": {Owner: "advertisers/a"},
		"a kind's": {Kind: "advertiser"}, "one with all values": {View: pb.View_VIEW_FULL}} {
		r.PageToken = first.GetNextPageToken()
		if _, err := audit.ListChanges(t.Context(), r); status.Code(err) != codes.InvalidArgument ||
			!strings.Contains(err.Error(), "page_token") {
			t.Errorf("%s list took the token of another: %v", what, err)
		}
	}
	if _, err := audit.ListChanges(t.Context(), &pb.ListChangesRequest{PageSize: maxPage + 1}); status.Code(err) !=
		codes.InvalidArgument {
		t.Errorf("a page too large: %v", err)
	}
}

func TestTokensOfPagesTellNothingByTheirLength(t *testing.T) {
	e, r := serve(t, nil).exchange.Load(), &pb.ListChangesRequest{}
	short := tokenAfter(t.Context(), e, r, 1)
	for _, number := range []uint64{1, 9_999, math.MaxUint64} {
		r.PageToken = tokenAfter(t.Context(), e, r, number)
		if p, err := pageAfter(t.Context(), e, r); err != nil || p.after != number || len(r.PageToken) != len(short) {
			t.Errorf("%d: %+v, %v; a token of %d characters, want %d", number, p, err, len(r.PageToken), len(short))
		}
	}
}
