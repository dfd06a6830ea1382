// Package hexbid is the service behind "Mini Programs Nearby". A super-app asks what mini-programs are around a viewer,
// and an auction among advertisers decides which sponsored ones lead the list. This package holds the nouns that all
// other packages use. It imports no other package of the house.
//
// # What there is
//
// An Advertiser owns programs (mini-programs) and campaigns. A program has places that people can visit. A campaign
// buys clicks or impressions for a program: somewhere (an Area), for someone (an Audience), at some hours, for at most
// a Money amount. A Request is one search. Money is int64 micros; no float ever holds it.
//
// # How a search goes
//
//	server.SearchNearby     limits, deadlines, metrics; proto to nouns (package wire)
//	exchange.Search         clock, time budget, display records, tokens
//	bidder.Snapshot.Search  lists over the point → match → auction
//	bidder.Snapshot.Nearby  places by distance
//
// Package geoindex turns the point into one H3 cell of the finest resolution. A campaign is posted in the lists of the
// few cells that cover its area. The candidates are therefore in the lists of the sixteen cells over the point, one for
// each resolution, in those of its administrative regions, and in the one list for everywhere. A list is ordered best
// first. Beyond its first 256 campaigns it has blocks of 64, and package targeting matches the audiences of a block at
// once. The best entry of each advertiser competes (package bidder/auction), and the search ends when no further
// campaign can matter. The auction fixes the prices at once, and each travels in a sealed token (package token).
//
// # How a change goes
//
//	server.CampaignService  field masks, batches; proto to nouns (package wire)
//	exchange                validate, cover the area, commit on conditions, wait
//	store, store/pebble     judge groups of steps, sync many at once; a log of changes
//	bidder.Indexer          one writer: a new Snapshot shares what did not change
//
// The same methods come as JSON over HTTP (server/gateway), through the same limits in this process.
//
// A write returns when it is durable and searchable. Readers load one pointer and take no lock.
//
// Searches and changes enter package exchange with a Principal in the context, which says who the call is made for. The
// exchange refuses a caller without rights.
//
// # How an event is billed
//
//	server.EventService     batches, streams; proto to nouns (package wire)
//	exchange                opens tokens, checks whose they are
//	ledger                  one owner judges in order; one sync a batch; then the answers
//	ledger/fold             the rules: single use, budgets, balances; pure
//	ledger/journal, /pebble the log that the records are in, and its engine on disk
//
// A sponsored result's token comes back with what happened to it. The ledger charges it at most once, whole or not at
// all, and answers when the record is on disk. Records are a chain of hashes. What is left of budgets and balances goes
// back to the index, so that a campaign stops winning before it is out of money.
//
// # How a machine is measured
//
//	simulator/traffic       people: where, who, when
//	simulator/load          searches at planned instants over the real port
//	simulator/capacity      the highest rate that meets an objective
//	simulator/plan          machines for a business
//	simulator/market        the exchange in virtual time, with people whose truth is known
//	simulator/verify        proofs that the instrument measures right
//	simulator/report        a run's artifact, its page and its gates
//
// # Floors
//
// A package imports only floors below its own. house_test.go enforces this, and docs/ARCHITECTURE.md has the table of
// floors. Beside each fast path is a plain one, which its tests compare it to.
package hexbid
