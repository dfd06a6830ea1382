package storetest

import (
	"reflect"
	"testing"

	"github.com/hexbid/hexbid/store"
)

var derivations = []conduct{
	{"what was derived is kept with its record", testDerived},
	{"what was derived of another version is passed over", testKeepDerived},
	{"what was derived goes with its record", testDerivedGoes},
}

// withDerived returns a step that puts a record together with derived data.
func withDerived(name, value string) store.Step {
	step := put(name, "x")
	step.Derived = &store.Derived{By: 3, Inputs: 1 << 63, Value: []byte(value)}
	return step
}

// derivedNow returns the derived values that a scan shows, by name.
func derivedNow(t testing.TB, s store.Store) map[string]string {
	t.Helper()
	values := map[string]string{}
	if _, err := s.Scan(ctx, func(r store.Record, d *store.Derived) error {
		if d != nil {
			values[r.Meta().Name] = string(d.Value)
			if !d.Of(&r) {
				t.Errorf("a scan shows %+v with %+v", r.Meta(), d)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return values
}

func wantDerived(t testing.TB, s store.Store, want map[string]string, when string) {
	t.Helper()
	if got := derivedNow(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v is derived, want %v", when, got, want)
	}
}

func testDerived(t *testing.T, e Engine) {
	s := opened(t, e)
	step := withDerived("advertisers/a", "one")
	change := mustCommit(t, s, step, put("advertisers/b", "b"))
	want := &store.Derived{UID: change.Puts[0].Meta().UID, Version: change.Version, By: 3, Inputs: 1 << 63,
		Value: []byte("one")}
	if got := change.Puts[0].Derived; !reflect.DeepEqual(got, want) || change.Puts[1].Derived != nil {
		t.Errorf("committed %+v", got)
	}
	if step.Derived.UID != 0 {
		t.Error("the caller's has a uid")
	}
	if got := logged(t, s, 0)[0].Puts[0].Derived; !reflect.DeepEqual(got, want) {
		t.Errorf("logged %+v", got)
	}
	wantDerived(t, s, map[string]string{"advertisers/a": "one"}, "with the put")
	empty := withDerived("advertisers/a", "")
	mustCommit(t, s, empty)
	wantDerived(t, s, map[string]string{"advertisers/a": ""}, "an empty value")
}

func testKeepDerived(t *testing.T, e Engine) {
	s := opened(t, e)
	change := mustCommit(t, s, put("advertisers/a", "a"), put("advertisers/b", "b"))
	a, b := change.Puts[0].Meta(), change.Puts[1].Meta()
	if err := s.KeepDerived(ctx, []store.Derived{{UID: a.UID, Version: a.Version, Value: []byte("late")},
		{UID: b.UID, Version: b.Version - 1, Value: []byte("older")},
		{UID: 99, Version: a.Version, Value: []byte("of none")}}); err != nil {
		t.Fatal(err)
	}
	wantDerived(t, s, map[string]string{"advertisers/a": "late"}, "kept later")
	if got := logged(t, s, 0)[0].Puts; got[0].Derived == nil || string(got[0].Derived.Value) != "late" ||
		got[1].Derived != nil {
		t.Errorf("the log tells %+v and %+v", got[0].Derived, got[1].Derived)
	}
	if err := s.KeepDerived(ctx, []store.Derived{{UID: a.UID, Version: a.Version, Value: []byte("later")}}); err != nil {
		t.Fatal(err)
	}
	wantDerived(t, s, map[string]string{"advertisers/a": "later"}, "kept again")
	changed := mustCommit(t, s, put("advertisers/a", "changed"), withDerived("advertisers/b", "new"))
	tooLate := []store.Derived{{UID: a.UID, Version: a.Version, Value: []byte("too late")},
		{UID: b.UID, Version: b.Version, Value: []byte("too late")}}
	if err := s.KeepDerived(ctx, tooLate); err != nil {
		t.Fatal(err)
	}
	wantDerived(t, s, map[string]string{"advertisers/b": "new"}, "of a version that was replaced")
	if err := s.KeepDerived(ctx, []store.Derived{{UID: a.UID, Version: changed.Version,
		Value: []byte("in time")}}); err != nil {
		t.Fatal(err)
	}
	wantDerived(t, s, map[string]string{"advertisers/a": "in time", "advertisers/b": "new"},
		"of the version that replaced it")
}

func testDerivedGoes(t *testing.T, e Engine) {
	s := opened(t, e)
	mustCommit(t, s, withDerived("advertisers/a", "1"), withDerived("advertisers/b", "2"),
		withDerived("advertisers/c", "3"), withDerived("advertisers/d", "4"))
	mustCommit(t, s, put("advertisers/a", "replaced"))
	mustCommit(t, s, remove("advertisers/b"), withDerived("advertisers/c", "5"))
	mustCommit(t, s, remove("advertisers/d"), put("advertisers/d", "another"))
	mustCommit(t, s, withDerived("advertisers/d", "6"), put("advertisers/d", "put once more"))
	wantDerived(t, s, map[string]string{"advertisers/c": "5"}, "after a replacement and deletes")
	if got := logged(t, s, 0)[0].Puts[2].Derived; got != nil {
		t.Errorf("the log tells %+v of a record that was replaced", got)
	}
	mustCommit(t, s, put("advertisers/b", "made again"))
	wantDerived(t, s, map[string]string{"advertisers/c": "5"}, "after a name was used again")
}
