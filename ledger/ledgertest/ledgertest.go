// Package ledgertest tests the conduct that every engine of package journal must keep (Run). It also has what tests of
// the ledger and of the packages above share: a ledger with clocks that a test moves (Bank), and a disk that a test can
// stall (Stalling).
package ledgertest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Engine tells the tests how to make and disturb journals of an engine.
type Engine struct {
	// Open makes an empty journal. The test closes it.
	Open func(t testing.TB) journal.Journal
	// Reopen closes a journal that Open made and opens the same data again.
	Reopen func(t testing.TB, j journal.Journal) journal.Journal
	// Crash opens what a power cut would leave of a journal that Open made: all that was synced, and nothing else.
	Crash func(t testing.TB, j journal.Journal) journal.Journal
	// OpenAgain opens the data of a journal a second time while the journal is open. It must refuse. Nil for an engine
	// whose data no second journal could open.
	OpenAgain func(t testing.TB, j journal.Journal) (journal.Journal, error)
	// Copied opens the copy that Checkpoint of a journal made in a folder. NewDir names a folder for a copy. Nil for an
	// engine that cannot be copied.
	Copied func(t testing.TB, j journal.Journal, dir string) journal.Journal
	NewDir func(t testing.TB) string
	// Stopping makes an empty journal on a disk that stops at the journal's k-th write or sync, counted from 1: that one
	// and all later ones fail. Restart closes the journal, drops what was not synced, and opens the rest on a disk that
	// works. It reports whether the disk had stopped. Nil for an engine without a disk.
	Stopping func(t testing.TB, k int) (j journal.Journal, restart func() (again journal.Journal, stopped bool))
	// Crashing makes an empty journal on a disk that calls before ahead of each of the journal's writes and syncs, and
	// calls what that returns with a function that opens what a power cut at that instant leaves. Nil for an engine
	// without a disk.
	Crashing func(t testing.TB, before func() Crashed) journal.Journal
	// Unreadable opens the data that fill has put in an empty journal on a disk whose k-th read fails, counted from 1,
	// and all later ones too. Failed reports whether a read has failed. Nil for an engine without a disk.
	Unreadable func(t testing.TB, fill func(journal.Journal), k int) (j journal.Journal, failed func() bool, err error)
	// Holding makes an empty journal whose syncs of commits can be held up. After hold, the next sync closes waits and
	// does not end before release is called. Nil for an engine that does not sync.
	Holding func(t testing.TB) (j journal.Journal, hold func() (waits <-chan struct{}, release func()))
}

// Crashed takes a function that opens what a power cut leaves.
type Crashed func(open func() (journal.Journal, error))

// conduct is one part of the contract.
type conduct struct {
	name string
	test func(testing.TB, Engine)
}

var all = [][]conduct{batches, views, restarts, crashes}

// Run tests that an engine keeps the contract.
func Run(t *testing.T, e Engine) {
	for _, part := range all {
		for _, c := range part {
			t.Run(c.name, func(t *testing.T) { c.test(t, e) })
		}
	}
	t.Run("a random history ends as the model does", func(t *testing.T) { testModel(t, e) })
}

// Finds reports whether the test of a part of the contract finds that an engine breaks it. The part is named by the
// beginning of its name.
func Finds(t testing.TB, e Engine, part string) bool {
	for _, several := range all {
		for _, c := range several {
			if strings.HasPrefix(c.name, part) {
				return fails(t, func(r testing.TB) { c.test(r, e) })
			}
		}
	}
	t.Fatalf("no part of the contract begins with %q", part)
	return false
}

