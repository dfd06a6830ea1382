package journal_test

import (
	"context"
	"testing"

	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
)

// mutant is an engine that breaks the contract in one way.
type mutant struct {
	journal.Journal
	commit func(journal.Journal, *journal.Batch) error
	keep   func(journal.Journal, []journal.Row) error
}

func (m *mutant) Commit(ctx context.Context, b *journal.Batch) error {
	if m.commit == nil || ctx.Err() != nil {
		return m.Journal.Commit(ctx, b)
	}
	return m.commit(m.Journal, b)
}

func (m *mutant) Keep(rows []journal.Row) error {
	if m.keep == nil {
		return m.Journal.Keep(rows)
	}
	return m.keep(m.Journal, rows)
}

func lastOf(j journal.Journal) uint64 {
	v, err := j.View()
	if err != nil {
		return 0
	}
	defer v.Close()
	return v.Last()
}

// TestTheConductFindsEnginesThatBreakIt breaks the engine in memory in ways that a careless engine might.
func TestTheConductFindsEnginesThatBreakIt(t *testing.T) {
	ctx := context.Background()
	for part, m := range map[string]mutant{
		"of two writers": {commit: func(j journal.Journal, b *journal.Batch) error {
			b.After = lastOf(j) // no fence
			return j.Commit(ctx, b)
		}},
		"a batch that does not follow": {commit: func(j journal.Journal, b *journal.Batch) error {
			b.After = lastOf(j)
			return j.Commit(ctx, b)
		}},
		"ranges are erased": {commit: func(j journal.Journal, b *journal.Batch) error {
			ranges := b.Erase
			b.Erase = nil
			if err := j.Commit(ctx, b); err != nil {
				return err
			}
			return j.Commit(ctx, &journal.Batch{After: lastOf(j), Erase: ranges})
		}},
		"rows that are kept": {keep: func(j journal.Journal, rows []journal.Row) error {
			return j.Commit(ctx, &journal.Batch{After: lastOf(j), Rows: rows})
		}},
		"the last of several rows": {commit: func(j journal.Journal, b *journal.Batch) error {
			for i := range b.Rows {
				if len(b.Rows[i].Value) == 0 {
					b.Rows[i].Value = nil // nothing taken for no row
				}
			}
			return j.Commit(ctx, b)
		}},
	} {
		e := ledgertest.Engine{Open: func(testing.TB) journal.Journal {
			return &mutant{journal.NewMemory(), m.commit, m.keep}
		}}
		if !ledgertest.Finds(t, e, part) {
			t.Errorf("%q does not find an engine that breaks it", part)
		}
		if ledgertest.Finds(t, memory(), part) {
			t.Errorf("%q finds fault with a right engine", part)
		}
	}
}
