// Package journal is the contract of the log that money is written to, and its engine in memory.
//
// A journal is a set of ordered tables and one sequence of records. A batch adds records at the end and changes rows,
// all or nothing, with one sync. A journal knows nothing of what its records and rows mean (package fold does).
package journal

import (
	"context"
	"fmt"
)

// Table names one ordered space of keys.
type Table uint8

// The tables. A number in a key is big-endian, so that keys are in the order of numbers.
const (
	Records        Table = iota + 1 // sequence (8 bytes): an encoded record, the chain
	Answers                         // hour of click expiry (4), issuer (12), sequence (8), kind (1): first answer
	Charges                         // campaign uid (8), sequence (8): nothing; the charges of a campaign
	Accounts                        // 'c' or 'a', uid (8): an account as at the last checkpoint
	Uses                            // issuer (12), use (1), chunk (8): a bitmap of used tokens as at the last checkpoint
	Base                            // the state as at the record that compaction has reached
	Hours                           // hour (4), campaign uid (8): totals
	Days                            // campaign uid (8), local date (4): totals
	Movements                       // advertiser uid (8), date (4), sequence (8): nothing; top-ups, withdrawals, credits
	AdvertiserDays                  // advertiser uid (8), date (4): totals
	Members                         // advertiser uid (8), campaign uid (8): nothing; deleted campaigns too
	Tiles                           // hour (4), level (1), index (8): hashes of a tile of the hour's Merkle tree
	Roots                           // hour (4): sequence of the record that closed the hour
	Requests                        // advertiser uid (8), request id: fingerprint and first answer of a movement or credit
	Names                           // name, 0x00, uid (8): nothing; every uid that a name ever had
	Viewers                         // pseudonym (16), uid (8), kind (1): what a viewer saw and got, outside the chain
	Tallies                         // hour (4), outcome: events answered without a record, outside the chain
	Outstanding                     // uid and the like: expected spend of awards still out, outside the chain
	Meta                            // texts: format, currency, last checkpoint and the like
	Learned                         // owner (1), more: what delivery has learned from events, outside the chain
	TableCount                      // above every table
)

var tableNames = [TableCount]string{Records: "records", Answers: "answers", Charges: "charges", Accounts: "accounts",
	Uses: "uses", Base: "base", Hours: "hours", Days: "days", Movements: "movements", AdvertiserDays: "advertiser_days",
	Members: "members", Tiles: "tiles", Roots: "roots", Requests: "requests", Names: "names", Viewers: "viewers",
	Tallies: "tallies", Outstanding: "outstanding", Meta: "meta", Learned: "learned"}

// String returns the table's name in documents.
func (t Table) String() string {
	if t < TableCount && tableNames[t] != "" {
		return tableNames[t]
	}
	return fmt.Sprintf("table_%d", uint8(t))
}

// OfViewers are the tables that hold something of single viewers. Their keys begin with the viewer's pseudonym, so
// that everything of a viewer can be read, and erased, as ranges.
var OfViewers = []Table{Viewers}

// Row is a key of a table with its value. A nil value deletes the key; an empty one that is not nil is a value.
type Row struct {
	Table      Table
	Key, Value []byte
}

// Range is the keys of a table from From (nil: the start) up to, and without, To (nil: the end).
type Range struct {
	Table    Table
	From, To []byte
}

// Batch is what a commit writes, all or nothing. First the ranges are erased, then records and rows are put in their
// order. An engine keeps no slice of a batch.
type Batch struct {
	After   uint64   // the sequence that the journal must end with; with another the commit is Stale and writes nothing
	Records [][]byte // of the sequences from After+1
	Tail    [32]byte // hash of the last record, for the witness
	Rows    []Row
	Erase   []Range
}

// Visit gets one row of a scan. Key and value are valid during the call only. The scan ends when more is false or with
// the error.
type Visit = func(key, value []byte) (more bool, err error)

// View is one state of a journal. Only what is synced is seen. Close it after use, and before the journal.
type View interface {
	// Get returns the value of a key. It is nil when there is none, and empty but not nil when the value is empty.
	Get(t Table, key []byte) ([]byte, error)
	// Scan visits the keys from from (nil: the start) up to and without to (nil: the end) in order. ScanBack visits the
	// same keys in descending order.
	Scan(t Table, from, to []byte, visit Visit) error
	ScanBack(t Table, from, to []byte, visit Visit) error
	// Last returns the sequence of the last record, 0 for none.
	Last() uint64
	Close() error
}

// Journal is a durable log. Errors are *hexbid.Error: Invalid or Stale (of a batch), Exhausted (the disk is nearly
// full; nothing was written), Unavailable (closed, or the disk takes nothing more) or DataLoss.
//
// Calls of Commit, Keep and Checkpoint wait for each other. All methods may be called at once.
type Journal interface {
	// View returns the state that the last commit left. It waits for no commit in progress.
	View() (View, error)
	// Commit writes a batch and returns when it is synced. An ended context refuses a batch that is not begun; a batch
	// that is begun is not interrupted. After an error of kind Unavailable the batch may be there after a restart.
	Commit(ctx context.Context, b *Batch) error
	// Keep writes rows without a sync of their own. They are durable and seen with the next commit.
	Keep(rows []Row) error
	// Checkpoint copies the journal as of the last commit into a folder that is not there yet.
	Checkpoint(dir string) error
	// Failed is closed when a write or a sync has failed. From then on nothing is written, and Failure says why.
	Failed() <-chan struct{}
	Failure() error
	Close() error
}
