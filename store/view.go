package store

import "github.com/hexbid/hexbid"

// View is a state of the catalogue that groups are judged by: an engine's state at one moment, or the state that a
// Stage leaves. One goroutine reads it at a time.
type View interface {
	// Record returns the record of a name.
	Record(name string) (r Record, there bool, err error)
	// Exists reports whether a name has a record.
	Exists(name string) (bool, error)
	// NameOf returns the name of the record that has a uid, empty if there is none.
	NameOf(uid hexbid.UID) (name string, err error)
	// Verdict returns the verdict on a name, the zero Verdict if there is none.
	Verdict(name string) (Verdict, error)
	// Counted returns the value of a counter.
	Counted(owner string, c Counter) (int64, error)
	// Referrers calls visit with the names of the records that refer to a name, each once, until visit
	// returns false. The order is always the same for the same records.
	Referrers(name string, visit func(referrer string) (more bool)) error
}

var _ View = (*Stage)(nil)

// Record implements View.
func (s *Stage) Record(name string) (Record, bool, error) {
	if r, staged := s.records.of[name]; staged {
		return r, r.Resource != nil, nil
	}
	return s.below.Record(name)
}

// Exists implements View.
func (s *Stage) Exists(name string) (bool, error) {
	if r, staged := s.records.of[name]; staged {
		return r.Resource != nil, nil
	}
	return s.below.Exists(name)
}

// NameOf implements View.
func (s *Stage) NameOf(uid hexbid.UID) (string, error) {
	if name, staged := s.names.of[uid]; staged {
		return name, nil
	}
	return s.below.NameOf(uid)
}

// Verdict implements View.
func (s *Stage) Verdict(name string) (Verdict, error) {
	if v, staged := s.verdicts.of[name]; staged {
		return v, nil
	}
	return s.below.Verdict(name)
}

// Counted implements View.
func (s *Stage) Counted(owner string, c Counter) (int64, error) {
	if n, staged := s.counters.of[CounterKey{owner, c}]; staged {
		return n, nil
	}
	return s.below.Counted(owner, c)
}

// Referrers implements View.
func (s *Stage) Referrers(name string, visit func(string) bool) error {
	for _, referrer := range s.touched.of[name] {
		if s.references.of[referenceKey{name, referrer}] && !visit(referrer) {
			return nil
		}
	}
	return s.below.Referrers(name, func(referrer string) bool {
		if _, staged := s.references.of[referenceKey{name, referrer}]; staged {
			return true // gone, or shown above
		}
		return visit(referrer)
	})
}

// Counters returns the counters that differ from the view below, with their present values.
func (s *Stage) Counters() map[CounterKey]int64 { return s.counters.of }
