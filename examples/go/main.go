// Command go is a search client of Hexbid: it asks for the mini-programs around
// a point, with the settings that docs/search-clients.md recommends.
//
//	go run ./examples/go [address]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// One quick retry of what another replica may answer.
const retries = `{"methodConfig": [{"name": [{"service": "hexbid.v1.SearchService"}], "retryPolicy": {
	"maxAttempts": 2, "initialBackoff": "0.002s", "maxBackoff": "0.01s", "backoffMultiplier": 2,
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
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // the first call connects; then 20 ms will do
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
	for _, s := range response.GetSponsored() {
		fmt.Printf("ad %d: %s (%s)\n", s.GetSlot(), s.GetProgram().GetDisplayName(), s.GetCreative().GetPromotion())
	}
	for _, n := range response.GetNearby() {
		fmt.Printf("%.0f m: %s\n", n.GetDistanceM(), n.GetProgram().GetDisplayName())
	}
}
