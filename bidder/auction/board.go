package auction

import "github.com/hexbid/hexbid"

// Standing is the part of an entry that ranks it. It is small because a board moves standings about. The rest of an
// entry is computed at the end, for the few that stay on the board.
type Standing struct {
	Score       int64
	CampaignUID hexbid.UID
	Ordinal     uint32
	Advertiser  uint32
}

// Board keeps the standings of the best entries of an auction, one for each advertiser. It holds one more than there
// are slots, because the entry below the last slot prices it. The zero value keeps nothing: call Reset first.
//
// The result does not depend on the order of arrival. Let X be the best entry of an advertiser that belongs on the
// board. Fewer other advertisers have better entries than the board has places. So X finds a place whenever it arrives,
// and no later entry pushes it out.
type Board struct {
	best    [hexbid.MaxSlots + 1]Standing
	n, size int
	ties    TieBreak
}

// Reset empties the board for a number of slots.
func (b *Board) Reset(slots int, ties TieBreak) {
	b.n, b.size, b.ties = 0, min(slots, hexbid.MaxSlots)+1, ties
}

// Standings returns the standings on the board, best first. The next Offer or Reset overwrites them.
func (b *Board) Standings() []Standing { return b.best[:b.n] }

// Floor returns the lowest score on the board once the board is full, and 0 before. An entry with a lower score cannot
// change the board; one with an equal score may.
func (b *Board) Floor() int64 {
	if b.n < b.size {
		return 0
	}
	return b.best[b.n-1].Score
}

// Offer puts a standing on the board if it is good enough. It returns the best score of its advertiser on the board and
// reports whether that advertiser was there before.
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
