//go:build ignore

package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/btree"

	"github.com/hexbid/hexbid"
)

// Memory keeps the catalogue in memory: for tests, demonstrations and dry
// runs. Nothing survives it.
type Memory struct {
	mu       sync.RWMutex // guards all below
	records  map[string]Record
	verdicts map[string]Verdict // by name of a place
	names    map[hexbid.UID]string
	ordered  [hexbid.KindCampaign + 1]btree.Set[string] // the names of each kind
	version  uint64
	lastUID  hexbid.UID
	closed   bool

	tape *Tape
}

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{records: map[string]Record{}, verdicts: map[string]Verdict{}, names: map[hexbid.UID]string{}, tape: NewTape()}
}

var errClosed = hexbid.Errorf(hexbid.Unavailable, "", "the store is closed")

// Get implements Store.
func (m *Memory) Get(_ context.Context, name string) (Record, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return Record{}, errClosed
	}
	r, ok := m.records[name]
	if !ok {
		return Record{}, hexbid.Errorf(hexbid.NotFound, "name", "%q does not exist", name)
	}
	return r, nil
}

// ByUID implements Store.
func (m *Memory) ByUID(ctx context.Context, uid hexbid.UID) (Record, error) {
	m.mu.RLock()
	name := m.names[uid]
	m.mu.RUnlock()
	r, err := m.Get(ctx, name)
	return CheckUID(r, uid, err)
}

// Verdict implements Store.
func (m *Memory) Verdict(_ context.Context, name string) (Verdict, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return Verdict{}, errClosed
	}
	return m.verdicts[name], nil
}

// recordsATurn are collected by a list while it holds the lock.
const recordsATurn = 256

// List implements Store.
func (m *Memory) List(ctx context.Context, q ListQuery, visit func(Record) bool) (string, error) {
	course := NewCourse(q)
	for {
		records, ended, err := m.collect(ctx, course)
		if err != nil {
			return "", err
		}
		for i := range records {
			if err := ctx.Err(); err != nil {
				return "", err
			}
			if !visit(records[i]) {
				return records[i].Meta().Name, nil
			}
		}
		if ended {
			return "", nil
		}
		if !course.More() {
			return course.Next, nil
		}
	}
}

// collect follows a course for a turn; it says whether the list has ended.
func (m *Memory) collect(ctx context.Context, course *Course) (records []Record, ended bool, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, false, errClosed
	}
	iter := m.ordered[course.query.Kind].Iter()
	for course.More() && len(records) < recordsATurn {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		if !iter.Seek(course.From) || iter.Key() >= course.End {
			return records, true, nil
		}
		if name := iter.Key(); course.Finds(name) {
			records = append(records, m.records[name])
		}
	}
	return records, false, nil
}

// Commit implements Store.
func (m *Memory) Commit(_ context.Context, ops []Op) (Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Change{}, errClosed
	}
	stage := NewStage(m.version, m.lastUID, func(name string) (Record, bool, error) {
		r, ok := m.records[name]
		return r, ok, nil
	})
	change, err := stage.Apply(ops)
	if err != nil {
		return Change{}, err
	}
	for name, r := range stage.After {
		if r == nil {
			m.remove(name)
		} else {
			m.records[name], m.names[r.uid()] = *r, name
			m.ordered[KindOf(r.Resource)].Insert(name)
		}
	}
	maps.Copy(m.verdicts, stage.Verdicts)
	m.version, m.lastUID = change.Version, stage.LastUID
	m.tape.Append(change)
	return change, nil
}

// remove drops a record that may be there; mu must be held.
func (m *Memory) remove(name string) {
	if r, there := m.records[name]; there {
		delete(m.names, r.uid())
		delete(m.records, name)
		m.ordered[KindOf(r.Resource)].Delete(name)
	}
}

// Watch implements Store.
func (m *Memory) Watch() *Feed { return m.tape.Feed() }

// Scan implements Store.
func (m *Memory) Scan(_ context.Context, f func(Record) error) (uint64, error) {
	m.mu.RLock()
	records, version := make([]Record, 0, len(m.records)), m.version
	for _, r := range m.records {
		records = append(records, r)
	}
	m.mu.RUnlock()
	slices.SortFunc(records, func(a, b Record) int {
		if ka, kb := KindOf(a.Resource), KindOf(b.Resource); ka != kb {
			return int(ka) - int(kb)
		}
		return strings.Compare(a.Meta().Name, b.Meta().Name)
	})
	for _, r := range records {
		if err := f(r); err != nil {
			return 0, err
		}
	}
	return version, nil
}

// Close implements Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
