package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Limits of a batch: the rows and bytes sent at once.
const (
	batchRows  = 500
	batchBytes = 1 << 20
)

// importer sends batches over an import stream. It opens the stream again when the server has closed it. It may then
// send a batch twice, which is harmless: the second writes the same rows over the first.
type importer struct {
	ctx      context.Context
	client   pb.CampaignServiceClient
	dryRun   bool
	stream   grpc.BidiStreamingClient[pb.ImportRequest, pb.ImportResponse]
	answered int // batches answered on this stream
}

// send returns the outcomes of rows, in their order. If one row makes the server refuse a batch, only that row fails.
func (i *importer) send(rows []*pb.ImportRow) ([]*pb.ImportOutcome, error) {
	response, err := i.exchange(&pb.ImportRequest{ValidateOnly: i.dryRun, Rows: rows})
	switch {
	case err == nil && len(response.GetOutcomes()) != len(rows):
		return nil, fmt.Errorf("the server answered %d of %d rows", len(response.GetOutcomes()), len(rows))
	case err == nil:
		return response.GetOutcomes(), nil
	case !isOfRows(err):
		return nil, err
	case len(rows) == 1:
		return []*pb.ImportOutcome{{Action: pb.ImportAction_IMPORT_ACTION_REJECTED, Error: &pb.RowError{
			Code: "INVALID_ARGUMENT", Message: fmt.Sprintf("the server does not take its %d bytes: %s", proto.Size(rows[0]),
				explainError(err))}}}, nil
	}
	first, err := i.send(rows[:len(rows)/2])
	if err != nil {
		return nil, err
	}
	second, err := i.send(rows[len(rows)/2:])
	return append(first, second...), err
}

// isOfRows reports whether a batch was refused because of its rows.
func isOfRows(err error) bool {
	message := status.Convert(err).Message()
	return status.Code(err) == codes.InvalidArgument || strings.Contains(message, "larger than max") ||
		strings.Contains(message, "error while marshaling")
}

// exchange sends a batch and receives its answer. It uses a new stream if the present one has ended since its last
// answer.
func (i *importer) exchange(r *pb.ImportRequest) (*pb.ImportResponse, error) {
	for {
		response, err := i.try(r)
		if err == nil {
			i.answered++
			return response, nil
		}
		idle := i.answered > 0
		i.stream, i.answered = nil, 0
		switch {
		case !idle || i.ctx.Err() != nil:
			return nil, err
		case i.dryRun && !isOfRows(err):
			return nil, fmt.Errorf("the server closed the stream of this dry run and lost what it knew about the rows so far: "+
				"run it again (%s)", explainError(err))
		}
	}
}

func (i *importer) try(r *pb.ImportRequest) (response *pb.ImportResponse, err error) {
	if i.stream == nil {
		if i.stream, err = i.client.Import(i.ctx); err != nil {
			return nil, err
		}
	}
	if err := i.stream.Send(r); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	response, err = i.stream.Recv()
	if errors.Is(err, io.EOF) {
		err = status.Error(codes.Unavailable, "the server closed the stream of the import")
	}
	return response, err
}

// close ends the stream.
func (i *importer) close() error {
	if i.stream == nil {
		return nil
	}
	return i.stream.CloseSend()
}
