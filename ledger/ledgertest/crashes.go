package ledgertest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

var crashes = []conduct{
	{"a power cut at any write or sync takes nothing that was acknowledged or seen", testCrashes},
	{"a journal whose disk stops has each batch whole or not at all, and says that it stopped", testStops},
	{"a read that fails is an error, never a row less", testReadFaults},
}

// work is a writer that commits batches, and a reader beside it. It records what they learn.
type work struct {
	journal      journal.Journal
	attempted    atomic.Uint64 // the last record of the batch that was begun last
	acknowledged atomic.Uint64 // the last record of the batch that was acknowledged last
	seen         atomic.Uint64 // the highest last record that the reader saw
	kept         atomic.Uint64 // rows kept that a later commit has made durable
}

const (
	workBatches = 25
	workRecords = 3 // in each
)

// do commits until it is done or a commit fails, and returns the error.
func (w *work) do(t testing.TB) (err error) {
	var ended atomic.Bool
	var reader sync.WaitGroup
	reader.Go(func() { w.read(t, &ended) })
	defer reader.Wait()
	defer ended.Store(true)
	for i := range uint64(workBatches) {
		if err := w.journal.Keep([]journal.Row{row(journal.Tallies, "kept", string(journal.SequenceKey(i)))}); err != nil {
			return err
		}
		b := recording(i*workRecords, workRecords)
		b.Rows = append(b.Rows, journal.Row{Table: journal.Viewers, Key: b.Tail[:], Value: make([]byte, 1<<10)},
			row(journal.Meta, "batch", string(journal.SequenceKey(i))))
		w.attempted.Store((i + 1) * workRecords)
		if err := w.journal.Commit(ctx, b); err != nil {
			return err
		}
		w.acknowledged.Store((i + 1) * workRecords)
		w.kept.Store(i)
	}
	return nil
}

func (w *work) read(t testing.TB, ended *atomic.Bool) {
	for last := false; !last; {
		last = ended.Load() // read once more after the writer has ended
		v, err := w.journal.View()
		if err != nil {
			continue
		}
		if v.Last()%workRecords != 0 {
			t.Errorf("a view ends with record %d: half a batch", v.Last())
		}
		w.seen.Store(v.Last())
		_ = v.Close()
	}
}

// known is what the work had learned at an instant.
type known struct{ acknowledged, seen, kept uint64 }

func (w *work) known() known {
	return known{w.acknowledged.Load(), w.seen.Load(), w.kept.Load()}
}

// check compares what a power cut left with what was known before and had been attempted.
func (k *known) check(t testing.TB, j journal.Journal, attempted uint64) {
	t.Helper()
	n := wantRecords(t, j)
	if n < k.acknowledged || n < k.seen || n > attempted {
		t.Errorf("%d records are there, %d were acknowledged, %d were seen, %d were attempted", n, k.acknowledged, k.seen,
			attempted)
	}
	if n%workRecords != 0 {
		t.Errorf("%d records: half a batch", n)
	}
	looked(t, j, func(v journal.View) {
		want := "none"
		if n > 0 {
			want = string(journal.SequenceKey(n/workRecords - 1))
		}
		if got := text(t, v, journal.Meta, "batch"); got != want {
			t.Errorf("the row of batch %x stands beside %d records", got, n)
		}
		if found := scanned(t, v.Scan, journal.Viewers, nil, nil); len(found) != int(n/workRecords) {
			t.Errorf("%d rows of %d batches", len(found), n/workRecords)
		}
		got := text(t, v, journal.Tallies, "kept")
		if k.acknowledged > 0 && (got == "none" || got < string(journal.SequenceKey(k.kept))) {
			t.Errorf("row %x was kept before a commit, %x is there", k.kept, got)
		}
	})
	mustCommit(t, j, recording(n, 1)) // the journal goes on
}

func testCrashes(t testing.TB, e Engine) {
	if e.Crashing == nil {
		t.Skip("the engine has no disk")
	}
	var w work
	type crash struct {
		known
		attempted uint64
		open      func() (journal.Journal, error)
	}
	var mu sync.Mutex // guards instants
	var instants []crash
	w.journal = e.Crashing(t, func() Crashed {
		before := w.known() // ahead of the power cut: what is learned in between is not expected to be there
		return func(open func() (journal.Journal, error)) {
			mu.Lock()
			defer mu.Unlock()
			instants = append(instants, crash{before, w.attempted.Load(), open})
		}
	})
	if err := w.do(t); err != nil {
		t.Fatal(err)
	}
	if err := w.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if len(instants) < workBatches {
		t.Fatalf("%d writes and syncs of %d commits", len(instants), workBatches)
	}
	t.Logf("%d power cuts", len(instants))
	for i := range instants {
		c := &instants[i]
		j, err := c.open()
		if err != nil {
			t.Fatalf("power cut %d: %v", i, err)
		}
		c.check(t, j, c.attempted)
		_ = j.Close()
		if t.Failed() {
			t.Fatalf("power cut %d of %d", i, len(instants))
		}
	}
}

