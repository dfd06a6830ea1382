package bidder

import (
	"github.com/hexbid/hexbid/targeting"
)

// A publication makes a snapshot of the present state in stages. Each stage is a type that names what holds from there
// on. Its one method leads to the next stage, so the compiler refuses to skip a stage or to run one too early.
type (
	// changed: records are as the catalogue says. Records that depend on them have not followed.
	changed struct{ *index }
	// followed: every campaign and site has what its advertiser and program say, and every campaign has its state of
	// the present quarter hour.
	followed struct{ *index }
	// covered: surrounds cover the present places, and their members know.
	covered struct {
		*index
		around coveredPlaces
	}
	// posted: the edits are noted that put every active campaign into its lists.
	posted struct{ *index }
)

// publication returns a snapshot of the present state. Every one evaluates the schedules of the present quarter hour,
// so a long run of changes does not delay them.
func (x *index) publication() *Snapshot {
	return changed{x}.follow().cover().post().freeze()
}

// postAhead posts the campaigns that wait, to bound their memory while a catalogue is read.
func (x *index) postAhead() { changed{x}.follow().cover().post() }

// follow copies to campaigns and sites what they take from the clock, their advertiser and their program.
func (x changed) follow() followed {
	x.turnQuarter()
	for advertiser := range x.turnedOwners {
		for campaign := range x.records.ownedBy(advertiser) {
			x.setFactors(campaign)
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
	x.marks.follow(func(campaign uint32, at placing) {
		if x.postings.settle(campaign, premisesOf(at)) {
			x.setState(campaign)
		}
	})
	x.followBalances()
	x.followPrograms()
	x.turnMarket()
	return followed(x)
}

// smallMap is the most entries of a map that is reused.
const smallMap = 1 << 10

// emptied returns an empty map: m itself cleared, or a new one if m held many entries. A walk over a map takes as long
// as the most that it ever held. Without this, a map that a load has filled would cost each later publication a walk
// over the whole catalogue.
func emptied[K comparable, V any](m map[K]V) map[K]V {
	if len(m) > smallMap {
		return map[K]V{}
	}
	clear(m)
	return m
}

// turnQuarter evaluates all schedules ahead for the present quarter hour. It reports whether a new quarter hour has
// begun.
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

// cover updates surrounds after changed places, and members after changed surrounds.
func (x followed) cover() covered {
	around := x.surrounds.follow(func(c surroundChange) {
		if c.alone {
			for _, i := range c.members {
				if x.postings.shapeOf(i).onlyAround {
					x.setAround(i)
					x.marks.set(i)
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

// freeze shares the present state with a snapshot.
func (x posted) freeze() *Snapshot {
	s := &Snapshot{Version: x.version, publication: x.publications, quarter: x.quarter, market: x.market,
		reserves: x.reserves, distances: x.distances}
	x.publications++
	x.postings.freezeInto(s)
	s.broke = x.balances.broke.freeze()
	s.words = x.words.publish()
	x.sites.endEdits().freezeInto(s)
	return s
}
