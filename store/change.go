package store

import (
	"errors"
	"time"

	"github.com/hexbid/hexbid"
)

// Change is a group committed, as the log of changes keeps it.
type Change struct {
	Version   uint64 // in the order of commits; versions may skip
	At        time.Time
	Who, From string
	Puts      []Written     // these three in the order of the steps that first had to do with a name
	Deletes   []Record      // as they were
	Verdicts  []PastVerdict // those that it replaced by others
	// Hash is the SHA-256 of the change's record in the log of changes, and Previous
	// that of the record before it, which this one holds; zero before the first.
	Hash, Previous [32]byte
}

// Written is a record that a change has put.
type Written struct {
	Record
	Before  Record   // of the same uid; the zero Record when there was none
	Derived *Derived // nil when none is kept
}

// PastVerdict is a verdict on a place before a change set another; the zero Verdict when
// there was none.
type PastVerdict struct {
	Name string
	Verdict
}

// Retention bounds the log of changes. The oldest changes go first, soon after they
// are beyond it.
type Retention struct {
	// Age is how far behind the last change, by their At, a change is kept.
	Age time.Duration
	// Bytes is what the records of the log may take. The last change is always kept.
	Bytes int64
}

// DefaultRetention keeps a quarter of a year of changes, in at most a gibibyte.
var DefaultRetention = Retention{Age: 90 * 24 * time.Hour, Bytes: 1 << 30}

// Validate refuses bounds that would keep nothing.
func (r *Retention) Validate() error {
	if r.Age <= 0 {
		return hexbid.Invalidf("change-log-days", "%s keeps no change: use 1 or more days", r.Age)
	}
	if r.Bytes <= 0 {
		return hexbid.Invalidf("change-log-mb", "%d bytes keep no change: use 1 or more megabytes", r.Bytes)
	}
	return nil
}

var errGap = errors.New("a gap")

// Gap is the error of reading changes after a version that the log does not go back
// to: it begins after the version start.
func Gap(after, start uint64) error {
	err := hexbid.Errorf(hexbid.Stale, "version", "the log of changes does not lead on from version %d, it begins after %d: read all records again", after, start)
	err.Err = errGap
	return err
}

// IsGap says whether an error says that changes after a version are no longer in the
// log: whoever follows must Scan again.
func IsGap(err error) bool { return errors.Is(err, errGap) }
