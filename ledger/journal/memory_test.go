package journal_test

import (
	"context"
	"testing"

	"github.com/hexbid/hexbid/ledger/journal"
)

func TestARestartLosesOnlyWhatWasKeptWithoutACommit(t *testing.T) {
	m := journal.NewMemory()
	name := []byte("name")
	row := func(value string) []journal.Row {
		return []journal.Row{{Table: journal.Meta, Key: name, Value: []byte(value)}}
	}
	first := &journal.Batch{Records: [][]byte{[]byte("one")}, Rows: row("committed")}
	if err := m.Commit(context.Background(), first); err != nil {
		t.Fatal(err)
	}
	if err := m.Keep(row("kept")); err != nil {
		t.Fatal(err)
	}
	again := m.Restart()
	if err := m.Commit(context.Background(), &journal.Batch{After: 1}); err == nil {
		t.Error("the journal from before the restart takes writes")
	}
	v, err := again.View()
	if err != nil {
		t.Fatal(err)
	}
	if value, err := v.Get(journal.Meta, name); err != nil || string(value) != "committed" || v.Last() != 1 {
		t.Errorf("%q, %v, last record %d", value, err, v.Last())
	}
}