// tester is what a test and a random history have in common.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// opened makes an empty journal, which the test's cleanup closes.
func opened(t testing.TB, e Engine) journal.Journal {
	j := e.Open(t)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

var ctx = context.Background()

// patience bounds the wait for an event that must happen.
const patience = 2 * time.Minute

// recordOf returns the record that the tests write under a sequence.
func recordOf(sequence uint64) []byte { return fmt.Appendf(nil, "record %d", sequence) }

// tailOf returns the hash of that record.
func tailOf(sequence uint64) [32]byte { return sha256.Sum256(recordOf(sequence)) }

// recording returns a batch of records that follow a sequence, each with a row in Charges.
func recording(after uint64, count int) *journal.Batch {
	b := &journal.Batch{After: after}
	for i := range count {
		sequence := after + 1 + uint64(i)
		b.Records = append(b.Records, recordOf(sequence))
		b.Rows = append(b.Rows, journal.Row{Table: journal.Charges, Key: journal.SequenceKey(sequence), Value: []byte{}})
		b.Tail = tailOf(sequence)
	}
	return b
}

func row(t journal.Table, key, value string) journal.Row {
	return journal.Row{Table: t, Key: []byte(key), Value: []byte(value)}
}

func gone(t journal.Table, key string) journal.Row { return journal.Row{Table: t, Key: []byte(key)} }

// rows returns a batch of rows after the journal's last record.
func rows(t tester, j journal.Journal, rows ...journal.Row) *journal.Batch {
	t.Helper()
	return &journal.Batch{After: last(t, j), Rows: rows}
}

func mustCommit(t tester, j journal.Journal, b *journal.Batch) {
	t.Helper()
	if err := j.Commit(ctx, b); err != nil {
		t.Fatal(err)
	}
}

func wantKind(t tester, err error, kind hexbid.ErrorKind) {
	t.Helper()
	if err == nil || hexbid.KindOf(err) != kind {
		t.Errorf("error %v: want kind %d", err, kind)
	}
}

// viewed returns the present view, which the test's cleanup closes.
func viewed(t testing.TB, j journal.Journal) journal.View {
	t.Helper()
	v, err := j.View()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// looked calls look with the present view.
func looked(t tester, j journal.Journal, look func(journal.View)) {
	t.Helper()
	v, err := j.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	look(v)
}

func last(t tester, j journal.Journal) (sequence uint64) {
	t.Helper()
	looked(t, j, func(v journal.View) { sequence = v.Last() })
	return sequence
}

func stateNow(t tester, j journal.Journal) (s state) {
	t.Helper()
	looked(t, j, func(v journal.View) { s = stateOf(t, v) })
	return s
}

func wantTextsNow(t tester, j journal.Journal, table journal.Table, want map[string]string) {
	t.Helper()
	looked(t, j, func(v journal.View) { wantTexts(t, v, table, want) })
}

// text returns a row's value as the tests write it in tables of wants: "none" for no row.
func text(t tester, v journal.View, table journal.Table, key string) string {
	t.Helper()
	value, err := v.Get(table, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	if value == nil {
		return "none"
	}
	return string(value)
}

// pairs is what a scan of a table shows.
type pairs []string

// scanned returns the rows of a scan as "key=value".
func scanned(t tester, scan func(journal.Table, []byte, []byte, journal.Visit) error, table journal.Table, from,
	to []byte) (found pairs) {
	t.Helper()
	if err := scan(table, from, to, func(key, value []byte) (bool, error) {
		found = append(found, fmt.Sprintf("%x=%s", key, value))
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// state is all that a view shows.
type state struct {
	Last uint64
	Rows map[journal.Table]string
}

func stateOf(t tester, v journal.View) state {
	t.Helper()
	s := state{Last: v.Last(), Rows: map[journal.Table]string{}}
	for table := journal.Records; table <= journal.Meta; table++ {
		if found := scanned(t, v.Scan, table, nil, nil); len(found) > 0 {
			s.Rows[table] = fmt.Sprint(found)
		}
	}
	return s
}

// wantRecords fails the test unless a journal holds exactly the records that the tests write up to its last, each with
// its row, and returns the last.
func wantRecords(t tester, j journal.Journal) (last uint64) {
	t.Helper()
	looked(t, j, func(v journal.View) { last = wantRecordsIn(t, v) })
	return last
}

func wantRecordsIn(t tester, v journal.View) (next uint64) {
	t.Helper()
	if err := v.Scan(journal.Records, nil, nil, func(key, value []byte) (bool, error) {
		next++
		if binary.BigEndian.Uint64(key) != next || string(value) != string(recordOf(next)) {
			t.Errorf("record %x is %q, want number %d", key, value, next)
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	if v.Last() != next {
		t.Errorf("the last record is %d of %d", v.Last(), next)
	}
	if n := len(scanned(t, v.Scan, journal.Charges, nil, nil)); n != int(next) {
		t.Errorf("%d rows of %d records", n, next)
	}
	return next
}
