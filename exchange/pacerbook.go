package exchange

import (
	"math"
	"math/rand/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/pacing"
)

// paceBook holds what pacing remembers of campaigns: some 270 bytes each, in chunks without pointers, so that
// the garbage collector passes over a million of them.
type paceBook struct {
	numbers  map[hexbid.UID]uint32 // of the campaigns, in seen and in paced
	seen     roster[seen]
	paced    roster[paced]
	free     []uint32
	called   []uint32 // campaigns that have something to tell the next step
	reserves roster[pacing.Reserves]
	unused   []uint32  // of reserves
	draws    *rand.PCG // of reserves
}

// seen is what a campaign saw since it was last stepped, and when that calls for a step. Awards and events write it.
type seen struct {
	won, events    float64 // expected cost of the awards in micros, and events expected of them, by the prior
	charged        hexbid.Money
	enough         float32 // micros won and charged from which on a step should not wait
	awards, clicks uint32  // clicks: charged
	reserves       uint32  // its number in the book's, plus 1; 0 when it never met one
	waits          bool    // a step is planned, or the campaign is in line
	hastened       bool    // since its last step it came to enough
	line           uint8   // of newcomers, that it stands in or will; 0 for none
	first          uint32  // the tick of its first award since then, as far as 32 bits hold it
}

// paced is a campaign whose day is planned. Only the goroutine that steps writes it.
type paced struct {
	uid     hexbid.UID // 0 is a free number
	state   pacing.State
	want    packedOutput
	told    packedOutput // in force, or on its way
	claim   claim        // to its advertiser's balance
	budget  hexbid.Money // as of its last step
	spent   hexbid.Money // then, with what awards still out are expected to cost
	stepped int64        // tick; 0 for not yet since the start
	due     int64        // tick of the next step, unless it comes to enough before
	planned int64        // tick at which the wheel has it; 0 when it is not planned
	// searched is the searches of the market when it was stepped.
	searched int64
	unkept   uint8 // steps since its row was last kept
	restored bool  // not stepped since the start
	wanting  bool  // searches should be told something else
}

// isMet reports whether a campaign was ever stepped.
func (c *paced) isMet() bool { return c.stepped != 0 || c.restored }

// packedOutput is an output in eight bytes.
type packedOutput uint64

const outputBits = 20 // of parts per million

func pack(o pacing.Output) packedOutput {
	p := packedOutput(o.MultiplierPPM) | packedOutput(o.ParticipationPPM)<<outputBits
	if o.AtEntry {
		p |= 1 << (2 * outputBits)
	}
	return p
}

func (p packedOutput) output() pacing.Output {
	const mask = 1<<outputBits - 1
	return pacing.Output{MultiplierPPM: int64(p & mask), ParticipationPPM: int64(p >> outputBits & mask),
		AtEntry: p>>(2*outputBits) != 0}
}

var fullPacked = pack(pacing.Full)

func newPaceBook() *paceBook {
	return &paceBook{numbers: map[hexbid.UID]uint32{}, draws: rand.NewPCG(1, 2)}
}

// see returns what a campaign saw.
func (b *paceBook) see(uid hexbid.UID) (n uint32, s *seen) {
	n, known := b.numbers[uid]
	if !known {
		n = b.add(uid)
	}
	return n, b.seen.at(n)
}

// add gives a campaign a number.
func (b *paceBook) add(uid hexbid.UID) (n uint32) {
	if last := len(b.free) - 1; last >= 0 {
		n, b.free = b.free[last], b.free[:last]
	} else {
		n = b.paced.add()
		b.seen.add()
	}
	b.numbers[uid] = n
	*b.paced.at(n) = paced{uid: uid, want: fullPacked, told: fullPacked}
	*b.seen.at(n) = seen{enough: math.MaxFloat32}
	return n
}

