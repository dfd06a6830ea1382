package store

// edits is a map whose latest changes can be undone. A Stage writes a group straight into its maps and undoes the
// changes if the group is refused. A group of one step therefore makes no maps of its own.
type edits[K comparable, V any] struct {
	of     map[K]V
	latest []edit[K, V] // since keep, oldest first
}

// edit is the value of a key before a change.
type edit[K comparable, V any] struct {
	key   K
	was   V
	there bool
}

func newEdits[K comparable, V any]() edits[K, V] { return edits[K, V]{of: map[K]V{}} }

func (e *edits[K, V]) set(key K, value V) {
	was, there := e.of[key]
	e.latest = append(e.latest, edit[K, V]{key, was, there})
	e.of[key] = value
}

// keep makes the latest changes permanent.
func (e *edits[K, V]) keep() {
	clear(e.latest) // drop references to values
	e.latest = e.latest[:0]
}

// takeBack undoes the latest changes.
func (e *edits[K, V]) takeBack() {
	for i := len(e.latest) - 1; i >= 0; i-- {
		if was := &e.latest[i]; was.there {
			e.of[was.key] = was.was
		} else {
			delete(e.of, was.key)
		}
	}
	e.keep()
}
