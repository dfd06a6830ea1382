package store

import (
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

// Step puts a record under its name, or deletes the record of the name Delete. A step
// sees what the steps before it have done.
type Step struct {
	Put    *Record
	Delete string
	// IfVersion must be the version of the record in force: 0 says that there must be
	// none, AnyVersion that it does not matter, and InThisCommit that an earlier group
	// of the same Commit, or an earlier step of this group, must have written it. A
	// Delete needs a record whatever IfVersion says.
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
	return s.Delete
}

// Verdict is what the operator has decided about a place. It belongs to the
// place's name and is kept apart from the place: nothing that the owner does
// changes it, and it is still there when the place is deleted and made again.
type Verdict struct {
	// State is the decision; hexbid.ReviewUnspecified of the zero Verdict, which
	// stands for none.
	State hexbid.ReviewState `cbor:"state"`
	At    time.Time          `cbor:"at"`
	// Of is the place as the operator saw it.
	Of hexbid.Place `cbor:"of"`
	// Version is that of the change that the verdict came with; the engine sets it.
	Version uint64 `cbor:"version"`
}

// Outcome is what became of a group: its Change, or the error that refused it. A
// limit refuses with a *LimitError; anything else with an *hexbid.Error of kind Stale,
// AlreadyExists, NotFound, InUse or Invalid, or with *hexbid.Errors when several
// references of the group are missing.
type Outcome struct {
	Change Change
	Err    error
}
