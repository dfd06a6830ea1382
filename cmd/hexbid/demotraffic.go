package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/demo"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/traffic"
)

// People of the demo market are around Hubin and search one after another. They open far more of what they see, and
// sooner, than people do, so that somebody who has just started the program sees budgets move.
const (
	demoSpreadKM   = 1.5
	demoSearches   = 5.0 // a second, on average
	demoClickRate  = 0.2
	demoClickAfter = 2 * time.Second
	demoPeople     = 10_000
	demoClient     = "demo-traffic"
)

// checkDemoTraffic refuses a configuration in which people cannot play.
func checkDemoTraffic(c *ServeConfig) error {
	switch {
	case !c.DemoTraffic:
	case !c.Demo:
		return hexbid.Invalidf("demo-traffic", "plays people in the demo market: add --demo")
	case c.TLSCert != "":
		return hexbid.Invalidf("demo-traffic", "plays people over a port without TLS: leave out --tls-cert")
	case c.demandsCredentials():
		return hexbid.Invalidf("demo-traffic",
			"plays people without credentials: serve on a loopback address with --auth none")
	}
	return nil
}

// playPeople searches, looks and clicks over the server's own port until the context ends.
func (m *Main) playPeople(ctx context.Context) {
	conn, err := grpc.NewClient(ownAddress(m.listener.Addr()), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err == nil {
		defer conn.Close()
		err = m.play(metadata.AppendToOutgoingContext(ctx, "x-hexbid-client", demoClient), conn)
	}
	if err != nil {
		m.Log.Error("nobody plays in the demo market", "error", err)
	}
}

// ownAddress is where this machine reaches a port that it listens on.
func ownAddress(listens net.Addr) string {
	at := *listens.(*net.TCPAddr)
	if at.IP.IsUnspecified() {
		at.IP = net.IPv4(127, 0, 0, 1)
	}
	return at.String()
}

func (m *Main) play(ctx context.Context, conn *grpc.ClientConn) error {
	seed := uint64(time.Now().UnixNano())
	config := traffic.Config{Seed: seed, Viewers: demoPeople,
		Where: fmt.Sprintf("%f,%f,%g", demo.Center.Lat, demo.Center.Lng, demoSpreadKM)}
	crowd, err := traffic.NewCrowd(config)
	if err != nil {
		return err
	}
	events := pb.NewEventServiceClient(conn)
	reporter := traffic.NewReporter(func(ctx context.Context, r *pb.RecordEventsRequest) (*pb.RecordEventsResponse,
		error) {
		return events.RecordEvents(ctx, r)
	})
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		reporter.Run(ctx)
	}()
	searches := playSearches(ctx, crowd, pb.NewSearchServiceClient(conn), reporter)
	<-reported
	done := reporter.Events()
	m.Log.Info("people stop playing", "searches", searches, "events", done.Answered, "failed", done.Failed,
		"charged", done.Charged)
	return nil
}

// playSearches makes one search after another, and schedules what people do with each answer.
func playSearches(
	ctx context.Context, crowd *traffic.Crowd, search pb.SearchServiceClient, reporter *traffic.Reporter,
) (answered int) {
	reactions := traffic.Reactions{Seed: crowd.Seed, ClickRate: demoClickRate, ClickAfter: demoClickAfter}
	for i := 0; ; i++ {
		wait := time.Duration(rand.ExpFloat64() / demoSearches * float64(time.Second))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return answered
		}
		if answer, err := search.SearchNearby(ctx, crowd.Request(i)); err == nil {
			answered++
			reporter.Add(reactions.To(i, answer), time.Now())
		}
	}
}
