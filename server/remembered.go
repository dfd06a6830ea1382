package server

// remembered holds what a server remembers of those who call, by the name of the user or the client. It drops entries
// that say nothing any more.
//
// When all entries say something, a look through them frees nothing, and one for each newcomer would cost as much as
// there are entries. So the next look comes when twice as many have gathered as the last one left. Each newcomer then
// pays for two entries at most, and no more than twice of what must be kept is kept.
type remembered[T any] struct {
	of     map[string]T
	dropAt int    // how many entries there are when a newcomer has the others looked at
	looked uint64 // entries looked at so far
}

// fewRemembered is how many entries are kept in any case.
const fewRemembered = 10_000

// put adds an entry. When there are many it first drops those that are idle.
func (r *remembered[T]) put(name string, entry T, idle func(T) bool) {
	if r.of == nil {
		r.of, r.dropAt = map[string]T{}, fewRemembered
	}
	if len(r.of) >= r.dropAt {
		r.drop(idle)
	}
	r.of[name] = entry
}

func (r *remembered[T]) drop(idle func(T) bool) {
	r.looked += uint64(len(r.of))
	for name, entry := range r.of {
		if idle(entry) {
			delete(r.of, name)
		}
	}
	r.dropAt = max(fewRemembered, 2*len(r.of))
}
