package server

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/spans"
	"github.com/hexbid/hexbid/wire"
)

type eventService struct {
	pb.UnimplementedEventServiceServer
	server *Server
}

// RecordEvents implements pb.EventServiceServer.
func (s *eventService) RecordEvents(ctx context.Context, r *pb.RecordEventsRequest) (*pb.RecordEventsResponse, error) {
	results, err := s.record(ctx, s.server.clientNamed(ctx), r.GetEvents())
	if err != nil {
		return nil, err
	}
	return &pb.RecordEventsResponse{Results: results}, nil
}

// StreamEvents implements pb.EventServiceServer. It receives a batch while the one before is recorded and answered.
func (s *eventService) StreamEvents(
	stream grpc.BidiStreamingServer[pb.StreamEventsRequest, pb.StreamEventsResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	received, ended := make(chan *pb.StreamEventsRequest), make(chan error, 1)
	go func() {
		defer close(received)
		ended <- hexbid.Contain(func() error { return receiveEvents(ctx, stream, received) })
	}()
	client := s.server.clientNamed(ctx)
	for {
		var batch *pb.StreamEventsRequest
		select {
		case batch = <-received:
		case <-s.server.draining:
			return errDraining
		}
		if batch == nil {
			return <-ended
		}
		results, err := s.recordBatch(ctx, client, batch.GetEvents())
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.StreamEventsResponse{Batch: batch.GetBatch(), Results: results}); err != nil {
			return err
		}
	}
}

// recordBatch records the events of a batch.
func (s *eventService) recordBatch(ctx context.Context, client string, events []*pb.Event) ([]*pb.EventResult, error) {
	recorded := s.server.recordBatch(ctx, pb.EventService_StreamEvents_FullMethodName, time.Now())
	results, err := s.record(spans.With(ctx, recorded), client, events)
	caller := hexbid.PrincipalOf(ctx)
	endRecorded(recorded, &caller, statusOf(err))
	return results, err
}

// receiveEvents passes batches on until the stream ends.
func receiveEvents(ctx context.Context, stream grpc.BidiStreamingServer[pb.StreamEventsRequest,
	pb.StreamEventsResponse], to chan<- *pb.StreamEventsRequest) error {
	for {
		batch, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case to <- batch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// record records the events of a call or of a batch.
func (s *eventService) record(ctx context.Context, client string, events []*pb.Event) ([]*pb.EventResult, error) {
	arrived, recorded := time.Now(), s.server.config.Spans.Of(ctx)
	recorded.Count("hexbid.events", len(events))
	stage := recorded.Stage("wire")
	nouns, err := wire.ToEvents(events)
	stage.End()
	if err != nil {
		return nil, err
	}
	results, err := s.server.exchange.Load().RecordEvents(ctx, &hexbid.EventReport{ClientID: client, Events: nouns})
	if err != nil {
		return nil, err
	}
	s.server.metrics.events.count(nouns, results, arrived)
	exchange.HidePrices(ctx, results)
	return wire.FromEventResults(results), nil
}

// clientOf returns the name that a client gave itself, "" when it gave none.
func clientOf(ctx context.Context) string {
	if ctx.Value(insideKey{}) != nil {
		name, _ := ctx.Value(clientKey{}).(string)
		return name
	}
	if names := metadata.ValueFromIncomingContext(ctx, ClientHeader); len(names) > 0 {
		return names[0]
	}
	return ""
}
