package server

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

var tester = hexbid.Principal{Role: hexbid.Operator, ID: "tester", Origin: "10.0.0.7:51514"}

func TestACallInProcessIsMadeForThePrincipalOfItsContext(t *testing.T) {
	s := callers{store.NewMemory(), make(chan asked, 1)}
	conn := serveOn(t, s, nil).InProcess()
	named := hexbid.WithPrincipal(t.Context(), tester)
	stream, err := pb.NewCampaignServiceClient(conn).Import(named)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(advertisers("advertisers/a", 1)); err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Recv(); err != nil || r.GetOutcomes()[0].GetAction() != pb.ImportAction_IMPORT_ACTION_CREATED {
		t.Fatalf("%v, %v", r, err)
	}
	if got := <-s.asked; got.principal != tester.String() {
		t.Errorf("an import came as %q", got.principal)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the import ended with %v", err)
	}
	read := func(ctx context.Context) error {
		_, err := pb.NewCampaignServiceClient(conn).GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: "advertisers/a"})
		return err
	}
	if err := read(named); err != nil {
		t.Fatal(err)
	}
	if got := <-s.asked; got.principal != tester.String() {
		t.Errorf("a read came as %q", got.principal)
	}
	if err := read(t.Context()); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a call for nobody: %v", err)
	}
}

func TestMetadataOfACallInProcessSaysNothing(t *testing.T) {
	s := serve(t, nil)
	forged := metadata.NewIncomingContext(t.Context(), metadata.Pairs(ClientHeader, "forged"))
	forged = metadata.NewOutgoingContext(forged, metadata.Pairs(ClientHeader, "forged"))
	inside := context.WithValue(forged, insideKey{}, true)
	if name := clientOf(inside); name != "" {
		t.Errorf("metadata named the client %q", name)
	}
	if name := clientOf(WithClient(inside, "superapp")); name != "superapp" {
		t.Errorf("the client is %q", name)
	}
	_, err := pb.NewCampaignServiceClient(s.InProcess()).GetAdvertiser(forged,
		&pb.GetAdvertiserRequest{Name: "advertisers/a"})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a call for nobody: %v", err)
	}
}

func TestACallInProcessPassesTheStagesOfACallFromTheNetwork(t *testing.T) {
	s := serve(t, func(c *Config) { c.Limits.Searches = 1 })
	ctx := hexbid.WithPrincipal(t.Context(), tester)
	search := func(r *pb.SearchNearbyRequest) error {
		_, err := pb.NewSearchServiceClient(s.InProcess()).SearchNearby(ctx, r)
		return err
	}
	here := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30, Longitude: 120}}
	if err := search(here); err != nil {
		t.Fatal(err)
	}
	if err := s.gates[searching].enter(1, new(party)); err != nil {
		t.Fatal(err)
	}
	if err := search(here); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("beyond the limit of the class: %v", err)
	}
	s.gates[searching].leave(1, new(party))
	if err := search(&pb.SearchNearbyRequest{Words: strings.Repeat("x", smallRequestBytes)}); status.Code(err) !=
		codes.InvalidArgument || !strings.Contains(err.Error(), "send at most 65536") {
		t.Errorf("beyond the size of the class: %v", err)
	}
	if err := s.InProcess().Invoke(ctx, "/hexbid.v1.SearchService/None", here, here); status.Code(err) !=
		codes.Unimplemented {
		t.Errorf("an unknown method: %v", err)
	}
	starting := newServer(t, nil)
	_, err := pb.NewSearchServiceClient(starting.InProcess()).SearchNearby(ctx, here)
	if status.Code(err) != codes.Unavailable {
		t.Errorf("before the server is ready: %v", err)
	}
	if n := s.gates[searching].working.Load(); n != 0 {
		t.Errorf("%d searches are worked on after them", n)
	}
}

func TestAnEncodedAnswerInProcessIsTheMessage(t *testing.T) {
	s := serve(t, nil)
	ctx := hexbid.WithPrincipal(t.Context(), tester)
	r := &pb.ListRegionsRequest{Words: "杭州"}
	var encoded Encoded
	if err := s.InProcess().Invoke(ctx, pb.CampaignService_ListRegions_FullMethodName, r, &encoded); err != nil {
		t.Fatal(err)
	}
	defer encoded.Free()
	got := new(pb.ListRegionsResponse)
	if err := proto.Unmarshal(encoded.ReadOnlyData(), got); err != nil {
		t.Fatal(err)
	}
	want, err := pb.NewCampaignServiceClient(s.InProcess()).ListRegions(ctx, r)
	if err != nil || !proto.Equal(got, want) || len(want.GetRegions()) == 0 {
		t.Errorf("%v, want %v, %v", got, want, err)
	}
}

// A stream whose caller may send more than one message says io.EOF to the next one when it has ended. The only message
// of a watch is sent by generated code, which would take io.EOF for the reason.
func TestAStreamInProcessEndsWithItsContext(t *testing.T) {
	s := serve(t, nil)
	ctx, cancel := context.WithCancel(hexbid.WithPrincipal(t.Context(), tester))
	watch, err := pb.NewLedgerServiceClient(s.InProcess()).WatchAlerts(ctx, &pb.WatchAlertsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	upload, err := pb.NewCampaignServiceClient(s.InProcess()).Import(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for err = nil; err == nil; {
		_, err = watch.Recv()
	}
	for err = nil; err == nil; {
		_, err = upload.Recv()
	}
	s.handling.Wait() // the handlers return
	if err := watch.SendMsg(&pb.WatchAlertsRequest{}); err != nil {
		t.Errorf("sending on a watch that has ended: %v", err)
	}
	if err := upload.SendMsg(&pb.ImportRequest{}); !errors.Is(err, io.EOF) {
		t.Errorf("sending on an upload that has ended: %v", err)
	}
}
