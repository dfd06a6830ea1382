package exchange

import (
	"context"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// cutStore is a store whose next commit is cut off, before or after it has happened, as by a power cut.
type cutStore struct {
	store.Store
	before, after bool
}

func (s *cutStore) Commit(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	cut := hexbid.Errorf(hexbid.Unavailable, "", "the power is cut")
	if s.before {
		return nil, cut
	}
	outcomes, err := s.Store.Commit(ctx, groups)
	if s.after {
		return nil, cut
	}
	return outcomes, err
}

// An undo that is cut off around its commit is there whole after the next start, with its history, or not at all. The
// same undo again then says so, or happens.
func TestAnUndoThatIsCutOffIsWholeOrNotThere(t *testing.T) {
	for _, happened := range []bool{false, true} {
		cut := &cutStore{Store: store.NewMemory()}
		e := openOn(t, cut, 1000)
		fill(t, e, place("l", hub), campaign("c"))
		name := campaign("c").Name
		if err := setBid(ctx, e, name, 2_000_000); err != nil {
			t.Fatal(err)
		}
		created := latest(t, e, place("l", hub).Name).Name // its undo deletes the place and its verdict
		change := latest(t, e, name).Name
		cut.before, cut.after = !happened, happened
		for _, undone := range []string{change, created} {
			if _, err := e.Undo(operatorOf("users/alice"), undone, false); hexbid.KindOf(err) != hexbid.Unavailable {
				t.Fatalf("cut off: %v", err)
			}
		}
		e.Close()
		ids := e.changeIDs
		e = openOn(t, cut.Store, 1000)
		e.changeIDs = ids // as the pepper of a data folder makes them
		last := latest(t, e, name)
		bid := must(e.Get(ctx, name)).(*hexbid.Campaign).Bid
		if isUndo := last.Undoes != "" && last.By.ID == "users/alice"; isUndo != happened || (bid == 1_000_000) != happened {
			t.Errorf("happened %v: the bid is %d, by %+v", happened, bid, last)
		}
		if _, err := e.Get(ctx, place("l", hub).Name); (hexbid.KindOf(err) == hexbid.NotFound && err != nil) != happened {
			t.Errorf("happened %v: the place: %v", happened, err)
		}
		if _, err := e.Undo(ctx, change, false); (err == nil) == happened || happened && hexbid.KindOf(err) != hexbid.Stale {
			t.Errorf("happened %v: the same undo again: %v", happened, err)
		}
	}
}
