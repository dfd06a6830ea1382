package server

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// maxImportRows bounds a batch.
const maxImportRows = 1000

// Import implements pb.CampaignServiceServer.
func (s *campaignService) Import(stream grpc.BidiStreamingServer[pb.ImportRequest, pb.ImportResponse]) error {
	for batch, validateOnly := 0, false; ; batch++ {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if batch == 0 {
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
		if batch == 0 {
			validateOnly = r.GetValidateOnly()
		}
		if err := stream.Send(s.importBatch(stream.Context(), r.GetRows(), validateOnly)); err != nil {
			return err
		}
	}
}

// importBatch converts what converts and imports that; the outcomes stand in
// the order of the rows.
func (s *campaignService) importBatch(ctx context.Context, rows []*pb.ImportRow, validateOnly bool) *pb.ImportResponse {
	response := &pb.ImportResponse{Outcomes: make([]*pb.ImportOutcome, len(rows))}
	var nouns []hexbid.Resource
	var at []int // row of each noun
	var mended [][]string
	for i, row := range rows {
		m := rowResource(row)
		if m == nil {
			response.Outcomes[i] = rejected(row, "", hexbid.Invalidf("resource", "is missing: give an advertiser, program, place or campaign"))
			continue
		}
		noun, notices, err := toNoun(m)
		if err != nil {
			response.Outcomes[i] = rejected(row, m.GetName(), err)
			continue
		}
		nouns, at, mended = append(nouns, noun), append(at, i), append(mended, notices)
	}
	for j, outcome := range s.exchange().Import(ctx, nouns, validateOnly) {
		response.Outcomes[at[j]] = s.outcome(ctx, rows[at[j]], &outcome)
		if outcome.Action != exchange.Rejected {
			response.Outcomes[at[j]].Notices = mended[j]
		}
	}
	return response
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

func (s *campaignService) outcome(ctx context.Context, row *pb.ImportRow, o *exchange.Outcome) *pb.ImportOutcome {
	name := o.Resource.Metadata().Name
	if o.Action == exchange.Rejected {
		return rejected(row, name, o.Err)
	}
	out := &pb.ImportOutcome{Row: row.GetRow(), Name: name, Action: pb.ImportAction(o.Action)}
	if c, ok := o.Resource.(*hexbid.Campaign); ok {
		out.Serving, out.NotServingReason = s.exchange().Serving(ctx, c)
	}
	return out
}

func rejected(row *pb.ImportRow, name string, err error) *pb.ImportOutcome {
	out := &pb.ImportOutcome{Row: row.GetRow(), Name: name, Action: pb.ImportAction_IMPORT_ACTION_REJECTED,
		Error: &pb.RowError{Code: codeName(hexbid.KindOf(err)), Message: err.Error()}}
	var e *hexbid.Error
	if errors.As(err, &e) {
		out.Error.Field, out.Error.Message = e.Field, e.Detail
	}
	return out
}

// codeName is the status name of a kind of error, as gRPC writes it.
func codeName(kind hexbid.ErrorKind) string {
	switch kind {
	case hexbid.Invalid:
		return "INVALID_ARGUMENT"
	case hexbid.NotFound:
		return "NOT_FOUND"
	case hexbid.Exhausted:
		return "RESOURCE_EXHAUSTED"
	case hexbid.Unavailable:
		return "UNAVAILABLE"
	}
	return "INTERNAL"
}

// ReviewPlace implements pb.CampaignServiceServer.
func (s *campaignService) ReviewPlace(ctx context.Context, r *pb.ReviewPlaceRequest) (*pb.Place, error) {
	verdict, err := enum("review_state", r.GetReviewState(), hexbid.ReviewCount)
	if err != nil {
		return nil, err
	}
	version, err := ifVersion(r.GetEtag())
	if err != nil {
		return nil, err
	}
	place, err := s.exchange().Review(ctx, r.GetName(), version, verdict)
	if err != nil {
		return nil, err
	}
	return show[*pb.Place](ctx, s, place), nil
}

// Explain implements pb.CampaignServiceServer.
func (s *campaignService) Explain(ctx context.Context, r *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	request, err := requestToNoun(r.GetRequest())
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
