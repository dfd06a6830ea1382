package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var histories = []conduct{
	{"a history tells changes backwards, by name and by owner", testHistory},
	{"a history tells which verdicts a change set", testHistoryOfVerdicts},
	{"a page of a history looks at so many changes, and the next goes on", testHistoryPages},
	{"a change that was altered or taken out is named, and the others are told", testTamperedHistory},
	{"the log knows who was born when, and forgets it with the change", testBorn},
	{"a history holds nothing that the log has dropped", testPrunedHistory},
}

// pastOf reads what a query asks for, and the version to go on before.
func pastOf(t testing.TB, s store.Store, q store.HistoryQuery) (all []store.Past, next uint64) {
	t.Helper()
	next, err := s.History(ctx, q, func(p *store.Past) bool { all = append(all, *p); return true })
	if err != nil {
		t.Fatal(err)
	}
	return all, next
}

// wantPast fails the test unless a query tells the changes of some versions.
func wantPast(t testing.TB, s store.Store, q store.HistoryQuery, want ...uint64) {
	t.Helper()
	got, _ := pastOf(t, s, q)
	versions := []uint64{}
	for i := range got {
		versions = append(versions, got[i].Version)
	}
	if !slices.Equal(versions, want) {
		t.Errorf("%+v tells %v, want %v", q, versions, want)
	}
}

func of(name string) store.HistoryQuery { return store.HistoryQuery{Of: []store.Thread{{Name: name}}} }
func whole(name string) store.HistoryQuery {
	return store.HistoryQuery{Of: []store.Thread{{Name: name, Whole: true}}}
}

func testHistory(t *testing.T, e Engine) {
	s := opened(t, e)
	a := mustCommit(t, s, put("advertisers/a", "1")).Version
	mustCommit(t, s, put("advertisers/ab", "1"))
	p := mustCommit(t, s, program("advertisers/a/programs/p")).Version
	k := mustCommit(t, s, putting(&hexbid.User{Meta: hexbid.Meta{Name: "users/u"}}), key("users/u/keys/k")).Version
	g := group(put("advertisers/a", "2"))
	g.Key, g.Undoes, g.Who = "users/u/keys/k", a, "operator users/u"
	again := mustHold(t, s, g).Version
	wantPast(t, s, of("advertisers/a"), again, a)
	wantPast(t, s, whole("advertisers/a"), again, p, a)
	wantPast(t, s, whole("users/u"), k)
	wantPast(t, s, of("users/u/keys/k"), k)
	wantPast(t, s, of("advertisers/z"))
	wantPast(t, s, store.HistoryQuery{Of: []store.Thread{}})
	wantPast(t, s, store.HistoryQuery{Of: []store.Thread{{Name: "users/u", Whole: true},
		{Name: "advertisers/a", Whole: true,
			After: a}}}, again, k, p)
	wantPast(t, s, store.HistoryQuery{Before: p}, a+1, a)
	wantPast(t, s, store.HistoryQuery{Matches: func(h *store.Headline) bool {
		return h.Who == "operator users/u" && h.At.Equal(noon) && slices.Equal(h.Names, []string{"advertisers/a"})
	}}, again)
	got, _ := pastOf(t, s, of("advertisers/a"))
	last := logged(t, s, again-1)[0]
	if !reflect.DeepEqual(got[0].Change, last) || got[0].Key != g.Key || got[0].Undoes != a ||
		got[0].Puts[0].Before.Resource.(*hexbid.Advertiser).DisplayName != "1" {
		t.Errorf("the last change is\n%+v, in the log\n%+v", got[0], last)
	}
	if next, err := s.History(stopped(), store.HistoryQuery{}, func(*store.Past) bool { return true }); !isCanceled(err) {
		t.Errorf("a history whose context has ended: %d, %v", next, err)
	}
}

