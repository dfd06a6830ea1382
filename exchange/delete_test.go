package exchange

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// visitedStore counts the records that lists show.
type visitedStore struct {
	store.Store
	visited int
}

// List implements store.Store.
func (s *visitedStore) List(ctx context.Context, q store.ListQuery, visit func(store.Record) bool) (string, error) {
	return s.Store.List(ctx, q, func(r store.Record) bool { s.visited++; return visit(r) })
}

func TestDeletingAProgramLooksAtFewOfItsOwnersCampaigns(t *testing.T) {
	e := open(t, nil)
	counted := &visitedStore{Store: e.store}
	e.store = counted
	other := "advertisers/a/programs/other"
	all := []hexbid.Resource{&hexbid.Program{Meta: hexbid.Meta{Name: other}, DisplayName: "O", Category: hexbid.Catering,
		Hosts: []hexbid.Host{hexbid.WeChat}}}
	for i := range 3000 {
		c := campaign(fmt.Sprintf("c%d", i))
		c.Area = hexbid.Area{Regions: []string{"330100"}}
		all = append(all, c)
	}
	fill(t, e, all...)
	if err := e.Delete(ctx, other, store.AnyVersion, true); err != nil || counted.visited > 10 {
		t.Errorf("nobody buys for it: %v, %d records looked at", err, counted.visited)
	}
	counted.visited = 0
	err := e.Delete(ctx, program, store.AnyVersion, false)
	if hexbid.KindOf(err) != hexbid.InUse || !strings.Contains(err.Error(), `is needed by "advertisers/a/campaigns/c`) ||
		counted.visited > 10 {
		t.Errorf("many buy for it: %v, %d records looked at", err, counted.visited)
	}
	last := campaign("z")
	last.Program, last.Area = other, hexbid.Area{Regions: []string{"330100"}}
	fill(t, e, last)
	counted.visited = 0
	err = e.Delete(ctx, other, store.AnyVersion, false)
	if hexbid.KindOf(err) != hexbid.InUse || !strings.Contains(err.Error(), last.Name) || counted.visited > 10 {
		t.Errorf("the last campaign buys for it: %v, %d records looked at", err, counted.visited)
	}
	if err := e.Delete(ctx, last.Name, store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	if err := e.Delete(ctx, other, store.AnyVersion, false); err != nil {
		t.Errorf("when its buyer has gone: %v", err)
	}
}
