package outstanding

import "github.com/hexbid/hexbid"

// cells is the number of cells for the campaigns, and as many more for the advertisers, of awards that found no room in
// a buffer.
const cells = 1024

// cellOf returns the cell of a campaign or an advertiser.
func cellOf(uid hexbid.UID, advertiser bool) int {
	cell := int(uint64(uid) * 0x9E3779B97F4A7C15 >> 54) // Fibonacci hashing to 10 bits
	if advertiser {
		cell += cells
	}
	return cell
}

// spilled sums the awards that found no room in a buffer, for all campaigns or advertisers of one cell. Each of them is
// taken to have all of it out, to the latest instant, without a removal by events and with the slower delay, that of
// clicks. So nobody has less out than is true, and others of the cell wait until it has decayed.
type spilled struct{ slices []slice }

func (s *spilled) add(at tick, highest, value float64) {
	s.slices = append(s.slices, slice{from: at, to: at, highest: float32(highest), awards: 1, value: value})
	if len(s.slices) > 2*slicesBetween {
		s.slices = joined(s.slices[:0], s.slices, at, 2)
	}
}

// holds reports whether awards of an instant may be among the spilled.
func (s *spilled) holds(at tick) bool {
	if s == nil {
		return false
	}
	for i := range s.slices {
		if s.slices[i].from-ticksASecond <= at && at <= s.slices[i].to+ticksASecond {
			return true
		}
	}
	return false
}

// tidy forgets what is too old for an event. It returns whether anything is left.
func (s *spilled) tidy(now tick, d *delays) bool {
	old := 0
	for old < len(s.slices) && d.laterThan(now-s.slices[old].to) < over {
		old++
	}
	s.slices = s.slices[old:]
	return len(s.slices) > 0
}

func (s *spilled) out(now tick, d *delays, factor float64) (e estimate) {
	for i := range s.slices {
		of := &s.slices[i]
		worth := estimate{expected: factor * of.value * d.laterThan(now-of.to), highest: float64(of.highest)}
		if worth.highest > 0 {
			worth.events = worth.expected / worth.highest
		}
		worth.variance = worth.expected * worth.highest
		e.add(worth)
	}
	return e
}