// testStops stops the disk at each of a journal's writes and syncs in turn.
func testStops(t testing.TB, e Engine) {
	if e.Stopping == nil {
		t.Skip("the engine has no disk")
	}
	reached := 0
	for k := 1; ; k += 1 + k/60 { // early ones one by one
		j, restart := e.Stopping(t, k)
		w := &work{journal: j}
		if err := w.do(t); err != nil {
			wantStopped(t, w, err)
		}
		again, stopped := restart()
		before := w.known()
		before.check(t, again, w.attempted.Load())
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("stopped at operation %d", k)
		}
		if !stopped {
			break
		}
		reached++
	}
	if reached < 10 {
		t.Errorf("the work takes %d writes and syncs", reached)
	}
}

// wantStopped fails the test unless a journal that refused a write says so, refuses the next, and still serves reads.
func wantStopped(t testing.TB, w *work, err error) {
	t.Helper()
	wantKind(t, err, hexbid.Unavailable)
	select {
	case <-w.journal.Failed():
	default:
		t.Error("a journal that refused a write does not say that it failed")
	}
	wantKind(t, w.journal.Failure(), hexbid.Unavailable)
	wantKind(t, w.journal.Commit(ctx, recording(w.acknowledged.Load(), workRecords)), hexbid.Unavailable)
	wantKind(t, w.journal.Keep([]journal.Row{row(journal.Meta, "k", "v")}), hexbid.Unavailable)
	if n := wantRecords(t, w.journal); n != w.acknowledged.Load() {
		t.Errorf("a journal that failed shows %d records, %d were acknowledged", n, w.acknowledged.Load())
	}
}

// testReadFaults lets every read fail in turn, and all after it.
func testReadFaults(t testing.TB, e Engine) {
	if e.Unreadable == nil {
		t.Skip("the engine has no disk")
	}
	const records, refusals = 40, 5
	fill := func(j journal.Journal) {
		for i := range uint64(records) {
			b := recording(i, 1)
			b.Rows = append(b.Rows, journal.Row{Table: journal.Viewers, Key: journal.SequenceKey(i + 1), Value: noise(i + 1)})
			mustCommit(t, j, b)
		}
	}
	opened, failures := 0, 0
	for k := 1; ; k++ {
		j, failed, err := e.Unreadable(t, fill, k)
		if err != nil {
			wantRefusal(t, err)
			continue
		}
		opened++
		failures += readAll(t, j, records)
		_ = j.Close()
		if t.Failed() {
			t.Fatalf("read %d failed", k)
		}
		if !failed() {
			break
		}
	}
	if opened < 2 || failures < refusals {
		t.Errorf("%d journals were opened, %d reads failed: too few reads reach the disk", opened, failures)
	}
}

func wantRefusal(t testing.TB, err error) {
	t.Helper()
	if kind := hexbid.KindOf(err); kind != hexbid.Unavailable && kind != hexbid.DataLoss {
		t.Errorf("a disk that cannot be read is an error of kind %d: %v", kind, err)
	}
}

// readAll reads every record by key and by scans, and counts the reads that fail. Those that do not are right.
func readAll(t testing.TB, j journal.Journal, records uint64) (failures int) {
	t.Helper()
	v, err := j.View()
	if err != nil {
		wantRefusal(t, err)
		return 1
	}
	defer v.Close()
	for sequence := uint64(1); sequence <= records; sequence++ {
		for table, want := range map[journal.Table][]byte{journal.Records: recordOf(sequence),
			journal.Viewers: noise(sequence)} {
			value, err := v.Get(table, journal.SequenceKey(sequence))
			if err != nil {
				wantRefusal(t, err)
				failures++
			} else if !bytes.Equal(value, want) {
				t.Errorf("row %d of table %d is %q", sequence, table, value)
			}
		}
	}
	for _, scan := range []func(journal.Table, []byte, []byte, journal.Visit) error{v.Scan, v.ScanBack} {
		n := uint64(0)
		err := scan(journal.Viewers, nil, nil, func(_, _ []byte) (bool, error) { n++; return true, nil })
		if err != nil {
			wantRefusal(t, err)
			failures++
		} else if n != records {
			t.Errorf("a scan shows %d of %d rows", n, records)
		}
	}
	return failures
}

// noise returns a kilobyte that does not compress, so that rows fill several blocks of a table.
func noise(sequence uint64) (b []byte) {
	for i := range 32 {
		part := sha256.Sum256(fmt.Append(nil, sequence, i))
		b = append(b, part[:]...)
	}
	return b
}
