package bidder

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/targeting"
)

// Paced is what pacing uses of a campaign, so that it reads no record of the catalogue.
type Paced struct {
	Pricing  hexbid.PricingModel
	Mode     pacing.Mode
	Bid      hexbid.Money
	Target   hexbid.Money        // of a click, on average; 0 for none
	Schedule *targeting.Schedule // its time zone aside; shared, so do not change it
	Short    bool                // what is left of a budget or a balance holds it back
}

// Paced returns what pacing uses of a campaign, false when the snapshot does not have it.
func (s *Snapshot) Paced(campaign hexbid.UID) (Paced, bool) {
	i, there := s.ordinalOf(campaign)
	if !there {
		return Paced{}, false
	}
	c, own := s.campaigns.at(i), s.specificsOf(i)
	return Paced{Pricing: c.pricing, Mode: own.mode, Bid: c.bid, Target: own.target, Schedule: &own.schedule,
		Short: c.has&hasLoweredBid != 0 || c.state&spent != 0 || s.lacksBalance(c)}, true
}
