package exchange

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/store"
)

// HandIn sets an owner's fields of some campaigns' live states. As bidder.Indexer.HandIn documents, it overtakes the
// waiting changes of the catalogue and returns when searches use the new values.
func (e *Exchange) HandIn(ctx context.Context, owner bidder.Owner, updates []bidder.LiveUpdate) error {
	if err := e.admit(ctx, access.OperatorsOwn, ""); err != nil {
		return err
	}
	return e.indexer.HandIn(ctx, owner, updates)
}

// HandInAdvertisers sets what some advertisers can pay, as bidder.Indexer.HandInAdvertisers documents.
func (e *Exchange) HandInAdvertisers(ctx context.Context, updates []bidder.AdvertiserUpdate) error {
	if err := e.admit(ctx, access.OperatorsOwn, ""); err != nil {
		return err
	}
	return e.indexer.HandInAdvertisers(ctx, updates)
}

// LiveStates returns what searches take a campaign to be worth right now, nil for a campaign that they do not see.
type LiveStates func(campaign hexbid.UID) *bidder.LiveState

// LiveStates returns a function that looks up the live states of campaigns.
func (e *Exchange) LiveStates(ctx context.Context) (LiveStates, error) {
	if err := e.admit(ctx, access.GetCampaign, ""); err != nil {
		return nil, err
	}
	return func(campaign hexbid.UID) *bidder.LiveState {
		live, seen := e.indexer.Snapshot().LiveState(campaign)
		if !seen {
			return nil
		}
		return &live
	}, nil
}

// heldBackBy returns the rule by which a campaign's live state keeps it from serving.
func (e *Exchange) heldBackBy(campaign hexbid.UID) bidder.Rule {
	live, _ := e.indexer.Snapshot().LiveState(campaign)
	switch {
	case live.NoBalance:
		return bidder.RuleBalance
	case live.BudgetSpent:
		return bidder.RuleBudget
	}
	return bidder.Shown
}

// keepUID copies the uid of a stored record to the resource that would replace it. Live states are found by uid.
func keepUID(r hexbid.Resource, stored store.Record) {
	if stored.Resource != nil {
		r.Metadata().UID = stored.Meta().UID
	}
}
