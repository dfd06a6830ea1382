package store

import "github.com/hexbid/hexbid"

// Stage works out a batch before anything is written: it judges each step
// against the records as the steps before it leave them, gives out uids and the
// version, and collects the outcome. Engines share it so that they agree.
type Stage struct {
	After    map[string]*Record // the outcome by name; nil is deleted
	Before   map[string]Record  // the committed record of a name, where there is one
	Verdicts map[string]Verdict // those that the batch sets, by name
	LastUID  hexbid.UID         // given out

	version uint64
	read    func(name string) (Record, bool, error)
}

// NewStage starts from the version and the last uid in force; read finds a
// committed record.
func NewStage(version uint64, lastUID hexbid.UID, read func(string) (Record, bool, error)) *Stage {
	return &Stage{After: map[string]*Record{}, Before: map[string]Record{}, Verdicts: map[string]Verdict{}, LastUID: lastUID, version: version + 1, read: read}
}

// Apply works out the steps in order. After an error nothing of the stage may
// be used.
func (s *Stage) Apply(ops []Op) (Change, error) {
	last := map[string]int{} // step of each name: only that one is told
	for i := range ops {
		if err := s.apply(&ops[i]); err != nil {
			return Change{}, err
		}
		last[ops[i].Name()] = i
	}
	change := Change{Version: s.version}
	for i := range ops {
		name := ops[i].Name()
		if last[name] != i {
			continue
		}
		before, after := s.Before[name], s.After[name]
		if before.uid() != 0 && (after == nil || after.uid() != before.uid()) {
			change.Deletes = append(change.Deletes, before)
		}
		if after != nil {
			change.Puts = append(change.Puts, *after)
		}
	}
	return change, nil
}

func (s *Stage) apply(op *Op) error {
	current, exists, err := s.current(op.Name())
	if err != nil {
		return err
	}
	var version uint64
	if exists {
		version = current.Meta().Version
	}
	if err := CheckCondition(op, version); err != nil {
		return err
	}
	if err := s.setVerdict(op); err != nil {
		return err
	}
	if op.Put == nil {
		s.After[op.Delete] = nil
		return nil
	}
	put := s.number(*op.Put, current, exists)
	s.After[op.Name()] = &put
	return nil
}

// setVerdict notes the verdict of a step that has one.
func (s *Stage) setVerdict(op *Op) error {
	if op.Verdict == nil {
		return nil
	}
	if _, err := hexbid.ParseNameOf(hexbid.KindPlace, "name", op.Name()); err != nil {
		return err
	}
	verdict := *op.Verdict
	verdict.Version = s.version
	s.Verdicts[op.Name()] = verdict
	return nil
}

func (s *Stage) current(name string) (Record, bool, error) {
	if r, staged := s.After[name]; staged {
		if r == nil {
			return Record{}, false, nil
		}
		return *r, true, nil
	}
	r, exists, err := s.read(name)
	if exists {
		s.Before[name] = r
	}
	return r, exists, err
}

// number gives a put its uid: the present one, or the next.
func (s *Stage) number(put, current Record, exists bool) Record {
	if exists {
		return WithMeta(put, current.Meta().UID, s.version)
	}
	s.LastUID++
	return WithMeta(put, s.LastUID, s.version)
}
