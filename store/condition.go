package store

import (
	"cmp"

	"github.com/hexbid/hexbid"
)

// Condition must hold of a name when its group is judged: after the earlier groups, and before the group's own steps.
type Condition struct {
	Name string
	Is   ConditionKind
	// Version is what HasVersion and HasVerdict compare with, as Step.IfVersion.
	Version uint64
	// Field is what the error names; "name" when it is empty.
	Field string
}

// ConditionKind tells the conditions apart.
type ConditionKind uint8

// The conditions that a group can state.
const (
	// HasVersion: the record of the name has the version; 0 says that there is none.
	HasVersion ConditionKind = iota + 1
	// Exists: there is a record of the name.
	Exists
	// Unreferenced: no record refers to the name.
	Unreferenced
	// HasVerdict: the verdict on the name has the version; 0 says that there is none.
	HasVerdict
)

// checkCondition judges a condition before the group's steps are applied.
func (s *Stage) checkCondition(c *Condition) error {
	field := cmp.Or(c.Field, "name")
	switch c.Is {
	case HasVersion:
		current, _, err := s.Record(c.Name)
		if err != nil {
			return err
		}
		return s.compare(field, c.Name, c.Version, versionOf(&current))
	case Exists:
		return s.checkExists(field, c.Name)
	case Unreferenced:
		return s.checkUnreferenced(field, c.Name)
	case HasVerdict:
		v, err := s.Verdict(c.Name)
		if err == nil && !s.allows(c.Version, v.Version) {
			err = hexbid.Errorf(hexbid.Stale, field, "the verdict on %q has changed since it was read: read it again",
				hexbid.Shorten(c.Name))
		}
		return err
	}
	return hexbid.Invalidf(field, "%d is no condition", c.Is)
}

// versionOf returns the version of a record, 0 for the zero Record.
func versionOf(r *Record) uint64 {
	if r.Resource == nil {
		return 0
	}
	return r.Meta().Version
}

// allows reports whether the current version, 0 for none, meets the wanted one.
func (s *Stage) allows(wanted, current uint64) bool {
	return wanted == current || wanted == AnyVersion || wanted == InThisCommit && current > s.begun
}

// checkVersion judges the version that a step names.
func (s *Stage) checkVersion(step *Step, current *Record) error {
	if step.Put == nil && current.Resource == nil {
		return Missing("name", step.Delete)
	}
	return s.compare("name", step.Name(), step.IfVersion, versionOf(current))
}

// compare returns the error for a version that differs from the wanted one, nil if it meets it.
func (s *Stage) compare(field, name string, wanted, current uint64) error {
	switch {
	case s.allows(wanted, current):
		return nil
	case wanted == 0:
		return hexbid.Errorf(hexbid.AlreadyExists, field, "%q exists already", hexbid.Shorten(name))
	case current == 0:
		return Missing(field, name)
	case field == "name":
		field = "etag"
	}
	return hexbid.Errorf(hexbid.Stale, field, "%q has changed since it was read: read it again", hexbid.Shorten(name))
}

// Missing returns the error for a name without a record.
func Missing(field, name string) error {
	return hexbid.Errorf(hexbid.NotFound, field, "%q does not exist", hexbid.Shorten(name))
}

func (s *Stage) checkExists(field, name string) error {
	there, err := s.Exists(name)
	if err == nil && !there {
		err = MissingReference(field, name)
	}
	return err
}

// MissingReference returns the error for a reference to a name without a record.
func MissingReference(field, name string) error {
	return hexbid.Errorf(hexbid.NotFound, field, "%q does not exist: create it first", hexbid.Shorten(name))
}

// checkUnreferenced returns an error that names a record that refers to a name, nil if none does.
func (s *Stage) checkUnreferenced(field, name string) error {
	var user string
	if err := s.Referrers(name, func(referrer string) bool {
		user = referrer
		return false
	}); err != nil || user == "" {
		return err
	}
	return hexbid.Errorf(hexbid.InUse, field, "%q is needed by %q: delete that first", hexbid.Shorten(name),
		hexbid.Shorten(user))
}

// checkReferences judges the state after a group: its records refer only to existing records, and nothing refers to a
// record that it deleted.
func (s *Stage) checkReferences() error {
	var found []error
	for i := range s.effects.all {
		e := &s.effects.all[i]
		for _, r := range e.refers {
			if err := s.checkExists(cmp.Or(r.Field, "name"), r.Name); err != nil {
				found = append(found, err)
			}
		}
		if e.after.Resource == nil && e.before.Resource != nil {
			if err := s.checkUnreferenced("name", e.name); err != nil {
				found = append(found, err)
			}
		}
	}
	return hexbid.JoinErrors(found...)
}

// checkLimits compares the counters after a group with the limits and with the counters before.
func (s *Stage) checkLimits(limits []Limit, before []int64) error {
	for i := range limits {
		after, err := s.Counted(limits[i].Owner, limits[i].Counter)
		if err != nil {
			return err
		}
		if after <= before[i] {
			continue
		}
		limit := limits[i]
		if limit.AtMost, err = s.atMost(&limit); err != nil {
			return err
		}
		if after > limit.AtMost {
			return &LimitError{Limit: limit, Before: before[i], After: after}
		}
	}
	return nil
}

// atMost returns the value of a limit that is in force.
func (s *Stage) atMost(l *Limit) (int64, error) {
	if l.Own == 0 {
		return l.AtMost, nil
	}
	own, err := s.Counted(l.Owner, l.Own)
	if err == nil && own <= 0 {
		own = l.AtMost
	}
	return own, err
}

// checkRevive judges the old uid that a step gives to a record again.
func (s *Stage) checkRevive(step *Step, there bool) error {
	if there {
		return hexbid.Errorf(hexbid.AlreadyExists, "name", "%q exists already", hexbid.Shorten(step.Name()))
	}
	if step.Revive > s.LastUID {
		return hexbid.Invalidf("uid", "%d was never given out", step.Revive)
	}
	name, err := s.NameOf(step.Revive)
	if err == nil && name != "" {
		err = hexbid.Errorf(hexbid.AlreadyExists, "uid", "%d is that of %q", step.Revive, hexbid.Shorten(name))
	}
	return err
}
