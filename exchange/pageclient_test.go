package exchange

import (
	"context"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

// What another client's page token leaves out is what that client's viewer was shown.
func TestAPageTokenIsOfItsClientAlone(t *testing.T) {
	e := open(t, nil)
	var more []hexbid.Resource
	for _, id := range []string{"q", "r", "s"} {
		l := place(id, hub)
		l.Name = "advertisers/a/programs/" + id + "/places/l"
		more = append(more, &hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/a/programs/" + id}, DisplayName: id,
			Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}}, l)
	}
	fill(t, e, append(more, place("l", hub))...)
	callers := map[string]context.Context{"operator": ctx}
	for i, id := range []string{"one", "two", "one"} { // the last is another one that has the name
		callers[id+string(rune('a'+i))] = hexbid.WithPrincipal(ctx, hexbid.Principal{Role: hexbid.Searcher,
			ID: "clients/" + id, UID: hexbid.UID(100 + i), Grants: &hexbid.Grants{}})
	}
	for from, first := range callers {
		r := at(hub)
		r.NearbyLimit = 1
		found, err := e.Search(first, r, time.Now())
		if err != nil || found.NextPageToken == "" {
			t.Fatal(found, err)
		}
		for to, next := range callers {
			r := at(hub)
			r.NearbyLimit, r.PageToken = 1, found.NextPageToken
			if _, err := e.Search(next, r, time.Now()); (err == nil) != (from == to) {
				t.Errorf("the token of %s, sent by %s: %v", from, to, err)
			}
		}
	}
}
