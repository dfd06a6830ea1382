// Package bidder is the hot path: an immutable Snapshot of the market, the
// search of it, and the Indexer that builds the next one while readers use the
// last.
//
// A campaign is posted under the keys of its covering (package geoindex). Under
// each key stands a list of blocks of up to 64 campaigns, descending by score
// cap, the best score a campaign can have. A search merges the lists over its
// point by cap, matches a block's audiences at once (package targeting), tests
// what the covering left open, and keeps the best entry of each advertiser
// (package bidder/auction). It ends when the next cap is below the lowest score
// kept: an equal cap goes on, for ties. That is exact; Plain, which looks at
// every campaign with none of the index, is its oracle and explains losses.
//
// Snapshot methods take no lock and allocate nothing. All state is owned by
// the Indexer's goroutine but for the published snapshot, one atomic pointer.
package bidder
