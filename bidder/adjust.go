package bidder

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// Adjustment is what becomes known of a campaign while it runs: the factors of
// its score, and whether its budget is spent.
type Adjustment struct {
	Campaign   hexbid.UID
	PacingPPM  int64 // 0 to auction.PPM
	QualityPPM int64 // 1 to auction.PPM
	Spent      bool
}

type adjusting struct {
	adjustments []Adjustment
	done        chan struct{} // closed when they are searchable
}

// Adjust sets the factors of campaigns and returns when searches use them.
// Campaigns that are gone are passed over. Indexing a campaign anew sets its
// quality back to its category's prior. The error is of a factor out of range,
// and then nothing is changed, or the context's.
func (x *Indexer) Adjust(ctx context.Context, adjustments []Adjustment) error {
	for _, a := range adjustments {
		if a.PacingPPM < 0 || a.PacingPPM > auction.PPM {
			return hexbid.Invalidf("pacing_ppm", "%d is out of range: use 0 to %d", a.PacingPPM, auction.PPM)
		}
		if a.QualityPPM < 1 || a.QualityPPM > auction.PPM {
			return hexbid.Invalidf("quality_ppm", "%d is out of range: use 1 to %d", a.QualityPPM, auction.PPM)
		}
	}
	call := adjusting{adjustments, make(chan struct{})}
	select {
	case x.adjustments <- call:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-call.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (x *Indexer) adjust(call adjusting) adjusting {
	for i := range call.adjustments {
		a := &call.adjustments[i]
		if ordinal, known := x.campaignOf.get(a.Campaign); known {
			x.adjustOne(ordinal, a)
		}
	}
	return call
}

// twofold is the difference of codes whose scores are twice each other.
const twofold = 1 << mantissaBits

// adjustOne posts a campaign anew in the same publication when its score rises
// above its cap, which would no longer bound it, or falls to half, where it
// would clog the heads of lists.
func (x *Indexer) adjustOne(i uint32, a *Adjustment) {
	hot, k := x.campaigns.edit(i), x.kept.edit(i)
	hot.pacingPPM, hot.qualityPPM = uint32(a.PacingPPM), uint32(a.QualityPPM)
	if cap := capOf(x.scoreOf(i)); k.posted && (cap > k.cap || cap+twofold <= k.cap) {
		x.unpost(i)
		x.setState(i)
	}
	if k.spent != a.Spent {
		k.spent = a.Spent
		x.setState(i)
	}
}
