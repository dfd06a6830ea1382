package server

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// historian is an advertiser's member who reads the history, in a market whose time stands still.
type historian struct {
	*matrix
	t    *testing.T
	own  context.Context // the member's calls
	work atomic.Int64    // steps of the store, of all callers
}

func openHistorian(t *testing.T) *historian {
	x := &historian{t: t}
	start := time.Date(2026, 11, 20, 4, 7, 30, 0, time.UTC)
	x.matrix = openMatrixOn(t, countedStore{storeWithMarket(t), &x.work}, ledger.Options{Journal: journal.NewMemory()},
		func(c *exchange.Config) {
			c.Manual, c.Clock = true, func() time.Time { return start }
		})
	p, _ := x.callerOf("admin")
	x.own = hexbid.WithPrincipal(t.Context(), p)
	return x
}

// setBid has a caller change the bid of an advertiser's campaign.
func (x *historian) setBid(of owner, bid int64) {
	x.t.Helper()
	caller := x.own
	if of.advertiser != x.matrix.own.advertiser {
		p, _ := x.callerOf("operator")
		caller = hexbid.WithPrincipal(x.t.Context(), p)
	}
	if _, err := pb.NewCampaignServiceClient(x.InProcess()).UpdateCampaign(caller, &pb.UpdateCampaignRequest{
		Campaign:   &pb.Campaign{Name: of.advertiser + "/campaigns/c", BidMicros: bid},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bid_micros"}}}); err != nil {
		x.t.Fatal(err)
	}
}

// changes are names of the member's own changes, the newest first.
func (x *historian) changes() (names []string) {
	x.t.Helper()
	page, err := pb.NewAuditServiceClient(x.InProcess()).ListChanges(x.own, &pb.ListChangesRequest{})
	if err != nil {
		x.t.Fatal(err)
	}
	for _, c := range page.GetChanges() {
		names = append(names, c.GetName())
	}
	return names
}

// told is what the member gets for an answer, byte by byte. A page token is another one each time: it counts by its
// length.
func told(m proto.Message, err error) string {
	if p, ok := m.(*pb.ListChangesResponse); ok && err == nil && p.GetNextPageToken() != "" {
		p.NextPageToken = fmt.Sprint(len(p.GetNextPageToken()))
	}
	if err != nil {
		return err.Error()
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return fmt.Sprintf("%x %v", b, err)
}

// view reads the history in every way, and returns each answer with the steps that it took.
func (x *historian) view() (answers []string, steps []int64) {
	x.t.Helper()
	audit := pb.NewAuditServiceClient(x.InProcess())
	note := func(call func() (proto.Message, error)) {
		before := x.work.Load()
		answers = append(answers, told(call()))
		steps = append(steps, x.work.Load()-before)
	}
	rival, absent := x.matrix.other.advertiser, x.absent.advertiser
	for _, r := range []*pb.ListChangesRequest{{}, {Owner: x.matrix.own.advertiser}, {Owner: rival}, {Owner: absent},
		{Resource: x.matrix.own.advertiser + "/campaigns/c"}, {Resource: rival + "/campaigns/c"}, {Kind: "campaign"},
		{Kind: "banner"}, {Principal: "operator"}, {Principal: "users/o"}, {Principal: "x"}, {PageSize: 5000},
		{EndTime: timestamppb.New(time.Unix(0, 0))}, {PageToken: "x"}, {View: pb.View_VIEW_FULL}} {
		for _, size := range []int32{0, 1, 2} {
			r := proto.Clone(r).(*pb.ListChangesRequest)
			r.PageSize = max(r.PageSize, size)
			for next := true; next; next = r.PageToken != "" {
				note(func() (proto.Message, error) {
					page, err := audit.ListChanges(x.own, r)
					r.PageToken = page.GetNextPageToken()
					return page, err
				})
			}
		}
	}
	for _, name := range append(x.changes(), x.matrix.other.change, x.absent.change, "changes/x") {
		note(func() (proto.Message, error) { return audit.GetChange(x.own, &pb.GetChangeRequest{Name: name}) })
		note(func() (proto.Message, error) {
			return audit.UndoChange(x.own, &pb.UndoChangeRequest{Name: name, ValidateOnly: true})
		})
	}
	return answers, steps
}

// TestAHistoryTellsNothingOfARival reads the history of an advertiser in every way, page by page, before and after its
// rival has made many changes, between its own. No byte of an answer differs, nor a step of what the store does.
func TestAHistoryTellsNothingOfARival(t *testing.T) {
	x := openHistorian(t)
	for i := range 3 {
		x.setBid(x.matrix.own, 1_100_000+int64(i))
		x.setBid(x.matrix.other, 2_000_000+int64(i))
	}
	before, stepsBefore := x.view()
	for i := range 1200 { // versions become a digit longer
		x.setBid(x.matrix.other, 3_000_000+int64(i))
	}
	after, stepsAfter := x.view()
	if len(before) != len(after) || len(before) < 50 {
		t.Fatalf("there were %d answers, and are %d", len(before), len(after))
	}
	for i := range before {
		if before[i] != after[i] || stepsBefore[i] != stepsAfter[i] {
			t.Errorf("answer %d, of %d steps:\n%s\nwas, of %d steps:\n%s", i, stepsAfter[i], after[i], stepsBefore[i], before[i])
		}
	}
}

// TestAHistoryIsTheSameWithoutARival compares two markets, in one of which a rival is at work between the changes of an
// advertiser. What its member is told has the same bytes, but for uids and for names of changes, which have one length.
func TestAHistoryIsTheSameWithoutARival(t *testing.T) {
	var seen [2][]*pb.Change
	for world := range seen {
		x := openHistorian(t)
		for i := range 4 {
			for j := range 300 * world {
				x.setBid(x.matrix.other, 3_000_000+int64(1000*i+j))
			}
			x.setBid(x.matrix.own, 1_100_000+int64(i))
		}
		page, err := pb.NewAuditServiceClient(x.InProcess()).ListChanges(x.own, &pb.ListChangesRequest{
			View: pb.View_VIEW_FULL})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.GetChanges() {
			c.Name = fmt.Sprint(len(c.GetName()))
			for _, r := range c.GetResources() {
				r.Uid = 0
			}
		}
		seen[world] = page.GetChanges()
	}
	if len(seen[0]) != len(seen[1]) || len(seen[0]) < 7 {
		t.Fatalf("%d changes without a rival, %d with one", len(seen[0]), len(seen[1]))
	}
	for i := range seen[0] {
		if alone, beside := told(seen[0][i], nil), told(seen[1][i], nil); alone != beside {
			t.Errorf("change %d alone is\n%s\nand beside a rival\n%s", i, alone, beside)
		}
	}
}
