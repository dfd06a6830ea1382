package exchange

import (
	"context"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// An advertiser who could ask for the exact bid that wins would read off what the rivals bid. Members therefore learn
// no score and no price, the bid only in steps of a tenth, and for a number of requests an hour.

// hideRivals leaves out what would tell of rivals.
func (x *Explanation) hideRivals() {
	v := &x.Verdict
	v.Needed, v.Entry.Score, v.Entry.Reserve, v.Ahead = 0, 0, 0, auction.Entry{}
	v.Award.Price, v.Award.SetBy = 0, 0
}

// roundedUp returns the least of the steps 1, 1.1, 1.1², … micros, each rounded up, that is at least m. The steps are
// the same for every campaign, so bids from different ones narrow nothing down.
func roundedUp(m hexbid.Money) hexbid.Money {
	step := hexbid.Money(1)
	for step < m {
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
		return hexbid.Errorf(hexbid.Exhausted, "", "the advertiser has had the %d explanations that it gets an hour: ask "+
			"again at %s", x.atMost, time.Unix((x.hour+1)*3600, 0).UTC().Format(time.RFC3339))
	}
	x.used[advertiser]++
	return nil
}
