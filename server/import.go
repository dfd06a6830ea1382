package server

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/spans"
	"github.com/hexbid/hexbid/wire"
)

// maxImportRows bounds a batch.
const maxImportRows = 1000

// Import implements pb.CampaignServiceServer. It works on three batches at once: one is received and checked while the
// one before it is stored, and the one before that is indexed and answered.
func (s *campaignService) Import(stream grpc.BidiStreamingServer[pb.ImportRequest, pb.ImportResponse]) error {
	received, stored, failed := make(chan *importBatch), make(chan *importBatch), make(chan error, 2)
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	go func() {
		defer close(received)
		failed <- hexbid.Contain(func() error { return s.receiveBatches(ctx, stream, received) })
	}()
	go func() {
		defer close(stored)
		failed <- hexbid.Contain(func() error { return storeBatches(ctx, received, stored) })
	}()
	for batch := range stored {
		err := stream.Send(batch.answer(ctx))
		batch.end(ctx, err)
		if err != nil {
			return err
		}
	}
	if err := <-failed; err != nil { // the other goroutine may still wait for the client
		return err
	}
	return <-failed
}

func storeBatches(ctx context.Context, from <-chan *importBatch, to chan<- *importBatch) error {
	for batch := range from {
		stage := batch.recorded.Stage("store")
		batch.prepared.Commit(ctx)
		stage.End()
		if err := batch.pass(ctx, to); err != nil {
			return err
		}
	}
	return nil
}

// receiveBatches passes batches on until the stream ends or a batch is refused.
func (s *campaignService) receiveBatches(ctx context.Context,
	stream grpc.BidiStreamingServer[pb.ImportRequest, pb.ImportResponse], to chan<- *importBatch) error {
	var upload *exchange.Upload
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if upload == nil {
				return hexbid.Invalidf("rows", "the import is empty: send at least one batch")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if n := len(r.GetRows()); n == 0 || n > maxImportRows {
			return hexbid.Invalidf("rows", "a batch has %d rows: send 1 to %d", n, maxImportRows)
		}
		caller := hexbid.PrincipalOf(ctx)
		if err := s.server.quotas.write(&caller, len(r.GetRows())); err != nil {
			return err
		}
		if upload == nil {
			if upload, err = s.exchange().NewUpload(ctx, r.GetValidateOnly()); err != nil {
				return err
			}
			context.AfterFunc(ctx, upload.Close) // at the end of Import
		}
		recorded := s.server.recordBatch(ctx, pb.CampaignService_Import_FullMethodName, time.Now())
		batch, err := prepareRows(ctx, recorded, upload, r.GetRows())
		if err != nil {
			batch.end(ctx, err)
			return err
		}
		if err := batch.pass(ctx, to); err != nil {
			return err
		}
	}
}

// importBatch is one message of rows. Its outcomes come in the order of the rows.
type importBatch struct {
	rows     []*pb.ImportRow
	response *pb.ImportResponse
	prepared *exchange.Batch
	at       []int // row of each prepared resource
	mended   [][]string
	recorded *spans.Call // nil for nearly all batches
}

// pass passes a batch on to its next step. If the stream ends before that, the batch ends with it.
func (b *importBatch) pass(ctx context.Context, to chan<- *importBatch) error {
	select {
	case to <- b:
		return nil
	case <-ctx.Done():
		b.end(ctx, ctx.Err())
		return ctx.Err()
	}
}

// end ends the record of a batch.
func (b *importBatch) end(ctx context.Context, err error) {
	caller := hexbid.PrincipalOf(ctx)
	endRecorded(b.recorded, &caller, statusOf(err))
}

