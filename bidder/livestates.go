package bidder

import (
	"maps"
	"slices"

	"github.com/hexbid/hexbid"
)

// liveStates holds what owners have handed in, by campaign uid. Changes of the catalogue do not alter these states.
//
// The state of an indexed campaign stays until its owners withdraw it. States of other uids are kept as strays.
type liveStates struct {
	indexed byUID[handedIn]
	strays[handedIn]
}

func newLiveStates() *liveStates { return &liveStates{byUID[handedIn]{}, newStrays[handedIn]()} }

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

// reopened returns a copy of the states for an index that is loaded anew.
func (l *liveStates) reopened() *liveStates {
	fresh := &liveStates{byUID[handedIn]{}, l.strays.reopened()}
	for number, page := range l.indexed {
		for i, s := range page.items {
			fresh.keep(number*uidsAPage+hexbid.UID(i), s)
		}
	}
	return fresh
}

// strays holds the states of uids that the index does not have. A state may come before its campaign, and an undone
// delete may bring a uid back. The zero T says nothing, so it is not kept.
//
// The states lie in two generations. When recent is full it replaces older, whose states are dropped. So at most
// mostUnindexed states are kept, and always at least the latest half of that number.
type strays[T comparable] struct {
	recent, older map[hexbid.UID]T
	opening       bool // the catalogue is still loading, so no uid is dropped for want of a record
	generation    int  // the most states of one generation
}

// mostUnindexed bounds the kept states of uids that the index does not have: some forty megabytes.
const mostUnindexed = 1 << 20

func newStrays[T comparable]() strays[T] {
	return strays[T]{recent: map[hexbid.UID]T{}, opening: true, generation: mostUnindexed / 2}
}

// keep stores a state until its record arrives.
func (s *strays[T]) keep(uid hexbid.UID, state T) {
	var nothing T
	if state == nothing {
		return
	}
	if s.recent[uid] = state; len(s.recent) >= s.generation && !s.opening {
		s.older, s.recent = s.recent, map[hexbid.UID]T{}
	}
}

// take removes and returns the kept state of a uid.
func (s *strays[T]) take(uid hexbid.UID) T {
	state, there := s.recent[uid]
	if !there {
		state = s.older[uid]
	}
	delete(s.recent, uid)
	delete(s.older, uid)
	return state
}

// open ends the opening, when every record of the catalogue has been indexed. Of the remaining states it keeps those of
// the latest uids.
func (s *strays[T]) open() {
	s.opening = false
	uids := slices.Sorted(maps.Keys(s.recent))
	left := make(map[hexbid.UID]T)
	for _, uid := range uids[max(0, len(uids)-s.generation):] {
		left[uid] = s.recent[uid]
	}
	s.recent, s.older = left, nil
}

// reopened returns a copy for an index that is loaded anew.
func (s *strays[T]) reopened() strays[T] {
	fresh := newStrays[T]()
	fresh.generation = s.generation
	maps.Copy(fresh.recent, s.older)
	maps.Copy(fresh.recent, s.recent)
	return fresh
}
