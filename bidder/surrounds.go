package bidder

import (
	"runtime"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
)

// surrounds is the room of the coverings around places: a surround for each program and
// radius that campaigns go around, its members, and the places that have moved since the
// surrounds last followed them.
//
// What lists hold of a member was posted from its surround's cells. So cells change in
// follow alone, which tells of each change, and not when a place does.
type surrounds struct {
	records   *records
	numbers   sparseWriter[surround] // no snapshot has them
	byKey     map[surroundKey]uint32
	ofProgram map[uint32]*surround     // the first of each program
	members   growing[membership]      // by campaign
	deserted  []uint32                 // numbers of those that a last member has left
	moved     map[hexbid.UID]placeMove // since follow
	covered   int                      // discs around places, since the start
}

type surroundKey struct {
	program uint32
	radiusM float64
}

// membership is a campaign's in a surround.
type membership struct {
	number uint32 // of the surround, 0 of none
	place  uint32 // among its members
}

// placeMove is a place before and after the changes since surrounds followed it.
type placeMove struct {
	program     uint32
	before, now onlyPlace // "is" where the place was and is approved
}

func newSurrounds(r *records) *surrounds {
	return &surrounds{records: r, byKey: map[surroundKey]uint32{}, ofProgram: map[uint32]*surround{}, moved: map[hexbid.UID]placeMove{}}
}

// numberOf is the number of the surround that a campaign is a member of, or 0.
func (s *surrounds) numberOf(campaign uint32) uint32 { return s.members.at(campaign).number }

// of is the surround that a campaign is a member of, or nil.
func (s *surrounds) of(campaign uint32) *surround { return s.numbers.get(s.numberOf(campaign)) }

// number is that of the surround of a program's places at a radius; it makes one that is
// not there. Without a radius there is none.
func (s *surrounds) number(program uint32, radiusM float64) (number uint32) {
	if radiusM == 0 {
		return 0
	}
	key := surroundKey{program, radiusM}
	if number, there := s.byKey[key]; there {
		return number
	}
	fresh := &surround{program: program, radiusM: radiusM, alone: s.records.onlyPlaceOf(program), next: s.ofProgram[program]}
	if fresh.next != nil {
		fresh.next.before = fresh
	}
	s.numbers.set(&number, fresh)
	s.byKey[key], s.ofProgram[program] = number, fresh
	return number
}

// add makes room for a campaign, which is a member of none yet.
func (s *surrounds) add(campaign uint32) { s.members.clear(campaign) }

// join makes a campaign a member of a surround, or with 0 of none, and no longer of
// another.
func (s *surrounds) join(campaign, number uint32) {
	if s.numberOf(campaign) == number {
		return
	}
	m := s.members.at(campaign)
	if left := s.numbers.get(m.number); left != nil {
		last := len(left.members) - 1
		moved := left.members[last]
		left.members[m.place], s.members.at(moved).place = moved, m.place
		left.members = left.members[:last]
		if last == 0 {
			s.deserted = append(s.deserted, m.number)
		}
	}
	if *m = (membership{number: number}); number != 0 {
		joined := s.numbers.get(number)
		m.place, joined.members = uint32(len(joined.members)), append(joined.members, campaign)
	}
}

// come notes a place that records have from now on, leave one that they will not have any
// more. A place that changes many times before follow costs no more than one that changes
// once.
func (s *surrounds) come(place uint32)  { s.note(place, true) }
func (s *surrounds) leave(place uint32) { s.note(place, false) }

func (s *surrounds) note(place uint32, comes bool) {
	p := s.records.places.at(place)
	if s.ofProgram[p.program] == nil {
		return
	}
	here := onlyPlace{true, p.vec}
	m, again := s.moved[p.uid]
	if !again {
		m.program = p.program
		if !comes {
			m.before = here
		}
	}
	if m.now = here; !comes {
		m.now = onlyPlace{}
	}
	s.moved[p.uid] = m
}

// coveredPlaces are surrounds that cover the places that there are: those that were filled
// have followed every place, so that others may be filled now.
type coveredPlaces struct{ *surrounds }

// surroundChange tells what follow has changed about a surround.
type surroundChange struct {
	*surround
	alone bool         // what members know of the places
	cells []cellChange // of what is posted
}

// follow changes surrounds by the places that came, moved and went since the last call,
// lets go of those that have no members, and calls changed for each that has changed.
func (s *surrounds) follow(changed func(surroundChange)) coveredPlaces {
	s.dropDeserted()
	for program, moves := range s.takeMoves() {
		alone := s.records.onlyPlaceOf(program)
		for of := s.ofProgram[program]; of != nil; of = of.next {
			c := surroundChange{surround: of, alone: of.alone != alone}
			of.alone = alone
			if of.filled && len(moves.left)+len(moves.came) > 0 {
				c.cells = s.moveDiscs(of, moves)
			}
			changed(c)
		}
	}
	return coveredPlaces{s}
}

// dropDeserted lets go of surrounds without members. A campaign that is put again
// with its radius finds its surround still there.
func (s *surrounds) dropDeserted() {
	for _, number := range s.deserted {
		of := s.numbers.get(number)
		if of == nil || len(of.members) > 0 {
			continue
		}
		delete(s.byKey, surroundKey{of.program, of.radiusM})
		s.numbers.set(&number, nil)
		if of.next != nil {
			of.next.before = of.before
		}
		switch {
		case of.before != nil:
			of.before.next = of.next
		case of.next != nil:
			s.ofProgram[of.program] = of.next
		default:
			delete(s.ofProgram, of.program)
		}
	}
	s.deserted = nil
}

// discMoves are the places of a program that came to a point, and that left one.
type discMoves struct{ left, came []geoindex.Vec }

// takeMoves tells the moves of places by program, and forgets them.
func (s *surrounds) takeMoves() map[uint32]discMoves {
	byProgram := map[uint32]discMoves{}
	for _, m := range s.moved {
		of := byProgram[m.program]
		if m.before != m.now {
			if m.before.is {
				of.left = append(of.left, m.before.vec)
			}
			if m.now.is {
				of.came = append(of.came, m.now.vec)
			}
		}
		byProgram[m.program] = of // without a disc that changes too: a surround made in between knows another place
	}
	s.moved = emptied(s.moved)
	return byProgram
}

func (s *surrounds) moveDiscs(of *surround, moves discMoves) []cellChange {
	for _, disc := range s.cover(moves.left, of.radiusM) {
		of.remove(disc)
	}
	for _, disc := range s.cover(moves.came, of.radiusM) {
		of.add(disc)
	}
	return of.takeChanges()
}

// filledOf is the surround of a campaign that is to be posted, covered when it has not been
// before; nil of a campaign that is a member of none.
func (s coveredPlaces) filledOf(campaign uint32) *surround {
	of := s.of(campaign)
	if of == nil || of.filled {
		return of
	}
	var centers []geoindex.Vec
	for place := range s.records.placesOf(of.program) {
		centers = append(centers, s.records.places.at(place).vec)
	}
	for _, disc := range s.cover(centers, of.radiusM) {
		of.add(disc)
	}
	of.filled, of.changed = true, nil // nobody is posted yet
	return of
}

// cover covers the discs around some points, on every core where they are many.
func (s *surrounds) cover(centers []geoindex.Vec, radiusM float64) [][]geoindex.Posting {
	s.covered += len(centers)
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
