package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// remakeOnce deletes a campaign and makes it again under its name. Tokens of the deleted one are still out: they charge
// the deleted one, within the limits that it had last.
func (c *crowd) remakeOnce(ctx context.Context, random *rand.Rand) error {
	time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
	one := c.auditor.claim(random)
	if one == nil {
		return nil
	}
	defer c.auditor.release(one)
	c.auditor.remove(one)
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	if _, err := c.campaigns.DeleteCampaign(ctx, &pb.DeleteCampaignRequest{Name: one.name}); err != nil {
		return endOf(err)
	}
	return endOf(c.makeAgain(ctx, one, random))
}

// makeAgain creates a campaign under the name of one that is deleted.
func (c *crowd) makeAgain(ctx context.Context, one *campaign, random *rand.Rand) error {
	c.auditor.isRemoved(one)
	next := one.again()
	l := limits{daily: 20 * next.mostMicros(), cap: next.drawCap(random)}
	asked := time.Now()
	id := one.name[strings.LastIndex(one.name, "/")+1:]
	made, err := c.campaigns.CreateCampaign(ctx, &pb.CreateCampaignRequest{Parent: one.owner.name, CampaignId: id,
		Campaign: next.message(l)})
	if err == nil {
		c.auditor.replace(one, next, &edit{limits: l, asked: asked}, made.GetUid())
	}
	return err
}

// remakeAgain finds out what became of the deletions that a kill interrupted, and ends them.
func (c *crowd) remakeAgain(ctx context.Context, random *rand.Rand) error {
	for _, one := range c.auditor.removed() {
		found, err := c.campaigns.GetCampaign(ctx, &pb.GetCampaignRequest{Name: one.name})
		switch {
		case status.Code(err) == codes.NotFound:
			err = c.makeAgain(ctx, one, random)
		case err == nil && found.GetUid() == one.uid:
			c.auditor.stay(one)
		case err == nil:
			c.auditor.isRemoved(one)
			c.auditor.replace(one, one.again(), &edit{limits: limitsOf(found)}, found.GetUid())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// again returns a campaign of the same name that nobody has made yet.
func (c *campaign) again() *campaign {
	return &campaign{name: c.name, owner: c.owner, model: c.model, bidMicros: c.bidMicros, host: c.host, zone: c.zone,
		pacing: c.pacing, goal: c.goal, capped: c.capped}
}

// remove notes that the deletion of a campaign is about to be asked for.
func (a *auditor) remove(c *campaign) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.removing, c.removeAsked = true, time.Now()
}

// isRemoved notes that a campaign is deleted for certain.
func (a *auditor) isRemoved(c *campaign) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.removeKnown = time.Now()
}

// stay notes that a campaign was not deleted after all.
func (a *auditor) stay(c *campaign) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.removing, c.removeAsked = false, time.Time{}
}

// removed returns the campaigns whose deletion was asked for and that nobody has made again.
func (a *auditor) removed() (list []*campaign) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.byName {
		if c.removing {
			list = append(list, c)
		}
	}
	return list
}

// replace notes that a campaign is deleted, and that another has its name.
func (a *auditor) replace(old, next *campaign, first *edit, uid uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if uid == old.uid {
		a.tally.fall(wrong, "%s was made again with the uid %d that it had", old.name, uid)
	}
	first.known = time.Now()
	old.gone, next.uid, next.made, next.edits = true, uid, first.known, []*edit{first}
	old.owner.campaigns, a.byName[old.name] = append(old.owner.campaigns, next), next
	a.tally.remade.Add(1)
}
