package server

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/demo"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// BenchmarkASearchWithAKeyBesideWithout makes searches over the port of one server in turns: without a credential, and
// with a key. It reports the medians and their ratio.
func BenchmarkASearchWithAKeyBesideWithout(b *testing.B) {
	s := serveDemo(b)
	e := s.exchange.Load()
	if _, err := e.Create(ctx, &hexbid.User{Meta: hexbid.Meta{Name: "users/olga"}, Role: hexbid.Operator},
		false); err != nil {
		b.Fatal(err)
	}
	_, key, err := e.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: "users/olga/keys/k"}})
	if err != nil {
		b.Fatal(err)
	}
	r := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: demo.Center.Lat, Longitude: demo.Center.Lng}}
	contexts := []context.Context{b.Context(), bearing(b.Context(), "Bearer "+key)}
	conns, took := []*grpc.ClientConn{s.dial(b), s.dial(b)}, make([][]time.Duration, 2)
	for i := 0; b.Loop(); i++ {
		way := i % 2
		began := time.Now()
		if _, err := pb.NewSearchServiceClient(conns[way]).SearchNearby(contexts[way], r); err != nil {
			b.Fatal(err)
		}
		took[way] = append(took[way], time.Since(began))
	}
	if len(took[1]) == 0 {
		return
	}
	median := func(all []time.Duration) float64 { slices.Sort(all); return float64(all[len(all)/2].Nanoseconds()) }
	without, with := median(took[0]), median(took[1])
	b.ReportMetric(without, "ns/without")
	b.ReportMetric(with, "ns/with")
	b.ReportMetric(with/without, "with/without")
}
