package bidder

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// posting is a campaign under one key, in 16 bytes. They suffice for a search to skip most campaigns.
//
// Above the bits of the campaign's rule, the mask marks the children of the key's cell that the campaign's area
// touches, and those that the area fills.
type posting struct {
	mask    targeting.Mask
	ordinal uint32
	cap     capCode // an upper bound of its score, with the whereabouts of its program's place
}

const (
	touchedBit = targeting.MaskBits
	fullBit    = touchedBit + 7
	_          = 64 - uint(fullBit+7) // does not compile when the mask has no room
)

// postingMask combines the mask of a rule with the bits of a covering.
func postingMask(rule targeting.Mask, p geoindex.Posting) targeting.Mask {
	return rule | targeting.Mask(p.Touched)<<touchedBit | targeting.Mask(p.Full)<<fullBit
}

// withKeywords is the bit that marks the keys of the second kind of list. Campaigns with keywords have lists of their
// own, because most requests have no words and most campaigns no keywords. A campaign with keywords that also serves
// requests without words stands in both kinds.
const withKeywords = 1 << 61

// inOrder compares postings: the higher cap first, then the lower ordinal.
func inOrder(a, b *posting) int {
	if a.cap != b.cap {
		return cmp.Compare(b.cap, a.cap)
	}
	return cmp.Compare(a.ordinal, b.ordinal)
}

// list holds the postings of one key, the best first. Its head holds single postings; most lists have only a head, and
// most searches read no further. Its tail holds blocks of up to 64, which a search skips as a whole.
type list struct {
	head []posting
	tail *tail // nil in most lists
}

// tail holds blocks, and fresh postings that arrived since the blocks were made. Making a block is costly, so fresh
// postings wait, sorted, until there are many.
//
// Invariant: every posting in the head ranks above tail.top; every posting in the tail ranks at or below it. Comparing
// a posting with tail.top therefore tells which part holds it.
type tail struct {
	top    posting
	blocks []*block
	fresh  []posting
}

// below returns the tail, an empty one when the list has none.
func (l *list) below() tail {
	if l.tail == nil {
		return tail{}
	}
	return *l.tail
}

// These constants bound the length of a head. A head that grows above mostInHead spills a block's worth into the tail.
// A head that shrinks below leastInHead takes the next block in.
const (
	mostInHead  = 4 * targeting.BlockSize
	leastInHead = 32
	leastInTail = 24 // of a block; a smaller one is joined to its neighbour
	mostFresh   = 2 * targeting.BlockSize
	// wordRowsFrom is the length of a tail, in blocks, from which its blocks carry rows for words: half a kilobyte
	// each.
	wordRowsFrom = 32
)

// block holds up to 64 postings as rows of bits. Bit i of each row belongs to posting i.
type block struct {
	first         capCode // the highest cap of the block
	alive         uint64  // bits of the postings that have not been removed
	ordinals      []uint32
	advertisers   []uint32  // of the same postings
	owner         uint32    // the advertiser of all of them, or several
	touched, full [7]uint64 // by child
	places        blockPlaces
	audience      targeting.Block
	words         *targeting.WordRows // nil in short tails
}

// postingSource tells what a campaign was posted with, which a block does not store.
type postingSource interface{ posted(ordinal uint32) postedAs }

// countedSource counts what blocks ask of a source, which measures the work on them: a block that is made asks for each
// of its postings, and so does one that is turned back into postings.
type countedSource struct {
	postingSource
	asked int
}

func (s *countedSource) posted(ordinal uint32) postedAs {
	s.asked++
	return s.postingSource.posted(ordinal)
}

// postedAs is what a campaign is posted with.
type postedAs struct {
	mask       targeting.Mask
	rule       *targeting.Rule // nil when the mask holds all of it
	cap        capCode
	signature  targeting.Signature
	advertiser uint32
}

// several marks a block with postings of more than one advertiser.
const several = ^uint32(0)

func newBlock(postings []posting, from postingSource, withWords bool) *block {
	n := len(postings)
	numbers := make([]uint32, 2*n)
	b := &block{first: postings[0].cap, alive: ^uint64(0) >> (targeting.BlockSize - n), ordinals: numbers[:n:n],
		advertisers: numbers[n:]}
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
	b.places = newBlockPlaces(postings)
	b.audience = targeting.CompileBlock(rules)
	if withWords {
		b.words = targeting.CompileWordRows(signatures)
	}
	return b
}

// without returns the block with the bits of some postings off. It shares everything else with b.
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