func testHistoryOfVerdicts(t *testing.T, e Engine) {
	s := opened(t, e)
	const name = "advertisers/a/programs/p/places/l"
	mustCommit(t, s, put("advertisers/a", "1"), program("advertisers/a/programs/p"), place(name, hexbid.Approved))
	for _, state := range []hexbid.ReviewState{hexbid.Hidden, hexbid.InReview, hexbid.Approved} {
		mustCommit(t, s, store.Step{Judge: name, Verdict: &store.Verdict{State: state, At: noon}})
		mustCommit(t, s, place(name, state))
	}
	got, _ := pastOf(t, s, of(name))
	states := ""
	for i := range got {
		for j := range got[i].Set {
			states += fmt.Sprintf("%s %d to %d; ", got[i].Set[j].Name, got[i].Verdicts[j].State, got[i].Set[j].State)
		}
	}
	if want := fmt.Sprintf("%[1]s %[2]d to %[3]d; %[1]s %[4]d to %[2]d; %[1]s 0 to %[4]d; ", name, hexbid.InReview,
		hexbid.Approved, hexbid.Hidden); states != want {
		t.Errorf("the verdicts went %s\nwant %s", states, want)
	}
}

func testHistoryPages(t *testing.T, e Engine) {
	s := opened(t, e)
	for i := range 40 {
		mustCommit(t, s, put(fmt.Sprintf("advertisers/a%d", i%4), fmt.Sprint(i)))
	}
	looked := 0
	q := store.HistoryQuery{Looks: 7, Matches: func(h *store.Headline) bool { looked++; return h.Version%5 == 0 }}
	var versions []uint64
	for pages := 0; ; pages++ {
		if pages > 40 {
			t.Fatal("the history does not end")
		}
		looked = 0
		got, next := pastOf(t, s, q)
		for i := range got {
			versions = append(versions, got[i].Version)
		}
		if looked > q.Looks {
			t.Errorf("a page looked at %d changes", looked)
		}
		if q.Before = next; next == 0 {
			break
		}
	}
	if want := []uint64{40, 35, 30, 25, 20, 15, 10, 5}; !slices.Equal(versions, want) {
		t.Errorf("pages told %v, want %v", versions, want)
	}
	visited := 0
	next, err := s.History(ctx, of("advertisers/a1"), func(*store.Past) bool { visited++; return visited < 3 })
	if err != nil || visited != 3 {
		t.Fatal(visited, err)
	}
	rest := of("advertisers/a1")
	rest.Before = next
	if got, _ := pastOf(t, s, rest); len(got) != 7 || got[0].Version >= next {
		t.Errorf("after three of ten there are %d", len(got))
	}
}

// testTamperedHistory harms each of some changes in turn. A history names the harmed one and tells the others. Of the
// one before, which the harmed record proves, it may tell no more than the name, and of one before that not what it
// became.
func testTamperedHistory(t *testing.T, e Engine) {
	const changes = 6
	for _, harm := range []func(testing.TB, store.Store, uint64){e.Tamper, e.Drop} {
		for at := range changes {
			s := opened(t, e)
			var versions []uint64
			for i := range changes {
				versions = append(versions, mustCommit(t, s, put("advertisers/a", fmt.Sprint(i))).Version)
			}
			harm(t, s, versions[at])
			for _, q := range []store.HistoryQuery{{}, of("advertisers/a"), whole("advertisers/a")} {
				q.Matches = func(h *store.Headline) bool { return h.Version != versions[at] } // which nobody can read
				wantHarmed(t, s, q, versions, at)
			}
		}
	}
}

// wantHarmed fails the test unless a query tells all changes of some versions, of which one was harmed.
func wantHarmed(t *testing.T, s store.Store, q store.HistoryQuery, versions []uint64, at int) {
	t.Helper()
	got, next := pastOf(t, s, q)
	named := false
	others := map[uint64]bool{}
	for i := range got {
		p, order := &got[i], slices.Index(versions, got[i].Version)
		whole := !p.Damaged && len(p.Lost) == 0 && len(p.Puts) == 1 && p.Who == "tester"
		switch lost := !p.Damaged && len(p.Lost) == 1 && len(p.Puts) == 0 && p.Who == "tester"; {
		case order == at || p.Version == 0:
			named = p.Damaged && len(p.Puts) == 0 && p.Who == ""
			continue
		case order == at-1:
			named = named || p.Damaged
		case !whole && (order != at-2 || !lost):
			t.Errorf("with change %d harmed, change %d is told as %+v", at, order, p)
		}
		others[p.Version] = true
	}
	if !named || len(others) != len(versions)-1 || next != 0 {
		t.Errorf("%+v with change %d harmed: named %v, and %d others are told, then %d", q.Of, at, named, len(others), next)
	}
}

