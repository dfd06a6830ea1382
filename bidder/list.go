package bidder

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// posting is a campaign under one key, in 16 bytes: what a search needs to pass
// over it.
//
// Above the bits of its rule, the mask marks the children of the key's cell
// that its area touches, and those that it fills.
type posting struct {
	mask    targeting.Mask
	ordinal uint32
	cap     capCode // the best score that it can have
}

const (
	touchedBit = targeting.MaskBits
	fullBit    = touchedBit + 7
	_          = 64 - uint(fullBit+7) // there is room
)

// postingMask joins what a rule and a covering say.
func postingMask(rule targeting.Mask, p geoindex.Posting) targeting.Mask {
	return rule | targeting.Mask(p.Touched)<<touchedBit | targeting.Mask(p.Full)<<fullBit
}

// withKeywords is the bit of the keys of a second kind of list: campaigns with
// keywords stand apart, for most requests have no words and most campaigns no
// keywords. One that includes requests without words stands in both.
const withKeywords = 1 << 61

// inOrder sorts the best first.
func inOrder(a, b *posting) int {
	if a.cap != b.cap {
		return cmp.Compare(b.cap, a.cap)
	}
	return cmp.Compare(a.ordinal, b.ordinal)
}

// list holds the postings of one key, the best first: a head of single ones,
// which is all that most searches read and all that most lists have, and a tail
// of blocks, which are passed over 64 at a time.
type list struct {
	head []posting
	tail *tail // nil of most lists
}

// tail are blocks, and what has come to them since they were made: a block is
// costly to make, so that postings wait, in order, until they are many.
//
// Whatever comes and goes, the head lies above the tail's top and all of the tail
// does not: so it is known where a posting is.
type tail struct {
	top    posting
	blocks []*block
	fresh  []posting
}

// below is the tail, perhaps an empty one.
func (l *list) below() tail {
	if l.tail == nil {
		return tail{}
	}
	return *l.tail
}

// Bounds of a head. One that grows above the most spills a block's worth into
// the tail; one that shrinks below the least takes the next block in.
const (
	mostInHead  = 2 * targeting.BlockSize
	leastInHead = 32
	leastInTail = 24 // of a block, or its neighbour takes it in
	mostFresh   = 2 * targeting.BlockSize
	// wordRowsFrom is the number of blocks in a tail from which they carry rows
	// for words: half a kilobyte each.
	wordRowsFrom = 32
)

// block holds up to 64 postings as rows: bit i of each is of posting i.
type block struct {
	first         capCode // no cap is higher
	alive         uint64  // bits of postings that have not gone since
	ordinals      []uint32
	advertisers   []uint32  // of the same
	owner         uint32    // the advertiser of all, or several
	touched, full [7]uint64 // by child
	audience      targeting.Block
	words         *targeting.WordRows // nil in short tails
}

// postingSource tells what a block leaves out of its postings.
type postingSource interface{ posted(ordinal uint32) postedAs }

// postedAs is what a campaign is posted with.
type postedAs struct {
	mask       targeting.Mask
	rule       *targeting.Rule // nil when the mask says all
	cap        capCode
	signature  targeting.Signature
	advertiser uint32
}

// several stands for more than one advertiser.
const several = ^uint32(0)

func newBlock(postings []posting, from postingSource, withWords bool) *block {
	n := len(postings)
	numbers := make([]uint32, 2*n)
	b := &block{first: postings[0].cap, alive: ^uint64(0) >> (targeting.BlockSize - n), ordinals: numbers[:n:n], advertisers: numbers[n:]}
	told := make([]targeting.Rule, n)
	rules := make([]*targeting.Rule, n)
	signatures := make([]targeting.Signature, n)
	for i, p := range postings {
		as := from.posted(p.ordinal)
		b.ordinals[i], b.advertisers[i] = p.ordinal, as.advertiser
		if rules[i], signatures[i] = as.rule, as.signature; as.rule == nil {
			told[i] = as.mask.Rule()
			rules[i] = &told[i]
		}
		for child := range b.touched {
			b.touched[child] |= uint64(p.mask) >> (touchedBit + uint(child)) & 1 << i
			b.full[child] |= uint64(p.mask) >> (fullBit + uint(child)) & 1 << i
		}
	}
	if b.owner = b.advertisers[0]; slices.ContainsFunc(b.advertisers, func(a uint32) bool { return a != b.owner }) {
		b.owner = several
	}
	b.audience = targeting.CompileBlock(rules)
	if withWords {
		b.words = targeting.CompileWordRows(signatures)
	}
	return b
}

