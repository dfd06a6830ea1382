package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// editOne changes the limits of a campaign to about what it has spent. As soon as the change is acknowledged, several
// clients at once report events of the campaign: none of them may be charged above the new limits.
func (c *crowd) editOne(ctx context.Context, random *rand.Rand) error {
	one := c.auditor.claim(random)
	if one == nil {
		time.Sleep(time.Millisecond)
		return nil
	}
	defer c.auditor.release(one)
	if random.IntN(6) == 0 {
		return c.editByImport(ctx, one, random)
	}
	l := c.auditor.nextLimits(one, random)
	e := c.auditor.begin(one, l)
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	_, err := c.campaigns.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{Campaign: one.message(l),
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"daily_budget_micros", "total_budget_micros"}}})
	if err != nil {
		return endOf(err)
	}
	c.auditor.settle(e, true)
	return c.reportAtOnce(ctx, one, random)
}

// endOf is the error of a write whose effect is unknown: whoever made it does not go on before the next start.
func endOf(err error) error {
	if status.Code(err) == codes.ResourceExhausted {
		return status.Error(codes.Unavailable, err.Error())
	}
	return err
}

// editByImport changes the limits twice in one import, so that a batch has more than one version of a campaign.
func (c *crowd) editByImport(ctx context.Context, one *campaign, random *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	stream, err := c.campaigns.Import(ctx)
	if err != nil {
		return endOf(err)
	}
	for range 2 {
		l := c.auditor.nextLimits(one, random)
		e := c.auditor.begin(one, l)
		if stream.Send(&pb.ImportRequest{Rows: []*pb.ImportRow{one.row(l)}}) != nil {
			_, err = stream.Recv()
			return endOf(err)
		}
		response, err := stream.Recv()
		if err != nil {
			return endOf(err)
		}
		if failure := response.GetOutcomes()[0].GetError(); failure != nil {
			c.auditor.tally.fall(wrong, "an import of %s: %v", one.name, failure)
		}
		c.auditor.settle(e, true)
	}
	_ = stream.CloseSend() // what was acknowledged is
	return c.reportAtOnce(ctx, one, random)
}

// claim chooses a campaign that is there, that nobody else edits, and whose last edit is settled.
func (a *auditor) claim(random *rand.Rand) *campaign {
	a.mu.Lock()
	defer a.mu.Unlock()
	owner := a.advertisers[random.IntN(len(a.advertisers))]
	c := owner.campaigns[random.IntN(len(owner.campaigns))]
	if last := c.edits[len(c.edits)-1]; c.claimed || c.removing || last.known.IsZero() && !last.never {
		return nil
	}
	c.claimed = true
	return c
}

func (a *auditor) release(c *campaign) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.claimed = false
}

// nextLimits returns budgets around what is spent. Half of them leave nothing or next to nothing, and the others enough
// for some hundred events.
func (a *auditor) nextLimits(c *campaign, random *rand.Rand) limits {
	a.mu.Lock()
	defer a.mu.Unlock()
	around := func() int64 {
		left := random.Int64N(12) - 4 // in events; below 0 the budget is below what is spent
		if random.IntN(2) == 0 {
			left = random.Int64N(400)
		}
		return max(c.mostMicros(), c.spentMicros+left*c.mostMicros()+random.Int64N(c.mostMicros()))
	}
	l := limits{daily: around()}
	if random.IntN(3) == 0 {
		l.total = around()
	}
	return l
}

// reportAtOnce reports some awards of the campaign by calls of their own, all at once.
func (c *crowd) reportAtOnce(ctx context.Context, one *campaign, random *rand.Rand) error {
	c.auditor.mu.Lock()
	var batches [][]*event
	for _, award := range one.take(2+random.IntN(4), 0) {
		batches = append(batches, c.auditor.story(award, random))
	}
	c.auditor.mu.Unlock()
	errs := make([]error, len(batches))
	var group sync.WaitGroup
	for i, batch := range batches {
		if len(batch) > 0 {
			group.Go(func() { errs[i] = c.report(ctx, batch) })
		}
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
