package store

import (
	"math"

	"github.com/hexbid/hexbid"
)

// Counter is a number that the engine keeps for an owner, any name, as the sum of what
// records count for it.
type Counter uint8

// The counters. The engine gives them no meaning; Declare does.
const (
	// Entries of an advertiser are what its campaigns take in the index, approved
	// places times the campaigns around them included.
	Entries Counter = iota + 1
	// Places of a program.
	Places
	// Approved places of a program.
	Approved
	// Around is the number of campaigns around a program's places.
	Around
	// Buyers is the number of campaigns that buy for a program.
	Buyers
)

// counters is one above the last Counter.
const counters = Buyers + 1

// Count is what a record adds to a counter as long as it is there: By, or where Times
// is set By times the present value of the counter Times of TimesOwner. An engine that
// replaces or deletes a record first takes its stored Counts off, in order, with the
// counters as they are then, and then adds the new ones, in order.
//
// So a product of two counters stays exact under any order of changes: where each of n
// records adds k × m(now) to a sum and 1 to n, and each of m records adds k × n(now) to
// the sum and 1 to m, the sum is k × n × m. It holds because no record changes a
// counter that it multiplies by, which the engine refuses.
type Count struct {
	Owner      string
	Counter    Counter
	By         int64
	TimesOwner string
	Times      Counter // 0: not multiplied
}

// Limit is what a counter may come to by a group. A counter that is above the limit
// before the group may stay there and shrink.
type Limit struct {
	Owner   string
	Counter Counter
	AtMost  int64
	Field   string // what the error names
}

// LimitError refuses a group that would bring a counter above a limit. Whoever
// knows what is counted words it anew.
type LimitError struct {
	Limit         Limit
	Before, After int64 // of the counter: before the group, and as it would be
}

// Error tells the counter, and what it may come to.
func (e *LimitError) Error() string { return e.Unwrap().Error() }

// Unwrap is the error as an *hexbid.Error of kind Exhausted.
func (e *LimitError) Unwrap() error {
	return hexbid.Errorf(hexbid.Exhausted, e.Limit.Field, "counter %d of %q would go from %d to %d: at most %d",
		e.Limit.Counter, hexbid.Shorten(e.Limit.Owner), e.Before, e.After, e.Limit.AtMost)
}

// CounterKey is what a counter is kept under.
type CounterKey struct {
	Owner   string
	Counter Counter
}

// product multiplies what a record counts; Invalid when it does not fit.
func product(by, times int64) (int64, error) {
	p := by * times
	if by != 0 && (p/by != times || by == -1 && times == math.MinInt64) {
		return 0, overflow()
	}
	return p, nil
}

// sum adds to a counter; Invalid when it does not fit.
func sum(present, by int64) (int64, error) {
	n := present + by
	if (n > present) != (by > 0) && by != 0 {
		return 0, overflow()
	}
	return n, nil
}

func overflow() error {
	return hexbid.Invalidf("", "a counter would not fit 64 bits: count less")
}
