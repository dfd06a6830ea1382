package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

var batches = []conduct{
	{"a batch is there whole and in order", testBatch},
	{"a batch that does not follow the last record is stale and writes nothing", testFollows},
	{"of two writers at once one writes", testTwoWriters},
	{"ranges are erased before rows are put", testErase},
	{"the last of several rows of a key counts, and an empty value is a value", testRows},
	{"records go from the start and never from the end", testEraseRecords},
	{"no slice of a batch is kept", testSlices},
	{"a batch that no engine takes is invalid", testInvalid},
	{"an ended context refuses a batch", testContext},
	{"a closed journal answers nothing", testClosed},
}

func testBatch(t testing.TB, e Engine) {
	j := opened(t, e)
	if v := viewed(t, j); v.Last() != 0 || len(stateOf(t, v).Rows) != 0 {
		t.Errorf("a new journal holds %+v", stateOf(t, v))
	}
	for i := range 5 {
		mustCommit(t, j, recording(last(t, j), i)) // one without records too
	}
	if n := wantRecords(t, j); n != 10 {
		t.Errorf("%d records of 10", n)
	}
	select {
	case <-j.Failed():
		t.Error("a journal on a good disk has failed")
	default:
	}
	if err := j.Failure(); err != nil {
		t.Error(err)
	}
}

func testFollows(t testing.TB, e Engine) {
	j := opened(t, e)
	mustCommit(t, j, recording(0, 3))
	before := stateOf(t, viewed(t, j))
	for _, after := range []uint64{0, 2, 4, 1 << 40} {
		wantKind(t, j.Commit(ctx, recording(after, 1)), hexbid.Stale)
	}
	if now := stateOf(t, viewed(t, j)); !equal(now, before) {
		t.Errorf("after stale batches there is\n%+v\nbefore there was\n%+v", now, before)
	}
	mustCommit(t, j, recording(3, 1))
}

// testTwoWriters lets writers commit what follows the same record. Each sequence has one winner.
func testTwoWriters(t testing.TB, e Engine) {
	j := opened(t, e)
	const rounds = 50
	for range rounds {
		var won atomic.Int64
		var work sync.WaitGroup
		after := last(t, j)
		for range 4 {
			work.Go(func() {
				switch err := j.Commit(ctx, recording(after, 1)); {
				case err == nil:
					won.Add(1)
				case hexbid.KindOf(err) != hexbid.Stale:
					t.Error(err)
				}
			})
		}
		work.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d batches that follow the same record were acknowledged", won.Load())
		}
	}
	if n := wantRecords(t, j); n != rounds {
		t.Errorf("%d batches were acknowledged, %d records are there", rounds, n)
	}
}

func testErase(t testing.TB, e Engine) {
	j := opened(t, e)
	mustCommit(t, j, rows(t, j, row(journal.Hours, "a", "1"), row(journal.Hours, "b", "1"), row(journal.Hours, "c", "1"),
		row(journal.Hours, "d", "1"), row(journal.Days, "b", "other")))
	b := rows(t, j, row(journal.Hours, "b", "2"), row(journal.Hours, "bb", "2"))
	b.Erase = []journal.Range{{Table: journal.Hours, From: []byte("b"), To: []byte("d")},
		{Table: journal.Hours, From: []byte("z"), To: []byte("a")}}
	mustCommit(t, j, b)
	v := viewed(t, j)
	wantTexts(t, v, journal.Hours, map[string]string{"a": "1", "b": "2", "bb": "2", "c": "none", "d": "1"})
	wantTexts(t, v, journal.Days, map[string]string{"b": "other"})
	b = rows(t, j)
	b.Erase = []journal.Range{{Table: journal.Hours, From: []byte("bb")}, {Table: journal.Hours, To: []byte("b")}}
	mustCommit(t, j, b)
	wantTexts(t, viewed(t, j), journal.Hours, map[string]string{"a": "none", "b": "2", "bb": "none", "d": "none"})
	b = rows(t, j)
	b.Erase = []journal.Range{{Table: journal.Hours}}
	mustCommit(t, j, b)
	if found := stateOf(t, viewed(t, j)).Rows; len(found) != 1 {
		t.Errorf("%v is left, want a row in another table alone", found)
	}
}

func testRows(t testing.TB, e Engine) {
	j := opened(t, e)
	mustCommit(t, j, rows(t, j, row(journal.Meta, "twice", "1"), row(journal.Meta, "twice", "2"),
		row(journal.Meta, "passing", "1"), gone(journal.Meta, "passing"), gone(journal.Meta, "again"),
		row(journal.Meta, "again", "2"), row(journal.Meta, "empty", ""), row(journal.Meta, "", "no key"),
		gone(journal.Meta, "never"), row(journal.Names, "twice", "of another table")))
	v := viewed(t, j)
	wantTexts(t, v, journal.Meta, map[string]string{"twice": "2", "passing": "none", "again": "2", "empty": "",
		"": "no key", "never": "none"})
	wantTexts(t, v, journal.Names, map[string]string{"twice": "of another table", "again": "none"})
	mustCommit(t, j, rows(t, j, gone(journal.Meta, "twice")))
	wantTexts(t, v, journal.Meta, map[string]string{"twice": "2"})
	wantTexts(t, viewed(t, j), journal.Meta, map[string]string{"twice": "none"})
}

