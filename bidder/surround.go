package bidder

import (
	"cmp"
	"runtime"
	"slices"
	"sync"

	"github.com/hexbid/hexbid/geoindex"
)

// surround is the covering around a program's approved places at one radius. All
// campaigns that go around the places at that radius are its members and share it.
//
// Every place's disc is covered on its own, and a cell counts the discs that touch
// and fill each of its children. So a place that comes or goes changes the few cells
// of its own disc, however many places there are.
type surround struct {
	program      uint32
	radiusM      float64
	next, before *surround // of the same program
	members      []uint32  // campaigns
	alone        onlyPlace // what members know of the places

	filled bool // below are filled in when the first member is posted
	// One place, as most programs have, is a packed covering; several are cells.
	packed  []byte
	cells   map[geoindex.Key]overlap
	changed map[geoindex.Key]geoindex.Posting // cells changed by the publication in the making, as they were before
}

// overlap counts the discs over a cell, by its children.
type overlap struct{ touched, full [7]uint32 }

// onlyPlace is the one place of a program that has no other.
type onlyPlace struct {
	is  bool
	vec geoindex.Vec
}

func (o *overlap) posting(key geoindex.Key) geoindex.Posting {
	p := geoindex.Posting{Key: key}
	for child := range o.touched {
		if o.touched[child] > 0 {
			p.Touched |= 1 << child
		}
		if o.full[child] > 0 {
			p.Full |= 1 << child
		}
	}
	return p
}

// count adds a posting of one disc, or takes it away again.
func (o *overlap) count(p geoindex.Posting, by uint32) {
	for child := range o.touched {
		o.touched[child] += uint32(p.Touched>>child&1) * by
		o.full[child] += uint32(p.Full>>child&1) * by
	}
}

// one and lessOne are what count counts by; it counts modulo 2³².
const one, lessOne = uint32(1), ^uint32(0)

// add joins the covering of a place's disc.
func (s *surround) add(disc []geoindex.Posting) {
	if s.isEmpty() {
		s.packed = geoindex.PackCovering(nil, disc)
		for _, p := range disc {
			s.note(geoindex.Posting{Key: p.Key})
		}
		return
	}
	s.unpack()
	for _, p := range disc {
		s.count(p, one)
	}
}

// remove takes the covering of a place's disc away again.
func (s *surround) remove(disc []geoindex.Posting) {
	s.unpack()
	for _, p := range disc {
		s.count(p, lessOne)
	}
}

func (s *surround) isEmpty() bool { return len(s.packed) == 0 && len(s.cells) == 0 }

// unpack makes cells of the covering of one place.
func (s *surround) unpack() {
	if s.cells == nil {
		s.cells = map[geoindex.Key]overlap{}
	}
	one := s.postings(nil)
	s.packed = nil
	for _, p := range one {
		o := s.cells[p.Key]
		o.count(p, 1)
		s.cells[p.Key] = o
	}
}

// count changes the counts of a posting's cell.
func (s *surround) count(p geoindex.Posting, by uint32) {
	o := s.cells[p.Key]
	before := o.posting(p.Key)
	o.count(p, by)
	after := o.posting(p.Key)
	if after.Touched == 0 {
		delete(s.cells, p.Key)
	} else {
		s.cells[p.Key] = o
	}
	if after != before {
		s.note(before)
	}
}

// note keeps what a cell was before the publication in the making.
func (s *surround) note(before geoindex.Posting) {
	if s.changed == nil {
		s.changed = map[geoindex.Key]geoindex.Posting{}
	}
	if _, noted := s.changed[before.Key]; !noted {
		s.changed[before.Key] = before
	}
}

// postings appends what s.packed unpacks to.
func (s *surround) postings(to []geoindex.Posting) []geoindex.Posting {
	to, _ = geoindex.UnpackCovering(to, s.packed) // what PackCovering packed unpacks
	return to
}

