package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// undone are campaigns whose bids were changed, and the names of these changes.
type undone struct {
	t       *testing.T
	names   []string
	changes []string
}

const bidBefore, bidAfter = 1_000_000, 2_000_000

// prepare makes campaigns and changes their bids.
func (u *undone) prepare(ctx context.Context, conn grpc.ClientConnInterface, campaigns int) {
	u.t.Helper()
	c, audit := pb.NewCampaignServiceClient(conn), pb.NewAuditServiceClient(conn)
	must := func(err error) {
		u.t.Helper()
		if err != nil {
			u.t.Fatal(err)
		}
	}
	_, err := c.CreateAdvertiser(ctx, &pb.CreateAdvertiserRequest{AdvertiserId: "a",
		Advertiser: &pb.Advertiser{DisplayName: "A"}})
	must(err)
	program, err := c.CreateProgram(ctx, &pb.CreateProgramRequest{Parent: "advertisers/a", ProgramId: "p",
		Program: &pb.Program{DisplayName: "P", Category: pb.Category_CATEGORY_CATERING,
			Hosts: []pb.Host{pb.Host_HOST_WECHAT}}})
	must(err)
	for i := range campaigns {
		made, err := c.CreateCampaign(ctx, &pb.CreateCampaignRequest{Parent: "advertisers/a", CampaignId: fmt.Sprint("c", i),
			Campaign: &pb.Campaign{DisplayName: "C", Program: program.GetName(), BidMicros: bidBefore,
				DailyBudgetMicros: 100_000_000, PricingModel: pb.PricingModel_PRICING_MODEL_CPC, Area: &pb.Area{Everywhere: true},
				Creatives: []*pb.Creative{{Title: "T"}}}})
		must(err)
		_, err = c.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{Campaign: &pb.Campaign{Name: made.GetName(),
			BidMicros: bidAfter}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bid_micros"}}})
		must(err)
		page, err := audit.ListChanges(ctx, &pb.ListChangesRequest{Resource: made.GetName(), PageSize: 1})
		must(err)
		u.names, u.changes = append(u.names, made.GetName()), append(u.changes, page.GetChanges()[0].GetName())
	}
}

// all undoes every change by several callers at once, and calls acknowledged for each that was acknowledged.
func (u *undone) all(ctx context.Context, conn grpc.ClientConnInterface, acknowledged func(i int)) {
	audit := pb.NewAuditServiceClient(conn)
	var group sync.WaitGroup
	const callers = 4
	for caller := range callers {
		group.Go(func() {
			for i := caller; i < len(u.changes); i += callers {
				if _, err := audit.UndoChange(ctx, &pb.UndoChangeRequest{Name: u.changes[i]}); err != nil {
					return
				}
				acknowledged(i)
			}
		})
	}
	group.Wait()
}

// state returns whether a change was undone, by the record and by the history, which must agree.
func (u *undone) state(ctx context.Context, conn grpc.ClientConnInterface, i int) bool {
	u.t.Helper()
	c, err := pb.NewCampaignServiceClient(conn).GetCampaign(ctx, &pb.GetCampaignRequest{Name: u.names[i]})
	if err != nil {
		u.t.Fatal(err)
	}
	page, err := pb.NewAuditServiceClient(conn).ListChanges(ctx, &pb.ListChangesRequest{Resource: u.names[i]})
	if err != nil {
		u.t.Fatal(err)
	}
	all := page.GetChanges()
	switch last := all[0]; {
	case len(all) == 3 && last.GetUndoes() == u.changes[i] && last.GetActor().GetRole() == pb.Role_ROLE_OPERATOR &&
		c.GetBidMicros() == bidBefore:
		return true
	case len(all) == 2 && last.GetName() == u.changes[i] && c.GetBidMicros() == bidAfter:
		return false
	}
	u.t.Errorf("%s has a bid of %d and the history %v", u.names[i], c.GetBidMicros(), all)
	return false
}

// TestUndosSurviveAKill kills the program while callers undo changes. After the next start each undo is there with its
// history or not at all, and the acknowledged ones are.
func TestUndosSurviveAKill(t *testing.T) {
	const campaigns, killAfter = 60, 15
	data := t.TempDir()
	p := startProcess(t, "--data", data)
	u := undone{t: t}
	ctx := testContext(t)
	u.prepare(ctx, p.dial(t), campaigns)
	var acknowledged [campaigns]atomic.Bool
	var count atomic.Int64
	u.all(ctx, p.dial(t), func(i int) {
		acknowledged[i].Store(true)
		if count.Add(1) == killAfter {
			if err := p.command.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	})
	<-p.ended
	conn := startProcess(t, "--data", data).dial(t)
	found := 0
	for i := range campaigns {
		is := u.state(ctx, conn, i)
		if is {
			found++
		} else if acknowledged[i].Load() {
			t.Errorf("the acknowledged undo of %s is gone", u.names[i])
		}
	}
	if found < killAfter || found == campaigns {
		t.Errorf("%d of %d were undone when it was killed", found, campaigns)
	}
	for i := range campaigns { // those that were not yet are undone now
		_, err := pb.NewAuditServiceClient(conn).UndoChange(ctx, &pb.UndoChangeRequest{Name: u.changes[i]})
		if !u.state(ctx, conn, i) {
			t.Errorf("%s is not undone: %v", u.names[i], err)
		}
	}
}
