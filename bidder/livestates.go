package bidder

import (
	"maps"
	"slices"

	"github.com/hexbid/hexbid"
)

// liveStates holds what owners have handed in, by campaign uid. It stands beside the
// catalogue: what the catalogue says about a campaign changes nothing here.
//
// A state of a campaign that the index has stays until its owners withdraw it. States of
// other uids are kept too: a campaign that is not indexed yet will come, and an undone
// delete brings a uid back. Those are bounded by mostUnindexed, the oldest go first.
type liveStates struct {
	indexed byUID[handedIn]
	// States of uids without an indexed campaign, in two generations: recent fills up,
	// takes the place of older, and what older had is let go. So at most mostUnindexed
	// states are kept, and at least the half of them that was handed in or left last.
	recent, older map[hexbid.UID]handedIn
	opening       bool // the catalogue is not loaded yet, so nothing is indexed and all is kept
	generation    int  // of states, at most
}

// mostUnindexed bounds the states that are kept of uids without an indexed campaign:
// some forty megabytes.
const mostUnindexed = 1 << 20

func newLiveStates() *liveStates {
	return &liveStates{indexed: byUID[handedIn]{}, recent: map[hexbid.UID]handedIn{}, opening: true,
		generation: mostUnindexed / 2}
}

// of is the state of a campaign that the index has.
func (l *liveStates) of(campaign hexbid.UID) handedIn { return l.indexed.at(campaign) }

// update takes an owner's word on a uid. It says whether that changes anything.
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

// arrive notes that the index has a campaign from now on.
func (l *liveStates) arrive(campaign hexbid.UID) { l.indexed.set(campaign, l.take(campaign)) }

// leave notes that the index no longer has a campaign.
func (l *liveStates) leave(campaign hexbid.UID) {
	l.keep(campaign, l.indexed.at(campaign))
	l.indexed.set(campaign, handedIn{})
}

// keep keeps a state for the time when its campaign comes.
func (l *liveStates) keep(campaign hexbid.UID, s handedIn) {
	if s.by == 0 {
		return // nobody says anything
	}
	if l.recent[campaign] = s; len(l.recent) >= l.generation && !l.opening {
		l.older, l.recent = l.recent, map[hexbid.UID]handedIn{}
	}
}

// take is the state of a uid without an indexed campaign, which is no longer kept.
func (l *liveStates) take(campaign hexbid.UID) handedIn {
	s, there := l.recent[campaign]
	if !there {
		s = l.older[campaign]
	}
	delete(l.recent, campaign)
	delete(l.older, campaign)
	return s
}

// open ends the opening: all campaigns that there are have been indexed. Of the others'
// states those of the latest uids stay.
func (l *liveStates) open() {
	l.opening = false
	uids := slices.Sorted(maps.Keys(l.recent))
	left := make(map[hexbid.UID]handedIn)
	for _, uid := range uids[max(0, len(uids)-l.generation):] {
		left[uid] = l.recent[uid]
	}
	l.recent, l.older = left, nil
}

// reopened is a copy of the states for an index that is loaded anew.
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

// unindexed is the number of states that are kept of uids without an indexed campaign.
func (l *liveStates) unindexed() int { return len(l.recent) + len(l.older) }
