package bidder

import (
	"maps"
	"slices"

	"github.com/hexbid/hexbid"
)

// liveStates holds what owners have handed in, by campaign uid. Changes of the catalogue do not alter these states.
//
// The state of an indexed campaign stays until its owners withdraw it. States of other uids are kept too: the campaign
// may be indexed later, or an undone delete may bring the uid back. mostUnindexed bounds those states, and the oldest
// go first.
type liveStates struct {
	indexed byUID[handedIn]
	// recent and older hold the states of uids without an indexed campaign, in two generations. When recent is full it
	// replaces older, whose states are dropped. So at most mostUnindexed states are kept, and always at least the
	// latest half of that number.
	recent, older map[hexbid.UID]handedIn
	opening       bool // the catalogue is still loading, so no uid is dropped for want of a campaign
	generation    int  // the most states of one generation
}

// mostUnindexed bounds the kept states of uids without an indexed campaign: some forty megabytes.
const mostUnindexed = 1 << 20

func newLiveStates() *liveStates {
	return &liveStates{indexed: byUID[handedIn]{}, recent: map[hexbid.UID]handedIn{}, opening: true,
		generation: mostUnindexed / 2}
}

// of returns the state of an indexed campaign.
func (l *liveStates) of(campaign hexbid.UID) handedIn { return l.indexed.at(campaign) }

// update applies an owner's update of a uid and reports whether the state of an indexed campaign changed.
func (l *liveStates) update(owner Owner, u *LiveUpdate, isIndexed bool) (changed bool) {
	if isIndexed {
		before := l.indexed.at(u.Campaign)
		after := before.with(owner, u)
		l.indexed.set(u.Campaign, after)
		return after != before
	}
	l.keep(u.Campaign, l.take(u.Campaign).with(owner, u))
	return false
}

// arrive records that the index now has a campaign.
func (l *liveStates) arrive(campaign hexbid.UID) { l.indexed.set(campaign, l.take(campaign)) }

// leave records that the index no longer has a campaign.
func (l *liveStates) leave(campaign hexbid.UID) {
	l.keep(campaign, l.indexed.at(campaign))
	l.indexed.set(campaign, handedIn{})
}

// keep stores a state until its campaign arrives.
func (l *liveStates) keep(campaign hexbid.UID, s handedIn) {
	if s.by == 0 {
		return // no owner has handed anything in
	}
	if l.recent[campaign] = s; len(l.recent) >= l.generation && !l.opening {
		l.older, l.recent = l.recent, map[hexbid.UID]handedIn{}
	}
}

// take removes and returns the kept state of a uid without an indexed campaign.
func (l *liveStates) take(campaign hexbid.UID) handedIn {
	s, there := l.recent[campaign]
	if !there {
		s = l.older[campaign]
	}
	delete(l.recent, campaign)
	delete(l.older, campaign)
	return s
}

// open ends the opening, when every campaign of the catalogue has been indexed. Of the remaining states it keeps those
// of the latest uids.
func (l *liveStates) open() {
	l.opening = false
	uids := slices.Sorted(maps.Keys(l.recent))
	left := make(map[hexbid.UID]handedIn)
	for _, uid := range uids[max(0, len(uids)-l.generation):] {
		left[uid] = l.recent[uid]
	}
	l.recent, l.older = left, nil
}

// reopened returns a copy of the states for an index that is loaded anew.
func (l *liveStates) reopened() *liveStates {
	fresh := newLiveStates()
	fresh.generation = l.generation
	maps.Copy(fresh.recent, l.older)
	maps.Copy(fresh.recent, l.recent)
	for number, page := range l.indexed {
		for i, s := range page.items {
			if s.by != 0 {
				fresh.recent[number*uidsAPage+hexbid.UID(i)] = s
			}
		}
	}
	return fresh
}

// unindexed counts the kept states of uids without an indexed campaign.
func (l *liveStates) unindexed() int { return len(l.recent) + len(l.older) }
