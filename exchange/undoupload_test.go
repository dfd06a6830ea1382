package exchange

import (
	"context"
	"fmt"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// toldStore counts the calls of a history, and the changes that it tells.
type toldStore struct {
	store.Store
	calls, told int
}

func (s *toldStore) History(ctx context.Context, q store.HistoryQuery, visit func(*store.Past) bool) (uint64, error) {
	s.calls++
	return s.Store.History(ctx, q, func(p *store.Past) bool { s.told++; return visit(p) })
}

// An upload of many rows is undone row by row, and each undo reads as little of the log as the first.
func TestAnUploadIsUndoneRowByRow(t *testing.T) {
	const rows = 1_000
	counted := &toldStore{Store: store.NewMemory()}
	e := openOn(t, counted, 10*rows)
	fill(t, e)
	all := make([]hexbid.Resource, rows)
	for i := range all {
		c := campaign(fmt.Sprint("c", i))
		c.Area = hexbid.Area{Circles: []hexbid.Circle{{Center: hub, RadiusM: 100}}}
		all[i] = c
	}
	if err := firstRejection(e.Import(ctx, all, false)); err != nil {
		t.Fatal(err)
	}
	changes := changesFor(t, ctx, e, ChangeQuery{Kind: "campaign"})
	if len(changes) != rows {
		t.Fatalf("an upload of %d rows is %d changes", rows, len(changes))
	}
	for i := range changes {
		counted.calls, counted.told = 0, 0
		if _, err := e.Undo(ctx, changes[i].Name, false); err != nil {
			t.Fatal(err)
		}
		if counted.calls > 1 || counted.told > 1 {
			t.Fatalf("undo %d asked the log %d times, for %d changes", i, counted.calls, counted.told)
		}
	}
	if size := e.Size(); size.Campaigns != 0 {
		t.Errorf("%d campaigns are left", size.Campaigns)
	}
}
