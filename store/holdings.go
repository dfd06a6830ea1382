package store

import (
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/wire"
)

// CompleteCounts adds what a record of before these counters existed does not declare.
func (r *Record) CompleteCounts() {
	if slices.ContainsFunc(r.Counts, func(c Count) bool { return c.Counter == Bytes || c.Counter == Aliases }) {
		return
	}
	switch v := r.Resource.(type) {
	case *hexbid.User:
		r.Counts = append(r.Counts, countsOfAliases(v.CertificateNames, v.Identities)...)
	case *hexbid.Client:
		r.Counts = append(r.Counts, countsOfAliases(v.CertificateNames, v.Identities)...)
	}
	if name, err := hexbid.ParseName(r.Meta().Name); err == nil {
		r.Counts = append(r.Counts, countsOfHolding(r.Resource, name.Owner().String())...)
	}
}

// countsOfHolding returns what a program, a place or a campaign adds to what its advertiser has.
func countsOfHolding(r hexbid.Resource, advertiser string) (counts []Count) {
	of := HoldingsOf(r)
	for _, c := range [...]Count{{Counter: Campaigns, By: of.Campaigns}, {Counter: Places, By: of.Places},
		{Counter: Vertices, By: of.Vertices}, {Counter: Keywords, By: of.Keywords}, {Counter: Bytes, By: of.Bytes}} {
		if c.By > 0 {
			c.Owner = advertiser
			counts = append(counts, c)
		}
	}
	return counts
}

// HoldingsOf returns what a program, a place or a campaign adds to what its advertiser has, apart from index entries.
// It is zero for other resources.
func HoldingsOf(r hexbid.Resource) (of hexbid.Holdings) {
	switch v := r.(type) {
	case *hexbid.Program:
		of.Keywords = int64(len(v.Keywords))
	case *hexbid.Place:
		of.Places = 1
	case *hexbid.Campaign:
		of.Campaigns, of.Keywords = 1, int64(len(v.Keywords))
		of.Vertices = int64(v.Area.Vertices() + v.Excluded.Vertices())
	default:
		return of
	}
	of.Bytes = int64(wire.ContentBytes(r))
	return of
}

// countsOfQuota returns the counts by which an advertiser says its own quotas, for Limit.Own.
func countsOfQuota(advertiser string, q *hexbid.Holdings) (counts []Count) {
	for _, of := range Quotas {
		if n := *of.In(q); n > 0 {
			counts = append(counts, Count{Owner: advertiser, Counter: of.Own, By: n})
		}
	}
	return counts
}

// Quota says by what counters an advertiser's holdings of one sort are counted and bounded.
type Quota struct {
	Field     string // of hexbid.Holdings in the contract
	Used, Own Counter
	In        func(*hexbid.Holdings) *int64 // its field
}

// Quotas are those of an advertiser.
var Quotas = [...]Quota{
	{"campaigns", Campaigns, CampaignQuota, func(h *hexbid.Holdings) *int64 { return &h.Campaigns }},
	{"places", Places, PlaceQuota, func(h *hexbid.Holdings) *int64 { return &h.Places }},
	{"vertices", Vertices, VertexQuota, func(h *hexbid.Holdings) *int64 { return &h.Vertices }},
	{"entries", Entries, EntryQuota, func(h *hexbid.Holdings) *int64 { return &h.Entries }},
	{"keywords", Keywords, KeywordQuota, func(h *hexbid.Holdings) *int64 { return &h.Keywords }},
	{"bytes", Bytes, ByteQuota, func(h *hexbid.Holdings) *int64 { return &h.Bytes }},
}
