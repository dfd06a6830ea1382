package exchange

import "math"

// newcomers are campaigns that won something and were never stepped. They bid in full until then. A market that opens
// meets a million of them within minutes, and each takes a step, so some have to wait. What matters is what they spend
// meanwhile: those stand first whose awards come to the most events.
//
// They stand in lines by the logarithm of their expected events, and the last line is served first. At most as many
// pass into a line a second as the market's events a second over those that the line begins at. So as soon as these
// are fewer than newcomers are met, nobody waits there: a newcomer is met before its awards come to twice the events
// that the market's newcomers win in a second, divided by the number that is met in a second, and a step's. That is a
// click for a market of five thousand clicks a second.
type newcomers [newcomerLines][]uint32

const (
	newcomerLines = 16
	// leastEvents is where the second line begins. It is far below what any budget is planned by.
	leastEvents = 1.0 / 8
	// mostNewcomers bounds the campaigns that are stepped for the first time in one step of delivery. With this they take
	// a few hundredths of a core.
	mostNewcomers = 500
)

// lineOf returns the line of a campaign with expected events, from 1.
func lineOf(events float64) uint8 {
	if events < leastEvents {
		return 1
	}
	return uint8(min(2+math.Ilogb(events/leastEvents), newcomerLines))
}

// add puts a campaign into a line. One that stands in an earlier line too is found to be met there.
func (l *newcomers) add(n uint32, line uint8) { l[line-1] = append(l[line-1], n) }

// take takes off campaigns, at most so many, and leaves out those that are no newcomers any more.
func (l *newcomers) take(some []uint32, most int, isNew func(uint32) bool) []uint32 {
	for line := newcomerLines - 1; line >= 0 && most > 0; line-- {
		waiting := l[line]
		for len(waiting) > 0 && most > 0 {
			if isNew(waiting[0]) {
				some, most = append(some, waiting[0]), most-1
			}
			waiting = waiting[1:]
		}
		l[line] = waiting
	}
	return some
}