// at is the posting of a cell; one that touches no child is none.
func (s *surround) at(key geoindex.Key) geoindex.Posting {
	if o, there := s.cells[key]; there {
		return o.posting(key)
	}
	for _, p := range s.postings(nil) {
		if p.Key == key {
			return p
		}
	}
	return geoindex.Posting{Key: key}
}

// each calls f for every posting, in no order.
func (s *surround) each(f func(geoindex.Posting)) {
	for _, p := range s.postings(nil) {
		f(p)
	}
	for key, o := range s.cells {
		f(o.posting(key))
	}
}

// coverDiscs covers the discs around some points, on every core where they are many.
func (x *Indexer) coverDiscs(centers []geoindex.Vec, radiusM float64) [][]geoindex.Posting {
	x.covered += len(centers)
	coverings := make([][]geoindex.Posting, len(centers))
	workers := min(runtime.GOMAXPROCS(0), 1+len(centers)/16)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < len(centers); i += workers {
				coverings[i] = geoindex.CoverDisc(centers[i], radiusM)
			}
		})
	}
	group.Wait()
	return coverings
}

// fill covers the places that there are.
func (x *Indexer) fill(s *surround) {
	var centers []geoindex.Vec
	for at := x.programs.at(s.program).places; at != 0; at = x.places.at(at - 1).next {
		centers = append(centers, x.places.at(at-1).vec)
	}
	for _, disc := range x.coverDiscs(centers, s.radiusM) {
		s.add(disc)
	}
	s.filled, s.changed = true, nil // nobody is posted yet
}

// surroundOf is the surround that a campaign is a member of, or nil.
func (x *Indexer) surroundOf(i uint32) *surround { return x.surrounds.get(x.kept.at(i).around) }

// surroundAt is the surround of a program's places at a radius; it makes one that is
// not there.
func (x *Indexer) surroundAt(program uint32, radiusM float64) (number uint32) {
	key := surroundKey{program, radiusM}
	if number, there := x.surroundBy[key]; there {
		return number
	}
	s := &surround{program: program, radiusM: radiusM, alone: x.onlyPlaceOf(program), next: x.surroundsOf[program]}
	if s.next != nil {
		s.next.before = s
	}
	x.surrounds.set(&number, s)
	x.surroundBy[key], x.surroundsOf[program] = number, s
	return number
}

type surroundKey struct {
	program uint32
	radiusM float64
}

// joinSurround makes a campaign a member of a surround, or of none, and no longer of
// another.
func (x *Indexer) joinSurround(i, number uint32) {
	k := x.kept.edit(i)
	if k.around == number {
		return
	}
	if s := x.surrounds.get(k.around); s != nil {
		last := len(s.members) - 1
		moved := s.members[last]
		s.members[k.member], x.kept.edit(moved).member = moved, k.member
		s.members = s.members[:last]
		if last == 0 {
			x.deserted = append(x.deserted, k.around)
		}
	}
	if k.around = number; number != 0 {
		s := x.surrounds.get(number)
		k.member, s.members = uint32(len(s.members)), append(s.members, i)
	}
}

// dropDeserted lets go of surrounds without members. A campaign that is put again
// with its radius finds its surround still there.
func (x *Indexer) dropDeserted() {
	for _, number := range x.deserted {
		s := x.surrounds.get(number)
		if s == nil || len(s.members) > 0 {
			continue
		}
		delete(x.surroundBy, surroundKey{s.program, s.radiusM})
		x.surrounds.set(&number, nil)
		if s.next != nil {
			s.next.before = s.before
		}
		switch {
		case s.before != nil:
			s.before.next = s.next
		case s.next != nil:
			x.surroundsOf[s.program] = s.next
		default:
			delete(x.surroundsOf, s.program)
		}
	}
	x.deserted = nil
}

// movedPlace is a place before and after the changes of one publication.
type movedPlace struct {
	program     uint32
	before, now onlyPlace // "is" where the place was and is approved
}

