package bidder

import (
	"cmp"
	"slices"

	"github.com/hexbid/hexbid/targeting"
)

// posting is a campaign under one key.
type posting struct {
	ordinal uint32
	full    bool  // every point under the key is in its area
	cap     int64 // the best score it can have
	rule    *targeting.Rule
}

// list holds the postings of one key, descending by cap, in immutable blocks.
type list struct{ blocks []*block }

type block struct {
	cap      int64  // of its first, the highest
	lowest   int64  // cap of its last
	full     uint64 // bit i: posting i needs no exact test
	audience targeting.Block
	postings []posting
}

func newBlock(postings []posting) *block {
	b := &block{cap: postings[0].cap, lowest: postings[len(postings)-1].cap, postings: postings}
	rules := make([]*targeting.Rule, len(postings))
	for i, p := range postings {
		rules[i] = p.rule
		if p.full {
			b.full |= 1 << i
		}
	}
	b.audience = targeting.CompileBlock(rules)
	return b
}

// all has a bit for every posting.
func (b *block) all() uint64 { return ^uint64(0) >> (targeting.BlockSize - len(b.postings)) }

// listEdit is what a batch does to one list.
type listEdit struct {
	add    []posting
	remove map[uint32]bool
}

// edited applies an edit. Only the blocks that it touches are built anew; runs
// of touched blocks are cut into equal ones.
func (l *list) edited(e *listEdit) *list {
	touched := l.touchedBy(e)
	add := slices.Clone(e.add)
	slices.SortFunc(add, byCap)
	next := &list{}
	var loose []posting
	flush := func() {
		slices.SortFunc(loose, byCap)
		next.blocks = append(next.blocks, cut(loose)...)
		loose = nil
	}
	for i, b := range l.blocks {
		if !touched[i] {
			flush()
			next.blocks = append(next.blocks, b)
			continue
		}
		for _, p := range b.postings {
			if !e.remove[p.ordinal] {
				loose = append(loose, p)
			}
		}
		for len(add) > 0 && l.home(add[0].cap) == i {
			loose, add = append(loose, add[0]), add[1:]
		}
	}
	loose = append(loose, add...) // only of an empty list
	flush()
	return next
}

func (l *list) touchedBy(e *listEdit) []bool {
	touched := make([]bool, len(l.blocks))
	for i := range e.add {
		if home := l.home(e.add[i].cap); home >= 0 {
			touched[home] = true
		}
	}
	if len(e.remove) == 0 {
		return touched
	}
	for i, b := range l.blocks {
		touched[i] = touched[i] || slices.ContainsFunc(b.postings, func(p posting) bool { return e.remove[p.ordinal] })
	}
	return touched
}

// home is the block that a new posting of a cap goes to: the last one whose
// cap is not below it, else the first; -1 in an empty list.
func (l *list) home(cap int64) int {
	after, _ := slices.BinarySearchFunc(l.blocks, cap, func(b *block, c int64) int {
		if b.cap >= c {
			return -1
		}
		return 1
	})
	return min(max(after-1, 0), len(l.blocks)-1)
}

func byCap(a, b posting) int {
	return cmp.Or(cmp.Compare(b.cap, a.cap), cmp.Compare(a.ordinal, b.ordinal))
}

// cut makes as few blocks as hold the sorted postings, of nearly equal length.
func cut(postings []posting) []*block {
	var blocks []*block
	for n := (len(postings) + targeting.BlockSize - 1) / targeting.BlockSize; n > 0; n-- {
		size := (len(postings) + n - 1) / n
		blocks = append(blocks, newBlock(postings[:size:size]))
		postings = postings[size:]
	}
	return blocks
}
