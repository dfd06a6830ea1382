package outstanding

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/hexbid/hexbid"
)

// account holds the awards of one campaign or advertiser that are still out, for one pricing model, and its factor.
type account struct {
	of        party
	slices    []slice // by instant
	compacted int     // number of slices after the last compaction

	// closed sums slices that are too old for an event: what the prior expected of them, and what happened. Both are
	// halved every factorHalfLife.
	closed struct{ issued, happened float64 }
	aged   tick // the instant of the last halving

	payer   hexbid.UID // advertiser of a campaign; 0 until an award comes after a start
	stake   stake
	written tick // when its row was made, or the account itself
	hasRow  bool
	stale   bool // its row is to be made
	noticed bool // budgets are to look at it

	isForgotten bool // the book no longer has it
}

// slicesBetween is how many slices may be added before the account is compacted. An account that is far from its end
// has few slices, each up to fourTimes as long as it is old.
const (
	slicesBetween    = 8
	slicesBetweenFar = 2
	halfAsLong       = 0.5
	fourTimes        = 4
)

// add counts an award that is out from now on.
func (a *account) add(now tick, price, chance float64) {
	a.stake.add(price, chance)
	last := len(a.slices) - 1
	if last < 0 || a.slices[last].to < now {
		between := slicesBetween
		if a.stake.isFar() {
			between = slicesBetweenFar
		}
		if len(a.slices)-a.compacted >= between {
			a.compact(a.slices, now)
		}
		a.slices = append(a.slices, slice{from: now, to: now})
		last = len(a.slices) - 1
	}
	a.slices[last].add(price, chance)
}

// find returns the slice that has the awards of an instant, -1 for none. They were added then or a tick later.
func (a *account) find(issued tick) int {
	i := sort.Search(len(a.slices), func(i int) bool { return a.slices[i].to >= issued })
	if i == len(a.slices) || a.slices[i].from > issued+1 {
		return -1
	}
	return i
}

// happen takes out the award of an event. An event that is billable counts for the factor.
func (a *account) happen(issued tick, price, chance float64, billable bool) {
	happened := 0.0
	if billable {
		happened = 1
	}
	i := a.find(issued)
	if i < 0 {
		a.closed.happened += happened
		return
	}
	a.slices[i].happened += float32(happened)
	a.slices[i].remove(price, chance)
}

// An award no longer counts as out when less than this share of its events is still to come.
const over = 1e-4

// compact joins slices and keeps the result.
func (a *account) compact(left []slice, now tick) {
	length := halfAsLong
	if a.stake.isFar() {
		length = fourTimes
	}
	a.slices = joined(a.slices[:0], left, now, length)
	a.compacted = len(a.slices)
}

// take adds what another account has out.
func (a *account) take(from *account, now tick) {
	a.slices = append(a.slices, from.slices...)
	slices.SortFunc(a.slices, func(s, other slice) int { return cmp.Compare(s.from, other.from) })
	a.compact(a.slices, now)
	a.closed.issued += from.closed.issued
	a.closed.happened += from.closed.happened
	a.stake.ceiling += from.stake.ceiling
	a.stake.highest = max(a.stake.highest, from.stake.highest)
}

// tidy closes slices that are too old. It returns whether anything is left to remember.
func (a *account) tidy(now tick, d *delays) bool {
	keep := halved(factorHalfLife, max(now-a.aged, 0))
	a.closed.issued, a.closed.happened, a.aged = a.closed.issued*keep, a.closed.happened*keep, now
	old := 0
	for old < len(a.slices) && d.laterThan(now-a.slices[old].to) < over {
		a.closed.issued += a.slices[old].issued
		a.closed.happened += float64(a.slices[old].happened)
		old++
	}
	if old > 0 {
		a.compact(a.slices[old:], now)
	}
	return len(a.slices) > 0 || a.closed.issued+a.closed.happened > 0.5
}

// factor returns the ratio of the events that come to those that the prior expects, and the number of events that it
// was learned from, the prior's own included.
func (a *account) factor(now tick, d *delays) (factor, events float64) {
	expected, happened := priorEvents+a.closed.issued, priorEvents+a.closed.happened
	for i := range a.slices {
		s := &a.slices[i]
		expected += s.issued * (1 - d.laterThan(now-s.middle()))
		happened += float64(s.happened)
	}
	return happened / expected, expected
}

// estimate is an Out in floats. Its variance is that of the events alone; the factor's own is added at the end.
type estimate struct{ events, expected, variance, highest float64 }

func (e *estimate) add(o estimate) {
	e.events, e.expected, e.variance = e.events+o.events, e.expected+o.expected, e.variance+o.variance
	e.highest = max(e.highest, o.highest)
}

// out returns the estimate of an account and its factor.
func (a *account) out(now tick, d *delays) (e estimate, factor float64) {
	factor, learned := a.factor(now, d)
	for i := range a.slices {
		s := &a.slices[i]
		if s.awards > 0 && s.chance > 0 {
			e.add(s.out(now, d, factor))
		}
	}
	e.variance += e.expected * e.expected / learned
	a.stake.settle(&e, factor)
	return e, factor
}

// out returns what the awards of a slice are worth, by the formula of the package.
func (s *slice) out(now tick, d *delays, factor float64) estimate {
	later := d.laterThan(now - s.middle())
	chance := min(factor*s.chance/s.awards, most)
	worth := chance * s.awards / s.chance * later / (1 - chance*(1-later))
	e := estimate{events: worth * s.chance, expected: worth * s.value, highest: float64(s.highest)}
	e.variance = e.expected * e.highest
	return e
}

// deviations is how many standard deviations a margin has. With one, over-delivery is several times as much. More cost
// no spend: the last part of a budget is only spent a little later.
const deviations = 3

// rounded returns an estimate in money. Amounts are 2^60 at the most.
func (e estimate) rounded() Out {
	money := func(micros float64) hexbid.Money { return hexbid.Money(min(math.Ceil(micros), 1<<60)) }
	return Out{money(e.expected), money(deviations * math.Sqrt(e.variance)), e.events, money(e.highest)}
}
