package exchange

import (
	"context"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// hidingStore is a store with a damaged file that hides the changes from a version up to another.
type hidingStore struct {
	store.Store
	from, to uint64
}

func (s *hidingStore) History(ctx context.Context, q store.HistoryQuery, visit func(*store.Past) bool) (uint64, error) {
	if q.Before > s.from && q.Before <= s.to {
		visit(&store.Past{Change: store.Change{Version: s.from}, Damaged: true, Stretch: true})
		return s.from, nil
	}
	return s.Store.History(ctx, q, visit)
}

// TestAStretchOfDamageNamesNoChange asks for lists and single changes where a damaged file hides some.
func TestAStretchOfDamageNamesNoChange(t *testing.T) {
	e := open(t, nil)
	fill(t, e, campaign("c"), campaign("d"))
	e.store = &hidingStore{Store: e.store, from: 3, to: 6}
	var told []*Change
	next, err := e.Changes(ctx, &ChangeQuery{Before: 5}, func(c *Change) bool { told = append(told, c); return true })
	if err != nil || next != 3 || len(told) != 1 || told[0].Name != "" || !told[0].Damaged {
		t.Errorf("a page in the damage tells %+v, %v, and goes on before %d", told, err, next)
	}
	for _, version := range []uint64{3, 4} {
		name := e.nameOfChange(version)
		_, err := e.Change(ctx, name)
		_, undo := e.Undo(ctx, name, false)
		for _, err := range []error{err, undo} {
			if hexbid.KindOf(err) != hexbid.DataLoss || !strings.Contains(err.Error(), "restore") {
				t.Errorf("change %d: %v", version, err)
			}
		}
	}
	if _, err := e.Change(ctx, e.nameOfChange(2)); err != nil {
		t.Errorf("a change below the damage: %v", err)
	}
}
