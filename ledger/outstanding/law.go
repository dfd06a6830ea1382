package outstanding

import (
	"math/bits"

	"github.com/hexbid/hexbid"
)

// Affordable returns what one event of a further award may cost at most: what is left of the budget or the balance,
// less the expected spend of the awards out and its margin, and never below 0. The margin costs no spend, because it
// shrinks as the awards' events come or fail to come.
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

// RemainderOf returns what to tell searches of a campaign that has so much left while awards are out. Far from the end
// of a budget it names a bound that holds for long, half of what is left or more, so that searches are seldom told. A
// bid that somebody raises far above it is then bounded at once. Near the end the bound is close, and exact when no
// award is out.
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

// floorTo keeps the highest set bit of an amount and the given number of bits below it, and clears the rest. So a small
// change of what is left needs no hand-in.
func floorTo(m hexbid.Money, more int) hexbid.Money {
	drop := max(0, bits.Len64(uint64(m))-1-more)
	return m >> drop << drop
}

// HoldsBack reports whether the campaign serves less than it would without budgets.
func (r Remainder) HoldsBack() bool { return r != Remainder{} }

// Calls reports whether searches should be told a new remainder: when the campaign is spent or no longer is, when the
// bound has fallen, and when it has risen and bids rise with it.
func (r Remainder) Calls(told Remainder, of Prices) bool {
	return r.Spent != told.Spent || r.Bound() < told.Bound() ||
		min(r.Bound(), of.Dearest) != min(told.Bound(), of.Dearest)
}

// Bound returns Left, or the highest bid of all when there is no bound.
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

// FundsOf returns what an advertiser can pay while awards are out. Whenever the bound changes, the index looks at all
// the advertiser's campaigns, so there are only eight bounds a doubling.
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
