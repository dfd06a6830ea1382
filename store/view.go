package store

import "github.com/hexbid/hexbid"

// View is a state of the catalogue that groups are judged by: an engine's at one
// moment, or the state that a Stage leaves. One goroutine reads it at a time.
type View interface {
	// Record finds the record of a name.
	Record(name string) (r Record, there bool, err error)
	// Exists says whether there is a record of a name.
	Exists(name string) (bool, error)
	// NameOf is the name of the record that has a uid; empty when none has.
	NameOf(uid hexbid.UID) (name string, err error)
	// Verdict is the verdict on a name; the zero one when there is none.
	Verdict(name string) (Verdict, error)
	// Counted is a counter's value.
	Counted(owner string, c Counter) (int64, error)
	// Referrers shows the names of the records that refer to a name, each once and in
	// no particular order, until visit says that there need be no more.
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

// Counters are the counters that differ from the view below, as they are now.
func (s *Stage) Counters() map[CounterKey]int64 { return s.counters.of }
