package bidder

import (
	"github.com/hexbid/hexbid/targeting"
)

// A publication makes a snapshot of the present state. It goes through stages. Each is a
// type that says what holds from there on, and whose one method leads to the next, so that
// no step is left out and none comes too early.
type (
	// changed: records are as the catalogue says. What belongs to others has not followed.
	changed struct{ *index }
	// followed: every campaign and site has what its advertiser and program say, and every
	// campaign the state of the present quarter hour.
	followed struct{ *index }
	// covered: surrounds cover the places that there are, and campaigns know it.
	covered struct {
		*index
		around coveredPlaces
	}
	// posted: the edits of lists are noted that take every campaign that is on to its lists.
	posted struct{ *index }
)

// publication is a snapshot of the present state. Every one is of the present quarter hour,
// so that a run of changes, however long, does not hold up the next one.
func (x *index) publication() *Snapshot {
	return changed{x}.follow().cover().post().freeze()
}

// postAhead posts what waits for it, so that memory holds no more of it while a catalogue
// is read.
func (x *index) postAhead() { changed{x}.follow().cover().post() }

// follow gives campaigns and sites what they take from the clock, their advertiser and
// their program.
func (x changed) follow() followed {
	x.turnQuarter()
	for advertiser := range x.turnedOwners {
		for campaign := range x.records.ownedBy(advertiser) {
			x.setState(campaign)
		}
	}
	x.turnedOwners = emptied(x.turnedOwners)
	for program := range x.changedPrograms {
		for campaign := range x.records.buyersOf(program) {
			x.followProgram(campaign)
		}
		for place := range x.records.placesOf(program) {
			x.sites.retag(place)
		}
	}
	x.changedPrograms = emptied(x.changedPrograms)
	return followed(x)
}

// smallMap is the number of entries up to which a map is used again.
const smallMap = 1 << 10

// emptied is an empty map: the given one, or where it held much another. A walk over a
// map takes as long as the most that it ever held, so a map that a load has filled would
// cost each later publication a walk over the whole catalogue.
func emptied[K comparable, V any](m map[K]V) map[K]V {
	if len(m) > smallMap {
		return map[K]V{}
	}
	clear(m)
	return m
}

// turnQuarter reads all schedules ahead for the present quarter hour; it says
// whether it is another.
func (x *index) turnQuarter() bool {
	quarter := x.clock().Truncate(targeting.Quarter)
	if quarter.Equal(x.quarter) {
		return false
	}
	x.quarter = quarter
	for i := range x.records.all() {
		if x.records.details.at(i).specifics != 0 {
			x.setState(i)
		}
	}
	return true
}

// cover has surrounds follow the places, and their members the surrounds.
func (x followed) cover() covered {
	around := x.surrounds.follow(func(c surroundChange) {
		if c.alone {
			for _, i := range c.members {
				if x.postings.shapeOf(i).onlyAround {
					x.setAround(i)
				}
			}
		}
		x.postings.followCells(c.surround, c.cells)
	})
	return covered{x.index, around}
}

func (x covered) post() posted {
	x.postings.postWaiting(x.around)
	return posted{x.index}
}

// freeze gives everything as it is to a snapshot.
func (x posted) freeze() *Snapshot {
	s := &Snapshot{Version: x.version, publication: x.publications, quarter: x.quarter, market: x.market, reserves: x.reserves}
	x.publications++
	x.postings.freezeInto(s)
	s.words = x.words.publish()
	x.sites.endEdits().freezeInto(s)
	return s
}
