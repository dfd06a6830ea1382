// Package hexbid is the service behind "Mini Programs Nearby": a super-app asks
// what mini-programs are around a viewer, and an auction among advertisers
// decides which sponsored ones lead the list. This package holds the nouns that
// everything else speaks of; it imports nothing of the house.
//
// # What there is
//
// An Advertiser owns programs (mini-programs), whose places can be visited, and
// campaigns, which buy clicks or impressions for a program: somewhere (an Area),
// for someone (an Audience), at some hours, for at most a Money amount. A
// Request is one search. Money is int64 micros; no float ever holds it.
//
// # How a search goes
//
//	server.SearchNearby     limits, deadlines, metrics; proto to nouns (package wire)
//	exchange.Search         clock, time budget, display records, tokens
//	bidder.Snapshot.Search  cells over the point → blocks → match → auction
//	bidder.Snapshot.Nearby  places by distance
//
// The point becomes one H3 cell of the finest resolution (package geoindex). A
// campaign is posted under the few cells that cover its area, so the candidates
// are under the cell's sixteen ancestors, the point's administrative regions,
// and one list for everywhere. Lists come in blocks of 64 campaigns, best first;
// one block's audiences are matched at once (package targeting). The best entry
// of each advertiser competes (package bidder/auction), and the search ends when
// no further block can matter. Prices are fixed there and then and travel in a
// sealed token (package token).
//
// # How a change goes
//
//	server.CampaignService  field masks, batches; proto to nouns (package wire)
//	exchange                validate, cover the area, commit on conditions, wait
//	store, store/pebble     judge groups of steps, sync many at once; a log of changes
//	bidder.Indexer          one writer: a new Snapshot shares what did not change
//
// A write returns when it is durable and searchable. Readers load one pointer
// and take no lock.
//
// Both ways enter package exchange with a Principal in the context: who the call is
// made for. A caller without rights is refused there.
//
// # How a machine is measured
//
//	simulator/traffic       people: where, who, when
//	simulator/load          searches at planned instants over the real port
//	simulator/capacity      the highest rate that meets an objective
//	simulator/plan          machines for a business; verify, report
//
// # Floors
//
// A package imports only floors below its own; house_test.go holds the arrows,
// docs/ARCHITECTURE.md draws them. Each fast path stands beside a plain one that
// its tests compare it to.
package hexbid
