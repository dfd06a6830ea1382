package quality

import "github.com/hexbid/hexbid"

// Account holds the impressions and clicks of a campaign, a program or another group. Young impressions lie in slices
// of time that are at most half as long as they are old, so an account has some twenty of them however many impressions
// there are. The zero value is empty.
type Account struct {
	old   Evidence // of impressions whose clicks have all come, halved every halfLife
	aged  int64    // the instant of the last halving
	young []slice
	swept int // young slices after the last sweep
	mix   mix // of the weight of all of them
}

// impression is what an account counts of one: its weight once all clicks have come, and the share of its slot and the
// factor of its band in this weight.
type impression struct {
	in                  Setting
	weight, share, near float64
}

// slice sums the impressions of a stretch of time.
type slice struct {
	from, to int64
	weight   float64
}

func (s *slice) middle() int64 { return s.from + (s.to-s.from)/2 }

// left is what time has left of the slice's weight.
func (s *slice) left(now int64) float64 { return s.weight * halved(HalfLife, now-s.middle()) }

const (
	sliceLeast   = 250 // milliseconds that one slice takes in any case
	slicesASweep = 8   // that may be added between two sweeps
)

// seen counts an impression.
func (a *Account) seen(at int64, s *impression) {
	a.age(at)
	a.divide(at, s)
	a.weigh(at, s.weight)
}

// divide adds an impression to the mix. What an account has from before it had one belongs to no slot and no band.
func (a *Account) divide(at int64, s *impression) {
	if len(a.mix) == 0 && a.says() {
		before := a.old.Weight
		for i := range a.young {
			before += a.young[i].left(at)
		}
		for _, key := range [...]uint8{wholeKey, slotKeys, bandKeys} {
			a.mix.add(key, before)
		}
	}
	band, near := bandKey(s.in), s.near
	if band == bandKeys { // of no band: no table will say what its factor should have been
		near = 1
	}
	a.mix.add(wholeKey, s.weight)
	a.mix.add(slotKey(s.in), s.weight/s.share)
	a.mix.add(band, s.weight/near)
}

// weigh adds an impression to the young slices.
func (a *Account) weigh(at int64, weight float64) {
	if last := len(a.young) - 1; last >= 0 && at-a.young[last].from <= sliceLeast {
		a.young[last].to = max(a.young[last].to, at)
		a.young[last].weight += weight
		return
	}
	if len(a.young)-a.swept >= slicesASweep {
		a.join(at)
	}
	a.young = append(a.young, slice{at, at, weight})
}

// Clicked counts a click.
func (a *Account) Clicked(at int64) {
	a.age(at)
	a.old.Clicks++
}

// join joins neighbouring slices.
func (a *Account) join(now int64) {
	kept := a.young[:0]
	for _, next := range a.young {
		if last := len(kept) - 1; last >= 0 && 2*(next.to-kept[last].from) <= now-next.to {
			kept[last].to = next.to
			kept[last].weight += next.weight
			continue
		}
		kept = append(kept, next)
	}
	a.young, a.swept = kept, len(kept)
}

func (a *Account) age(now int64) {
	if now <= a.aged {
		return
	}
	if a.old != (Evidence{}) || len(a.mix) > 0 {
		keep := halved(HalfLife, now-a.aged)
		a.old.Weight, a.old.Clicks = a.old.Weight*keep, a.old.Clicks*keep
		a.mix.scale(keep)
	}
	a.aged = now
}

// evidence returns what the account says at an instant, by tables, where all its impressions are of a category. It
// keeps up with time.
func (a *Account) evidence(now int64, d *Delays, t *Tables, c hexbid.Category) Evidence {
	e := a.asWeighed(now, d)
	e.Weight *= a.mix.ratio(t, c)
	return e
}

// asWeighed returns what the account says, with each impression weighed by the tables of its moment.
func (a *Account) asWeighed(now int64, d *Delays) Evidence {
	a.age(now)
	a.mature(now, d)
	e := a.old
	for i := range a.young {
		e.Weight += a.young[i].left(now) * d.Within(now-a.young[i].middle())
	}
	return e
}

// mature counts slices as old whose clicks have all come.
func (a *Account) mature(now int64, d *Delays) {
	n := 0
	for n < len(a.young) && d.Within(now-a.young[n].to) >= 1 {
		a.old.Weight += a.young[n].left(now)
		n++
	}
	if n > 0 {
		a.young = append(a.young[:0], a.young[n:]...)
		a.swept = min(a.swept, len(a.young))
	}
	if len(a.young) == 0 {
		a.young = nil // most campaigns of a large market rest
	}
}

// IsYoung reports whether clicks of some impressions are still to come, so that evidence changes by itself.
func (a *Account) IsYoung() bool { return len(a.young) > 0 }

// leastWeight is the evidence below which an account says nothing any more.
const leastWeight = 0.01

// says reports whether the account says anything.
func (a *Account) says() bool {
	return len(a.young) > 0 || a.old.Weight >= leastWeight || a.old.Clicks >= leastWeight
}
