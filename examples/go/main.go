// Command go is a search client of Hexbid: it asks for the mini-programs around
// a point, shows them, and reports what was seen and clicked, with the settings
// that docs/search-clients.md recommends.
//
//	go run ./examples/go [address]
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// A search: one quick retry of what another replica may answer. Events: more patience; a retry has the same event ids.
const retries = `{"methodConfig": [{"name": [{"service": "hexbid.v1.SearchService"}], "retryPolicy": {
	"maxAttempts": 2, "initialBackoff": "0.002s", "maxBackoff": "0.01s", "backoffMultiplier": 2,
	"retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}},
	{"name": [{"service": "hexbid.v1.EventService"}], "retryPolicy": {
	"maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 3,
	"retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}}]}`

func main() {
	address := "127.0.0.1:7600"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(retries),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 5 * time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	all := metadata.AppendToOutgoingContext(context.Background(), "x-hexbid-client", "example")
	ctx, cancel := context.WithTimeout(all, time.Second) // the first call connects; then 20 ms will do
	defer cancel()
	response, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx, &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: 30.2553, Longitude: 120.1640, Datum: pb.Datum_DATUM_WGS84},
		Viewer: &pb.Viewer{Age: proto.Int32(24), Gender: pb.Gender_GENDER_FEMALE,
			OperatingSystem: pb.OperatingSystem_OPERATING_SYSTEM_IOS},
		Host: pb.Host_HOST_WECHAT, Scene: pb.Scene_SCENE_NEARBY_LIST, NearbyLimit: proto.Int32(5),
	})
	if err != nil {
		log.Fatal(err)
	}
	var events []*pb.Event // of what the viewer sees: all ads, of which the first is opened
	for _, s := range response.GetSponsored() {
		fmt.Printf("ad %d: %s (%s)\n", s.GetSlot(), s.GetProgram().GetDisplayName(), s.GetCreative().GetPromotion())
		events = append(events, event(pb.EventKind_EVENT_KIND_IMPRESSION, s))
	}
	for _, n := range response.GetNearby() {
		fmt.Printf("%.0f m: %s\n", n.GetDistanceM(), n.GetProgram().GetDisplayName())
	}
	if len(events) > 0 {
		events = append(events, event(pb.EventKind_EVENT_KIND_CLICK, response.GetSponsored()[0]))
		report(all, conn, events)
	}
}

func event(kind pb.EventKind, of *pb.SponsoredResult) *pb.Event {
	return &pb.Event{Kind: kind, Token: of.GetToken(), EventId: rand.Text()}
}

// report reports events. Had it failed, it could send the same events again: each is recorded once.
func report(ctx context.Context, conn *grpc.ClientConn, events []*pb.Event) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := pb.NewEventServiceClient(conn).RecordEvents(ctx, &pb.RecordEventsRequest{Events: events})
	if err != nil {
		log.Fatal(err)
	}
	for i, r := range answer.GetResults() {
		fmt.Printf("%s: %s\n", strings.TrimPrefix(events[i].GetKind().String(), "EVENT_KIND_"),
			strings.TrimPrefix(r.GetOutcome().String(), "EVENT_OUTCOME_"))
	}
}
