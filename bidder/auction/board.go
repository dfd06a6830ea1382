package auction

import "github.com/hexbid/hexbid"

// Board keeps the best entries of an auction, one an advertiser: as many as
// there are slots and one more, which prices the last slot. Its zero value
// keeps nothing; use Reset.
//
// It is exact in any order of arrival. An advertiser that belongs among the
// best is there with its best candidate X: when X arrives at most slots others
// hold better entries, so X finds room, and it is never pushed out for the
// same reason.
type Board struct {
	entries [hexbid.MaxSlots + 1]Entry
	n, size int
	ties    TieBreak
}

// Reset empties the board for a number of slots.
func (b *Board) Reset(slots int, ties TieBreak) {
	b.n, b.size, b.ties = 0, min(slots, hexbid.MaxSlots)+1, ties
}

// Entries are the entries kept, best first. They are overwritten by the next
// Offer or Reset.
func (b *Board) Entries() []Entry { return b.entries[:b.n] }

// Floor is the lowest score kept once the board is full, before that 0: an
// entry that scores less cannot matter, an equal one may.
func (b *Board) Floor() int64 {
	if b.n < b.size {
		return 0
	}
	return b.entries[b.n-1].Score
}

// BestOf is the score of an advertiser's entry, false when it has none.
func (b *Board) BestOf(advertiser uint32) (score int64, ok bool) {
	for i := range b.entries[:b.n] {
		if b.entries[i].Advertiser == advertiser {
			return b.entries[i].Score, true
		}
	}
	return 0, false
}

// Offer considers an entry.
func (b *Board) Offer(e Entry) {
	if e.Score < b.Floor() {
		return
	}
	place := b.n
	for i := range b.entries[:b.n] {
		if b.entries[i].Advertiser != e.Advertiser {
			continue
		}
		if !b.ties.before(&e, &b.entries[i]) {
			return // its advertiser has a better one already
		}
		place = i
		break
	}
	if place == b.n { // a new advertiser
		if b.n < b.size {
			b.n++
		} else if place--; !b.ties.before(&e, &b.entries[place]) {
			return
		}
	}
	for ; place > 0 && b.ties.before(&e, &b.entries[place-1]); place-- {
		b.entries[place] = b.entries[place-1]
	}
	b.entries[place] = e
}
