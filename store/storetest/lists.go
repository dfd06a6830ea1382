package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var lists = []conduct{
	{"a list has order, pages and parents", testList},
	{"a list looks at so many names a call", testListBounds},
	{"a list of owners seeks what they have", testListOwners},
	{"users, clients and keys are lists of their own", testListIdentities},
	{"a list ends with its context, and holds up no write", testListContext},
}

func testList(t *testing.T, e Engine) {
	s := opened(t, e)
	steps := putAll(fullRecords())
	for i := range 7 {
		steps = append(steps, put(fmt.Sprintf("advertisers/b%d", i), "b"))
	}
	mustCommit(t, s, append(steps, put("advertisers/a-1", "prefix of no one"))...)
	names := mustList(t, s, store.ListQuery{Kind: hexbid.KindAdvertiser}, 4)
	if len(names) != 9 || !slices.IsSorted(names) {
		t.Errorf("listed %v", names)
	}
	for parent, want := range map[string]int{"advertisers/a/programs/p": 1, "advertisers/-/programs/-": 1,
		"advertisers/a/programs/-": 1,
		"advertisers/-/programs/p": 1, "advertisers/b/programs/p": 0, "advertisers/-/programs/q": 0} {
		if found := mustList(t, s, store.ListQuery{Kind: hexbid.KindPlace, Parent: mustParse(t, parent)},
			10); len(found) != want {
			t.Errorf("places under %s: %v; want %d", parent, found, want)
		}
	}
}

func testListIdentities(t *testing.T, e Engine) {
	s := opened(t, e)
	var steps []store.Step
	for _, id := range []string{"a", "a-1", "b"} {
		steps = append(steps, putting(&hexbid.User{Meta: hexbid.Meta{Name: "users/" + id}}),
			putting(&hexbid.Client{Meta: hexbid.Meta{Name: "clients/" + id}}), put("advertisers/"+id, id))
		for _, owner := range []string{"users/", "clients/"} {
			steps = append(steps, key(owner+id+"/keys/1"), key(owner+id+"/keys/2"))
		}
	}
	mustCommit(t, s, steps...)
	for _, c := range []struct {
		kind   hexbid.ResourceKind
		parent string
		owners []string
		want   []string
	}{
		{hexbid.KindUser, "", nil, []string{"users/a", "users/a-1", "users/b"}},
		{hexbid.KindClient, "", nil, []string{"clients/a", "clients/a-1", "clients/b"}},
		{hexbid.KindUser, "", []string{"users/b", "users/a", "users/c"}, []string{"users/a", "users/b"}},
		{hexbid.KindKey, "users/a", nil, []string{"users/a/keys/1", "users/a/keys/2"}},
		{hexbid.KindKey, "clients/a", nil, []string{"clients/a/keys/1", "clients/a/keys/2"}},
		{hexbid.KindKey, "users/c", nil, nil},
		{hexbid.KindKey, "clients/-", nil, []string{"clients/a-1/keys/1", "clients/a-1/keys/2", "clients/a/keys/1",
			"clients/a/keys/2", "clients/b/keys/1", "clients/b/keys/2"}},
		{hexbid.KindKey, "users/-", []string{"users/b"}, []string{"users/b/keys/1", "users/b/keys/2"}},
	} {
		q := store.ListQuery{Kind: c.kind, Owners: c.owners}
		if c.parent != "" {
			q.Parent = mustParse(t, c.parent)
		}
		if found := mustList(t, s, q, 2); !slices.Equal(found, c.want) {
			t.Errorf("%ss under %q of %v: %v", c.kind, c.parent, c.owners, found)
		}
	}
}

// mustList reads a list to its end, in pages.
func mustList(t testing.TB, s store.Store, q store.ListQuery, page int) (names []string) {
	t.Helper()
	for {
		n := 0
		next, err := s.List(ctx, q, func(r store.Record) bool {
			names = append(names, r.Meta().Name)
			n++
			return n < page
		})
		if err != nil {
			t.Fatal(err)
		}
		if next == "" {
			return names
		}
		if n == page && next != names[len(names)-1] {
			t.Fatalf("a list that was ended at %q goes on after %q", names[len(names)-1], next)
		}
		q.After = next
	}
}

// market puts advertisers with places of three programs. Few of them have the program m.
func market(t *testing.T, s store.Store, owners, each int) (places int) {
	var steps []store.Step
	for a := range owners {
		owner := fmt.Sprintf("advertisers/a%d", a)
		steps = append(steps, put(owner, "x"))
		for _, id := range []string{"m", "other", "z"} {
			if id == "m" && a%10 != 7 {
				continue
			}
			steps = append(steps, program(owner+"/programs/"+id))
			for l := range each {
				steps = append(steps, place(fmt.Sprintf("%s/programs/%s/places/l%d", owner, id, l), hexbid.Approved))
				places++
			}
		}
	}
	mustCommit(t, s, steps...)
	return places
}

// pages reads a list by calls with a bound, and counts the calls.
func pages(t *testing.T, s store.Store, q store.ListQuery) (names []string, calls int) {
	for {
		calls++
		next, err := s.List(ctx, q, func(r store.Record) bool { names = append(names, r.Meta().Name); return true })
		if err != nil {
			t.Fatal(err)
		}
		if next == "" {
			return names, calls
		}
		if next <= q.After || !q.MayFollow(next) || !isOwned(t, next, q.Owners) {
			t.Fatalf("%q after %q", next, q.After)
		}
		q.After = next
	}
}

