// Package bidder is the hot path: an immutable Snapshot of the market, the
// search of it, and the Indexer that builds the next one while readers use the
// last.
//
// # Layout
//
// A campaign has an ordinal. By ordinal stand its campaign record, one cache
// line with the disc, the numbers of a score and whether it serves, and its
// detail, for what few searches ask. Both are paged: a change copies a page of
// 64 and the few nodes above it.
//
// A campaign is posted under the keys of its covering (package geoindex), some
// eight cells. Under each key stands a list, the best first by cap: the score
// that a campaign has when it is posted, rounded up. A posting is 16 bytes: the
// ordinal, the cap, and a mask (package targeting) that says whether the viewer
// is in the audience and which children of the cell the area touches or fills.
// Up to 128 postings are a list's head; the rest is its tail, in blocks of 64
// that hold rows of bits instead, so that what does not match costs next to
// nothing however much of it there is.
//
// # Search
//
// A search finds the lists of all keys over the point, merges them by cap, and
// passes over what the masks or rows shut out. It fetches the records of the
// remaining campaigns sixteen at a time, makes the exact tests that are left, and
// keeps the best entry of each advertiser (package bidder/auction). It ends when
// the next cap is below the lowest score kept: an equal cap goes on, for ties.
// That is exact; Plain, which looks at every campaign with none of the index, is
// its oracle and the account behind a trace. Explain asks the rules of one campaign
// and this search for the winners. Words that lead to few campaigns are looked up
// by token instead.
//
// # Change
//
// All state is owned by the Indexer's goroutine but for the published snapshot,
// one atomic pointer: readers take no lock, wait for nobody and allocate
// nothing. The state is an index of rooms, which index.go names. A publication goes
// through the stages of publication.go. What comes to lists and what goes is noted
// in a log, which is sorted by list when a snapshot is made: each list is looked up
// and copied once.
//
// Records come from the store through a supply (supply.go): workers on every core give
// each campaign its covering, and the records keep the order of their versions.
//
// What a campaign is worth right now is no part of the catalogue. Its owners hand it
// in by uid at a door of its own (HandIn), past all changes in line.
//
// A cap must bound the score: a campaign whose score rises above it is posted
// anew in the same publication. One whose score falls to half is posted anew
// too, and one that is off for longer than seconds leaves the lists, or the
// throttled and the exhausted would stand in the way by evening.
package bidder
