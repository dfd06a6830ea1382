package store

import (
	"slices"

	"github.com/hexbid/hexbid"
)

// Stage judges groups one after another before anything is written. It is also the View of the state after the groups
// that hold. The stage of the next round of commits can therefore stand on the stage of a round that is still being
// synced.
//
// One goroutine uses a stage.
type Stage struct {
	Version uint64     // assigned last
	LastUID hexbid.UID // assigned last

	below View
	// begun is the version before the first group of the current call of Commit.
	begun uint64

	// The fields below hold what differs from the view below.
	records    edits[string, Record]     // the zero Record for a deleted one
	names      edits[hexbid.UID, string] // name of each uid; empty for a free one
	verdicts   edits[string, Verdict]    // by name
	counters   edits[CounterKey, int64]  // present values
	references edits[referenceKey, bool] // whether there is such a reference
	touched    edits[string, []string]   // referrers of each name that references mentions
	effects    effects                   // of the group being judged
}

// referenceKey identifies the reference of the record referrer to the name.
type referenceKey struct{ name, referrer string }

// NewStage makes a stage on a view, with the last version and uid assigned.
func NewStage(below View, version uint64, lastUID hexbid.UID) *Stage {
	return &Stage{Version: version, LastUID: lastUID, begun: version, below: below,
		records: newEdits[string, Record](), names: newEdits[hexbid.UID, string](), verdicts: newEdits[string, Verdict](),
		counters: newEdits[CounterKey, int64](), references: newEdits[referenceKey, bool](),
		touched: newEdits[string, []string]()}
}

// StandOn replaces the view below by another of the same state. An engine calls it once the stage below is synced and
// its state can be read from disk.
func (s *Stage) StandOn(below View) { s.below = below }

// BeginCommit begins another call of Commit. InThisCommit then refers to the groups taken from now on.
func (s *Stage) BeginCommit() { s.begun = s.Version }

// Taken is a group that holds, with all its effects except counters.
type Taken struct {
	// Change has the group's version. Its records have their uid and version, and so has the data derived from them.
	// The engine sets the hashes.
	Change Change
	// Names are the names in Change, in the order of their first steps. Puts, Deletes and Verdicts follow this order.
	// The log must return them in the same order.
	Names []string
	// Steps holds the index of the step that each of Change.Puts comes from.
	Steps []int
	// Verdicts are the verdicts that the group sets, one for each name.
	Verdicts []SetVerdict
	// Born holds the uids of the advertisers, users and clients that the group made and did not revive.
	Born []hexbid.UID
	// References are the references added and removed, in order. Of several entries for one reference, the last counts.
	References []SetReference
}

// SetVerdict is a verdict that a group sets on a name.
type SetVerdict struct {
	Name          string
	Before, After Verdict
}

// SetReference adds a reference to a name, or removes it.
type SetReference struct {
	Name, Referrer string
	Gone           bool
}

// Take judges a group. A group that holds gets the next version. A refused group changes nothing. Neither does a group
// that could not be judged because the view below could not be read.
func (s *Stage) Take(g *Group) (Taken, error) {
	lastUID := s.LastUID
	s.effects.begin(len(g.Steps))
	if err := s.judge(g); err != nil {
		s.LastUID = lastUID
		s.records.takeBack()
		s.names.takeBack()
		s.verdicts.takeBack()
		s.counters.takeBack()
		s.references.takeBack()
		s.touched.takeBack()
		return Taken{}, err
	}
	s.records.keep()
	s.names.keep()
	s.verdicts.keep()
	s.counters.keep()
	s.references.keep()
	s.touched.keep()
	s.Version++
	return s.taken(g), nil
}

// judge checks what must hold before a group's steps, applies them, and checks what must hold after.
func (s *Stage) judge(g *Group) error {
	for i := range g.Steps {
		if err := checkStep(&g.Steps[i]); err != nil {
			return err
		}
	}
	for i := range g.Conditions {
		if err := s.checkCondition(&g.Conditions[i]); err != nil {
			return err
		}
	}
	before, err := s.limited(g.Limits)
	if err != nil {
		return err
	}
	for i := range g.Steps {
		if err := s.apply(g, i); err != nil {
			return err
		}
	}
	if err := s.checkReferences(); err != nil {
		return err
	}
	return s.checkLimits(g.Limits, before)
}

