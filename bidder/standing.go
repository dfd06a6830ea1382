package bidder

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// MostRivals is the most entries that Rivals returns: one below the most slots, because a search of all slots shows so
// many rivals whether or not the advertiser itself is among the winners. So nothing changes in the list when it is.
const MostRivals = hexbid.MaxSlots - 1

// Rivals returns the best entries of the advertisers other than the owner of a campaign, the best first. It runs a
// search, or evaluates every campaign at an instant that the snapshot does not hold. The error is the context's.
func (s *Snapshot) Rivals(ctx context.Context, q *Query, campaign uint32, w *Scratch) ([]auction.Entry, error) {
	all := *q
	all.Slots = hexbid.MaxSlots
	var found []auction.Entry
	owner := s.campaigns.at(campaign).advertiser
	take := func(e *auction.Entry) {
		if e.Advertiser != owner && len(found) < MostRivals {
			found = append(found, *e)
		}
	}
	if !s.Holds(q.Now) {
		a, err := s.PlainWithin(ctx, &all)
		for i := range a.Entries {
			take(&a.Entries[i])
		}
		return found, err
	}
	awards := s.Search(&all, w)
	for i := range awards {
		take(&awards[i].Entry)
	}
	return found, nil
}

// RankAmong returns the place that an entry has among rivals, 1 for the best.
func (q *Query) RankAmong(e *auction.Entry, rivals []auction.Entry) int {
	rank := 1
	for i := range rivals {
		if q.compareEntries(&rivals[i], e) < 0 {
			rank++
		}
	}
	return rank
}
