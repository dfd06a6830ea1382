package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// These constants bound a batch of an upload, and the batches on the way.
const (
	maxBatchRows  = 1000
	maxBatchBytes = 1 << 20
	maxBatches    = 4
)

// upload is CampaignService.Import: a row a line, an outcome a line in the same order. The rows that have arrived make
// a batch, so a caller who waits for an outcome gets it. A line that is no row is rejected, and those after it count.
type upload struct {
	in      *lineReader
	out     *lineWriter
	stream  pb.CampaignService_ImportClient
	first   *pb.ImportRequest // what all batches say
	batches chan *batch
}

// batch is some lines of an upload. Its outcomes are in the order of the lines; those of rows are still to come.
type batch struct {
	request  *pb.ImportRequest
	outcomes []*pb.ImportOutcome // nil for a row
	bytes    int
}

// importRows handles an upload.
func (g *Gateway) importRows(w http.ResponseWriter, r *http.Request) error {
	first := new(pb.ImportRequest)
	if err := readQuery(r, first); err != nil {
		return err
	}
	in, out, err := g.openLines(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := g.lasting(r)
	defer cancel()
	stream, err := pb.NewCampaignServiceClient(g.conn).Import(ctx)
	if err != nil {
		return err
	}
	u := &upload{in, out, stream, first, make(chan *batch, maxBatches)}
	read := make(chan error, 1)
	go func() {
		defer close(u.batches)
		read <- hexbid.Contain(func() error { return u.send(ctx) })
	}()
	err = whyEnded(ctx, u.answer())
	cancel()
	in.stop()
	for range u.batches { // until the reading has ended
	}
	if reading := <-read; err == nil {
		err = reading
	}
	return out.end(err)
}

// send reads lines and sends them in batches.
func (u *upload) send(ctx context.Context) error {
	defer func() { _ = u.stream.CloseSend() }()
	for {
		b, reading := u.read()
		if len(b.outcomes) > 0 {
			select {
			case u.batches <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if len(b.request.GetRows()) > 0 && u.stream.Send(b.request) != nil {
			return nil // the stream has ended, and says itself why
		}
		switch {
		case errors.Is(reading, io.EOF) && u.in.taken == 0:
			return malformed("rows", "the import is empty: send at least one line")
		case errors.Is(reading, io.EOF):
			return nil
		case reading != nil:
			return reading
		}
	}
}

// read reads the lines of a batch: at least one, and those that have arrived.
func (u *upload) read() (*batch, error) {
	b := &batch{request: proto.Clone(u.first).(*pb.ImportRequest)}
	for {
		line, err := u.in.next()
		if err != nil {
			return b, err
		}
		b.add(line, u.in.number)
		if len(b.outcomes) == maxBatchRows || b.bytes >= maxBatchBytes || u.in.waits() {
			return b, nil
		}
	}
}

// add adds a line. A row without a number of its own gets the line's.
func (b *batch) add(line []byte, number int64) {
	row := new(pb.ImportRow)
	err := decode(line, row)
	if row.GetRow() == 0 {
		row.Row = number
	}
	b.bytes += len(line)
	if err == nil {
		b.request.Rows, b.outcomes = append(b.request.Rows, row), append(b.outcomes, nil)
		return
	}
	var at fieldError
	_ = errors.As(err, &at) // decode returns no other
	b.outcomes = append(b.outcomes, &pb.ImportOutcome{Row: number, Action: pb.ImportAction_IMPORT_ACTION_REJECTED,
		Error: &pb.RowError{Code: "INVALID_ARGUMENT", Field: at.field, Message: at.detail}})
}

// answer writes the outcomes of each batch, until the upload ends.
func (u *upload) answer() error {
	sent := false
	for {
		b, err := u.await()
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		if len(b.request.GetRows()) > 0 {
			sent = true
			if err := u.fill(b); err != nil {
				return err
			}
		}
		for _, outcome := range b.outcomes {
			if err := u.out.add(outcome); err != nil {
				return err
			}
		}
		if u.out.flush() != nil {
			return status.Error(codes.Canceled, "the caller went away")
		}
	}
	if !sent {
		return nil // the server has seen no row, and would call the upload empty
	}
	if _, err := u.stream.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// await returns the next batch, nil after the last. It waits no longer than the stream lasts: one that ends by itself,
// as when its caller's key is revoked, does not wait for another line.
func (u *upload) await() (*batch, error) {
	select {
	case b := <-u.batches:
		return b, nil
	case <-u.stream.Context().Done():
	}
	if _, err := u.stream.Recv(); !errors.Is(err, io.EOF) {
		return nil, err
	}
	return <-u.batches, nil // the stream has answered everything; lines that are no rows may be left
}

// fill receives the outcomes of a batch's rows.
func (u *upload) fill(b *batch) error {
	answer, err := u.stream.Recv()
	if errors.Is(err, io.EOF) || err == nil && len(answer.GetOutcomes()) != len(b.request.GetRows()) {
		return status.Error(codes.Internal, "the upload ended before its rows were answered")
	}
	if err != nil {
		return err
	}
	rows := answer.GetOutcomes()
	for i, outcome := range b.outcomes {
		if outcome == nil {
			b.outcomes[i], rows = rows[0], rows[1:]
		}
	}
	return nil
}