func wantTexts(t tester, v journal.View, table journal.Table, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if got := text(t, v, table, key); got != value {
			t.Errorf("row %q of table %d is %q, want %q", key, table, got, value)
		}
	}
}

// testEraseRecords erases records, as compaction does. Their sequences are not used again.
func testEraseRecords(t testing.TB, e Engine) {
	j := e.Open(t)
	defer func() { _ = j.Close() }()
	mustCommit(t, j, recording(0, 5))
	for _, to := range [][]byte{journal.SequenceKey(4), nil} {
		b := rows(t, j)
		b.Erase = []journal.Range{{Table: journal.Records, To: to}}
		mustCommit(t, j, b)
		if n := last(t, j); n != 5 {
			t.Errorf("the last record is %d after a compaction, want 5", n)
		}
	}
	if e.Reopen != nil {
		j = e.Reopen(t, j)
	}
	wantKind(t, j.Commit(ctx, recording(0, 1)), hexbid.Stale)
	mustCommit(t, j, recording(5, 1))
	if now := stateNow(t, j); now.Rows[journal.Records] != fmt.Sprintf("[%x=record 6]", journal.SequenceKey(6)) ||
		now.Last != 6 {
		t.Errorf("there is %+v", now)
	}
}

func testSlices(t testing.TB, e Engine) {
	j := opened(t, e)
	b := recording(0, 1)
	b.Rows = append(b.Rows, row(journal.Meta, "key", "value"))
	kept := []journal.Row{row(journal.Meta, "kept", "value")}
	if err := j.Keep(kept); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, j, b)
	for _, s := range [][]byte{b.Records[0], b.Rows[1].Key, b.Rows[1].Value, kept[0].Key, kept[0].Value} {
		clear(s)
	}
	wantRecords(t, j)
	wantTexts(t, viewed(t, j), journal.Meta, map[string]string{"key": "value", "kept": "value"})
	value, err := viewed(t, j).Get(journal.Meta, []byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	clear(value)
	wantTexts(t, viewed(t, j), journal.Meta, map[string]string{"key": "value"})
}

func testInvalid(t testing.TB, e Engine) {
	j := opened(t, e)
	piece := make([]byte, 16<<20)
	huge := &journal.Batch{}
	for range journal.MaxBatchBytes/len(piece) + 1 {
		huge.Records = append(huge.Records, piece)
	}
	for _, b := range []*journal.Batch{
		{Rows: []journal.Row{row(0, "k", "v")}},
		{Rows: []journal.Row{row(journal.TableCount, "k", "v")}},
		{Rows: []journal.Row{row(journal.Meta, "k", "v"), row(journal.Records, "k", "v")}},
		{Erase: []journal.Range{{Table: journal.TableCount}}},
		huge,
	} {
		wantKind(t, j.Commit(ctx, b), hexbid.Invalid)
		if len(b.Rows) > 0 {
			wantKind(t, j.Keep(b.Rows), hexbid.Invalid)
		}
	}
	v := viewed(t, j)
	if found := stateOf(t, v); len(found.Rows) != 0 {
		t.Errorf("invalid batches have left %v", found)
	}
	for _, table := range []journal.Table{0, journal.TableCount} {
		_, err := v.Get(table, nil)
		wantKind(t, err, hexbid.Invalid)
		wantKind(t, v.Scan(table, nil, nil, nil), hexbid.Invalid)
		wantKind(t, v.ScanBack(table, nil, nil, nil), hexbid.Invalid)
	}
}

func testContext(t testing.TB, e Engine) {
	j := opened(t, e)
	ended, end := context.WithCancel(ctx)
	end()
	if err := j.Commit(ended, recording(0, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if n := wantRecords(t, j); n != 0 {
		t.Errorf("%d records", n)
	}
}

func testClosed(t testing.TB, e Engine) {
	j := opened(t, e)
	mustCommit(t, j, recording(0, 1))
	for range 2 {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err := j.View()
	wantKind(t, err, hexbid.Unavailable)
	wantKind(t, j.Commit(ctx, recording(1, 1)), hexbid.Unavailable)
	wantKind(t, j.Keep([]journal.Row{row(journal.Meta, "k", "v")}), hexbid.Unavailable)
	wantKind(t, j.Checkpoint("nowhere"), hexbid.Unavailable)
}
