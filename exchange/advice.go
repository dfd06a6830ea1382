package exchange

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hexbid/hexbid"
)

// Advice is what an advertiser can set so that a campaign whose score was too low wins a slot, whatever the request's
// id. All fields that are not 0 apply together. Advice is zero when more money would not help, or when no legal bid is
// enough.
type Advice struct {
	Slot        int          // the worst slot that it then wins
	Bid         hexbid.Money // the campaign's own, of which hosts get a part
	HostPPM     int64        // host_bids of the request's host, in parts per million
	DailyBudget hexbid.Money // raised as far as the bid requires
	TotalBudget hexbid.Money
}

// adviseBid finds the change that makes a campaign bid at least a wanted amount on a host. It raises the campaign's own
// bid if that alone suffices, else the host's part of it, else both. No change is legal when the bids on other hosts
// would leave the market's limits.
func adviseBid(c *hexbid.Campaign, host hexbid.Host, wanted, minimum hexbid.Money) (a Advice, found bool) {
	wanted = max(wanted, minimum)
	next := *c
	next.Bid = max(c.BidFor(host, wanted), leastBidAbove(c, minimum))
	if isLegal(&next, minimum) {
		return adviceFor(c, &next, host), true
	}
	if host == hexbid.HostUnknown {
		return Advice{}, false
	}
	next.HostBids = withoutHost(c.HostBids, host)
	others := next
	// A host gets at most ten times the bid. Near the highest bid the wanted part falls between two parts per million
	// of the present bid; a bid that makes it a round part hits it.
	atLeast := max(c.Bid, leastBidAbove(&others, minimum), tenth(wanted))
	for _, bid := range []hexbid.Money{atLeast, wanted, tenth(wanted)} {
		next.Bid = bid
		next.HostBids = append(slices.Clip(others.HostBids),
			hexbid.HostBid{Host: host, MultiplierPPM: next.MultiplierFor(wanted)})
		if isLegal(&next, minimum) {
			return adviceFor(c, &next, host), true
		}
	}
	return Advice{}, false
}

func withoutHost(bids []hexbid.HostBid, host hexbid.Host) []hexbid.HostBid {
	return slices.DeleteFunc(slices.Clone(bids), func(b hexbid.HostBid) bool { return b.Host == host })
}

func tenth(m hexbid.Money) hexbid.Money { return (m + 9) / 10 }

// adviceFor returns the fields in which next differs from a campaign.
func adviceFor(c, next *hexbid.Campaign, host hexbid.Host) (a Advice) {
	if next.Bid != c.Bid {
		a.Bid = next.Bid
	}
	if next.MultiplierOn(host) != c.MultiplierOn(host) {
		a.HostPPM = next.MultiplierOn(host)
	}
	event := next.DearestEvent()
	if c.DailyBudget < event {
		a.DailyBudget = event
	}
	if c.TotalBudget != 0 && c.TotalBudget < event {
		a.TotalBudget = event
	}
	return a
}

// leastBidAbove returns the least bid with which no host's bid is below the market's minimum.
func leastBidAbove(c *hexbid.Campaign, minimum hexbid.Money) hexbid.Money {
	bid := minimum
	for _, b := range c.HostBids {
		bid = max(bid, c.BidFor(b.Host, minimum))
	}
	return bid
}

// isLegal reports whether the market takes a campaign's bids.
func isLegal(c *hexbid.Campaign, minimum hexbid.Money) bool {
	least, most := c.Pricing.BidLimits()
	for _, b := range c.HostBids {
		if b.MultiplierPPM > hexbid.MaxHostMultiplierPPM {
			return false
		}
	}
	if c.Bid > most { // beyond it the bids on hosts would overflow
		return false
	}
	lowest, highest := c.BidRange()
	return lowest >= max(least, minimum) && highest <= most
}

// words puts the advice into words, in the units of upload files.
func (a *Advice) words(host hexbid.Host) string {
	var set []string
	if a.Bid > 0 {
		set = append(set, fmt.Sprintf("bid to %s", a.Bid))
	}
	if a.HostPPM > 0 {
		set = append(set, fmt.Sprintf("host_bids of %s to %s%%", host, percent(a.HostPPM)))
	}
	if a.DailyBudget > 0 {
		set = append(set, fmt.Sprintf("daily_budget to %s or more", a.DailyBudget))
	}
	if a.TotalBudget > 0 {
		set = append(set, fmt.Sprintf("total_budget to %s or more", a.TotalBudget))
	}
	return fmt.Sprintf("Set %s: that wins slot %d or a better one, as long as the others bid as they do.",
		strings.Join(set, " and "), a.Slot)
}

// percent writes parts per million as a percentage.
func percent(ppm int64) string {
	return strconv.FormatFloat(float64(ppm)/10_000, 'f', -1, 64)
}

// noBidWords says that a higher bid on the request's host is not legal, or not without changing the bids on others.
func noBidWords(c *hexbid.Campaign, host hexbid.Host, legal bool) string {
	_, most := c.Pricing.BidLimits()
	if legal {
		return "No bid wins a slot here while host_bids of other hosts stay as they are: they would leave the limits of bids."
	}
	where := ""
	if host != hexbid.HostUnknown {
		where = " on " + host.String()
	}
	return fmt.Sprintf("No bid wins a slot here: it would take more than %s%s, the highest that the market takes for %s.",
		most, where, c.Pricing)
}
