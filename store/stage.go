package store

import "github.com/hexbid/hexbid"

// View is a state of the catalogue that groups are judged by: an engine's at one
// moment, or that which a Stage leaves.
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
	// Referrers shows the names of the records that refer to a name, in order, until
	// visit says that there need be no more.
	Referrers(name string, visit func(referrer string) (more bool)) error
}

// Stage judges groups one after another before anything is written. It is itself the
// view that the groups which hold leave. So the stage of the next round of commits can
// stand on one that is being synced.
type Stage struct {
	Version uint64     // last given out
	LastUID hexbid.UID // last given out
}

// NewStage starts from a view, and the last version and uid given out.
func NewStage(below View, version uint64, lastUID hexbid.UID) *Stage { panic("to be written") }

// StandOn puts a view that holds the same state in the place of the one that the stage
// stands on: what the stage below has left is synced and can be read from the disk.
func (s *Stage) StandOn(below View) { panic("to be written") }

// BeginCommit begins the groups of another call of Commit: InThisCommit refers to
// those that are taken from now on.
func (s *Stage) BeginCommit() { panic("to be written") }

// Taken is a group that holds, and all that it changes apart from counters.
type Taken struct {
	// Change has the group's version; its records have uid and version, and so has what
	// was derived. The engine sets its hashes.
	Change Change
	// Steps are the indexes of the steps that Change.Puts come from.
	Steps []int
	// Verdicts are those that the group sets, one a name.
	Verdicts []SetVerdict
	// References are those that come and go.
	References []SetReference
}

// SetVerdict is a verdict that a group sets on a name.
type SetVerdict struct {
	Name          string
	Before, After Verdict
}

// SetReference is a reference that a group adds to a name or takes off it.
type SetReference struct {
	Name, Referrer string
	Gone           bool
}

// Take judges a group. One that is refused, or that the view below could not be read
// for, leaves nothing behind. One that holds gets the next version.
func (s *Stage) Take(g *Group) (Taken, error) { panic("to be written") }

// Counters are the counters that differ from the view below, as they are now.
func (s *Stage) Counters() map[CounterKey]int64 { panic("to be written") }

var _ View = (*Stage)(nil)

func (s *Stage) Record(name string) (Record, bool, error)             { panic("to be written") }
func (s *Stage) Exists(name string) (bool, error)                     { panic("to be written") }
func (s *Stage) NameOf(uid hexbid.UID) (string, error)                { panic("to be written") }
func (s *Stage) Verdict(name string) (Verdict, error)                 { panic("to be written") }
func (s *Stage) Counted(owner string, c Counter) (int64, error)       { panic("to be written") }
func (s *Stage) Referrers(name string, visit func(string) bool) error { panic("to be written") }
