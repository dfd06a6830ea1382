package main

import (
	"context"
	"net"
	"time"

	"golang.org/x/net/http2"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// idling marks the attack as idleness. While it lasts, no call may be refused because others hold the places of its
// class. The door may refuse calls for a moment while the machine is busy, so bystanders ask again.
func (r *round) idling(ctx context.Context) (end func()) {
	before := r.refusedAtLimits(ctx)
	r.beside.refusedBesideIdle.Store(0)
	r.beside.idle.Store(true)
	return func() {
		r.beside.idle.Store(false)
		after := r.refusedAtLimits(ctx)
		if own := r.beside.refusedBesideIdle.Load(); own > 0 && after != before {
			r.tally.fall("beside idle callers %d calls of bystanders were refused, and %v at the limits of classes", own,
				after-before)
		}
	}
}

// refusedMetric counts the calls that were refused because as many of their class were worked on as may be.
const refusedMetric = "hexbid_refused_total{"

// refusedAtLimits reads that count, of all classes together.
func (r *round) refusedAtLimits(ctx context.Context) float64 {
	refused, err := r.metric(ctx, refusedMetric)
	if err != nil {
		r.tally.fall("the metrics: %v", err)
	}
	return refused
}

const (
	idleConnections = 5
	idleAConnection = 1000
)

// Methods of gRPC's own services.
const (
	watchMethod      = "/grpc.health.v1.Health/Watch"
	reflectionMethod = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
)

// idleStreams opens thousands of streams and sends nothing on them.
func idleStreams(ctx context.Context, r *round) error {
	return r.openAndWait(ctx, []string{pb.CampaignService_Import_FullMethodName})
}

// idleWatchers opens thousands of streams of gRPC's own services.
func idleWatchers(ctx context.Context, r *round) error {
	return r.openAndWait(ctx, []string{watchMethod, reflectionMethod})
}

// idleCalls opens thousands of unary calls and never sends their messages.
func idleCalls(ctx context.Context, r *round) error {
	return r.openAndWait(ctx, []string{pb.SearchService_SearchNearby_FullMethodName,
		pb.CampaignService_ListCampaigns_FullMethodName,
		pb.CampaignService_CreateCampaign_FullMethodName, pb.CampaignService_Explain_FullMethodName})
}

// openAndWait opens calls over a few connections and keeps them open.
func (r *round) openAndWait(ctx context.Context, methods []string) error {
	defer r.idling(ctx)()
	ctx, cancel := r.until(ctx)
	defer cancel()
	open, wait, err := r.wires(ctx, idleConnections)
	defer wait()
	if err != nil {
		return err
	}
	for _, w := range open {
		for i := range idleAConnection {
			if _, err := w.open(methods[i%len(methods)]); err != nil {
				break // the server closed the connection
			}
			r.tally.calls.Add(1)
		}
	}
	<-ctx.Done()
	return nil
}

// slowBodies sends messages one byte at a time, and announces large ones.
func slowBodies(ctx context.Context, r *round) error {
	defer r.idling(ctx)()
	body := envelope(&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 1, Longitude: 1}, Words: "coffee"})
	large := frame(make([]byte, 1<<10), 8<<20-1, false)
	return r.onWires(ctx, idleConnections, func(ctx context.Context, w *wire) error {
		var streams []uint32
		for i := range 200 {
			stream, err := w.open([]string{pb.SearchService_SearchNearby_FullMethodName,
				pb.CampaignService_Import_FullMethodName}[i%2])
			if err != nil {
				return err
			}
			streams = append(streams, stream)
			r.tally.calls.Add(1)
		}
		for at := 0; ctx.Err() == nil; at++ {
			for i, stream := range streams {
				from := body
				if i%2 == 1 {
					from = large
				}
				if at >= len(from)-1 {
					continue // the last byte never follows
				}
				if err := w.data(stream, from[at:at+1], false); err != nil {
					return err
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		return nil
	})
}

const unfinishedCount = 2000

// unfinishedConnections opens connections that never begin HTTP/2.
func unfinishedConnections(ctx context.Context, r *round) error {
	defer r.idling(ctx)()
	ctx, cancel := r.until(ctx)
	defer cancel()
	beginnings := []string{"", "P", http2.ClientPreface[:20], http2.ClientPreface, "GET / HTTP/1.1\r\n", "\x16\x03\x01"}
	return r.openUnfinished(ctx, r.server.Address, beginnings)
}

// openUnfinished keeps a number of connections open, and replaces the oldest by new ones.
func (r *round) openUnfinished(ctx context.Context, address string, beginnings []string) error {
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	for i := 0; ctx.Err() == nil || i < unfinishedCount; i++ {
		conn, err := net.DialTimeout("tcp", address, victim.Patience)
		if err != nil {
			return err
		}
		r.tally.calls.Add(1)
		_, _ = conn.Write([]byte(beginnings[i%len(beginnings)])) // the server may refuse it
		if open = append(open, conn); len(open) > unfinishedCount {
			open[0].Close()
			open = open[1:]
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}
