package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// fakeServer answers imports. It closes a stream after some batches, and refuses a batch that has a row of one given
// name.
type fakeServer struct {
	pb.CampaignServiceClient
	closesAfter int // batches; 0 means never
	dislikes    string
	streams     int
	sent        []int // rows in each batch
}

func (f *fakeServer) Import(
	context.Context, ...grpc.CallOption,
) (grpc.BidiStreamingClient[pb.ImportRequest, pb.ImportResponse], error) {
	f.streams++
	return &fakeStream{server: f}, nil
}

type fakeStream struct {
	grpc.BidiStreamingClient[pb.ImportRequest, pb.ImportResponse]
	server   *fakeServer
	batches  int
	request  *pb.ImportRequest
	rejected bool
}

func (s *fakeStream) CloseSend() error { return nil }

func (s *fakeStream) Send(r *pb.ImportRequest) error {
	s.batches++
	if s.rejected || s.server.closesAfter > 0 && s.batches > s.server.closesAfter {
		return io.EOF
	}
	s.request = r
	s.server.sent = append(s.server.sent, len(r.GetRows()))
	return nil
}

func (s *fakeStream) Recv() (*pb.ImportResponse, error) {
	if s.server.closesAfter > 0 && s.batches > s.server.closesAfter {
		return nil, status.Error(codes.DeadlineExceeded, "no row came for 30 s")
	}
	r := &pb.ImportResponse{}
	for _, row := range s.request.GetRows() {
		if name := row.GetAdvertiser().GetName(); s.server.dislikes != "" && strings.Contains(name, s.server.dislikes) {
			s.rejected = true
			return nil, status.Error(codes.ResourceExhausted, "grpc: received message larger than max")
		}
		r.Outcomes = append(r.Outcomes, &pb.ImportOutcome{Name: row.GetAdvertiser().GetName(),
			Action: pb.ImportAction_IMPORT_ACTION_CREATED})
	}
	return r, nil
}

func advertisers(n int) (rows []*pb.ImportRow) {
	for i := range n {
		name := fmt.Sprintf("advertisers/a%d-", i)
		rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Advertiser{Advertiser: &pb.Advertiser{Name: name}}})
	}
	return rows
}

func TestAStreamThatTheServerClosedIsOpenedAgainUnseen(t *testing.T) {
	f := &fakeServer{closesAfter: 2}
	i := &importer{ctx: context.Background(), client: f}
	for range 7 {
		if outcomes, err := i.send(advertisers(3)); err != nil || len(outcomes) != 3 {
			t.Fatal(outcomes, err)
		}
	}
	if f.streams != 4 {
		t.Errorf("%d streams for 7 batches of two a stream", f.streams)
	}
	dry := &importer{ctx: context.Background(), client: &fakeServer{closesAfter: 1}, dryRun: true}
	if _, err := dry.send(advertisers(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := dry.send(advertisers(1)); err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Errorf("a dry run whose stream was closed: %v", err)
	}
	if err := i.close(); err != nil {
		t.Error(err)
	}
}

func TestARowThatTheServerDoesNotTakeIsFoundInItsBatch(t *testing.T) {
	f := &fakeServer{dislikes: "a77-"}
	i := &importer{ctx: context.Background(), client: f}
	outcomes, err := i.send(advertisers(200))
	if err != nil {
		t.Fatal(err)
	}
	for n, o := range outcomes {
		if rejected := o.GetAction() == pb.ImportAction_IMPORT_ACTION_REJECTED; rejected != (n == 77) {
			t.Errorf("row %d: %v", n, o)
		}
	}
	total := 0
	for _, n := range f.sent {
		total += n
	}
	if len(outcomes) != 200 || total > 4*200 {
		t.Errorf("%d outcomes, %d rows sent for 200", len(outcomes), total)
	}
}