// without is the block with the bits of some postings off; it shares all else.
func (b *block) without(going []posting) *block {
	alive := b.alive
	if len(going) > 0 {
		for i, ordinal := range b.ordinals {
			if has(going, ordinal) {
				alive &^= 1 << i
			}
		}
	}
	if alive == b.alive {
		return b
	}
	rest := *b
	rest.alive = alive
	return &rest
}

func (b *block) len() int { return bits.OnesCount64(b.alive) }

// postings takes a block apart again, without those that have gone: what they
// were posted with is no longer known.
func (b *block) postings(from postingSource) []posting {
	postings := make([]posting, 0, mostInHead)
	for i, ordinal := range b.ordinals {
		if b.alive>>i&1 == 0 {
			continue
		}
		as, p := from.posted(ordinal), geoindex.Posting{}
		for child := range b.touched {
			p.Touched |= uint8(b.touched[child] >> i & 1 << child)
			p.Full |= uint8(b.full[child] >> i & 1 << child)
		}
		postings = append(postings, posting{postingMask(as.mask, p), ordinal, as.cap})
	}
	return postings
}

func has(postings []posting, ordinal uint32) bool {
	return slices.ContainsFunc(postings, func(p posting) bool { return p.ordinal == ordinal })
}

// edited applies an edit, whose memory it does not keep. Blocks that it does not
// touch are shared.
func (l *list) edited(e *listEdit, from postingSource) *list {
	slices.SortFunc(e.add, func(a, b posting) int { return inOrder(&a, &b) })
	slices.SortFunc(e.remove, func(a, b posting) int { return inOrder(&a, &b) })
	add, remove, old := e.add, e.remove, l.below()
	head := spliced(l.head, l.part(0, &remove), l.part(0, &add))
	fresh := spliced(old.fresh, remove, add)
	inBlocks := len(remove) > len(old.fresh)+len(add)-len(fresh)
	var ready []posting
	if len(fresh) > mostFresh || len(head) < leastInHead {
		ready, fresh = fresh, nil
	}
	c, blocks := cutter{from, len(old.blocks) >= wordRowsFrom}, old.blocks
	switch {
	case len(ready) > 0:
		blocks = l.recut(c, remove, ready)
	case inBlocks:
		blocks = l.thinned(c, remove)
	}
	return c.list(head, tail{old.top, blocks, fresh})
}

// thinned turns bits off in the blocks of a tail, of which it looks at few. One
// that becomes too small is joined to its neighbour.
func (l *list) thinned(c cutter, remove []posting) []*block {
	blocks := slices.Clone(l.tail.blocks)
	for i := range remove {
		at := blockAt(blocks, &remove[i])
		if blocks[at] = blocks[at].without(remove[i : i+1]); blocks[at].len() < leastInTail {
			return l.recut(c, remove, nil)
		}
	}
	return blocks
}

// blockAt is the place of the block that holds a posting, if one of them does.
func blockAt(blocks []*block, p *posting) int {
	at, begins := slices.BinarySearchFunc(blocks, p, func(b *block, p *posting) int { begin := b.begin(); return inOrder(&begin, p) })
	if begins {
		return at
	}
	return max(at-1, 0)
}