func testBorn(t *testing.T, e Engine) {
	s := opened(t, e)
	born := func(uid hexbid.UID) uint64 {
		version, err := s.Born(ctx, uid)
		if err != nil {
			t.Fatal(err)
		}
		return version
	}
	first := mustCommit(t, s, put("advertisers/a", "1"))
	uid := first.Puts[0].Meta().UID
	mustCommit(t, s, put("advertisers/a", "2"))
	p := mustCommit(t, s, program("advertisers/a/programs/p"))
	mustCommit(t, s, remove("advertisers/a/programs/p"), remove("advertisers/a"))
	revive := put("advertisers/a", "3")
	revive.Revive = uid
	mustCommit(t, s, revive)
	mustCommit(t, s, remove("advertisers/a"))
	second := mustCommit(t, s, put("advertisers/a", "4"))
	if born(uid) != first.Version || born(second.Puts[0].Meta().UID) != second.Version ||
		born(p.Puts[0].Meta().UID) != 0 || born(1<<40) != 0 {
		t.Errorf("born at %d, %d and %d; want %d and %d", born(uid), born(second.Puts[0].Meta().UID),
			born(p.Puts[0].Meta().UID), first.Version, second.Version)
	}
}

func testPrunedHistory(t *testing.T, e Engine) {
	const hours = 24
	s := openedKeeping(t, e, store.Retention{Age: hours * time.Hour, Bytes: 1 << 30})
	uid := mustCommit(t, s, put("advertisers/old", "x")).Puts[0].Meta().UID
	versions := hourlyUntilGap(t, s, nil, func() {})
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		old, _ := pastOf(t, s, whole("advertisers/old"))
		if born, err := s.Born(ctx, uid); err == nil && born == 0 && len(old) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d changes are told after they were dropped", len(old))
		}
	}
	if all, next := pastOf(t, s, store.HistoryQuery{}); len(all) < hours || next != 0 ||
		all[0].Version != versions[len(versions)-1] {
		t.Errorf("%d changes are left of %d", len(all), hours)
	}
}

// compareHistory reads a drawn history, and compares it with the model's log.
func (m *model) compareHistory(t *rapid.T) {
	q := store.HistoryQuery{}
	if names := m.touched(); len(names) > 0 && rapid.Bool().Draw(t, "of a name") {
		name := rapid.SampledFrom(names).Draw(t, "name")
		q.Of = []store.Thread{{Name: name}}
		if rapid.Bool().Draw(t, "whole") {
			q.Of = []store.Thread{{Name: store.OwnerOf(name), Whole: true}}
		}
	}
	at := len(m.log)
	if _, err := m.store.History(ctx, q, func(p *store.Past) bool {
		for at--; at >= 0 && !belongs(&m.log[at], q.Of); at-- {
		}
		if at < 0 || !reflect.DeepEqual(plain(p.Change), m.log[at]) {
			t.Fatalf("the history of %v tells\n%+v\nand not change %d", q.Of, p.Change, at)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	for at--; at >= 0; at-- {
		if belongs(&m.log[at], q.Of) {
			t.Fatalf("the history of %v lacks change %d", q.Of, at)
		}
	}
}

// touched returns all names in the model's log.
func (m *model) touched() (names []string) {
	for i := range m.log {
		names = append(names, namesIn(&m.log[i])...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func namesIn(c *store.Change) (names []string) {
	for i := range c.Puts {
		names = append(names, c.Puts[i].Meta().Name)
	}
	for i := range c.Deletes {
		names = append(names, c.Deletes[i].Meta().Name)
	}
	for i := range c.Verdicts {
		names = append(names, c.Verdicts[i].Name)
	}
	return names
}

// belongs reports whether a change belongs to one of the threads; nil has all changes.
func belongs(c *store.Change, threads []store.Thread) bool {
	return threads == nil || slices.ContainsFunc(namesIn(c), func(name string) bool {
		return slices.ContainsFunc(threads, func(of store.Thread) bool {
			return of.Name == name || of.Whole && store.OwnerOf(name) == of.Name
		})
	})
}
