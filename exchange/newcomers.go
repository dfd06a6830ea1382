package exchange

import "math"

// newcomers are campaigns that won something and were never stepped. They bid in full until their first step. A market
// that opens has a million of them within minutes, more than can be stepped at once. Those that spend the most go
// first: the ones whose awards come to the most expected events.
//
// They stand in lines by the logarithm of their expected events, and the last line is served first. How much does one
// spend while it waits? Let all newcomers together win E expected events a second, and let M of them be stepped a
// second. A line that begins at e events gets at most E/e newcomers a second. While E/e is below M, the line is empty
// after each step. So a newcomer is stepped before its awards come to some 2·E/M events, the next power of two above
// E/M, and to those of the time between two steps. A market of 5,000 clicks a second has E = M: its newcomers are
// stepped within a click or two.
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
