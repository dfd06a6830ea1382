package outstanding

// Awards that found no room in a buffer are added up in cells: 1,024 for the campaigns, as many for the advertisers,
// and one for the market.
const (
	cellBits = 10
	cells    = 1 << cellBits
	allCells = 2*cells + 1
)

// cell returns the cell of a party.
func (p party) cell() int {
	if p.uid == 0 {
		return 2 * cells
	}
	cell := int(uint64(p.uid) * 0x9E3779B97F4A7C15 >> (64 - cellBits)) // Fibonacci hashing
	if p.advertiser {
		cell += cells
	}
	return cell
}

// spilled sums the awards of one cell that found no room in a buffer. It is not known whose they are, so each campaign
// or advertiser of the cell counts all of them as its own: as won at the latest instant, with the slower delay, that of
// clicks, and not removed by events. So nobody has less out than is true. The others of the cell hold back too much
// until the sum has decayed.
type spilled struct{ slices []slice }

func (s *spilled) add(at tick, highest, value float64) {
	s.slices = append(s.slices, slice{from: at, to: at, highest: float32(highest), awards: 1, value: value})
	if len(s.slices) > 2*slicesBetween {
		s.slices = joined(s.slices[:0], s.slices, at, halfAsLong)
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

// tidy forgets slices that are too old for an event, and reports whether any is left.
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
