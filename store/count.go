package store

import (
	"math"

	"github.com/hexbid/hexbid"
)

// Counter is a number that the engine keeps for an owner (any name). It is the sum of the counts of all records.
type Counter uint8

// The counters. The engine gives them no meaning; Declare does.
const (
	// Entries counts what an advertiser's campaigns take in the index, approved places times the campaigns around them
	// included.
	Entries Counter = iota + 1
	// Places counts the places of a program, and those of an advertiser.
	Places
	// Approved counts the approved places of a program.
	Approved
	// Around is the number of campaigns around a program's places.
	Around
	// Buyers is the number of campaigns that buy for a program.
	Buyers
	// Keys counts the keys of a user or a client.
	Keys
	// Aliases counts the users and clients that a name in certificates, or a subject of an OpenID provider, stands for.
	// Its owner is what CertificateAlias and IdentityAlias return.
	Aliases
	// Campaigns counts the campaigns of an advertiser.
	Campaigns
	// Vertices counts the vertices of the polygons that an advertiser's campaigns name.
	Vertices
	// Keywords counts the keywords of an advertiser's programs and campaigns.
	Keywords
	// Bytes counts the bytes of an advertiser's programs, places and campaigns (wire.ContentBytes).
	Bytes
	// CampaignQuota, and those that follow, hold an advertiser's own quotas. 0 stands for none.
	CampaignQuota
	PlaceQuota
	VertexQuota
	EntryQuota
	KeywordQuota
	ByteQuota
)

// counters is one above the last Counter.
const counters = ByteQuota + 1

// Count is what a record adds to a counter while it exists: By, or if Times is set, By times the present value of the
// counter Times of TimesOwner. When an engine replaces or deletes a record, it first subtracts the stored Counts in
// order, using the present counters, and then adds the new ones in order.
//
// So a product of two counters stays exact under any order of changes. Let each of n records add k × m(now) to a sum
// and 1 to n, and each of m records add k × n(now) to the sum and 1 to m. Then the sum is k × n × m. This holds
// because no record changes a counter that it multiplies by; the engine refuses such a record.
type Count struct {
	Owner      string
	Counter    Counter
	By         int64
	TimesOwner string
	Times      Counter // 0 for no multiplication
}

// Limit bounds a counter after a group. A counter that exceeds the limit before the group may stay or shrink.
type Limit struct {
	Owner   string
	Counter Counter
	AtMost  int64
	// Own, unless 0, is a counter of the owner that stands in place of AtMost while it is above 0. The engine reads it
	// when it judges the group, so a limit that changes holds for the next write.
	Own   Counter
	Field string // what the error names
}

// LimitError refuses a group that would bring a counter above a limit. Callers that know what is counted word it anew.
type LimitError struct {
	Limit         Limit // with AtMost as it was in force
	Before, After int64 // the counter before the group, and as it would be after
}

// Error names the counter and its limit.
func (e *LimitError) Error() string { return e.Unwrap().Error() }

// Unwrap returns the error as an *hexbid.Error of kind Exhausted.
func (e *LimitError) Unwrap() error {
	return hexbid.Errorf(hexbid.Exhausted, e.Limit.Field, "counter %d of %q would go from %d to %d: at most %d",
		e.Limit.Counter, hexbid.Shorten(e.Limit.Owner), e.Before, e.After, e.Limit.AtMost)
}

// CounterKey identifies a counter.
type CounterKey struct {
	Owner   string
	Counter Counter
}

// product multiplies two counts. It returns Invalid when the product does not fit.
func product(by, times int64) (int64, error) {
	p := by * times
	if by != 0 && (p/by != times || by == -1 && times == math.MinInt64) {
		return 0, overflow()
	}
	return p, nil
}

// sum adds to a counter. It returns Invalid when the sum does not fit.
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
