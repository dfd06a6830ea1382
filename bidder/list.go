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
	return cmp.Or(cmp.Compare(b.cap, a.cap), cmp.Compare(a.ordinal, b.ordinal))
}

// list holds the postings of one key, the best first: a head of single ones,
// which is all that most searches read and all that most lists have, and a tail
// of blocks, which are passed over 64 at a time.
type list struct {
	head []posting
	more *[]*block // nil without a tail, as of most lists
}

// tail are the blocks below the head.
func (l *list) tail() []*block {
	if l.more == nil {
		return nil
	}
	return *l.more
}

// Bounds of a head. One that grows above the most spills a block's worth into
// the tail; one that shrinks below the least takes the next block in.
const (
	mostInHead  = 2 * targeting.BlockSize
	leastInHead = 32
	leastInTail = 24 // of a block, or its neighbour takes it in
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
	b := &block{first: postings[0].cap, alive: ^uint64(0) >> (targeting.BlockSize - len(postings)), ordinals: make([]uint32, len(postings)), advertisers: make([]uint32, len(postings))}
	told := make([]targeting.Rule, len(postings))
	rules := make([]*targeting.Rule, len(postings))
	signatures := make([]targeting.Signature, len(postings))
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

// without is a block whose bits for some postings are off: it shares all else.
func (b *block) without(going []posting) *block {
	rest := *b
	for i, ordinal := range b.ordinals {
		if has(going, ordinal) {
			rest.alive &^= 1 << i
		}
	}
	return &rest
}

func (b *block) len() int { return bits.OnesCount64(b.alive) }

// postings takes a block apart again, without those that are going: what they
// were posted with is no longer known.
func (b *block) postings(going []posting, from postingSource) []posting {
	postings := make([]posting, 0, mostInHead)
	for i, ordinal := range b.ordinals {
		if b.alive>>i&1 == 0 || has(going, ordinal) {
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

// listEdit is what a batch does to one list: postings that go, found by ordinal
// and the cap that they were posted with, and others that come.
type listEdit struct {
	remove, add []posting
}

// edited applies an edit. Blocks that it does not touch are shared.
func (l *list) edited(e *listEdit, from postingSource) *list {
	slices.SortFunc(e.add, func(a, b posting) int { return inOrder(&a, &b) })
	slices.SortFunc(e.remove, func(a, b posting) int { return inOrder(&a, &b) })
	add, remove := e.add, e.remove
	withWords := len(l.tail()) >= wordRowsFrom
	head := merged(remaining(l.head, l.part(0, &remove)), l.part(0, &add))
	var tail []*block
	var loose []posting
	for i, b := range l.tail() {
		going, coming := l.part(i+1, &remove), l.part(i+1, &add)
		if len(going) > 0 && len(coming) == 0 {
			b, going = b.without(going), nil
		}
		if len(coming) > 0 || len(loose) > 0 && len(loose) < leastInTail || b.len() < leastInTail {
			loose = append(loose, merged(b.postings(going, from), coming)...)
			continue
		}
		tail = append(append(tail, cut(loose, from, withWords)...), b)
		loose = loose[:0]
	}
	tail = append(tail, cut(loose, from, withWords)...)
	return newList(head, tail, from, withWords)
}

// newList gives a list a head of the right size.
func newList(head []posting, tail []*block, from postingSource, withWords bool) *list {
	for len(head) < leastInHead && len(tail) > 0 {
		head, tail = append(head, tail[0].postings(nil, from)...), tail[1:]
	}
	if len(head) > mostInHead {
		keep := targeting.BlockSize + len(head)%targeting.BlockSize
		head, tail = head[:keep], append(cut(head[keep:], from, withWords), tail...)
	}
	l := &list{head: slices.Clone(head)}
	if len(tail) > 0 {
		l.more = &tail
	}
	return l
}

// part cuts off those of the sorted postings that belong to run i of the list:
// 0 is the head. A run reaches down to where the next one begins.
func (l *list) part(i int, sorted *[]posting) []posting {
	n := len(*sorted)
	if tail := l.tail(); i < len(tail) {
		below := posting{cap: tail[i].first, ordinal: tail[i].ordinals[0]}
		n, _ = slices.BinarySearchFunc(*sorted, &below, func(p posting, next *posting) int { return inOrder(&p, next) })
	}
	run := (*sorted)[:n]
	*sorted = (*sorted)[n:]
	return run
}

// merged is a run with others added, in order.
func merged(run, coming []posting) []posting {
	if len(coming) > 0 {
		run = append(run, coming...)
		slices.SortFunc(run, func(a, b posting) int { return inOrder(&a, &b) })
	}
	return run
}

// remaining copies a run without those that are going.
func remaining(run, going []posting) []posting {
	return slices.DeleteFunc(slices.Clone(run), func(p posting) bool { return has(going, p.ordinal) })
}

// cut makes as few blocks as hold the sorted postings, of nearly equal length.
func cut(postings []posting, from postingSource, withWords bool) []*block {
	var blocks []*block
	for n := (len(postings) + targeting.BlockSize - 1) / targeting.BlockSize; n > 0; n-- {
		size := (len(postings) + n - 1) / n
		blocks = append(blocks, newBlock(postings[:size], from, withWords))
		postings = postings[size:]
	}
	return blocks
}