// apply applies a step.
func (s *Stage) apply(g *Group, i int) error {
	step := &g.Steps[i]
	effect := s.effects.on(step.Name())
	if err := s.setVerdict(effect, step.Verdict); err != nil || step.Judge != "" {
		return err
	}
	current, there, err := s.Record(effect.name)
	if err != nil {
		return err
	}
	if err := s.checkVersion(step, &current); err != nil {
		return err
	}
	effect.write(i, step, current)
	if err := s.count(current.Counts, -1); err != nil {
		return err
	}
	if step.Put == nil {
		s.remove(effect.name, &current)
		return nil
	}
	if effect.after, err = s.number(step, &current, there); err != nil {
		return err
	}
	return s.put(effect.name, &current, effect.after)
}

// remove removes a record whose counts are subtracted already.
func (s *Stage) remove(name string, current *Record) {
	s.records.set(name, Record{})
	s.names.set(current.uid(), "")
	for _, r := range current.Refers {
		s.refer(r.Name, name, false)
	}
}

// put replaces the current record, whose counts are subtracted already, by one that has its uid and version.
func (s *Stage) put(name string, current *Record, put Record) error {
	s.records.set(name, put)
	if current.uid() == 0 {
		s.names.set(put.uid(), name)
	}
	for _, r := range current.Refers {
		if !refersTo(&put, r.Name) {
			s.refer(r.Name, name, false)
		}
	}
	for _, r := range put.Refers {
		if !refersTo(current, r.Name) {
			s.refer(r.Name, name, true)
		}
	}
	return s.count(put.Counts, 1)
}

func refersTo(r *Record, name string) bool {
	return slices.ContainsFunc(r.Refers, func(to Reference) bool { return to.Name == name })
}

// refer records that a reference is added or removed.
func (s *Stage) refer(name, referrer string, comes bool) {
	key := referenceKey{name, referrer}
	if _, known := s.references.of[key]; !known {
		s.touched.set(name, append(s.touched.of[name], referrer))
	}
	s.references.set(key, comes)
	s.effects.references = append(s.effects.references, SetReference{Name: name, Referrer: referrer, Gone: !comes})
}

// number assigns a put its version and its uid: the current record's uid, the one to revive, or the next.
func (s *Stage) number(step *Step, current *Record, there bool) (Record, error) {
	uid := current.uid()
	switch {
	case step.Revive != 0:
		if err := s.checkRevive(step, there); err != nil {
			return Record{}, err
		}
		uid = step.Revive
	case !there:
		s.LastUID++
		uid = s.LastUID
	}
	put := WithMeta(*step.Put, uid, s.Version+1)
	put.Refers = stripped(put.Refers)
	return put, nil
}

// stripped returns references without the fields that errors name.
func stripped(refers []Reference) []Reference {
	if !slices.ContainsFunc(refers, func(r Reference) bool { return r.Field != "" }) {
		return refers
	}
	bare := make([]Reference, len(refers))
	for i := range refers {
		bare[i].Name = refers[i].Name
	}
	return bare
}

// setVerdict sets a step's verdict on the step's name.
func (s *Stage) setVerdict(e *effect, v *Verdict) error {
	if v == nil {
		return nil
	}
	if e.verdict == nil {
		before, err := s.Verdict(e.name)
		if err != nil {
			return err
		}
		e.verdict = &SetVerdict{Name: e.name, Before: before}
	}
	e.verdict.After = *v
	e.verdict.After.Version = s.Version + 1
	s.verdicts.set(e.name, e.verdict.After)
	return nil
}

// count adds counts to their counters, or subtracts them if sign is -1.
func (s *Stage) count(counts []Count, sign int64) error {
	for i := range counts {
		c := &counts[i]
		by, err := product(sign, c.By)
		if err != nil {
			return err
		}
		if c.Times != 0 {
			times, err := s.Counted(c.TimesOwner, c.Times)
			if err != nil {
				return err
			}
			if by, err = product(by, times); err != nil {
				return err
			}
		}
		present, err := s.Counted(c.Owner, c.Counter)
		if err != nil {
			return err
		}
		after, err := sum(present, by)
		if err != nil {
			return err
		}
		s.counters.set(CounterKey{c.Owner, c.Counter}, after)
	}
	return nil
}

// limited returns the values of the counters that have limits.
func (s *Stage) limited(limits []Limit) ([]int64, error) {
	if len(limits) == 0 {
		return nil, nil
	}
	values := make([]int64, len(limits))
	for i := range limits {
		n, err := s.Counted(limits[i].Owner, limits[i].Counter)
		if err != nil {
			return nil, err
		}
		values[i] = n
	}
	return values, nil
}
