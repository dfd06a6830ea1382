package store

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
)

// Group is steps that are done all or none. It is refused, and leaves nothing
// behind, when a condition does not hold as the groups before it leave the
// catalogue, when a step does not apply, when a record of it refers to one that is
// not there at the group's end or deletes one that another still refers to, and when
// a limit is passed.
type Group struct {
	Steps      []Step
	Conditions []Condition
	Limits     []Limit

	// At is when, Who on whose behalf and From from where the group was asked for. The
	// caller fills them in: the engine reads no clock and knows no principals. They go
	// into the log of changes as they are.
	At        time.Time
	Who, From string
}

// Step does one thing: it puts a record under its name, deletes the record of the name
// Delete, or sets the verdict on the place of the name Judge and leaves the place as it
// is. A step sees what the steps before it have done.
type Step struct {
	Put    *Record
	Delete string
	Judge  string
	// IfVersion must be the version of the record in force: 0 says that there must be
	// none, AnyVersion that it does not matter, and InThisCommit that an earlier group
	// of the same Commit, or an earlier step of this group, must have written it. A
	// Delete needs a record whatever IfVersion says, and a Judge has no IfVersion: a
	// Condition may say that the place exists.
	IfVersion uint64
	// Verdict, when it is not nil, becomes the verdict on the step's name, which must
	// be a place's. Without one the verdict stays, of a deleted place too.
	Verdict *Verdict
	// Derived is what was worked out of Put already; nil leaves that to whoever
	// follows the changes. The engine sets its UID and Version.
	Derived *Derived
	// Revive, when it is not 0, is the uid that a Put under a name that is free gets: one
	// that was given out before and that no record has. So a delete can be undone.
	Revive hexbid.UID
}

// What a version of a Step or a Condition may be apart from a version.
const (
	// AnyVersion waives the condition.
	AnyVersion = ^uint64(0)
	// InThisCommit is whatever version an earlier group of the same Commit gave.
	InThisCommit = AnyVersion - 1
)

// Name is the name that the step is about.
func (s *Step) Name() string {
	if s.Put != nil {
		return s.Put.Meta().Name
	}
	return cmp.Or(s.Delete, s.Judge)
}

// Verdict is what the operator has decided about a place. It belongs to the
// place's name and is kept apart from the place: nothing that the owner does
// changes it, and it is still there when the place is deleted and made again.
type Verdict struct {
	// State is the decision; hexbid.ReviewUnspecified of the zero Verdict, which
	// stands for none.
	State hexbid.ReviewState
	At    time.Time
	// Of is the place as the operator saw it.
	Of hexbid.Place
	// Version is that of the change that the verdict came with; the engine sets it.
	Version uint64
}

// Outcome is what became of a group: its Change, or the error that refused it. A
// limit refuses with a *LimitError; anything else with an *hexbid.Error of kind Stale,
// AlreadyExists, NotFound, InUse or Invalid, or with *hexbid.Errors when several
// references of the group are missing.
type Outcome struct {
	Change Change
	Err    error
}

// What one record may declare: a bound on the work of judging it.
const (
	mostRefers = 16
	mostCounts = 16
)

// checkStep refuses a step that no engine could do.
func checkStep(s *Step) error {
	puts, deletes, judges := s.Put != nil && s.Put.Resource != nil, s.Delete != "", s.Judge != ""
	switch {
	case puts && deletes || puts && judges || deletes && judges || !puts && !deletes && !judges:
		return hexbid.Invalidf("name", "a step puts a resource, deletes a name or judges one: make a step for each")
	case s.Put == nil && (s.Derived != nil || s.Revive != 0):
		return hexbid.Invalidf("name", "a step that does not put %q has nothing derived and revives no uid", hexbid.Shorten(s.Name()))
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

// kind is what the step's name must name.
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

// checkDeclared refuses what a record declares when no engine could keep it.
func checkDeclared(r *Record) error {
	if len(r.Refers) > mostRefers || len(r.Counts) > mostCounts {
		return hexbid.Invalidf("name", "%q declares %d references and %d counts: at most %d and %d",
			r.Meta().Name, len(r.Refers), len(r.Counts), mostRefers, mostCounts)
	}
	for _, to := range r.Refers {
		if !keepsAsKey(to.Name) {
			return missing(cmp.Or(to.Field, "name"), to.Name)
		}
	}
	for i := range r.Counts {
		c := &r.Counts[i]
		if !keepsAsKey(c.Owner) || c.Counter == 0 || c.Counter >= counters || c.Times >= counters || c.Times != 0 && !keepsAsKey(c.TimesOwner) {
			return hexbid.Invalidf("name", "%q declares a count that cannot be kept: %+v", r.Meta().Name, *c)
		}
		if c.Times != 0 && r.changes(CounterKey{c.TimesOwner, c.Times}) {
			return hexbid.Invalidf("name", "%q changes a counter that it multiplies by: %+v", r.Meta().Name, *c)
		}
	}
	return nil
}

// changes says whether a record counts for a counter.
func (r *Record) changes(key CounterKey) bool {
	return slices.ContainsFunc(r.Counts, func(c Count) bool { return c.Owner == key.Owner && c.Counter == key.Counter })
}

// keepsAsKey says whether a name can be part of a key, where a zero byte ends it.
func keepsAsKey(name string) bool { return name != "" && strings.IndexByte(name, 0) < 0 }