// noteMove keeps that a place comes to a point or leaves it, until the publication:
// a place that changes many times in between costs no more than one that changes
// once.
func (x *Indexer) noteMove(i uint32, comes bool) {
	p := x.places.at(i)
	if x.surroundsOf[p.program] == nil {
		return
	}
	here := onlyPlace{true, p.vec}
	m, again := x.moved[p.uid]
	if !again {
		m.program = p.program
		if !comes {
			m.before = here
		}
	}
	if m.now = here; !comes {
		m.now = onlyPlace{}
	}
	x.moved[p.uid] = m
}

// followMoves changes surrounds by the places that came, moved and went, and the
// postings of their members with them.
func (x *Indexer) followMoves() {
	if len(x.moved) == 0 {
		return
	}
	type moves struct{ came, left []geoindex.Vec }
	byProgram := map[uint32]*moves{}
	for _, m := range x.moved {
		of := byProgram[m.program]
		if of == nil {
			of = &moves{}
			byProgram[m.program] = of
		}
		if m.before == m.now { // no disc changes, but a surround made in between knows another place
			continue
		}
		if m.before.is {
			of.left = append(of.left, m.before.vec)
		}
		if m.now.is {
			of.came = append(of.came, m.now.vec)
		}
	}
	x.moved = emptied(x.moved)
	for program, of := range byProgram {
		alone := x.onlyPlaceOf(program)
		for s := x.surroundsOf[program]; s != nil; s = s.next {
			if s.alone != alone {
				s.alone = alone
				x.setArounds(s)
			}
			if s.filled && len(of.left)+len(of.came) > 0 {
				x.moveDiscs(s, of.left, of.came)
			}
		}
	}
}

// setArounds gives the members of a surround their areas anew.
func (x *Indexer) setArounds(s *surround) {
	for _, i := range s.members {
		if x.kept.at(i).shape.onlyAround {
			x.setAround(i)
		}
	}
}

func (x *Indexer) moveDiscs(s *surround, left, came []geoindex.Vec) {
	for _, disc := range x.coverDiscs(left, s.radiusM) {
		s.remove(disc)
	}
	for _, disc := range x.coverDiscs(came, s.radiusM) {
		s.add(disc)
	}
	changes := s.takeChanges()
	for _, i := range s.members {
		if x.kept.at(i).posted {
			x.noteChanges(i, changes)
		}
	}
}

// cellChange is the posting of a surround under one cell, before and after.
type cellChange struct{ before, now geoindex.Posting }

// takeChanges tells what has changed since the last publication, and forgets it.
func (s *surround) takeChanges() []cellChange {
	changes := make([]cellChange, 0, len(s.changed))
	for key, before := range s.changed {
		if now := s.at(key); now != before {
			changes = append(changes, cellChange{before, now})
		}
	}
	s.changed = nil
	return changes
}

// noteChanges notes the edits of a member's postings under cells that have changed.
func (x *Indexer) noteChanges(i uint32, changes []cellChange) {
	own := x.covering(i)
	for _, c := range changes {
		before, now := x.joined(i, c.before, own), x.joined(i, c.now, own)
		if before == now {
			continue
		}
		if before.Touched != 0 {
			x.noteEdit(i, before, true)
		}
		if now.Touched != 0 {
			x.noteEdit(i, now, false)
		}
	}
}

// joined joins a surround's posting to the one under the same cell of a member's own
// covering, which is in order of key. Where a member excludes something the surround
// fills no child: the exact test decides.
func (x *Indexer) joined(i uint32, around geoindex.Posting, own []geoindex.Posting) geoindex.Posting {
	if x.kept.at(i).shape.excludes {
		around.Full = 0
	}
	at, both := slices.BinarySearchFunc(own, around.Key, func(p geoindex.Posting, key geoindex.Key) int {
		return cmp.Compare(p.Key, key)
	})
	if both {
		around.Touched |= own[at].Touched
		around.Full |= own[at].Full
	}
	return around
}
