package server

import (
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// What a click cost is what a search says that it costs, so a client learns neither without the right to see prices.
func TestAClientThatSeesNoPricesLearnsNoneFromItsEvents(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), nil)
	conn, e := s.dial(t), s.exchange.Load()
	search := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30, Longitude: 120}, Host: pb.Host_HOST_WECHAT}
	for name, price := range map[string]int64{"blind": 0, "seeing": clickPrice} {
		name, client := "clients/"+name, &hexbid.Client{SeesPrices: price > 0}
		client.Name = name
		if _, err := e.Create(ctx, client, false); err != nil {
			t.Fatal(err)
		}
		_, key, err := e.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: name + "/keys/k"}})
		if err != nil {
			t.Fatal(err)
		}
		mine := bearing(t.Context(), "Bearer "+key)
		found, err := pb.NewSearchServiceClient(conn).SearchNearby(mine, search)
		if err != nil || len(found.GetSponsored()) != 1 || found.GetSponsored()[0].GetPriceMicros() != price {
			t.Fatalf("%s finds %v, %v", name, found, err)
		}
		click := []*pb.Event{clickOf(found.GetSponsored()[0].GetToken(), "c")}
		told, err := pb.NewEventServiceClient(conn).RecordEvents(mine, &pb.RecordEventsRequest{Events: click})
		if err != nil {
			t.Fatal(err)
		}
		stream, err := pb.NewEventServiceClient(conn).StreamEvents(mine)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&pb.StreamEventsRequest{Events: click}); err != nil {
			t.Fatal(err)
		}
		again, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for how, r := range map[string]*pb.EventResult{"by a call": told.GetResults()[0],
			"by a stream, again": again.GetResults()[0]} {
			if r.GetOutcome() != pb.EventOutcome_EVENT_OUTCOME_CHARGED || r.GetChargedMicros() != price {
				t.Errorf("%s is told %s of a click: %v, want %d charged", name, how, r, price)
			}
		}
	}
	if got := metricsOf(t, s)["hexbid_charged_micros_total"]; got != 2*clickPrice {
		t.Errorf("%v are counted as charged, want %d", got, 2*clickPrice)
	}
}
