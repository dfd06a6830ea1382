package store

import (
	"errors"
	"time"

	"github.com/hexbid/hexbid"
)

// Change is a committed group, as the log of changes holds it.
type Change struct {
	Version   uint64 // in the order of commits; versions may skip
	At        time.Time
	Who, From string
	Key       string        // the credential; empty without one
	Undoes    uint64        // version of the change that this one undoes; 0 for none
	Puts      []Written     // Puts, Deletes and Verdicts are each in the order of the first steps about their names
	Deletes   []Record      // as they were
	Verdicts  []PastVerdict // verdicts that the change replaced
	// Hash is the SHA-256 of the change's record in the log of changes, and Previous
	// that of the record before it, which this one holds; zero before the first.
	Hash, Previous [32]byte
}

// Written is a record that a change has put.
type Written struct {
	Record
	Before  Record   // of the same uid; zero when there was none
	Derived *Derived // nil when none is stored
}

// PastVerdict is a verdict on a place before a change set another; the zero Verdict when
// there was none.
type PastVerdict struct {
	Name string
	Verdict
}

// Retention bounds the log of changes. The log drops its oldest changes soon after they exceed it.
type Retention struct {
	// Age is how long a change is kept, counted from the last change; both by their At.
	Age time.Duration
	// Bytes bounds the size of the log's records. The last change always stays.
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

// Gap returns the error for reading changes after a version that the log no longer reaches back to. The log holds the
// changes after version start.
func Gap(after, start uint64) error {
	err := hexbid.Errorf(hexbid.Stale, "version",
		"the log of changes does not lead on from version %d, it begins after %d: read all records again", after, start)
	err.Err = errGap
	return err
}

// IsGap reports whether an error says that the log no longer has the changes after a version. The reader must Scan
// again.
func IsGap(err error) bool { return errors.Is(err, errGap) }
