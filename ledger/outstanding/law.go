package outstanding

import (
	"math/bits"

	"github.com/hexbid/hexbid"
)

// Affordable returns what one event of a further award may cost at most, when so much is left of a budget or a balance
// and so much is out: what is left less the expected spend and its margin, and never below 0. The margin loses no
// spend: it comes free as the awards' events come or fail to come.
func Affordable(left hexbid.Money, out Out) hexbid.Money {
	return max(0, left-out.Expected-out.Margin)
}

// Prices are those of a campaign's events.
type Prices struct {
	Least   hexbid.Money // that the market takes
	Dearest hexbid.Money // at the campaign's bids
}

// Remainder is what searches are told of what a campaign has left.
type Remainder struct {
	Spent bool
	Left  hexbid.Money // that one event may cost at most; 0 for no bound
}

// RemainderOf returns what to tell of a campaign when so much is left and awards are out. Far from the end of a
// budget it names only a bound that holds for long: the half of what is left, or more. Should somebody raise the bid
// far above that, the bid is bounded at once. Near the end the bound is close, and exact when no award is out.
func RemainderOf(left hexbid.Money, out Out, of Prices) Remainder {
	affordable := Affordable(left, out)
	switch {
	case affordable < of.Least:
		return Remainder{Spent: true}
	case affordable >= hexbid.MaxBidCPC:
		return Remainder{}
	case affordable >= 2*of.Dearest:
		return Remainder{Left: floorTo(affordable, 0)}
	case out.Expected+out.Margin == 0:
		return Remainder{Left: affordable}
	}
	return Remainder{Left: max(of.Least, floorTo(affordable, 5))}
}

// floorTo rounds money down to its highest bits: one, and so many more. It keeps the number of hand-ins low while what
// is left falls and rises.
func floorTo(m hexbid.Money, more int) hexbid.Money {
	drop := max(0, bits.Len64(uint64(m))-1-more)
	return m >> drop << drop
}

// HoldsBack reports whether the campaign serves less than it would without budgets.
func (r Remainder) HoldsBack() bool { return r != Remainder{} }

// Calls reports whether searches should be told a new remainder. A bound that has fallen always is. One that has
// risen is if it lowers bids.
func (r Remainder) Calls(told Remainder, of Prices) bool {
	return r.Spent != told.Spent || r.Bound() < told.Bound() ||
		min(r.Bound(), of.Dearest) != min(told.Bound(), of.Dearest)
}

// Bound is Left, with no bound as more than any event costs.
func (r Remainder) Bound() hexbid.Money {
	if r.Left == 0 {
		return hexbid.MaxBidCPC
	}
	return r.Left
}

// Funds is what searches are told of what an advertiser has left.
type Funds struct {
	None bool
	Left hexbid.Money // that one event may cost at most; 0 for no bound
}

// FundsOf returns what an advertiser can pay when awards are out. Every other bound makes the index look at all its
// campaigns, so there are eight a doubling.
func FundsOf(balance hexbid.Money, out Out, least hexbid.Money) Funds {
	switch affordable := Affordable(balance, out); {
	case affordable >= hexbid.MaxBidCPC:
		return Funds{}
	case affordable < least:
		return Funds{None: true}
	default:
		return Funds{Left: max(least, floorTo(affordable, 3))}
	}
}

// Calls reports whether searches should be told new funds. A bound that rises is told in steps of a quarter.
func (f Funds) Calls(told Funds) bool {
	switch {
	case f.None != told.None:
		return true
	case f.Left == told.Left:
		return false
	case f.Left == 0 || told.Left == 0 || f.Left < told.Left:
		return true
	}
	return f.Left >= told.Left+told.Left/4
}
