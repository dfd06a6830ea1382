package server

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// TestAnAdminElsewhereEndsNoStream: the admin of any advertiser may make a user a member of it. An upload of that user
// to another advertiser goes on, and so it does when the admin thinks better of it, also if it began meanwhile.
func TestAnAdminElsewhereEndsNoStream(t *testing.T) {
	x := openMatrix(t)
	e := x.exchange.Load()
	if _, err := e.SetMembership(ctx, x.own.user, x.own.advertiser, hexbid.LevelEditor); err != nil {
		t.Fatal(err)
	}
	_, key, err := e.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: x.own.user + "/keys/upload"}})
	if err != nil {
		t.Fatal(err)
	}
	admin, _ := x.callerOf("admin")
	rival, err := e.Get(ctx, x.other.advertiser)
	if err != nil {
		t.Fatal(err)
	}
	admin.Grants = &hexbid.Grants{Advertisers: map[string]hexbid.Membership{x.other.advertiser: {
		Advertiser: x.other.advertiser, UID: rival.Metadata().UID, Level: hexbid.LevelAdmin}}}
	elsewhere := func(level hexbid.Level) {
		if _, err := e.SetMembership(hexbid.WithPrincipal(ctx, admin), x.own.user, x.other.advertiser, level); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere(hexbid.LevelAdmin) // when the streams begin
	conn, mine := x.dial(t), bearing(t.Context(), "Bearer "+key)
	upload, err := pb.NewCampaignServiceClient(conn).Import(mine)
	if err != nil {
		t.Fatal(err)
	}
	watch, err := pb.NewLedgerServiceClient(conn).WatchAlerts(mine, &pb.WatchAlertsRequest{Parent: x.own.advertiser})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil { // the server knows whose watch it is
		t.Fatal(err)
	}
	watched := make(chan error, 1)
	go func() {
		for {
			if _, err := watch.Recv(); err != nil {
				watched <- err
				return
			}
		}
	}()
	sent := 0
	send := func() error {
		sent++
		_ = upload.Send(&pb.ImportRequest{Rows: []*pb.ImportRow{{Row: 1, Resource: &pb.ImportRow_Place{Place: &pb.Place{
			Name: fmt.Sprintf("%s/places/of-%d", x.own.program(), sent), DisplayName: "L", Latitude: 30,
			Longitude: 120}}}}}) // Recv says why not
		r, err := upload.Recv()
		if refused := r.GetOutcomes(); err == nil && refused[0].GetError() != nil {
			err = status.Error(codes.FailedPrecondition, refused[0].GetError().GetCode())
		}
		return err
	}
	if err := send(); err != nil {
		t.Fatal(err)
	}
	for _, level := range []hexbid.Level{hexbid.LevelNone, hexbid.LevelAdmin, hexbid.LevelViewer, hexbid.LevelNone} {
		elsewhere(level)
		if err := send(); err != nil {
			t.Fatalf("an upload, once its user is %s elsewhere: %v", level, err)
		}
		select {
		case err := <-watched:
			t.Fatalf("a watch, once its user is %s elsewhere: %v", level, err)
		case <-time.After(betweenCallerLooks / 10):
		}
	}
	if _, err := e.SetMembership(ctx, x.own.user, x.own.advertiser, hexbid.LevelViewer); err != nil {
		t.Fatal(err)
	}
	if err := send(); status.Convert(err).Message() != "PERMISSION_DENIED" {
		t.Errorf("a row of an upload whose user may no longer: %v", err)
	}
	if err := <-watched; status.Code(err) != codes.Unavailable {
		t.Errorf("a watch whose user may less: %v", err)
	}
}
