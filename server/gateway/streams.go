package gateway

import (
	"errors"
	"io"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// streamEvents takes a batch of events a line and answers each with a line.
func (g *Gateway) streamEvents(w http.ResponseWriter, r *http.Request) error {
	in, out, err := g.openLines(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := g.lasting(r)
	defer cancel()
	stream, err := pb.NewEventServiceClient(g.conn).StreamEvents(ctx)
	if err != nil {
		return err
	}
	read := make(chan error, 1)
	go func() { read <- hexbid.Contain(func() error { return sendBatches(in, stream) }) }()
	err = whyEnded(ctx, forward(out, stream.Recv))
	cancel()
	in.stop()
	if reading := <-read; err == nil {
		err = reading
	}
	return out.end(err)
}

// sendBatches sends a line after the other. It ends the stream after the last, or where one cannot be read.
func sendBatches(in *lineReader, stream pb.EventService_StreamEventsClient) error {
	defer func() { _ = stream.CloseSend() }()
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		batch := new(pb.StreamEventsRequest)
		if err := decode(line, batch); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		if err := stream.Send(batch); err != nil {
			return nil // the stream has ended, and says itself why
		}
	}
}

// forward writes a line for each answer of a stream, until its end.
func forward[M proto.Message](out *lineWriter, receive func() (M, error)) error {
	for {
		m, err := receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := errors.Join(out.add(m), out.flush()); err != nil {
			return status.Error(codes.Canceled, "the caller went away")
		}
	}
}

// watchAlerts writes a line when alerts are raised or cleared, as long as the caller listens and the connection is not
// too old.
func (g *Gateway) watchAlerts(w http.ResponseWriter, r *http.Request) error {
	request := new(pb.WatchAlertsRequest)
	if err := readQuery(r, request); err != nil {
		return err
	}
	ctx, cancel := g.untilOld(r.Context(), r)
	defer cancel()
	stream, err := pb.NewLedgerServiceClient(g.conn).WatchAlerts(ctx, request)
	if err != nil {
		return err
	}
	out := &lineWriter{to: w, control: http.NewResponseController(w)}
	return out.end(whyEnded(ctx, forward(out, stream.Recv)))
}

// nothing is said by the path or the body.
var nothing = &utilities.DoubleArray{}

// readQuery reads a request from the URL's query.
func readQuery(r *http.Request, m proto.Message) error {
	if err := (queries{}).Parse(m, r.Form, nothing); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return nil
}
