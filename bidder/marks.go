package bidder

import "github.com/hexbid/hexbid/geoindex"

// marks is the room that keeps in the record of each campaign where its program's one place is: the mark of the
// record's disc. A search learns from it how far the place is without asking for it. A program of several places has no
// mark, and that it has none is a bit of the record.
//
// The campaigns of a program follow its places at a publication, so a place that changes many times costs them no more
// than one that changes once.
type marks struct {
	records *records
	moved   map[uint32]placing // programs whose placing may have changed since follow, as it was then

	followed int // campaigns that follow has looked at since the start
}

// placing says of a program whether it has one approved place, and where, none, or several.
type placing struct {
	only    onlyPlace
	several bool
	mixed   bool // some of its campaigns may have been marked since
}

func newMarks(r *records) *marks { return &marks{records: r, moved: map[uint32]placing{}} }

// note notes a program of which records are about to get or to lose a place. One that has several before and after
// stays as it is, and one without campaigns has none that follow.
func (m *marks) note(program uint32) {
	p := m.records.programs.at(program)
	if _, noted := m.moved[program]; !noted && p.placed <= 2 && p.buyers != 0 {
		m.moved[program] = m.of(program)
	}
}

// drop forgets a program that records no longer have.
func (m *marks) drop(program uint32) { delete(m.moved, program) }

func (m *marks) of(program uint32) placing {
	return placing{only: m.records.onlyPlaceOf(program), several: m.records.programs.at(program).placed > 1}
}

// set marks a campaign that has got its disc or its program. It returns the program's placing.
func (m *marks) set(campaign uint32) placing {
	program := m.records.details.at(campaign).program
	if was, noted := m.moved[program]; noted {
		was.mixed = true
		m.moved[program] = was
	}
	at := m.of(program)
	m.mark(campaign, at)
	return at
}

// mark writes where the place is into a campaign's record. A campaign with another area than one disc has no use for
// the disc of its record, so that becomes a point at the place.
func (m *marks) mark(campaign uint32, at placing) {
	now := *m.records.campaigns.at(campaign)
	if now.has &^= hasNoPlace; !at.only.is && !at.several {
		now.has |= hasNoPlace
	}
	if now.disc.ClearMark(); at.only.is {
		if now.has&hasArea != 0 {
			now.disc = geoindex.NewDisc(at.only.vec, 0)
		}
		now.disc.SetMark(at.only.vec)
	}
	if now != *m.records.campaigns.at(campaign) {
		*m.records.campaigns.edit(campaign) = now
	}
}

// follow marks the campaigns of programs whose placing has changed, and calls moved for each.
func (m *marks) follow(moved func(campaign uint32, at placing)) {
	for program, was := range m.moved {
		now := m.of(program)
		if was == now {
			continue
		}
		for campaign := range m.records.buyersOf(program) {
			m.mark(campaign, now)
			moved(campaign, now)
			m.followed++
		}
	}
	m.moved = emptied(m.moved)
}
