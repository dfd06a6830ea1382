package store

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/btree"

	"github.com/hexbid/hexbid"
)

// Memory keeps the catalogue in memory, for tests, demonstrations and dry runs. Nothing survives the process.
type Memory struct {
	mu      sync.RWMutex // guards the fields below
	state   memoryView
	ordered [hexbid.KindEnd]btree.Set[string] // the names of each kind
	derived map[string]Derived                // by name of the record
	version uint64
	lastUID hexbid.UID
	log     memoryLog
	closed  bool

	tape *Tape
}

// NewMemory makes an empty store whose log of changes has the default retention.
func NewMemory() *Memory { return NewMemoryKeeping(DefaultRetention) }

// NewMemoryKeeping makes an empty store whose log of changes has the retention r.
func NewMemoryKeeping(r Retention) *Memory {
	m := &Memory{state: newMemoryView(), derived: map[string]Derived{}, log: memoryLog{retention: r}}
	m.tape = NewTape(0, m.Log)
	return m
}

var errClosed = hexbid.Errorf(hexbid.Unavailable, "", "the store is closed")

// read calls f under the lock unless the store is closed. f must not retain the state.
func (m *Memory) read(f func() error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return errClosed
	}
	return f()
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, name string) (r Record, err error) {
	err = m.read(func() error {
		var there bool
		if r, there = m.state.records[name]; !there {
			return Missing("name", name)
		}
		return nil
	})
	return r, err
}

// ByUID implements Store.
func (m *Memory) ByUID(ctx context.Context, uid hexbid.UID) (Record, error) {
	m.mu.RLock()
	name := m.state.names[uid]
	m.mu.RUnlock()
	r, err := m.Get(ctx, name)
	return CheckUID(r, uid, err)
}

// Verdict implements Store.
func (m *Memory) Verdict(_ context.Context, name string) (v Verdict, err error) {
	err = m.read(func() (err error) { v, err = m.state.Verdict(name); return err })
	return v, err
}

// Counted implements Store.
func (m *Memory) Counted(_ context.Context, owner string, c Counter) (n int64, err error) {
	err = m.read(func() (err error) { n, err = m.state.Counted(owner, c); return err })
	return n, err
}

// recordsATurn is the number of records that a list collects each time it holds the lock.
const recordsATurn = 256

// List implements Store.
func (m *Memory) List(ctx context.Context, q ListQuery, visit func(Record) bool) (string, error) {
	course := NewCourse(q)
	for {
		records, err := m.collect(ctx, course)
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
		if !course.More() {
			return course.Next, nil
		}
	}
}

// collect follows a course for one turn.
func (m *Memory) collect(ctx context.Context, course *Course) (records []Record, err error) {
	err = m.read(func() error {
		iter := m.ordered[course.query.Kind].Iter()
		for course.More() && len(records) < recordsATurn {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !iter.Seek(course.From) || iter.Key() >= course.To {
				course.End()
				return nil
			}
			if name := iter.Key(); course.Finds(name) {
				records = append(records, m.state.records[name])
			}
		}
		return nil
	})
	return records, err
}

// Commit implements Store.
func (m *Memory) Commit(ctx context.Context, groups []Group) ([]Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, len(groups))
	stage := NewStage(&m.state, m.version, m.lastUID)
	for i := range groups {
		taken, err := stage.Take(&groups[i])
		if err != nil {
			outcomes[i].Err = err
			continue
		}
		size := m.log.append(&taken.Change, taken.Born)
		m.keep(&taken)
		outcomes[i].Change = taken.Change
		m.tape.Append(taken.Change, size)
	}
	m.state.count(stage.Counters())
	m.version, m.lastUID = stage.Version, stage.LastUID
	return outcomes, nil
}

// keep stores the effects of a group, except its counters. The caller holds mu.
func (m *Memory) keep(t *Taken) {
	for i := range t.Change.Deletes {
		m.remove(&t.Change.Deletes[i])
	}
	for i := range t.Change.Puts {
		m.put(&t.Change.Puts[i])
	}
	for i := range t.Verdicts {
		m.state.verdicts[t.Verdicts[i].Name] = t.Verdicts[i].After
	}
	for i := range t.References {
		m.state.refer(&t.References[i])
	}
}

func (m *Memory) put(w *Written) {
	name := w.Meta().Name
	m.state.records[name], m.state.names[w.uid()] = w.Record, name
	m.ordered[KindOf(w.Resource)].Insert(name)
	delete(m.derived, name)
	if w.Derived != nil {
		m.derived[name] = *w.Derived
	}
}

func (m *Memory) remove(r *Record) {
	name := r.Meta().Name
	delete(m.state.names, r.uid())
	delete(m.state.records, name)
	delete(m.derived, name)
	m.ordered[KindOf(r.Resource)].Delete(name)
}

// Judge implements Store.
func (m *Memory) Judge(ctx context.Context, groups []Group) (outcomes []Outcome, err error) {
	err = m.read(func() error {
		outcomes, err = Judge(ctx, NewStage(&m.state, m.version, m.lastUID), groups)
		return err
	})
	return outcomes, err
}

// KeepDerived implements Store.
func (m *Memory) KeepDerived(_ context.Context, derived []Derived) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	for i := range derived {
		name := m.state.names[derived[i].UID]
		if r := m.state.records[name]; derived[i].Of(&r) {
			m.derived[name] = derived[i]
		}
	}
	return nil
}

// Watch implements Store.
func (m *Memory) Watch(after uint64) *Feed { return m.tape.Feed(after) }

// Version implements Store.
func (m *Memory) Version() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.version
}

// scanned is a record as a scan shows it.
type scanned struct {
	Record
	derived *Derived
}

// Scan implements Store.
func (m *Memory) Scan(_ context.Context, f func(Record, *Derived) error) (uint64, error) {
	found, version, err := m.scan()
	if err != nil {
		return 0, err
	}
	slices.SortFunc(found, func(a, b scanned) int {
		if ka, kb := KindOf(a.Resource), KindOf(b.Resource); ka != kb {
			return int(ka) - int(kb)
		}
		return strings.Compare(a.Meta().Name, b.Meta().Name)
	})
	for i := range found {
		if err := f(found[i].Record, found[i].derived); err != nil {
			return 0, err
		}
	}
	return version, nil
}

// scan copies all records of the present version.
func (m *Memory) scan() (found []scanned, version uint64, err error) {
	err = m.read(func() error {
		version = m.version
		found = make([]scanned, 0, len(m.state.records))
		for name, r := range m.state.records {
			s := scanned{Record: r}
			if d, there := m.derived[name]; there {
				s.derived = &d
			}
			found = append(found, s)
		}
		return nil
	})
	return found, version, err
}

// Close implements Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.tape.Close(errClosed)
	return nil
}
