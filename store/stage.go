package store

import (
	"slices"

	"github.com/hexbid/hexbid"
)

// Stage works out a batch before anything is written: it judges each step
// against the records as the steps before it leave them, gives out uids and the
// version, and collects the outcome. Engines share it so that they agree.
type Stage struct {
	After   map[string]*Record // the outcome by name; nil is deleted
	LastUID hexbid.UID         // given out

	version uint64
	read    func(name string) (Record, bool, error)
}

// NewStage starts from the version and the last uid in force; read finds a
// committed record.
func NewStage(version uint64, lastUID hexbid.UID, read func(string) (Record, bool, error)) *Stage {
	return &Stage{After: map[string]*Record{}, LastUID: lastUID, version: version + 1, read: read}
}

// Apply works out the steps in order. After an error nothing of the stage may
// be used.
func (s *Stage) Apply(ops []Op) (Change, error) {
	change := Change{Version: s.version}
	for i := range ops {
		op := &ops[i]
		current, exists, err := s.current(op.Name())
		if err != nil {
			return Change{}, err
		}
		var version uint64
		if exists {
			version = current.Meta().Version
		}
		if err := CheckCondition(op, version); err != nil {
			return Change{}, err
		}
		if _, again := s.After[op.Name()]; again { // only the last step of a name is told
			change.Puts = without(change.Puts, op.Name())
			change.Deletes = without(change.Deletes, op.Name())
		}
		if op.Put == nil {
			s.After[op.Delete] = nil
			change.Deletes = append(change.Deletes, current)
			continue
		}
		put := s.number(*op.Put, current, exists)
		s.After[op.Name()] = &put
		change.Puts = append(change.Puts, put)
	}
	return change, nil
}

func without(records []Record, name string) []Record {
	return slices.DeleteFunc(records, func(r Record) bool { return r.Meta().Name == name })
}

func (s *Stage) current(name string) (Record, bool, error) {
	if r, staged := s.After[name]; staged {
		if r == nil {
			return Record{}, false, nil
		}
		return *r, true, nil
	}
	return s.read(name)
}

// number gives a put its uid: the present one, or the next.
func (s *Stage) number(put, current Record, exists bool) Record {
	if exists {
		return WithMeta(put, current.Meta().UID, s.version)
	}
	s.LastUID++
	return WithMeta(put, s.LastUID, s.version)
}