// postings turns a block back into postings. It leaves out removed ones, because what they were posted with is no
// longer known.
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
		postings = append(postings, posting{postingMask(as.mask, p), ordinal, as.cap.at(b.places.at(i))})
	}
	return postings
}

func has(postings []posting, ordinal uint32) bool {
	return slices.ContainsFunc(postings, func(p posting) bool { return p.ordinal == ordinal })
}

// edited returns the list after an edit. It keeps no reference to the edit's memory and shares the blocks that the edit
// does not touch.
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

// thinned turns off the bits of removed postings in the blocks of a tail. It visits only the blocks that hold one, and
// joins a block that becomes too small to its neighbour.
func (l *list) thinned(c cutter, remove []posting) []*block {
	blocks := slices.Clone(l.tail.blocks)
	for going := remove; len(going) > 0; {
		at := blockAt(blocks, &going[0])
		if blocks[at] = blocks[at].without(l.part(at+1, &going)); blocks[at].len() < leastInTail {
			return l.recut(c, remove, nil)
		}
	}
	return blocks
}

// blockAt returns the index of the block that holds a posting if the tail does.
func blockAt(blocks []*block, p *posting) int {
	at, begins := slices.BinarySearchFunc(blocks, p,
		func(b *block, p *posting) int { begin := b.begin(); return inOrder(&begin, p) })
	if begins {
		return at
	}
	return max(at-1, 0)
}

// blockOf returns the block whose range holds a posting. It returns nil for a posting in the head. A posting that still
// waits among the fresh ones gets the block that it would belong to.
func (l *list) blockOf(p *posting) *block {
	if below := l.below(); len(below.blocks) > 0 && inOrder(p, &below.top) >= 0 {
		return below.blocks[blockAt(below.blocks, p)]
	}
	return nil
}

// recut makes the blocks of a tail anew wherever postings arrive or few remain. It visits only the blocks that a
// posting comes to or leaves, and those that they are joined to.
func (l *list) recut(c cutter, remove, ready []posting) []*block {
	old := l.below().blocks
	blocks := make([]*block, 0, len(old)+len(ready)/targeting.BlockSize+1)
	var loose []posting
	for at := 0; at < len(old); {
		b := old[at].without(l.part(at+1, &remove))
		coming := l.part(at+1, &ready)
		if len(coming) > 0 || len(loose) > 0 && len(loose) < leastInTail || b.len() < leastInTail {
			loose = append(loose, spliced(b.postings(c.from), nil, coming)...)
			at++
			continue
		}
		blocks = append(append(blocks, c.cut(loose)...), b)
		loose = loose[:0]
		next := max(at+1, min(firstIn(old, remove), firstIn(old, ready)))
		blocks = append(blocks, old[at+1:next]...)
		at = next
	}
	return append(blocks, c.cut(loose)...)
}

// firstIn returns the index of the first block that one of some sorted postings belongs to, the number of blocks if
// there are no postings.
func firstIn(blocks []*block, sorted []posting) int {
	if len(sorted) == 0 {
		return len(blocks)
	}
	return blockAt(blocks, &sorted[0])
}

// cutter makes blocks.
type cutter struct {
	from      postingSource
	withWords bool
}

// list builds a list with a head of the right size. A head that is too small must come with a tail without fresh
// postings.
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
		keep := 2*targeting.BlockSize + len(head)%targeting.BlockSize
		t.top = head[keep]
		head, t.blocks = head[:keep], append(c.cut(head[keep:]), t.blocks...)
	}
	l := &list{head: head}
	if len(t.blocks) > 0 {
		l.tail = &t
	}
	return l
}

// begin returns the position in list order at which a block begins.
func (b *block) begin() posting { return posting{cap: b.first, ordinal: b.ordinals[0]} }

// part cuts the postings that belong to run i of the list off the front of sorted ones. Run 0 is the head, which
// reaches down to the tail's top. Each further run is a block, which reaches down to the start of the next.
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

// spliced returns a run without the postings in going and with those in coming, in order. Some of going may not be in
// the run.
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

// cut makes the fewest blocks that hold the sorted postings, of nearly equal length.
func (c cutter) cut(postings []posting) []*block {
	var blocks []*block
	for n := (len(postings) + targeting.BlockSize - 1) / targeting.BlockSize; n > 0; n-- {
		size := (len(postings) + n - 1) / n
		blocks = append(blocks, newBlock(postings[:size], c.from, c.withWords))
		postings = postings[size:]
	}
	return blocks
}
