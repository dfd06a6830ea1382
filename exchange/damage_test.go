package exchange

import (
	"context"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// damagedStore cannot read one record.
type damagedStore struct {
	store.Store
	uid hexbid.UID
}

func (d damagedStore) ByUID(ctx context.Context, uid hexbid.UID) (store.Record, error) {
	if uid == d.uid {
		return store.Record{}, hexbid.Errorf(hexbid.DataLoss, "data", "a file is damaged")
	}
	return d.Store.ByUID(ctx, uid)
}

func TestSearchesGoOnWithoutWhatLiesInADamagedFile(t *testing.T) {
	e := open(t, nil)
	const other = "advertisers/a/programs/other"
	fill(t, e, place("l", hub), campaign("c"),
		&hexbid.Program{Meta: hexbid.Meta{Name: other}, DisplayName: "O", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}},
		&hexbid.Place{Meta: hexbid.Meta{Name: other + "/places/l"}, Point: hub})
	for name, want := range map[string][2]int{"advertisers/a/campaigns/c": {0, 1}, other: {1, 0}, program: {0, 1}} {
		r, err := e.Get(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		damaged := &patientStore{Store: damagedStore{e.store, r.Metadata().UID}}
		e.display = newDisplay(damaged, plainCards{}, 1<<20)
		response := mustSearch(t, e, at(hub))
		if got := [2]int{len(response.Sponsored), len(response.Nearby)}; got != want {
			t.Errorf("with %s damaged: %d sponsored and nearby, want %d", name, got, want)
		}
	}
}