// prepareRows begins a batch. Beside an error it returns a batch that can only end.
func prepareRows(ctx context.Context, recorded *spans.Call, upload *exchange.Upload,
	rows []*pb.ImportRow) (b *importBatch, err error) {
	recorded.Count("hexbid.rows", len(rows))
	defer recorded.Stage("check").End()
	b = &importBatch{rows: rows, response: &pb.ImportResponse{Outcomes: make([]*pb.ImportOutcome, len(rows))},
		recorded: recorded}
	var incoming []exchange.Incoming
	var named batchShapes
	for i, row := range rows {
		m := rowResource(row)
		if m == nil {
			b.response.Outcomes[i] = rejected(row, "", hexbid.Invalidf("resource",
				"is missing: give an advertiser, program, place or campaign"))
			continue
		}
		noun, notices, err := wire.ToNoun(m)
		if tooMany := named.admit(noun); tooMany != nil {
			b.response.Outcomes[i] = rejected(row, m.GetName(), tooMany)
			continue
		}
		incoming = append(incoming, exchange.Incoming{Resource: noun, Err: err, CheckOnly: row.GetValidateOnly()})
		b.at, b.mended = append(b.at, i), append(b.mended, notices)
	}
	b.prepared, err = upload.Prepare(ctx, incoming)
	return b, err
}

func (b *importBatch) answer(ctx context.Context) *pb.ImportResponse {
	stage := b.recorded.Stage("searchable")
	outcomes := b.prepared.Outcomes(ctx)
	stage.End()
	for j, outcome := range outcomes {
		row := b.at[j]
		b.response.Outcomes[row] = outcomeMessage(b.rows[row], &outcome)
		if outcome.Action != exchange.Rejected {
			b.response.Outcomes[row].Notices = append(b.mended[j], outcome.Notices...)
		}
	}
	return b.response
}

func rowResource(row *pb.ImportRow) resource {
	switch r := row.GetResource().(type) {
	case *pb.ImportRow_Advertiser:
		return valid(r.Advertiser)
	case *pb.ImportRow_Program:
		return valid(r.Program)
	case *pb.ImportRow_Place:
		return valid(r.Place)
	case *pb.ImportRow_Campaign:
		return valid(r.Campaign)
	}
	return nil
}

func valid[T resource](m T) resource {
	if proto.Message(m).ProtoReflect().IsValid() {
		return m
	}
	return nil
}

func outcomeMessage(row *pb.ImportRow, o *exchange.Outcome) *pb.ImportOutcome {
	name := o.Resource.Metadata().Name
	if o.Action == exchange.Rejected {
		return rejected(row, name, o.Err)
	}
	return &pb.ImportOutcome{Row: row.GetRow(), Name: name, Action: pb.ImportAction(o.Action),
		Serving: o.Serving, NotServingReason: o.NotServingReason}
}

func rejected(row *pb.ImportRow, name string, err error) *pb.ImportOutcome {
	all, omitted := hexbid.ErrorsOf(err)
	out := &pb.ImportOutcome{Row: row.GetRow(), Name: name, Action: pb.ImportAction_IMPORT_ACTION_REJECTED,
		OmittedErrors: int32(omitted)}
	for i, e := range all {
		message := &pb.RowError{Code: codeName(e.Kind), Field: e.Field, Message: e.Detail}
		if e.Detail == "" {
			message.Message = e.Error()
		}
		if i == 0 {
			out.Error = message
		} else {
			out.FurtherErrors = append(out.FurtherErrors, message)
		}
	}
	return out
}

// codeName returns the status name of a kind of error, as gRPC writes it.
func codeName(kind hexbid.ErrorKind) string { return code.Code(codeOf(kind)).String() }

// ReviewPlace implements pb.CampaignServiceServer.
func (s *campaignService) ReviewPlace(ctx context.Context, r *pb.ReviewPlaceRequest) (*pb.Place, error) {
	verdict, err := wire.Enum("review_state", r.GetReviewState(), hexbid.ReviewCount)
	if err != nil {
		return nil, err
	}
	version, err := ifVersion(s, r.GetEtag())
	if err != nil {
		return nil, err
	}
	place, err := s.exchange().Review(ctx, r.GetName(), version, verdict)
	if err != nil {
		return nil, err
	}
	return show[*pb.Place](ctx, s, place)
}

// Explain implements pb.CampaignServiceServer.
func (s *campaignService) Explain(ctx context.Context, r *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	request, err := wire.ToRequest(r.GetRequest())
	if err != nil {
		var e *hexbid.Error
		if errors.As(err, &e) {
			e.Field = "request." + e.Field
		}
		return nil, err
	}
	explained, err := s.exchange().Explain(ctx, r.GetName(), request)
	if err != nil {
		return nil, err
	}
	return explanation(explained), nil
}
