package outstanding

// slice sums the awards of a stretch of time.
type slice struct {
	from, to tick    // the first instant of the stretch, and the last
	highest  float32 // price of an event
	happened float32 // billable events
	issued   float64 // events that the prior expects of all its awards
	// Of the awards whose event has not come: how many, the events that the prior expects of them, and what those cost.
	awards, chance, value float64
}

// most is the highest chance that an award is given. An award that is never shown would otherwise stay out for ever.
const most = 0.99

func (s *slice) add(price, chance float64) {
	s.highest = max(s.highest, float32(price))
	s.issued += chance
	s.awards++
	s.chance += chance
	s.value += price * chance
}

// remove takes out an award whose event has come. Sums stay at 0 or above, also after rounding, and after events of
// awards that were never counted.
func (s *slice) remove(price, chance float64) {
	s.awards, s.chance = max(s.awards-1, 0), max(s.chance-chance, 0)
	if s.value = max(s.value-price*chance, 0); s.awards == 0 {
		s.chance, s.value = 0, 0
	}
}

// join adds a slice that begins no earlier, or any to one that holds nothing.
func (s *slice) join(next *slice) {
	s.to, s.highest = max(s.to, next.to), max(s.highest, next.highest)
	s.happened, s.issued = s.happened+next.happened, s.issued+next.issued
	s.awards, s.chance, s.value = s.awards+next.awards, s.chance+next.chance, s.value+next.value
}

// middle is the instant that stands for all of the slice.
func (s *slice) middle() tick { return s.from + (s.to-s.from)/2 }

// joined appends slices to others, in the order of their beginnings. It joins neighbours that overlap, and others as
// long as both together are at most so many times as long as they are old.
func joined(kept, slices []slice, now tick, times float64) []slice {
	for i := range slices {
		next := slices[i]
		if last := len(kept) - 1; last >= 0 && (next.from <= kept[last].to ||
			float64(next.to-kept[last].from) <= times*float64(now-next.to)) {
			kept[last].join(&next)
			continue
		}
		kept = append(kept, next)
	}
	return kept
}
