package benchmarks

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// rowsABatch is the number of rows of one import message.
const rowsABatch = 1000

// importMessages prepares the messages of an import: in owners what the campaigns need first, in rows the campaigns.
func importMessages(w *Workload, first, campaigns int) (owners, rows []*pb.ImportRequest) {
	for i := first / w.anOwner; i < (first+campaigns)/w.anOwner; i++ {
		addOwner(&owners, w, i)
	}
	for i := first; i < first+campaigns; i++ {
		addRow(&rows, &pb.ImportRow{Resource: &pb.ImportRow_Campaign{Campaign: campaignMessage(w.Campaign(i))}})
	}
	return owners, rows
}

// addOwner adds the rows of an advertiser with a program and, unless each campaign has an owner of its own, a place.
func addOwner(to *[]*pb.ImportRequest, w *Workload, i int) {
	advertiser, program, place := w.Owner(i)
	addRow(to, &pb.ImportRow{Resource: &pb.ImportRow_Advertiser{Advertiser: &pb.Advertiser{Name: advertiser.Name,
		DisplayName: advertiser.DisplayName}}})
	addRow(to, &pb.ImportRow{Resource: &pb.ImportRow_Program{Program: &pb.Program{Name: program.Name,
		DisplayName: program.DisplayName, Category: pb.Category(program.Category), Hosts: wire[pb.Host](program.Hosts)}}})
	if w.anOwner > 1 {
		addRow(to, &pb.ImportRow{Resource: &pb.ImportRow_Place{Place: &pb.Place{Name: place.Name,
			DisplayName: program.DisplayName, Latitude: place.Point.Lat, Longitude: place.Point.Lng}}})
	}
}

func wire[P, N ~int32 | ~uint8](nouns []N) (values []P) {
	for _, n := range nouns {
		values = append(values, P(n))
	}
	return values
}

func campaignMessage(c *hexbid.Campaign) *pb.Campaign {
	m := &pb.Campaign{Name: c.Name, DisplayName: c.DisplayName, Program: c.Program,
		PricingModel: pb.PricingModel(c.Pricing), BidMicros: int64(c.Bid), DailyBudgetMicros: int64(c.DailyBudget),
		Area: &pb.Area{}, Audience: &pb.Audience{Genders: wire[pb.Gender](c.Audience.Genders),
			OperatingSystems: wire[pb.OperatingSystem](c.Audience.OS)}}
	for _, circle := range c.Area.Circles {
		m.Area.Circles = append(m.Area.Circles, &pb.Circle{Latitude: circle.Center.Lat, Longitude: circle.Center.Lng,
			RadiusM: circle.RadiusM})
	}
	for _, g := range c.Audience.Ages {
		m.Audience.Ages = append(m.Audience.Ages, &pb.AgeRange{MinAge: int32(g.Min), MaxAge: int32(g.Max)})
	}
	return m
}

// importAll streams messages. It returns the time until the last outcome arrived, when every row is durable and
// searchable. It sends a few messages ahead of their outcomes.
func importAll(conn *grpc.ClientConn, messages []*pb.ImportRequest) (time.Duration, error) {
	stream, err := pb.NewCampaignServiceClient(conn).Import(context.Background())
	if err != nil {
		return 0, err
	}
	started := time.Now()
	sent := make(chan error, 1)
	go func() {
		for _, m := range messages {
			if err := stream.Send(m); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	for range messages {
		r, err := stream.Recv()
		if err != nil {
			return 0, err
		}
		for _, o := range r.GetOutcomes() {
			if o.GetError() != nil {
				return 0, fmt.Errorf("row %s: %s", o.GetName(), o.GetError().GetMessage())
			}
		}
	}
	return time.Since(started), <-sent
}

// Import fills a server over gRPC in parts, whose messages it makes beforehand. It measures only the campaigns' rows.
func Import(conn *grpc.ClientConn, w *Workload, campaigns, part int) (map[string]Spread, error) {
	rates := []float64{}
	for first := 0; first < campaigns; first += part {
		owners, rows := importMessages(w, first, part)
		if _, err := importAll(conn, owners); err != nil {
			return nil, err
		}
		took, err := importAll(conn, rows)
		if err != nil {
			return nil, err
		}
		rates = append(rates, float64(part)/took.Seconds())
	}
	slices.Sort(rates)
	return map[string]Spread{"import_per_s": {rates[len(rates)/2], rates[0], rates[len(rates)-1]}}, nil
}

// ImportOwners adds owners without campaigns, each with a program at one place.
func ImportOwners(conn *grpc.ClientConn, w *Workload, first, end int) error {
	const part = 50_000
	for ; first < end; first += part {
		var messages []*pb.ImportRequest
		for i := first; i < min(first+part, end); i++ {
			addOwner(&messages, w, i)
		}
		if _, err := importAll(conn, messages); err != nil {
			return err
		}
	}
	return nil
}

// ImportMorePlaces gives each owner's program the given number of further places.
func ImportMorePlaces(conn *grpc.ClientConn, w *Workload, owners, more int) error {
	const part = 50_000
	for first := 0; first < owners; first += part {
		var messages []*pb.ImportRequest
		for i := first; i < min(first+part, owners); i++ {
			for n := range more {
				place := w.MorePlace(i, n)
				addRow(&messages, &pb.ImportRow{Resource: &pb.ImportRow_Place{Place: &pb.Place{Name: place.Name,
					Latitude: place.Point.Lat, Longitude: place.Point.Lng}}})
			}
		}
		if _, err := importAll(conn, messages); err != nil {
			return err
		}
	}
	return nil
}

// addRow adds a row to the last message, or to a new one.
func addRow(to *[]*pb.ImportRequest, row *pb.ImportRow) {
	if n := len(*to); n == 0 || len((*to)[n-1].Rows) == rowsABatch {
		*to = append(*to, &pb.ImportRequest{})
	}
	last := (*to)[len(*to)-1]
	last.Rows = append(last.Rows, row)
}