// call has a campaign looked at, unless it waits for a step already. One that has come to enough is looked at again.
func (b *paceBook) call(n uint32, s *seen) {
	switch {
	case !s.waits:
		s.waits = true
		b.called = append(b.called, n)
	case !s.hastened && float32(s.won)+float32(s.charged) >= s.enough:
		b.hasten(n, s)
	case s.line > 0 && lineOf(s.events) > s.line: // of newcomers
		s.line = lineOf(s.events)
		b.called = append(b.called, n)
	}
}

// standIn returns the line of newcomers for a campaign.
func (s *seen) standIn() uint8 {
	s.line = max(s.line, lineOf(s.events))
	return s.line
}

// hasten has a campaign stepped as soon as it may be.
func (b *paceBook) hasten(n uint32, s *seen) {
	s.waits, s.hastened = true, true
	b.called = append(b.called, n)
}

// takeCalled returns the campaigns that call for a step.
func (b *paceBook) takeCalled() []uint32 {
	called := b.called
	b.called = nil
	return called
}

// meetReserve notes the multiplier with which a campaign meets a reserve.
func (b *paceBook) meetReserve(s *seen, at, entryPPM int64) {
	if s.reserves == 0 {
		if last := len(b.unused) - 1; last >= 0 {
			s.reserves, b.unused = b.unused[last]+1, b.unused[:last]
			*b.reserves.at(s.reserves - 1) = pacing.Reserves{}
		} else {
			s.reserves = b.reserves.add() + 1
		}
	}
	b.reserves.at(s.reserves-1).Add(at, entryPPM, b.draws.Uint64())
}

// take returns what a campaign saw since the last call, and the median multiplier that meets the reserves it faced.
func (b *paceBook) take(n uint32, at int64) (saw seen, entryPPM int64) {
	s := b.seen.at(n)
	saw = *s
	*s = seen{enough: s.enough, reserves: s.reserves, waits: s.waits, hastened: s.hastened}
	if s.reserves != 0 {
		entryPPM = min(b.reserves.at(s.reserves-1).Median(at), pacing.PPM)
	}
	return saw, entryPPM
}

// drop forgets a campaign. Lists that still have its number find that it is free, or step another campaign once more.
func (b *paceBook) drop(n uint32) {
	delete(b.numbers, b.paced.at(n).uid)
	if s := b.seen.at(n); s.reserves != 0 {
		b.unused = append(b.unused, s.reserves-1)
	}
	*b.seen.at(n), *b.paced.at(n) = seen{}, paced{}
	b.free = append(b.free, n)
}

// roster is an array that grows without being copied.
type roster[T any] struct {
	chunks []*[rosterChunk]T
	size   uint32
}

const rosterChunk = 256

func (r *roster[T]) at(n uint32) *T { return &r.chunks[n/rosterChunk][n%rosterChunk] }

// add makes room for one more and returns its number.
func (r *roster[T]) add() uint32 {
	if r.size%rosterChunk == 0 {
		r.chunks = append(r.chunks, new([rosterChunk]T))
	}
	r.size++
	return r.size - 1
}

// wheel has the campaigns to be stepped at each tick of the longest pause.
type wheel struct {
	slots  [wheelTicks][]uint32
	turned int64 // up to this tick
}

// wheelTicks is more than the ticks of the longest pause.
const wheelTicks = 1 << 12

// put puts a campaign at a tick, or at the last one that the wheel has room for. It returns the tick.
func (w *wheel) put(n uint32, tick int64) int64 {
	tick = max(min(tick, w.turned+wheelTicks-1), w.turned+1)
	w.slots[tick%wheelTicks] = append(w.slots[tick%wheelTicks], n)
	return tick
}

// turn goes on to a tick. It appends the campaigns of the ticks that are due.
func (w *wheel) turn(tick int64, to []uint32, isDue func(uint32) bool) []uint32 {
	for t := max(w.turned+1, tick-wheelTicks+1); t <= tick; t++ {
		slot := &w.slots[t%wheelTicks]
		for _, n := range *slot {
			if isDue(n) {
				to = append(to, n)
			}
		}
		*slot = nil
	}
	w.turned = max(w.turned, tick)
	return to
}
