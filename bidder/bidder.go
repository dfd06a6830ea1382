// Package bidder is the hot path: an immutable Snapshot of the market, the search of it, and the Indexer that builds
// the next snapshot while readers use the last.
//
// # Layout
//
// Every campaign has an ordinal, which leads to two records. Its campaign record is one cache line with the disc, the
// numbers of a score and whether the campaign serves. Its detail holds what few searches need. Both are paged: a change
// copies a page of 64 and the few nodes above it.
//
// A campaign is posted under the keys of its covering (package geoindex), some eight cells. Each key has a list, sorted
// by cap, the highest first. The cap is the score that the campaign had when it was posted, rounded up. A posting takes
// 16 bytes: the ordinal, the cap and a mask (package targeting). The mask says whether the viewer is in the audience,
// and which children of the cell the area touches or fills. Up to 128 postings form a list's head. The rest form its
// tail, in blocks of 64 that hold rows of bits, so a search skips 64 postings that do not match for the price of a few
// words.
//
// # Search
//
// A search finds the lists of all keys over the point, merges them by cap, and skips what the masks or rows shut out.
// It fetches the records of the remaining campaigns up to twelve at a time, makes the remaining exact tests, and
// keeps the best entry of each advertiser (package bidder/auction). It ends when the next cap is below the lowest
// score kept; at an equal cap it goes on, because ties are broken later. A search that explores compares twice the
// caps, because an explored quality is at most twice the ordinary one. Participation and frequency caps are tested
// last, and only where a bit of the record says so. Factors of scene and distance only lower a score. The result is
// exact. Its oracle is Plain, which evaluates every campaign without the index and also gives the account behind a
// trace. Explain tests the rules of one campaign and uses this search to learn the winners. Words that few campaigns
// compete on are looked up by token instead.
//
// # Change
//
// The Indexer's goroutine owns all state except the published snapshot, which is one atomic pointer. Readers take no
// lock, wait for nobody and allocate nothing. The state is an index of rooms, which index.go names. A publication goes
// through the stages of publication.go. A log notes every posting to add or remove. Making a snapshot sorts the log by
// list, so each list is looked up and copied once.
//
// Records come from the store through a supply (supply.go). Its workers, on every core, give each campaign its
// covering. The records keep the order of their versions.
//
// What a campaign is worth right now is no part of the catalogue. Its owners hand it in by uid through HandIn, ahead of
// all changes that wait.
//
// A cap must bound the score. When a campaign's score rises above its cap, the same publication posts it anew. A
// campaign whose score falls to half is posted anew too, and one that is off for more than seconds leaves the lists.
// Otherwise searches would wade through throttled and exhausted campaigns by evening.
package bidder
