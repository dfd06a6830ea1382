package bidder

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
)

// HasCaps reports whether some campaign or its advertiser has a frequency cap. Otherwise no search needs to know what
// its viewer has seen.
func (s *Snapshot) HasCaps() bool { return s.capped > 0 }

// CapsOf returns the caps that impressions of a campaign count towards, false for a campaign that the snapshot does not
// have.
func (s *Snapshot) CapsOf(campaign hexbid.UID) (caps frequency.Caps, there bool) {
	i, there := s.ordinalOf(campaign)
	if !there {
		return caps, false
	}
	own, owners := s.capsAt(i)
	return frequency.Caps{Campaign: own, Advertiser: owners}, true
}

// CategoryOf returns the category of a campaign's program, and whether the campaign is indexed.
func (s *Snapshot) CategoryOf(campaign hexbid.UID) (hexbid.Category, bool) {
	i, there := s.ordinalOf(campaign)
	if !there {
		return hexbid.CategoryUnknown, false
	}
	return s.campaigns.at(i).category, true
}

// IsCapped reports whether an award's campaign or its advertiser has a frequency cap.
func (s *Snapshot) IsCapped(ordinal uint32) bool { return s.campaigns.at(ordinal).has.isCapped() }

// capsAt returns the caps of a campaign and of its advertiser. A cap without impressions is none.
func (s *Snapshot) capsAt(ordinal uint32) (own, owners hexbid.FrequencyCap) {
	if cap := s.specificsOf(ordinal).cap; cap != nil {
		own = *cap
	}
	if cap := s.ownersCap(s.campaigns.at(ordinal)); cap != nil {
		owners = *cap
	}
	return own, owners
}

// ownersCap returns the cap of a campaign's advertiser, nil for none.
func (s *Snapshot) ownersCap(c *campaign) *hexbid.FrequencyCap {
	return s.caps.get(s.advertisers.at(c.advertiser).cap)
}

// capsAllow reports whether the caps of a campaign and of its advertiser admit one more impression. Most viewers have
// seen nothing of a campaign, so it looks for exposures before it loads a cap.
func (s *Snapshot) capsAllow(c *campaign, ordinal uint32, q *Query) bool {
	if q.History == nil {
		return s.servesUnknown(c, ordinal)
	}
	if q.History.Subjects() == 0 {
		return true
	}
	at := q.Now.UnixMicro()
	if c.has&hasCap != 0 {
		if seen, some := q.History.Of(c.uid); some && !seen.Allow(s.specificsOf(ordinal).cap, at) {
			return false
		}
	}
	if c.has&hasOwnersCap != 0 {
		if seen, some := q.History.Of(s.advertisers.at(c.advertiser).uid); some && !seen.Allow(s.ownersCap(c), at) {
			return false
		}
	}
	return true
}

// servesUnknown reports whether all caps on a campaign let it serve viewers whose history is not known.
func (s *Snapshot) servesUnknown(c *campaign, ordinal uint32) bool {
	return (c.has&hasCap == 0 || s.specificsOf(ordinal).cap.ServeUncapped) &&
		(c.has&hasOwnersCap == 0 || s.ownersCap(c).ServeUncapped)
}
