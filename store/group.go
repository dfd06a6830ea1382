package store

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
)

// Group is a list of steps that an engine applies all or none. An engine refuses a group, and changes nothing, in five
// cases. A condition does not hold after the earlier groups. A step does not apply. At the group's end, a record of the
// group refers to one that is not there. Another record still refers to one that the group deleted. A counter would
// exceed a limit.
type Group struct {
	Steps      []Step
	Conditions []Condition
	Limits     []Limit

	// At is when the group was asked for, Who on whose behalf, From by what way, and Key names the credential, if there
	// was one. Undoes is the version of the change that the group undoes, 0 for none. The caller sets them, because the
	// engine reads no clock and knows no principals. They enter the log of changes unchanged.
	At             time.Time
	Who, From, Key string
	Undoes         uint64
}

// Step does one of three things: it puts a record under its name, deletes the record named Delete, or sets the verdict
// on the place named Judge and leaves the place unchanged. A step sees the effects of earlier steps.
type Step struct {
	Put    *Record
	Delete string
	Judge  string
	// IfVersion must be the present version of the record. 0 demands that there is none, AnyVersion waives the
	// condition, and InThisCommit demands that an earlier group of the same Commit, or an earlier step of this group,
	// wrote the record. A Delete needs a record whatever IfVersion says. A Judge has no IfVersion; use a Condition to
	// demand that the place exists.
	IfVersion uint64
	// Verdict, unless nil, becomes the verdict on the step's name, which must be a place's. If nil the verdict stays,
	// even when the place is deleted.
	Verdict *Verdict
	// Derived holds what the caller has already derived from Put. If nil, followers of the changes derive it. The
	// engine sets its UID and Version.
	Derived *Derived
	// Revive, unless 0, is the uid for a Put under a free name. The uid must have been assigned before and belong to no
	// record. It allows a delete to be undone.
	Revive hexbid.UID
}

// These constants stand for versions in a Step or a Condition.
const (
	// AnyVersion waives the condition.
	AnyVersion = ^uint64(0)
	// InThisCommit demands a version that an earlier group of the same Commit wrote.
	InThisCommit = AnyVersion - 1
)

// Name returns the name that the step is about.
func (s *Step) Name() string {
	if s.Put != nil {
		return s.Put.Meta().Name
	}
	return cmp.Or(s.Delete, s.Judge)
}

// Verdict is the operator's decision about a place. It belongs to the place's name and is stored apart from the place.
// The owner cannot change it, and it survives when the place is deleted and made again.
type Verdict struct {
	// State is the decision. hexbid.ReviewUnspecified marks the zero Verdict, which means that there is none.
	State hexbid.ReviewState
	At    time.Time
	// Of is the place as the operator saw it.
	Of hexbid.Place
	// Version is the version of the change that set the verdict. The engine sets it.
	Version uint64
}

// Outcome is the result of a group: its Change, or the error that refused it. A limit refuses with a *LimitError. Other
// refusals are *hexbid.Error of kind Stale, AlreadyExists, NotFound, InUse or Invalid, or *hexbid.Errors when several
// references of the group are missing.
type Outcome struct {
	Change Change
	Err    error
}

// These constants bound what one record may declare, and so the work of judging it.
const (
	mostRefers = 16
	mostCounts = 16
)

// checkStep refuses a step that no engine could apply.
func checkStep(s *Step) error {
	puts, deletes, judges := s.Put != nil && s.Put.Resource != nil, s.Delete != "", s.Judge != ""
	switch {
	case puts && deletes || puts && judges || deletes && judges || !puts && !deletes && !judges:
		return hexbid.Invalidf("name", "a step puts a resource, deletes a name or judges one: make a step for each")
	case s.Put == nil && (s.Derived != nil || s.Revive != 0):
		return hexbid.Invalidf("name", "a step that does not put %q has nothing derived and revives no uid",
			hexbid.Shorten(s.Name()))
	case s.Judge != "" && s.Verdict == nil:
		return hexbid.Invalidf("name", "a step that judges %q needs a verdict", hexbid.Shorten(s.Judge))
	}
	kind, err := s.kind()
	if err != nil {
		return err
	}
	if _, err := hexbid.ParseNameOf(kind, "name", s.Name()); err != nil {
		return err
	}
	if s.Verdict != nil && kind != hexbid.KindPlace {
		return hexbid.Invalidf("name", "%q has no verdict: only places have", s.Name())
	}
	if s.Put == nil {
		return nil
	}
	return checkDeclared(s.Put)
}

// kind returns the kind of resource that the step's name must name.
func (s *Step) kind() (hexbid.ResourceKind, error) {
	if s.Put != nil {
		return KindOf(s.Put.Resource), nil
	}
	name, err := hexbid.ParseName(s.Name())
	if err != nil {
		return 0, hexbid.Invalidf("name", "%v", err)
	}
	return name.Kind, nil
}

// checkDeclared refuses a record whose declarations no engine could store.
func checkDeclared(r *Record) error {
	if len(r.Refers) > mostRefers || len(r.Counts) > mostCounts {
		return hexbid.Invalidf("name", "%q declares %d references and %d counts: at most %d and %d",
			r.Meta().Name, len(r.Refers), len(r.Counts), mostRefers, mostCounts)
	}
	for _, to := range r.Refers {
		if !keepsAsKey(to.Name) {
			return Missing(cmp.Or(to.Field, "name"), to.Name)
		}
	}
	for i := range r.Counts {
		c := &r.Counts[i]
		if !keepsAsKey(c.Owner) || c.Counter == 0 || c.Counter >= counters || c.Times >= counters ||
			c.Times != 0 && !keepsAsKey(c.TimesOwner) {
			return hexbid.Invalidf("name", "%q declares a count that cannot be kept: %+v", r.Meta().Name, *c)
		}
		if c.Times != 0 && r.changes(CounterKey{c.TimesOwner, c.Times}) {
			return hexbid.Invalidf("name", "%q changes a counter that it multiplies by: %+v", r.Meta().Name, *c)
		}
	}
	return nil
}

// changes reports whether a record adds to a counter.
func (r *Record) changes(key CounterKey) bool {
	return slices.ContainsFunc(r.Counts, func(c Count) bool { return c.Owner == key.Owner && c.Counter == key.Counter })
}

// keepsAsKey reports whether a name can be part of a key, in which a zero byte ends it.
func keepsAsKey(name string) bool { return name != "" && strings.IndexByte(name, 0) < 0 }
