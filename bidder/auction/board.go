package auction

import "github.com/hexbid/hexbid"

// Standing is what ranks an entry. It is small, for a board moves it about; the
// rest of the few that are left at the end is worked out then.
type Standing struct {
	Score       int64
	CampaignUID hexbid.UID
	Ordinal     uint32
	Advertiser  uint32
}

// Board keeps the standings of the best entries of an auction, one an advertiser:
// as many as there are slots and one more, which prices the last slot. Its zero
// value keeps nothing; use Reset.
//
// It is exact in any order of arrival. An advertiser that belongs among the
// best is there with its best candidate X: when X arrives at most slots others
// hold better entries, so X finds room, and it is never pushed out for the
// same reason.
type Board struct {
	best    [hexbid.MaxSlots + 1]Standing
	n, size int
	ties    TieBreak
}

// Reset empties the board for a number of slots.
func (b *Board) Reset(slots int, ties TieBreak) {
	b.n, b.size, b.ties = 0, min(slots, hexbid.MaxSlots)+1, ties
}

// Standings are those kept, best first. They are overwritten by the next Offer or
// Reset.
func (b *Board) Standings() []Standing { return b.best[:b.n] }

// Floor is the lowest score kept once the board is full, before that 0: an
// entry that scores less cannot matter, an equal one may.
func (b *Board) Floor() int64 {
	if b.n < b.size {
		return 0
	}
	return b.best[b.n-1].Score
}

// Offer considers an entry. It says whether its advertiser stood there already,
// and with which score does now.
func (b *Board) Offer(s Standing) (best int64, again bool) {
	place := b.n
	for i := range b.best[:b.n] {
		if b.best[i].Advertiser == s.Advertiser {
			place, again = i, true
			break
		}
	}
	switch {
	case again:
		if !b.ties.before(&s, &b.best[place]) {
			return b.best[place].Score, true
		}
	case b.n < b.size:
		b.n++
	default:
		if place--; !b.ties.before(&s, &b.best[place]) {
			return 0, false
		}
	}
	for ; place > 0 && b.ties.before(&s, &b.best[place-1]); place-- {
		b.best[place] = b.best[place-1]
	}
	b.best[place] = s
	return s.Score, again
}
