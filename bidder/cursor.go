package bidder

import (
	"math/bits"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// searchLists merges the lists over the point by cap until no further campaign can win. It tests matches when enough
// are batched, or when the lists end.
func (s *Snapshot) searchLists(cursors []cursor, q *Query, w *Scratch) {
	for {
		best := highest(cursors)
		if best == nil || best.cap < w.floor {
			if w.batched == 0 {
				return
			}
			s.offerBatch(q, w)
			continue
		}
		if best.blockIsNext() {
			s.readBlock(best, q, w)
		} else {
			best.readRun(w)
		}
		if w.batched >= w.enough {
			s.offerBatch(q, w)
		}
		best.advance()
	}
}

// highest returns the cursor whose next posting has the highest cap, nil at the end.
func highest(cursors []cursor) *cursor {
	var best *cursor
	for i := range cursors {
		if c := &cursors[i]; !c.done && (best == nil || c.cap > best.cap) {
			best = c
		}
	}
	return best
}

// cursor is a position in one list. In the head it reads single postings; below the head it reads the fresh postings
// and the blocks of the tail, whichever has the higher cap. It touches the tail only after the head, because most
// searches end before.
type cursor struct {
	run    []posting
	blocks []*block
	tail   *tail   // not touched yet; nil for none
	cap    capCode // of the next posting
	done   bool
	child  uint  // number of the child of the key's cell that holds the point
	number uint8 // its index among all cursors
	want   targeting.Want
}

// advance finds the cap of the next posting.
func (c *cursor) advance() {
	if len(c.run) == 0 && c.tail != nil {
		c.run, c.blocks, c.tail = c.tail.fresh, c.tail.blocks, nil
	}
	switch {
	case c.blockIsNext():
		c.cap = c.blocks[0].first
	case len(c.run) > 0:
		c.cap = c.run[0].cap
	default:
		c.done = true
	}
}

// blockIsNext reports whether the next block may hold a higher cap than the fresh postings.
func (c *cursor) blockIsNext() bool {
	return len(c.blocks) > 0 && (len(c.run) == 0 || c.blocks[0].first >= c.run[0].cap)
}

// listsOver returns cursors into the lists of one kind over the point. It works in stages, because the loads within one
// stage do not wait for each other.
func (s *Snapshot) listsOver(q *Query, kind uint64, w *Scratch, cursors []cursor) []cursor {
	var keys [maxKeys]geoindex.Key
	var buckets [maxKeys]*bucket[posting, tail]
	n := len(s.keysOver(q, keys[:0]))
	for i, key := range keys[:n] {
		buckets[i] = s.lists.bucket(uint64(key) | kind)
	}
	for _, b := range buckets[:n] { // find the lists while the keys are being loaded
		if b != nil {
			w.fetched ^= hexbid.UID(b.ends[0])
		}
	}
	want, first := q.Profile.Want(), len(cursors)
	for i, key := range keys[:n] {
		if head, tail := buckets[i].find(uint64(key) | kind); len(head) > 0 {
			c := cursor{run: head, tail: tail, child: q.At.ChildSlot(key), want: want}
			touched := targeting.Mask(1) << (touchedBit + c.child)
			c.want.Care, c.want.Bits = c.want.Care|touched, c.want.Bits|touched
			c.number = uint8(len(cursors))
			if s.distances != nil {
				w.views[len(cursors)] = w.outlook.In(resolutionOf(key))
			}
			cursors = append(cursors, c)
		}
	}
	w.fetched ^= hexbid.UID(fetchHeads(cursors[first:]))
	for i := first; i < len(cursors); i++ {
		cursors[i].advance()
	}
	return cursors
}

// postingsALine is the number of postings in a cache line.
const postingsALine = 4

// fetchHeads loads the first lines of all lists together. Otherwise a search would wait for them one after another,
// because it cannot foresee which list it reads next.
func fetchHeads(cursors []cursor) (fetched capCode) {
	for i := range cursors {
		run := cursors[i].run
		for j := postingsALine; j < min(len(run), mostFetched); j += postingsALine {
			fetched ^= run[j].cap
		}
	}
	return fetched
}

// mostFetched is the number of postings of a list that are fetched ahead. Processors foresee the lines after them.
const mostFetched = 48

// resolutionOf returns the resolution of a cell's key, 0 of other keys.
func resolutionOf(key geoindex.Key) int {
	res, isCell := key.CellResolution()
	if !isCell {
		return 0
	}
	return res
}

func (s *Snapshot) keysOver(q *Query, keys []geoindex.Key) []geoindex.Key {
	if s.resolutions>>otherKeys&1 == 1 {
		keys = append(keys, geoindex.Everywhere)
		for _, id := range q.At.Regions.All() {
			keys = append(keys, geoindex.KeyOfRegion(id))
		}
	}
	for left := uint16(s.resolutions); left != 0; left &= left - 1 {
		keys = append(keys, geoindex.KeyOfCell(q.At.Cell.Parent(bits.TrailingZeros16(left))))
	}
	return keys
}

// mostAtATurn is the most single postings sifted in a turn. Longer turns read a few postings too many. In shorter
// ones a processor that has guessed wrong what follows a turn waits for memory more often.
const mostAtATurn = 32

// readRun batches the next postings whose masks match. It writes every posting into the batch and counts those that
// match, without a branch, because no processor foresees which will.
func (c *cursor) readRun(w *Scratch) {
	n := min(len(c.run), mostAtATurn)
	turn, rest := c.run[:n], c.run[n:]
	for len(turn) > 0 && turn[len(turn)-1].cap < w.floor { // no later posting can win, nor any of a tail not touched yet
		turn, rest, c.tail = turn[:len(turn)-1], nil, nil
	}
	c.run = rest
	want, child, batched, number := c.want, c.child, w.batched, c.number<<1
	for i := range turn {
		p, x := turn[i], &w.batch[batched]
		x.posting, x.found = p, number|uint8(p.mask>>(fullBit+child)&1)
		batched += want.Count(p.mask)
	}
	w.batched = batched
	w.Sifted += len(turn)
}

// readBlock offers the postings of the next block whose rows match.
func (s *Snapshot) readBlock(c *cursor, q *Query, w *Scratch) {
	b, words := c.blocks[0], !q.Words.None()
	c.blocks = c.blocks[1:]
	w.Sifted += b.len()
	if w.isOutdone(b.owner, b.first) {
		return
	}
	matching := b.audience.Match(&q.Profile, b.alive&b.touched[c.child])
	if words && b.words != nil {
		matching = b.words.Match(&q.Words, matching)
	}
	for ; matching != 0; matching &= matching - 1 {
		if w.batched > w.enough {
			s.offerBatch(q, w)
		}
		i, cap := bits.TrailingZeros64(matching), b.first
		if s.distances != nil && b.places.told != nil {
			if cap = s.distances.lowered(cap, b.places.at(i), b.places.category(i), &w.views[c.number]); cap < w.floor {
				continue
			}
		}
		if w.isOutdone(b.advertisers[i], cap) {
			continue
		}
		w.batch[w.batched] = match{posting{0, b.ordinals[i], cap &^ aboutMask}, uint8(b.full[c.child] >> i & 1)}
		w.batched++
	}
}
