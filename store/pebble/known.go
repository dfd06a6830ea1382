package pebble

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// mostKnown bounds each map of what the stager remembers.
const mostKnown = 200_000

// memory is the view that a stage stands on. It remembers what groups often ask, within a bound: whether parents exist,
// and the values of counters. It learns a round's results once the round is synced. Until then the round's stage, which
// later stages ask first, answers for the names and counters that the round changes.
type memory struct {
	*view
	exists   map[string]bool
	counters map[store.CounterKey]int64
}

var _ store.View = (*memory)(nil)

func newMemory() *memory {
	return &memory{exists: map[string]bool{}, counters: map[store.CounterKey]int64{}}
}

// Exists implements store.View. It remembers only what other records of a bulk load refer to: advertisers and programs.
func (m *memory) Exists(name string) (bool, error) {
	if !isParent(name) {
		return m.view.Exists(name)
	}
	if exists, known := m.exists[name]; known {
		return exists, nil
	}
	exists, err := m.view.Exists(name)
	if err == nil {
		bound(m.exists)
		m.exists[name] = exists
	}
	return exists, err
}

// Counted implements store.View.
func (m *memory) Counted(owner string, c store.Counter) (int64, error) {
	key := store.CounterKey{Owner: owner, Counter: c}
	if value, known := m.counters[key]; known {
		return value, nil
	}
	value, err := m.view.Counted(owner, c)
	if err == nil {
		bound(m.counters)
		m.counters[key] = value
	}
	return value, err
}

// learn remembers which parents a round has left, once it is synced.
func (m *memory) learn(names map[string]bool) {
	for name, exists := range names {
		if isParent(name) {
			bound(m.exists)
			m.exists[name] = exists
		}
	}
}

// isParent reports whether many other records may refer to a name.
func isParent(name string) bool {
	kind := kindIn(name)
	return kind == hexbid.KindAdvertiser || kind == hexbid.KindProgram
}

// set remembers the counters that a round has set, once it is synced.
func (m *memory) set(counters map[store.CounterKey]int64) {
	for key, value := range counters {
		bound(m.counters)
		m.counters[key] = value
	}
}

// bound empties a map that is full. Filling it again costs less than tracking which entries were used last.
func bound[K comparable, V any](m map[K]V) {
	if len(m) >= mostKnown {
		clear(m)
	}
}
