package bidder

import (
	"runtime"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
)

// surrounds is the room of the coverings around places. It has a surround for each program and radius that campaigns
// buy, the members of each, and the places that have moved since the surrounds last followed them.
//
// The postings of members come from their surround's cells. So cells change only in follow, which reports each change,
// and not when a place does.
type surrounds struct {
	records   *records
	numbers   sparseWriter[surround] // snapshots do not have them
	byKey     map[surroundKey]uint32
	ofProgram map[uint32]*surround     // the first surround of each program
	members   growing[membership]      // by campaign
	deserted  []uint32                 // numbers of surrounds whose last member has left
	moved     map[hexbid.UID]placeMove // since follow
	covered   int                      // discs covered since the start
}

type surroundKey struct {
	program uint32
	radiusM float64
}

// membership is a campaign's place in a surround.
type membership struct {
	number uint32 // of the surround, 0 for none
	place  uint32 // index among its members
}

// placeMove is a place before and after the changes since surrounds last followed it.
type placeMove struct {
	program     uint32
	before, now onlyPlace // "is" where the place was and is approved
}

func newSurrounds(r *records) *surrounds {
	return &surrounds{records: r, byKey: map[surroundKey]uint32{}, ofProgram: map[uint32]*surround{},
		moved: map[hexbid.UID]placeMove{}}
}

// numberOf returns the number of the surround that a campaign is a member of, 0 for none.
func (s *surrounds) numberOf(campaign uint32) uint32 { return s.members.at(campaign).number }

// of returns the surround that a campaign is a member of, nil for none.
func (s *surrounds) of(campaign uint32) *surround { return s.numbers.get(s.numberOf(campaign)) }

// number returns the number of the surround of a program's places at a radius. It makes a surround that is missing.
// Without a radius it returns 0.
func (s *surrounds) number(program uint32, radiusM float64) (number uint32) {
	if radiusM == 0 {
		return 0
	}
	key := surroundKey{program, radiusM}
	if number, there := s.byKey[key]; there {
		return number
	}
	fresh := &surround{program: program, radiusM: radiusM, alone: s.records.onlyPlaceOf(program),
		next: s.ofProgram[program]}
	if fresh.next != nil {
		fresh.next.before = fresh
	}
	s.numbers.set(&number, fresh)
	s.byKey[key], s.ofProgram[program] = number, fresh
	return number
}

// add makes room for a campaign that is a member of no surround yet.
func (s *surrounds) add(campaign uint32) { s.members.clear(campaign) }

// join moves a campaign from its present surround to another, or with 0 to none.
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

// come notes a place that records now have, leave one that they are about to lose. A place that changes many times
// before follow costs no more than one that changes once.
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

// coveredPlaces is surrounds that cover the present places: those that were filled have followed every place. Further
// ones may be filled only now.
type coveredPlaces struct{ *surrounds }

// surroundChange is what follow has changed in a surround.
type surroundChange struct {
	*surround
	alone bool         // the only place, as members know it, has changed
	cells []cellChange // the postings that have changed
}

// follow updates surrounds for the places that came, moved and went since the last call. It drops surrounds without
// members and calls changed for each surround that has changed.
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

// dropDeserted drops surrounds without members. It runs late, so that a campaign that is put again with its radius
// still finds its surround.
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

// discMoves holds the positions that places of a program left, and those that places came to.
type discMoves struct{ left, came []geoindex.Vec }

// takeMoves returns the moves of places by program and forgets them.
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
		byProgram[m.program] = of // even if no disc changes: a surround made in between knows another place
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

// filledOf returns the surround of a campaign that is to be posted, and covers it first if needed. It returns nil for a
// campaign that is a member of none.
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
	of.filled, of.changed = true, nil // no member is posted yet
	return of
}

// cover computes the coverings of the discs around some points, on every core when there are many.
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
