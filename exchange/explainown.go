package exchange

import (
	"context"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
)

// An advertiser who could ask whether this bid wins, or how many stand before it, could halve the interval again and
// again, and read off what the rivals bid. So a member is told nothing that follows from a rival's score itself. All of
// it follows from the score rounded up to the next step of a tenth: the rank, whether the campaign wins, and the bid
// that would. The steps are of scores and not of bids, because a bid is worth another score with each campaign's
// quality, so steps of bids, taken by several campaigns, would together be finer. For the same reason the rivals are
// the same ones whether or not the campaign is among the winners (bidder.Rivals).
//
// Explanations are for a number of requests an hour besides.

// standInSteps replaces what the verdict says of rivals by what follows from their scores in steps.
func (x *Explanation) standInSteps(rivals []auction.Entry) {
	v, slots := &x.Verdict, x.Query.Slots
	ahead := 0
	for ahead < len(rivals) && stepAbove(rivals[ahead].Score) > v.Entry.Score {
		ahead++
	}
	least, slot := max(v.Entry.Reserve, 1), min(len(rivals)+1, slots)
	if len(rivals) >= slots {
		least = max(least, rivals[slots-1].Score+1)
	}
	switch v.Rule {
	case bidder.RuleOwnBetter:
		least = max(least, v.Ahead.Score+1)
	case bidder.RuleReserve:
	default:
		x.Rank = ahead + 1
		if ahead < slots {
			*v = bidder.Verdict{Ordinal: v.Ordinal, Rule: bidder.Shown, Entry: v.Entry}
			v.Award.Slot = ahead + 1
			return
		}
		v.Rule, v.Award = bidder.RuleOutbid, auction.Award{}
	}
	v.Needed, v.NeededSlot = stepAbove(least-1), slot
}

// hideRivals leaves out what would tell of rivals.
func (x *Explanation) hideRivals() {
	v := &x.Verdict
	v.Needed, v.Entry.Score, v.Entry.Reserve, v.Ahead = 0, 0, 0, auction.Entry{}
	v.Award.Price, v.Award.SetBy = 0, 0
}

// stepAbove returns the least of the steps 1, 1.1, 1.1², …, each rounded up, that is above a score. The steps are the
// same for every campaign and every search.
func stepAbove(score int64) int64 {
	step := int64(1)
	for step <= score {
		step += (step + 9) / 10
	}
	return step
}

// advertiserOf returns the uid of the caller's own advertiser that a name belongs to.
func advertiserOf(ctx context.Context, name string) hexbid.UID {
	if g := hexbid.PrincipalOf(ctx).Grants; g != nil {
		return g.Advertisers[ownerOf(name)].UID
	}
	return 0
}

// explains counts the explanations that advertisers get in the present hour. It holds those that asked for one.
type explains struct {
	atMost int

	mu   sync.Mutex // guards the fields below
	hour int64      // since 1970
	used map[hexbid.UID]int
}

// take takes one of an advertiser's explanations of the hour. The error is Exhausted.
func (x *explains) take(advertiser hexbid.UID, now time.Time) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if hour := now.Unix() / 3600; hour != x.hour || x.used == nil {
		x.hour, x.used = hour, map[hexbid.UID]int{}
	}
	if x.used[advertiser] >= x.atMost {
		next := time.Unix((x.hour+1)*3600, 0)
		err := hexbid.Errorf(hexbid.Exhausted, "", "the advertiser has had the %d explanations that it gets an hour: ask "+
			"again at %s", x.atMost, next.UTC().Format(time.RFC3339))
		err.Retry = next.Sub(now)
		return err
	}
	x.used[advertiser]++
	return nil
}
