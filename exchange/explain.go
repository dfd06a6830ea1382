package exchange

import (
	"context"
	"fmt"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/bidder"
)

// Explanation is the verdict on one campaign in one search.
type Explanation struct {
	Verdict    bidder.Verdict
	Reason     string // for people
	Advice     Advice
	AdviceText string // for people; empty when more money would not help
	RequestID  string
	Live       *bidder.LiveState // nil when the campaign is not indexed
	Snapshot   *bidder.Snapshot
	Query      bidder.Query
	// Rank is the place among the advertisers that compete, 1 for the best, 0 for a campaign that does not compete. The
	// last that is told, bidder.MostRivals + 1, stands for all lower ones too.
	Rank int
	// RivalsHidden says that what would tell of rivals is left out: scores, the price, and what set it.
	RivalsHidden bool
}

// Explain returns the verdict on a campaign in a search. It tests the campaign against one rule after another. For the
// rank it runs the search itself. For a member no viewer has seen anything yet: what somebody has seen is not an
// advertiser's to know, neither of its own campaigns nor, by the rank, of others'. Errors are *hexbid.Error, or the
// context's.
func (e *Exchange) Explain(ctx context.Context, campaign string, r *hexbid.Request) (*Explanation, error) {
	if err := e.admit(ctx, access.Explain, campaign); err != nil {
		return nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if _, err := hexbid.ParseNameOf(hexbid.KindCampaign, "name", campaign); err != nil {
		return nil, err
	}
	c, program, err := e.campaignAndProgram(ctx, campaign)
	if err != nil {
		return nil, err
	}
	snapshot, now, err := e.indexer.SnapshotNow(ctx)
	if err != nil {
		return nil, err
	}
	out := &Explanation{RequestID: e.config.RequestID(), Snapshot: snapshot, RivalsHidden: e.own(ctx) != nil}
	if out.RivalsHidden {
		if err := e.explains.take(advertiserOf(ctx, campaign), now); err != nil {
			return nil, err
		}
	}
	if live, indexed := snapshot.LiveState(c.UID); indexed {
		out.Live = &live
	}
	q := &out.Query
	*q = bidder.NewQuery(r, out.RequestID, now)
	if q.History != nil && e.viewers != nil && snapshot.HasCaps() && !out.RivalsHidden {
		q.History = e.viewers.known(ctx, e.keys.Ring().Pseudonym(r.Viewer.UserKey), now.Add(e.ledgerTime.ahead()))
	}
	if err := e.judge(ctx, out, c.UID); err != nil {
		return nil, err
	}
	if out.Reason = reasonOf(&out.Verdict, c, program, r, now); out.Reason == "" {
		out.Reason = out.reason(e.namesIn(ctx, snapshot))
	}
	e.advise(out, snapshot, c, r.Host)
	if out.RivalsHidden {
		out.hideRivals()
	}
	return out, nil
}

// campaignAndProgram reads a campaign and the program that it shows, as far as the caller may see them.
func (e *Exchange) campaignAndProgram(ctx context.Context, name string) (*hexbid.Campaign, *hexbid.Program, error) {
	campaign, err := e.catalogue(ctx).Get(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	c := campaign.Resource.(*hexbid.Campaign)
	program, err := e.catalogue(ctx).Get(ctx, c.Program)
	if err != nil {
		return nil, nil, err
	}
	return c, program.Resource.(*hexbid.Program), nil
}

// reason words the verdict. A member learns nothing of rivals by it.
func (x *Explanation) reason(name func(campaign uint32) string) string {
	if x.RivalsHidden {
		return x.Verdict.OwnersReason(name)
	}
	return x.Verdict.Reason(name)
}

// advise adds to an explanation what would win a slot.
func (e *Exchange) advise(out *Explanation, s *bidder.Snapshot, c *hexbid.Campaign, host hexbid.Host) {
	if out.Verdict.Needed == 0 {
		return
	}
	if out.Live != nil && out.Live.LoweredByBudget {
		out.AdviceText = loweredWords
		return
	}
	wanted, legal := s.BidToWin(&out.Verdict)
	found := false
	if legal {
		out.Advice, found = adviseBid(c, host, wanted, e.market.operator.Load().MinimumBid[c.Pricing])
	}
	if !found {
		out.AdviceText = noBidWords(c, host, legal)
		return
	}
	out.Advice.Slot = out.Verdict.NeededSlot
	out.AdviceText = out.Advice.words(host)
}

// loweredWords is the advice to a campaign whose bid its rest lowers: a higher bid would be lowered further.
const loweredWords = "What is left of its budget or of its advertiser's balance lowers its bid, so a higher bid " +
	"would " +
	"not help: raise the budget, or top the balance up."

// judge waits for its turn and finds the verdict on a campaign, and its rank.
func (e *Exchange) judge(ctx context.Context, out *Explanation, campaign hexbid.UID) error {
	done, err := e.exhaustive.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	work := e.scratch.Get().(*scratch)
	defer e.scratch.Put(work)
	return out.judge(ctx, campaign, &work.bidder)
}

// judge finds the verdict on a campaign in the explanation's query, and its rank.
func (x *Explanation) judge(ctx context.Context, campaign hexbid.UID, work *bidder.Scratch) error {
	if x.RivalsHidden {
		x.Query.Slots = min(x.Query.Slots, bidder.MostRivals)
	}
	v, _, err := x.Snapshot.Explain(ctx, &x.Query, campaign, work)
	if err != nil {
		return err
	}
	x.Verdict = v
	switch v.Rule {
	case bidder.Shown, bidder.RuleReserve, bidder.RuleOwnBetter, bidder.RuleOutbid:
	default:
		return nil // more money would not help
	}
	rivals, err := x.Snapshot.Rivals(ctx, &x.Query, v.Ordinal, work)
	switch {
	case err != nil:
		return err
	case x.RivalsHidden:
		x.standInSteps(rivals)
	case v.Rule == bidder.Shown || v.Rule == bidder.RuleOutbid:
		x.Rank = x.Query.RankAmong(&v.Entry, rivals)
	}
	return nil
}

// namesIn returns a function that looks up the names of a snapshot's campaigns.
func (e *Exchange) namesIn(ctx context.Context, s *bidder.Snapshot) func(campaign uint32) string {
	return func(campaign uint32) string {
		if ctx.Err() != nil {
			return "" // the caller has gone
		}
		ref := s.CampaignRef(campaign)
		r, err := e.store.ByUID(ctx, ref.UID)
		if err != nil {
			return fmt.Sprintf("a campaign deleted since (uid %d)", ref.UID)
		}
		return r.Meta().Name
	}
}
