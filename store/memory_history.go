package store

import (
	"context"
	"slices"

	"github.com/hexbid/hexbid"
)

// index notes the threads of a change that the log has taken in, and whom it made.
func (l *memoryLog) index(c *Change, born []hexbid.UID) {
	if l.threads == nil {
		l.threads, l.judged, l.born = map[Thread][]uint64{}, map[string][]uint64{}, map[hexbid.UID]uint64{}
	}
	for _, t := range threadsOf(c) {
		l.threads[t] = append(l.threads[t], c.Version)
	}
	for i := range c.Verdicts {
		l.judged[c.Verdicts[i].Name] = append(l.judged[c.Verdicts[i].Name], c.Version)
	}
	for _, uid := range born {
		l.born[uid] = c.Version
	}
}

// forget takes out what index noted of the oldest change.
func (l *memoryLog) forget(c *Change) {
	for _, t := range threadsOf(c) {
		if l.threads[t] = l.threads[t][1:]; len(l.threads[t]) == 0 {
			delete(l.threads, t)
		}
	}
	for i := range c.Verdicts {
		name := c.Verdicts[i].Name
		if l.judged[name] = l.judged[name][1:]; len(l.judged[name]) == 0 {
			delete(l.judged, name)
		}
	}
	for i := range c.Puts {
		if uid := c.Puts[i].uid(); l.born[uid] == c.Version {
			delete(l.born, uid)
		}
	}
}

// threadsOf returns the threads that a change belongs to, each once.
func threadsOf(c *Change) (threads []Thread) {
	add := func(t Thread) {
		if !slices.Contains(threads, t) {
			threads = append(threads, t)
		}
	}
	for _, name := range namesOf(c) {
		add(Thread{Name: name})
		add(Thread{Name: OwnerOf(name), Whole: true})
	}
	return threads
}

// namesOf returns the names that a change touches, each once.
func namesOf(c *Change) (names []string) {
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for i := range c.Deletes {
		add(c.Deletes[i].Meta().Name)
	}
	for i := range c.Puts {
		add(c.Puts[i].Meta().Name)
	}
	for i := range c.Verdicts {
		add(c.Verdicts[i].Name)
	}
	return names
}

// below returns the last change of a thread before a version, 0 for none.
func (l *memoryLog) below(of *Thread, before uint64) (Stop, error) {
	if of.Name == "" {
		i, _ := l.find(before)
		if i == 0 {
			return Stop{}, l.checkStart()
		}
		return Stop{Version: l.entries[i-1].Version}, nil
	}
	versions := l.threads[Thread{Name: of.Name, Whole: of.Whole}]
	i, _ := slices.BinarySearch(versions, before)
	if i == 0 {
		return Stop{}, nil
	}
	return Stop{Version: versions[i-1]}, nil
}

// checkStart returns an error if the first change of the log is missing.
func (l *memoryLog) checkStart() error {
	first := l.last
	if len(l.entries) > 0 {
		first = l.entries[0].Previous
	}
	if first != l.startHash {
		return broken(l.start)
	}
	return nil
}

// find returns the index of the first entry from a version on, and whether it has that version.
func (l *memoryLog) find(version uint64) (int, bool) {
	return slices.BinarySearchFunc(l.entries, version, func(e logged, version uint64) int {
		switch {
		case e.Version < version:
			return -1
		case e.Version > version:
			return 1
		}
		return 0
	})
}

// entry returns the entry of a version. Its error says that it was altered or is missing.
func (l *memoryLog) entry(version uint64) (*logged, error) {
	i, there := l.find(version)
	if !there {
		return nil, broken(version)
	}
	next := l.last
	if i+1 < len(l.entries) {
		next = l.entries[i+1].Previous
	}
	if e := &l.entries[i]; e.follows(e.Previous) && e.Hash == next {
		return e, nil
	}
	return nil, broken(version)
}

// History implements Store.
func (m *Memory) History(ctx context.Context, q HistoryQuery, visit func(*Past) bool) (uint64, error) {
	descent := NewDescent(&q, m.Version())
	descent.Below = m.log.below
	last, read := uint64(0), 0
	for descent.More() && read < HistoryBytes {
		var past *Past
		version, bytes := uint64(0), 0
		err := m.read(func() (err error) {
			past, version, bytes, err = m.nextPast(descent, &q)
			return err
		})
		if err != nil {
			past, err = DamagedPast(version, err)
		}
		if err != nil || past == nil && version == 0 {
			return 0, err
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		last, read = version, read+bytes
		if past != nil && !visit(past) || version == 0 {
			break
		}
	}
	return last, nil
}

// nextPast returns the next change of a descent, nil if it does not match, with its version and size.
func (m *Memory) nextPast(d *Descent, q *HistoryQuery) (past *Past, version uint64, bytes int, err error) {
	stop, err := d.Next()
	if version = stop.Version; err != nil || version == 0 {
		return nil, 0, 0, err
	}
	e, err := m.log.entry(version)
	if err != nil {
		return nil, version, 0, err
	}
	bytes = len(e.record)
	if q.Matches != nil && !q.Matches(&Headline{Version: e.Version, At: e.At, Who: e.Who, Names: namesOf(&e.Change)}) {
		return nil, version, bytes, nil
	}
	past = &Past{Change: e.Change}
	for i := range past.Verdicts {
		set, err := m.verdictAfter(past.Verdicts[i].Name, version)
		if err != nil {
			return nil, version, bytes, err
		}
		past.Set = append(past.Set, PastVerdict{Name: past.Verdicts[i].Name, Verdict: set})
	}
	return past, version, bytes, nil
}

// verdictAfter returns the verdict that the change of a version set: what the next one of the verdict found.
func (m *Memory) verdictAfter(name string, version uint64) (Verdict, error) {
	versions := m.log.judged[name]
	i, _ := slices.BinarySearch(versions, version+1)
	if i == len(versions) {
		return m.state.verdicts[name], nil
	}
	e, err := m.log.entry(versions[i])
	if err != nil {
		return Verdict{}, err
	}
	for j := range e.Verdicts {
		if e.Verdicts[j].Name == name {
			return e.Verdicts[j].Verdict, nil
		}
	}
	return Verdict{}, broken(e.Version)
}

// Born implements Store.
func (m *Memory) Born(_ context.Context, uid hexbid.UID) (version uint64, err error) {
	err = m.read(func() error { version = m.log.born[uid]; return nil })
	return version, err
}
