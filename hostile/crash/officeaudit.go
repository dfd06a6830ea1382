package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// audit compares every paper with what was acknowledged of it, and its history. Nobody writes meanwhile.
func (o *office) audit(ctx context.Context, d *desk, s *victim.Server) error {
	for _, p := range slices.Concat(o.trays...) {
		found, err := p.drawer.get(ctx, d, p.name)
		if err != nil && status.Code(err) != codes.NotFound {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		done := p.judge(found, o.tally.fall)
		changes, err := o.changesOf(ctx, d, &pb.ListChangesRequest{Resource: p.name})
		if err != nil {
			return err
		}
		if p.drawer.first != "" && len(changes) > 0 {
			changes = changes[1:] // the first market is the start's
		}
		p.judgeHistory(changes, done, o.tally.fall)
		o.tally.changes.Add(int64(len(changes)))
		if err := o.auditKeys(ctx, s, p, done); err != nil {
			return err
		}
	}
	return o.auditHoldings(ctx, d)
}

// changesOf returns all changes that a request asks for, the oldest first.
func (o *office) changesOf(ctx context.Context, d *desk, r *pb.ListChangesRequest) (changes []*pb.Change, err error) {
	r.PageSize = hexbid.MaxPageSize
	for change, err := range hexbid.Pages(func(token string) ([]*pb.Change, string, error) {
		r.PageToken = token
		page, err := d.history.ListChanges(ctx, r)
		return page.GetChanges(), page.GetNextPageToken(), err
	}) {
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	slices.Reverse(changes)
	return changes, nil
}

// auditKeys shows the server the last key of a paper: it is in force exactly while the paper is there.
func (o *office) auditKeys(ctx context.Context, s *victim.Server, p *paper, done []*write) error {
	credential, there := "", p.markAfter(done) != ""
	for i, w := range done {
		if w.mark != "" && (i == 0 || done[i-1].mark == "") {
			credential = w.credential // empty when a kill came before the answer
		}
	}
	if credential == "" {
		return nil
	}
	conn, err := s.DialWith(credential, victim.Patient())
	if err != nil {
		return err
	}
	defer conn.Close()
	who, err := pb.NewAccessServiceClient(conn).WhoAmI(ctx, &pb.WhoAmIRequest{})
	o.tally.keysShown.Add(1)
	switch code := status.Code(err); {
	case there && (err != nil || who.GetName() != o.keeper):
		o.tally.fall(lost, "%s was issued, and it is answered %q, %v", p.name, who.GetName(), err)
	case !there && code != codes.Unauthenticated:
		o.tally.fall(wrong, "%s was revoked, and it is answered %q, %v", p.name, who.GetName(), err)
	}
	return nil
}

// auditHoldings compares what the server says that the office's advertiser has with a count.
func (o *office) auditHoldings(ctx context.Context, d *desk) error {
	owner, err := d.campaigns.GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: o.owner})
	if err != nil {
		return err
	}
	counted, err := o.count(ctx, d)
	if err != nil {
		return err
	}
	compareHoldings(o.owner, owner.GetHoldings(), counted, o.tally.fall)
	return nil
}

// compareHoldings compares what an advertiser has by the server's counters with what was counted. Bytes and entries
// cannot be counted from outside; auditEmpty compares those.
func compareHoldings(name string, have, counted *pb.Holdings, tell report) {
	for _, of := range []struct {
		what          string
		have, counted int64
	}{{"campaigns", have.GetCampaigns(), counted.GetCampaigns()}, {"places", have.GetPlaces(), counted.GetPlaces()},
		{"vertices", have.GetVertices(), counted.GetVertices()}, {"keywords", have.GetKeywords(), counted.GetKeywords()}} {
		if of.have != of.counted {
			tell(wrong, "%s has %d %s by the server's counters, and %d by a count", name, of.have, of.what, of.counted)
		}
	}
}

// count counts what the office's advertiser has.
func (o *office) count(ctx context.Context, d *desk) (*pb.Holdings, error) {
	var counted pb.Holdings
	for place, err := range hexbid.Pages(func(token string) ([]*pb.Place, string, error) {
		page, err := d.campaigns.ListPlaces(ctx, &pb.ListPlacesRequest{Parent: o.owner + "/programs/p", PageToken: token})
		return page.GetPlaces(), page.GetNextPageToken(), err
	}) {
		if err != nil {
			return nil, err
		}
		_ = place
		counted.Places++
	}
	for c, err := range hexbid.Pages(func(token string) ([]*pb.Campaign, string, error) {
		page, err := d.campaigns.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: o.owner, View: pb.View_VIEW_FULL,
			PageToken: token})
		return page.GetCampaigns(), page.GetNextPageToken(), err
	}) {
		if err != nil {
			return nil, err
		}
		counted.Campaigns++
		counted.Keywords += int64(len(c.GetKeywords()))
		counted.Vertices += int64(positionsOf(c.GetDisplayName()))
	}
	return &counted, nil
}

// auditHistory reads the whole history. No change may be damaged, and each edit of a budget that was acknowledged to
// the crowd must be in it, in order.
func (o *office) auditHistory(ctx context.Context, d *desk, campaigns []*campaign) error {
	all, err := o.changesOf(ctx, d, &pb.ListChangesRequest{})
	if err != nil {
		return err
	}
	o.tally.changes.Add(int64(len(all)))
	budgets := budgetsIn(all, o.tally.fall)
	for _, c := range campaigns {
		compareBudgets(c, budgets[c.uid], o.tally.fall)
	}
	return nil
}

// budgetsIn returns the daily budgets that changes have set, by the campaign's uid.
func budgetsIn(changes []*pb.Change, tell report) map[uint64][]string {
	budgets := map[uint64][]string{}
	for _, c := range changes {
		if c.GetDamaged() {
			tell(lost, "%s is damaged", c.GetName())
		}
		for _, r := range c.GetResources() {
			for _, f := range r.GetFields() {
				if f.GetField() == "daily_budget_micros" && f.GetAfter() != nil {
					budgets[r.GetUid()] = append(budgets[r.GetUid()], f.GetAfter().GetStringValue())
				}
			}
		}
	}
	return budgets
}

// compareBudgets looks for the acknowledged budgets of a campaign among those that its history tells.
func compareBudgets(c *campaign, told []string, tell report) {
	last := ""
	for _, e := range c.edits {
		budget := strconv.FormatInt(e.daily, 10)
		if e.isUnsettled() || e.never || budget == last {
			continue
		}
		at := slices.Index(told, budget)
		if at < 0 {
			tell(lost, "%s got a budget of %s a day, which its history does not tell", c.name, budget)
			return
		}
		told, last = told[at+1:], budget
	}
}

// auditEmpty deletes all places and campaigns of the office, after which its advertiser must have what its program
// takes, and nothing else.
func (o *office) auditEmpty(ctx context.Context, d *desk, empty *pb.Holdings) error {
	for _, p := range slices.Concat(o.trays...) {
		done, _ := p.inForce()
		if p.drawer != placeDrawer && p.drawer != campaignDrawer || p.markAfter(done) == "" {
			continue
		}
		if err := o.remove(ctx, d, p); err != nil {
			return err
		}
	}
	owner, err := d.campaigns.GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: o.owner})
	if err == nil && owner.GetHoldings().String() != empty.String() {
		o.tally.fall(wrong, "%s had %v before there were places and campaigns, and has %v after them", o.owner, empty,
			owner.GetHoldings())
	}
	return err
}
