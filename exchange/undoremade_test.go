package exchange

import (
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// remake deletes resources and makes them again, which gives them other uids.
func remake(t *testing.T, e *Exchange, all ...hexbid.Resource) {
	t.Helper()
	for i := range all {
		if err := e.Delete(ctx, all[len(all)-1-i].Metadata().Name, store.AnyVersion, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range all {
		*r.Metadata() = hexbid.Meta{Name: r.Metadata().Name}
		must(e.Create(ctx, r, false))
	}
}

// What was deleted does not come back under another advertiser, or for another program, that was made since under the
// name of the one it belonged to.
func TestNothingComesBackUnderAnotherOfItsParentsName(t *testing.T) {
	e := open(t, nil)
	own := tenant{id: "a"}
	parts := own.resources()
	if err := firstRejection(e.Import(ctx, parts, false)); err != nil {
		t.Fatal(err)
	}
	deleted := map[string]string{}
	for _, name := range []string{own.campaign(), own.place()} {
		if err := e.Delete(ctx, name, store.AnyVersion, false); err != nil {
			t.Fatal(err)
		}
		deleted[name] = latest(t, e, name).Name
	}
	remake(t, e, parts[1])
	for name := range deleted {
		wantNoUndo(t, e, deleted[name], hexbid.Stale, own.program(), "another one by now")
	}
	remake(t, e, parts[0], parts[1])
	for name := range deleted {
		wantNoUndo(t, e, deleted[name], hexbid.Stale, "another one by now")
	}
}
