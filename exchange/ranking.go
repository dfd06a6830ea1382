package exchange

import (
	"context"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
)

// rankings tell which campaigns were charged the most today. A ranking reads every account that it is of, and the
// ledger answers nobody else meanwhile. So all callers share one until it is rankingAge old, and restFactor times as
// old as it took to make: however many callers ask and however often, the ledger spends a small part of its time on it.
type rankings struct {
	mu  sync.Mutex // guards all
	all map[rankingOf]*ranking
}

// rankingOf is what a ranking is of.
type rankingOf struct {
	advertiser hexbid.UID // 0 for all
	deleted    bool       // deleted campaigns too
}

// ranking is the campaigns that were charged the most on their local date, the highest first.
type ranking struct {
	made  chan struct{} // closed once the fields below are set
	asOf  time.Time     // when it was begun
	until time.Time     // from when on a caller makes another; zero if making it failed
	top   []ledger.Standing
	err   error
}

const (
	rankingAge = 2 * time.Second
	restFactor = 20
	// mostRanked is the most campaigns of a ranking.
	mostRanked = 1000
	// mostRankings is the most rankings that are kept: some hundred kilobytes each. Those of all advertisers stay.
	mostRankings = 32
)

// get returns the present ranking, made by rank if there is no recent one. A caller waits for one that another is
// making. The error is that of rank, or the context's.
func (r *rankings) get(ctx context.Context, of rankingOf, clock func() time.Time,
	rank func() ([]ledger.Standing, error)) (*ranking, error) {
	for {
		shared, mine := r.claim(of, clock())
		if mine {
			shared.fill(clock, rank)
			return shared, shared.err
		}
		select {
		case <-shared.made:
			if shared.err == nil {
				return shared, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// claim returns the present ranking, or a new one that the caller must fill.
func (r *rankings) claim(of rankingOf, now time.Time) (shared *ranking, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.all[of]; known != nil && known.isRecent(now) {
		return known, false
	}
	if r.all == nil {
		r.all = map[rankingOf]*ranking{}
	}
	for other, known := range r.all {
		if other.advertiser != 0 && (len(r.all) >= mostRankings || !known.isRecent(now)) {
			delete(r.all, other)
		}
	}
	shared = &ranking{made: make(chan struct{}), err: errUnranked}
	r.all[of] = shared
	return shared, true
}

// errUnranked is what callers see of a ranking whose maker panicked.
var errUnranked = hexbid.Errorf(hexbid.Internal, "", "the campaigns could not be ranked: try again")

// isRecent reports whether a ranking still holds. One that is being made does.
func (r *ranking) isRecent(now time.Time) bool {
	select {
	case <-r.made:
		return !now.Before(r.asOf) && now.Before(r.until)
	default:
		return true
	}
}

// fill makes the ranking.
func (r *ranking) fill(clock func() time.Time, rank func() ([]ledger.Standing, error)) {
	defer close(r.made)
	began := time.Now()
	r.asOf = clock()
	if r.top, r.err = rank(); r.err == nil {
		r.until = clock().Add(max(rankingAge, restFactor*time.Since(began)))
	}
}