// blockOf is the block that holds a posting of the list, unless it stands by itself: then
// nil, or a block that would hold it.
func (l *list) blockOf(p *posting) *block {
	if below := l.below(); len(below.blocks) > 0 && inOrder(p, &below.top) >= 0 {
		return below.blocks[blockAt(below.blocks, p)]
	}
	return nil
}

// recut makes the blocks of a tail anew where postings come or few are left.
func (l *list) recut(c cutter, remove, ready []posting) []*block {
	var blocks []*block
	var loose []posting
	for i, b := range l.below().blocks {
		b = b.without(l.part(i+1, &remove))
		coming := l.part(i+1, &ready)
		if len(coming) > 0 || len(loose) > 0 && len(loose) < leastInTail || b.len() < leastInTail {
			loose = append(loose, spliced(b.postings(c.from), nil, coming)...)
			continue
		}
		blocks = append(append(blocks, c.cut(loose)...), b)
		loose = loose[:0]
	}
	return append(blocks, c.cut(loose)...)
}

// cutter makes blocks.
type cutter struct {
	from      postingSource
	withWords bool
}

// list gives a list a head of the right size. A head that is too small comes with
// a tail that has nothing fresh.
func (c cutter) list(head []posting, t tail) *list {
	if len(t.blocks) == 0 {
		head, t.fresh = spliced(head, nil, t.fresh), nil
	}
	for len(head) < leastInHead && len(t.blocks) > 0 {
		head, t.blocks = slices.Concat(head, t.blocks[0].postings(c.from)), t.blocks[1:]
		if len(t.blocks) > 0 {
			t.top = t.blocks[0].begin()
		}
	}
	if len(head) > mostInHead {
		keep := targeting.BlockSize + len(head)%targeting.BlockSize
		t.top = head[keep]
		head, t.blocks = head[:keep], append(c.cut(head[keep:]), t.blocks...)
	}
	l := &list{head: head}
	if len(t.blocks) > 0 {
		l.tail = &t
	}
	return l
}

// begin is where a block begins in the order of its list.
func (b *block) begin() posting { return posting{cap: b.first, ordinal: b.ordinals[0]} }

// part cuts off those of the sorted postings that belong to run i of the list:
// 0 is the head, which reaches down to the tail's top; a block reaches down to
// where the next one begins.
func (l *list) part(i int, sorted *[]posting) []posting {
	n, below := len(*sorted), l.below()
	if i < len(below.blocks) {
		end := below.top
		if i > 0 {
			end = below.blocks[i].begin()
		}
		n, _ = slices.BinarySearchFunc(*sorted, &end, func(p posting, end *posting) int { return inOrder(&p, end) })
	}
	run := (*sorted)[:n]
	*sorted = (*sorted)[n:]
	return run
}

// spliced is a run without those that are going and with those that are coming,
// all in order. Of those going, some may stand elsewhere.
func spliced(run, going, coming []posting) []posting {
	if len(going)+len(coming) == 0 {
		return run
	}
	out := make([]posting, 0, max(0, len(run)-len(going))+len(coming))
	for i := range run {
		p := &run[i]
		for len(going) > 0 && inOrder(&going[0], p) < 0 {
			going = going[1:]
		}
		if len(going) > 0 && inOrder(&going[0], p) == 0 {
			continue
		}
		for len(coming) > 0 && inOrder(&coming[0], p) < 0 {
			out, coming = append(out, coming[0]), coming[1:]
		}
		out = append(out, *p)
	}
	return append(out, coming...)
}

// cut makes as few blocks as hold the sorted postings, of nearly equal length.
func (c cutter) cut(postings []posting) []*block {
	var blocks []*block
	for n := (len(postings) + targeting.BlockSize - 1) / targeting.BlockSize; n > 0; n-- {
		size := (len(postings) + n - 1) / n
		blocks = append(blocks, newBlock(postings[:size], c.from, c.withWords))
		postings = postings[size:]
	}
	return blocks
}
