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

// editOne raises the limits of a campaign, and then lowers them to about what it has spent. As soon as the lower ones
// are acknowledged, several clients at once report events of the campaign: none may be charged above them.
func (c *crowd) editOne(ctx context.Context, random *rand.Rand) error {
	one := c.auditor.claim(random)
	if one == nil {
		time.Sleep(time.Millisecond)
		return nil
	}
	defer c.auditor.release(one)
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	change := c.update
	if random.IntN(6) == 0 {
		change = c.updateByImport
	}
	if err := change(ctx, one, c.auditor.limitsAbove(one, random.Int64N(200), random)); err != nil {
		return endOf(err)
	}
	if err := change(ctx, one, c.auditor.limitsAbove(one, random.Int64N(6)-3, random)); err != nil {
		return endOf(err)
	}
	return c.reportAtOnce(ctx, one, random)
}

// capOne changes or takes away the frequency cap of an advertiser.
func (c *crowd) capOne(ctx context.Context, random *rand.Rand) error {
	time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
	one := c.auditor.advertisers[random.IntN(len(c.auditor.advertisers))]
	if !c.auditor.claimAdvertiser(one) {
		return nil
	}
	defer c.auditor.releaseAdvertiser(one)
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	var l limits
	if random.IntN(3) > 0 {
		l.cap = drawCap(random)
	}
	e := c.auditor.begin(&one.edits, l)
	_, err := c.campaigns.UpdateAdvertiser(ctx, &pb.UpdateAdvertiserRequest{Advertiser: one.message(l),
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"frequency_cap"}}})
	if err == nil {
		c.auditor.settle(e, true)
	}
	return endOf(err)
}

// claimAdvertiser reports whether nobody else edits an advertiser, and its last edit is settled. The caller then does.
func (a *auditor) claimAdvertiser(one *advertiser) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one.claimed || one.edits[len(one.edits)-1].isUnsettled() {
		return false
	}
	one.claimed = true
	return true
}

func (a *auditor) releaseAdvertiser(one *advertiser) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one.claimed = false
}

// update changes limits by a single write.
func (c *crowd) update(ctx context.Context, one *campaign, l limits) error {
	e := c.auditor.begin(&one.edits, l)
	_, err := c.campaigns.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{Campaign: one.message(l),
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"daily_budget_micros", "total_budget_micros", "frequency_cap"}}})
	if err == nil {
		c.auditor.settle(e, true)
	}
	return err
}

// endOf is the error of a write whose effect is unknown: whoever made it does not go on before the next start.
func endOf(err error) error {
	if status.Code(err) == codes.ResourceExhausted {
		return status.Error(codes.Unavailable, err.Error())
	}
	return err
}

// updateByImport changes limits by an import.
func (c *crowd) updateByImport(ctx context.Context, one *campaign, l limits) error {
	stream, err := c.campaigns.Import(ctx)
	if err != nil {
		return err
	}
	e := c.auditor.begin(&one.edits, l)
	_ = stream.Send(&pb.ImportRequest{Rows: []*pb.ImportRow{one.row(l)}}) // Recv says why not
	response, err := stream.Recv()
	if err != nil {
		return err
	}
	if failure := response.GetOutcomes()[0].GetError(); failure != nil {
		c.auditor.tally.fall(wrong, "an import of %s: %v", one.name, failure)
	}
	c.auditor.settle(e, true)
	return stream.CloseSend()
}

// claim chooses a campaign that is there, that nobody else edits, and whose last edit is settled.
func (a *auditor) claim(random *rand.Rand) *campaign {
	a.mu.Lock()
	defer a.mu.Unlock()
	owner := a.advertisers[random.IntN(len(a.advertisers))]
	c := owner.campaigns[random.IntN(len(owner.campaigns))]
	if c.claimed || c.removing || c.edits[len(c.edits)-1].isUnsettled() {
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

// limitsAbove returns budgets that leave about as many events as left says. Below 0 they are below what is spent. Now
// and then it also changes the frequency cap, or takes it away.
func (a *auditor) limitsAbove(c *campaign, left int64, random *rand.Rand) limits {
	a.mu.Lock()
	defer a.mu.Unlock()
	around := func() int64 {
		return max(c.mostMicros(), c.spentMicros+left*c.mostMicros()+random.Int64N(c.mostMicros()))
	}
	l := limits{daily: around(), cap: settledLimits(c.edits).cap}
	if random.IntN(3) == 0 {
		l.total = around()
	}
	switch random.IntN(20) {
	case 0:
		l.cap = frequencyCap{}
	case 1, 2, 3:
		l.cap = c.drawCap(random)
	}
	return l
}

// reportAtOnce reports some awards of the campaign by calls of their own, all at once.
func (c *crowd) reportAtOnce(ctx context.Context, one *campaign, random *rand.Rand) error {
	c.auditor.mu.Lock()
	var batches [][]*event
	for _, award := range one.take(4+random.IntN(6), 0) {
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