// isOwned reports whether a name belongs to one of the owners; nil means all owners.
func isOwned(t *testing.T, name string, owners []string) bool {
	return owners == nil || slices.Contains(owners, mustParse(t, name).Owner().String())
}

// testListBounds lists the places of one program id among many advertisers that have other programs.
func testListBounds(t *testing.T, e Engine) {
	s := opened(t, e)
	const owners, each = 40, 25
	places := market(t, s, owners, each)
	const names = 10
	found, calls := pages(t, s, store.ListQuery{Kind: hexbid.KindPlace,
		Parent: mustParse(t, "advertisers/-/programs/m"), Names: names})
	if len(found) != owners/10*each {
		t.Errorf("found %d of %d", len(found), owners/10*each)
	}
	// The list leaps over other programs: for each advertiser it looks at two names, not fifty, and at those found.
	if looked := calls * names; looked > len(found)+3*owners {
		t.Errorf("%d names looked at for %d among %d advertisers", looked, len(found), owners)
	}
	if most := places/names + 1; calls > most {
		t.Errorf("%d calls", calls)
	}
	one := store.ListQuery{Kind: hexbid.KindPlace, Parent: mustParse(t, "advertisers/-/programs/none"), Names: 1}
	if next, err := s.List(ctx, one,
		func(r store.Record) bool { t.Errorf("found %s", r.Meta().Name); return true }); err != nil || next == "" {
		t.Errorf("a list of which one name was looked at: %q, %v", next, err)
	}
}

// testListOwners lists the records of some advertisers among many.
func testListOwners(t *testing.T, e Engine) {
	s := opened(t, e)
	const owners, each = 40, 25
	market(t, s, owners, each)
	mustCommit(t, s, put("advertisers/a7-x", "x"), program("advertisers/a7-x/programs/m"),
		place("advertisers/a7-x/programs/m/places/l", hexbid.Approved))
	asked := []string{"advertisers/a7", "advertisers/a33", "advertisers/none", "advertisers/a7", "advertisers/a12"}
	places := store.ListQuery{Kind: hexbid.KindPlace, Owners: asked}
	for _, c := range []struct {
		query store.ListQuery
		want  int
	}{
		{places, 7 * each},
		{store.ListQuery{Kind: hexbid.KindAdvertiser, Owners: asked}, 3},
		{store.ListQuery{Kind: hexbid.KindProgram, Owners: asked}, 7},
		{store.ListQuery{Kind: hexbid.KindPlace, Owners: asked, Parent: mustParse(t, "advertisers/-/programs/m")}, each},
		{store.ListQuery{Kind: hexbid.KindPlace, Owners: asked, Parent: mustParse(t, "advertisers/a12/programs/z")}, each},
		{store.ListQuery{Kind: hexbid.KindPlace, Owners: asked, Parent: mustParse(t, "advertisers/a13/programs/z")}, 0},
		{store.ListQuery{Kind: hexbid.KindPlace, Owners: []string{}}, 0},
		{store.ListQuery{Kind: hexbid.KindPlace, Owners: []string{"advertisers/zz"}}, 0},
	} {
		for _, page := range []int{1, 3, 1000} {
			if found := mustList(t, s, c.query, page); len(found) != c.want || !slices.IsSorted(found) {
				t.Errorf("%+v: found %d %v, want %d", c.query, len(found), found, c.want)
			}
		}
		for _, c.query.Names = range []int{1, 3, 4} {
			found, calls := pages(t, s, c.query)
			if len(found) != c.want {
				t.Errorf("%+v: found %d, want %d", c.query, len(found), c.want)
			}
			// When the list seeks, it looks at the names found and one more for each owner or program id. A call of one
			// name has no second name to leap to.
			if most := (len(found)+2*len(asked))/c.query.Names + 1; calls > most && c.query.Names > 1 {
				t.Errorf("%+v: %d calls for %d found", c.query, calls, len(found))
			}
		}
	}
}

// testListContext ends a list's context before the list is read to its end.
func testListContext(t *testing.T, e Engine) {
	s := opened(t, e)
	var steps []store.Step
	for i := range 1000 {
		steps = append(steps, put(fmt.Sprintf("advertisers/a%d", i), "x"))
	}
	mustCommit(t, s, steps...)
	ending, end := context.WithCancel(ctx)
	defer end()
	visited := 0
	_, err := s.List(ending, store.ListQuery{Kind: hexbid.KindAdvertiser}, func(store.Record) bool {
		if visited++; visited == 3 {
			end()
		}
		return true
	})
	if !errors.Is(err, context.Canceled) || visited != 3 {
		t.Errorf("%d records were visited, the context ended at 3: %v", visited, err)
	}
	// A commit may happen while a list is read.
	if _, err := s.List(ctx, store.ListQuery{Kind: hexbid.KindAdvertiser}, func(r store.Record) bool {
		mustCommit(t, s, put(r.Meta().Name, "y"))
		return r.Meta().Name < "advertisers/a2"
	}); err != nil {
		t.Error(err)
	}
}
