package hexbid

// Limits of bids in micros.
const (
	MaxBidCPC Money = 1_000_000_000     // a click
	MaxBidCPM Money = 1_000_000_000_000 // a thousand impressions
)

// BidLimits returns the lowest and the highest bid that the market accepts on any host. A bid for a thousand
// impressions is a multiple of 1,000 micros, so that one impression costs whole micros.
func (p PricingModel) BidLimits() (least, most Money) {
	if p == CPM {
		return 1000, MaxBidCPM
	}
	return 1, MaxBidCPC
}

// HostBid is the bid of a campaign on one host, in parts per million of Campaign.Bid.
type HostBid struct {
	Host          Host
	MultiplierPPM int64
}

// MaxHostMultiplierPPM is the highest multiplier on a host: tenfold.
const MaxHostMultiplierPPM = 10_000_000

const wholePPM = 1_000_000

// MultiplierOn returns the multiplier of the bid on a host, in parts per million.
func (c *Campaign) MultiplierOn(host Host) int64 {
	for _, b := range c.HostBids {
		if b.Host == host {
			return b.MultiplierPPM
		}
	}
	return wholePPM
}

// BidOn returns the bid on a host: Bid times the host's multiplier, rounded down.
func (c *Campaign) BidOn(host Host) Money {
	return Money(uint64(c.Bid) * uint64(c.MultiplierOn(host)) / wholePPM) // 10¹² · 10⁷ needs all 64 bits
}

// BidFor returns the least Bid that makes BidOn(host) reach a wanted bid. The wanted bid is at most MaxBidCPM.
func (c *Campaign) BidFor(host Host, wanted Money) Money {
	return Money(ceilDiv(int64(wanted)*wholePPM, c.MultiplierOn(host)))
}

// MultiplierFor returns the least multiplier, in parts per million, that makes the present Bid reach a wanted bid. The
// wanted bid is at most MaxBidCPM.
func (c *Campaign) MultiplierFor(wanted Money) int64 {
	return ceilDiv(int64(wanted)*wholePPM, int64(c.Bid))
}

// ceilDiv divides positive numbers and rounds up.
func ceilDiv(n, d int64) int64 { return (n + d - 1) / d }

// BidRange returns the lowest and the highest bid over all hosts.
func (c *Campaign) BidRange() (lowest, highest Money) {
	lowest, highest = c.Bid, c.Bid
	for _, b := range c.HostBids {
		lowest, highest = min(lowest, c.BidOn(b.Host)), max(highest, c.BidOn(b.Host))
	}
	return lowest, highest
}

// DearestEvent returns the most that one click or one impression can cost. Every budget must pay for at least one.
func (c *Campaign) DearestEvent() Money {
	_, event := c.BidRange()
	if c.Pricing == CPM {
		event = (event + 999) / 1000
	}
	return event
}

func (c *Campaign) validateMoney() error {
	if err := checkEnum("campaign.pricing_model", c.Pricing, PricingCount, false); err != nil {
		return JoinErrors(err, c.validateBudgets(1)) // the limits of a bid depend on the model
	}
	least, most := c.Pricing.BidLimits()
	if c.Bid < least || c.Bid > most {
		return JoinErrors(
			Invalidf("campaign.bid_micros", "%s is out of range: use %s to %s for %s", c.Bid.Micros(), least.Micros(),
				most.Micros(), c.Pricing),
			c.validateBudgets(1))
	}
	if err := c.validateHostBids(least, most); err != nil {
		return JoinErrors(err, c.validateBudgets(1))
	}
	return c.validateBudgets(c.DearestEvent())
}

// validateBudgets refuses a budget that does not pay for one event.
func (c *Campaign) validateBudgets(event Money) error {
	var daily, total error
	if c.DailyBudget < event {
		daily = Invalidf("campaign.daily_budget_micros", "%s does not pay for one event: give at least %s",
			c.DailyBudget.Micros(), event.Micros())
	}
	if c.TotalBudget != 0 && c.TotalBudget < event {
		total = Invalidf("campaign.total_budget_micros", "%s does not pay for one event: give at least %s, or 0 for no limit",
			c.TotalBudget.Micros(), event.Micros())
	}
	return JoinErrors(daily, total)
}

func (c *Campaign) validateHostBids(least, most Money) error {
	const field = "campaign.host_bids."
	var seen [HostCount]bool
	var errs []error
	for _, b := range c.HostBids {
		err := checkEnum(field+"host", b.Host, HostCount, false)
		switch {
		case err != nil:
		case seen[b.Host]:
			err = Invalidf(field+"host", "%s stands twice: give one bid a host", b.Host)
		case b.MultiplierPPM < 1 || b.MultiplierPPM > MaxHostMultiplierPPM:
			err = Invalidf(field+"multiplier_ppm", "%d ppm is out of range: use 1 ppm to %d ppm", b.MultiplierPPM,
				MaxHostMultiplierPPM)
		case c.BidOn(b.Host) < least || c.BidOn(b.Host) > most:
			err = Invalidf(field+"multiplier_ppm", "%d ppm makes a bid of %s on %s: use one that makes %s to %s",
				b.MultiplierPPM, c.BidOn(b.Host).Micros(), b.Host, least.Micros(), most.Micros())
		}
		if b.Host < HostCount {
			seen[b.Host] = true
		}
		errs = append(errs, err)
	}
	return JoinErrors(errs...)
}
