// Package storetest is the conduct that every engine of package store must
// keep.
//go:build ignore

package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
)

// Run holds an engine to the contract. Open makes an empty store; reopen, when
// not nil, closes it and opens the same data again.
func Run(t *testing.T, open func(t *testing.T) store.Store, reopen func(t *testing.T, s store.Store) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"a record comes back as it was put", testRoundTrip},
		{"a batch is all or nothing", testAtomic},
		{"conditions are judged", testConditions},
		{"a uid is never used twice", testUIDs},
		{"a verdict stands until the next", testVerdicts},
		{"a list has order, pages and parents", testList},
		{"a list looks at so many names a call", testListBounds},
		{"a list ends with its context, and holds up no write", testListContext},
		{"a feed and a scan miss nothing", testFeed},
		{"commits from many goroutines keep one order", testConcurrent},
		{"a closed store refuses", testClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer s.Close()
			c.test(t, s)
		})
	}
	if reopen != nil {
		t.Run("everything survives a restart", func(t *testing.T) { testReopen(t, open(t), reopen) })
	}
}

var ctx = context.Background()

func put(name string, displayName string) store.Op {
	return store.Op{Put: &store.Record{Resource: &hexbid.Advertiser{Meta: hexbid.Meta{Name: name}, DisplayName: displayName}}, IfVersion: store.AnyVersion}
}

func mustCommit(t *testing.T, s store.Store, ops ...store.Op) store.Change {
	t.Helper()
	change, err := s.Commit(ctx, ops)
	if err != nil {
		t.Fatal(err)
	}
	return change
}

func wantKind(t *testing.T, err error, kind hexbid.ErrorKind) {
	t.Helper()
	if err == nil || hexbid.KindOf(err) != kind {
		t.Errorf("error %v: want kind %d", err, kind)
	}
}

func fullRecords() []*store.Record {
	at := time.Date(2026, 11, 21, 8, 0, 0, 123, time.UTC)
	return []*store.Record{
		{Resource: &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a", CreatedAt: at, UpdatedAt: at}, DisplayName: "甲", State: hexbid.Active}},
		{Resource: &hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/a/programs/p", CreatedAt: at}, DisplayName: "程序", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat, hexbid.Alipay}, OS: []hexbid.OS{hexbid.IOS}, MinimumAge: 18, Keywords: []string{"咖啡"}}},
		{Resource: &hexbid.Place{Meta: hexbid.Meta{Name: "advertisers/a/programs/p/places/l"}, Point: hexbid.Point{Lat: 30.25, Lng: 120.16}, Review: hexbid.Approved}},
		{Resource: &hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a/campaigns/c"}, Program: "advertisers/a/programs/p", Pricing: hexbid.CPC,
			Bid: 1_200_000, DailyBudget: 50_000_000, Start: at, Hours: []hexbid.WeeklyHours{{Day: 1, Start: 2, End: 3}},
			Area:     hexbid.Area{Circles: []hexbid.Circle{{Center: hexbid.Point{Lat: 1, Lng: 2}, RadiusM: 3}}, Cells: []uint64{0x89309ab36abffff}, Regions: []string{"330100"}},
			Audience: hexbid.Audience{Ages: []hexbid.AgeRange{{Min: 18, Max: 30}}}, Cap: hexbid.FrequencyCap{Impressions: 3, Window: time.Hour}},
			Covering: []geoindex.Posting{{Key: 0x89309ab36abffff, Touched: 0x7f, Full: 5}, {Key: geoindex.Everywhere, Touched: 0x7f}, {Key: geoindex.KeyOfRegion(3), Touched: 1, Full: 1}}},
	}
}

func testRoundTrip(t *testing.T, s store.Store) {
	var ops []store.Op
	for _, r := range fullRecords() {
		ops = append(ops, store.Op{Put: r})
	}
	change := mustCommit(t, s, ops...)
	for i, want := range fullRecords() {
		meta := want.Meta()
		meta.UID, meta.Version = hexbid.UID(i+1), change.Version
		got, err := s.Get(ctx, meta.Name)
		if err != nil || !reflect.DeepEqual(got, *want) {
			t.Errorf("got %+v, %v\nwant %+v", got.Resource, err, want.Resource)
		}
		if byUID, err := s.ByUID(ctx, meta.UID); err != nil || !reflect.DeepEqual(byUID, *want) {
			t.Errorf("by uid %d: got %+v, %v\nwant %+v", meta.UID, byUID.Resource, err, want.Resource)
		}
	}
}

func testAtomic(t *testing.T, s store.Store) {
	mustCommit(t, s, put("advertisers/a", "first"))
	_, err := s.Commit(ctx, []store.Op{put("advertisers/b", "b"), put("advertisers/a", "second"), {Delete: "advertisers/none", IfVersion: store.AnyVersion}})
	wantKind(t, err, hexbid.NotFound)
	if _, err := s.Get(ctx, "advertisers/b"); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("a record of the failed batch is there: %v", err)
	}
	if r, _ := s.Get(ctx, "advertisers/a"); r.Resource.(*hexbid.Advertiser).DisplayName != "first" {
		t.Error("a record was changed by the failed batch")
	}
	// A uid is not used again, and finds nothing once its record is gone.
	gone, _ := s.Get(ctx, "advertisers/a")
	mustCommit(t, s, store.Op{Delete: "advertisers/a", IfVersion: store.AnyVersion})
	mustCommit(t, s, put("advertisers/a", "another"))
	_, err = s.ByUID(ctx, gone.Meta().UID)
	wantKind(t, err, hexbid.NotFound)
	// A step sees what the steps before it did.
	mustCommit(t, s, put("advertisers/c", "c"), store.Op{Delete: "advertisers/c", IfVersion: store.AnyVersion})
	if _, err := s.Get(ctx, "advertisers/c"); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("put then deleted in one batch: %v", err)
	}
}

func testConditions(t *testing.T, s store.Store) {
	create := put("advertisers/a", "x")
	create.IfVersion = 0
	first := mustCommit(t, s, create)
	_, err := s.Commit(ctx, []store.Op{create})
	wantKind(t, err, hexbid.AlreadyExists)
	update := put("advertisers/a", "y")
	update.IfVersion = first.Version
	second := mustCommit(t, s, update)
	if second.Version <= first.Version {
		t.Errorf("version %d after %d", second.Version, first.Version)
	}
	_, err = s.Commit(ctx, []store.Op{update})
	wantKind(t, err, hexbid.Stale)
	_, err = s.Commit(ctx, []store.Op{{Delete: "advertisers/a", IfVersion: first.Version}})
	wantKind(t, err, hexbid.Stale)
	update = put("advertisers/none", "z")
	update.IfVersion = 7
	_, err = s.Commit(ctx, []store.Op{update})
	wantKind(t, err, hexbid.NotFound)
}

func testUIDs(t *testing.T, s store.Store) {
	seen := map[hexbid.UID]bool{}
	for range 3 {
		r := mustCommit(t, s, put("advertisers/a", "x")).Puts[0]
		if seen[r.Meta().UID] || r.Meta().UID == 0 {
			t.Fatalf("uid %d was used before", r.Meta().UID)
		}
		seen[r.Meta().UID] = true
		if again := mustCommit(t, s, put("advertisers/a", "y")).Puts[0]; again.Meta().UID != r.Meta().UID {
			t.Errorf("an update changed the uid from %d to %d", r.Meta().UID, again.Meta().UID)
		}
		mustCommit(t, s, store.Op{Delete: "advertisers/a", IfVersion: store.AnyVersion})
	}
}

// judge puts a place with a verdict on it.
func judge(state hexbid.ReviewState, displayName string) store.Op {
	p := hexbid.Place{Meta: hexbid.Meta{Name: "advertisers/a/programs/p/places/l"}, DisplayName: displayName, Review: state}
	at := time.Date(2026, 11, 21, 8, 0, 0, 123, time.UTC)
	return store.Op{Put: &store.Record{Resource: &p}, IfVersion: store.AnyVersion,
		Verdict: &store.Verdict{State: state, At: at, Of: hexbid.Place{DisplayName: displayName, Point: hexbid.Point{Lat: 30.25, Lng: 120.16}}}}
}

func mustVerdict(t *testing.T, s store.Store, name string) store.Verdict {
	t.Helper()
	v, err := s.Verdict(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func testVerdicts(t *testing.T, s store.Store) {
	hidden := judge(hexbid.Hidden, "one")
	name := hidden.Name()
	want := func(want *store.Verdict, version uint64, when string) {
		t.Helper()
		expected := store.Verdict{}
		if want != nil {
			expected = *want
			expected.Version = version
		}
		if got := mustVerdict(t, s, name); !reflect.DeepEqual(got, expected) {
			t.Errorf("%s: the verdict is %+v, want %+v", when, got, expected)
		}
	}
	want(nil, 0, "at first")
	version := mustCommit(t, s, hidden).Version
	want(hidden.Verdict, version, "given")
	plain := hidden
	plain.Verdict = nil
	mustCommit(t, s, plain)
	mustCommit(t, s, store.Op{Delete: name, IfVersion: store.AnyVersion})
	want(hidden.Verdict, version, "after a change and a deletion without one")
	if _, err := s.Get(ctx, name); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("a verdict keeps its place: %v", err)
	}
	mustCommit(t, s, plain)
	want(hidden.Verdict, version, "of the place made again")

	_, err := s.Commit(ctx, []store.Op{judge(hexbid.Approved, "two"), {Delete: "advertisers/none", IfVersion: store.AnyVersion}})
	wantKind(t, err, hexbid.NotFound)
	stray := put("advertisers/a", "a")
	stray.Verdict = hidden.Verdict
	_, err = s.Commit(ctx, []store.Op{judge(hexbid.Approved, "two"), stray})
	wantKind(t, err, hexbid.Invalid)
	want(hidden.Verdict, version, "after batches that failed")

	last := store.Op{Delete: name, IfVersion: store.AnyVersion, Verdict: judge(hexbid.InReview, "three").Verdict}
	version = mustCommit(t, s, judge(hexbid.Approved, "two"), last).Version
	want(last.Verdict, version, "the last of a batch")
	if v := mustVerdict(t, s, name+"2"); v != (store.Verdict{}) {
		t.Errorf("another name has %+v", v)
	}
}

func testList(t *testing.T, s store.Store) {
	var ops []store.Op
	for _, r := range fullRecords() {
		ops = append(ops, store.Op{Put: r})
	}
	for i := range 7 {
		ops = append(ops, put(fmt.Sprintf("advertisers/b%d", i), "b"))
	}
	ops = append(ops, put("advertisers/a-1", "prefix of no one"))
	mustCommit(t, s, ops...)
	names := mustList(t, s, store.ListQuery{Kind: hexbid.KindAdvertiser}, 4)
	if len(names) != 9 {
		t.Errorf("listed %v", names)
	}
	for i := 1; i < len(names); i++ {
		if names[i-1] >= names[i] {
			t.Errorf("%q before %q", names[i-1], names[i])
		}
	}
	for parent, want := range map[string]int{"advertisers/a/programs/p": 1, "advertisers/-/programs/-": 1, "advertisers/a/programs/-": 1,
		"advertisers/-/programs/p": 1, "advertisers/b/programs/p": 0, "advertisers/-/programs/q": 0} {
		if found := mustList(t, s, store.ListQuery{Kind: hexbid.KindPlace, Parent: mustParse(t, parent)}, 10); len(found) != want {
			t.Errorf("places under %s: %v; want %d", parent, found, want)
		}
	}
}

func mustParse(t *testing.T, name string) hexbid.Name {
	t.Helper()
	n, err := hexbid.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// mustList reads a list to its end, in pages.
func mustList(t *testing.T, s store.Store, q store.ListQuery, page int) (names []string) {
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

// testListBounds lists the places of one program id among many advertisers that
// have others.
func testListBounds(t *testing.T, s store.Store) {
	const owners, each = 40, 25
	var ops []store.Op
	for a := range owners {
		for _, program := range []string{"m", "other", "z"} {
			for l := range each {
				if program == "m" && a%10 != 7 {
					continue // a few have the one that is asked for
				}
				ops = append(ops, store.Op{Put: &store.Record{Resource: &hexbid.Place{Meta: hexbid.Meta{
					Name: fmt.Sprintf("advertisers/a%d/programs/%s/places/l%d", a, program, l)}}}, IfVersion: store.AnyVersion})
			}
		}
	}
	mustCommit(t, s, ops...)
	const names = 10
	q := store.ListQuery{Kind: hexbid.KindPlace, Parent: mustParse(t, "advertisers/-/programs/m"), Names: names}
	found, calls := 0, 0
	for {
		calls++
		next, err := s.List(ctx, q, func(r store.Record) bool { found++; return true })
		if err != nil {
			t.Fatal(err)
		}
		if next == "" {
			break
		}
		if next <= q.After || !q.MayFollow(next) {
			t.Fatalf("%q after %q", next, q.After)
		}
		q.After = next
	}
	if found != owners/10*each {
		t.Errorf("found %d of %d", found, owners/10*each)
	}
	// What others have is leapt over: two names an advertiser are looked at, not
	// fifty, and those found.
	if looked := calls * names; looked > found+3*owners {
		t.Errorf("%d names looked at for %d among %d advertisers", looked, found, owners)
	}
	if most := len(ops)/names + 1; calls > most {
		t.Errorf("%d calls", calls)
	}
	one := store.ListQuery{Kind: hexbid.KindPlace, Parent: mustParse(t, "advertisers/-/programs/none"), Names: 1}
	if next, err := s.List(ctx, one, func(r store.Record) bool { t.Errorf("found %s", r.Meta().Name); return true }); err != nil || next == "" {
		t.Errorf("a list of which one name was looked at: %q, %v", next, err)
	}
}

// testListContext ends a list's context while it goes on.
func testListContext(t *testing.T, s store.Store) {
	var ops []store.Op
	for i := range 1000 {
		ops = append(ops, put(fmt.Sprintf("advertisers/a%d", i), "x"))
	}
	mustCommit(t, s, ops...)
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	visited := 0
	_, err := s.List(stopped, store.ListQuery{Kind: hexbid.KindAdvertiser}, func(store.Record) bool {
		if visited++; visited == 3 {
			stop()
		}
		return true
	})
	if !errors.Is(err, context.Canceled) || visited != 3 {
		t.Errorf("%d records were visited, the context ended at 3: %v", visited, err)
	}
	// A write may come between while a list goes on.
	if _, err := s.List(ctx, store.ListQuery{Kind: hexbid.KindAdvertiser}, func(r store.Record) bool {
		mustCommit(t, s, put(r.Meta().Name, "y"))
		return r.Meta().Name < "advertisers/a2"
	}); err != nil {
		t.Error(err)
	}
}

func testFeed(t *testing.T, s store.Store) {
	mustCommit(t, s, put("advertisers/before", "x"))
	feed := s.Watch()
	mustCommit(t, s, put("advertisers/between", "x"))
	state := map[string]bool{}
	scanned, err := s.Scan(ctx, func(r store.Record) error { state[r.Meta().Name] = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	last := mustCommit(t, s, put("advertisers/after", "x"), store.Op{Delete: "advertisers/before", IfVersion: store.AnyVersion})
	for version := uint64(0); version < last.Version; {
		change, err := feed.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if change.Version <= version {
			t.Fatalf("version %d after %d", change.Version, version)
		}
		version = change.Version
		if version <= scanned {
			continue
		}
		for i := range change.Puts {
			state[change.Puts[i].Meta().Name] = true
		}
		for i := range change.Deletes {
			delete(state, change.Deletes[i].Meta().Name)
		}
	}
	if want := map[string]bool{"advertisers/between": true, "advertisers/after": true}; !reflect.DeepEqual(state, want) {
		t.Errorf("feed and scan give %v, want %v", state, want)
	}
	if _, more := feed.Waiting(); more {
		t.Error("one change too many")
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	if _, err := feed.Next(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting after a stop: %v", err)
	}
}

func testConcurrent(t *testing.T, s store.Store) {
	const writers, each = 8, 20
	feed := s.Watch()
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				if _, err := s.Commit(ctx, []store.Op{put(fmt.Sprintf("advertisers/w%d-%d", w, i), "x")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	uids := map[hexbid.UID]bool{}
	var last uint64
	for range writers * each {
		change, ok := feed.Waiting()
		if !ok || change.Version <= last {
			t.Fatalf("change %+v after version %d, there: %v", change, last, ok)
		}
		last = change.Version
		uids[change.Puts[0].Meta().UID] = true
	}
	if len(uids) != writers*each {
		t.Errorf("%d uids for %d records", len(uids), writers*each)
	}
}

func testClosed(t *testing.T, s store.Store) {
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Commit(ctx, []store.Op{put("advertisers/a", "x")})
	wantKind(t, err, hexbid.Unavailable)
	_, err = s.Get(ctx, "advertisers/a")
	wantKind(t, err, hexbid.Unavailable)
	_, err = s.Verdict(ctx, "advertisers/a/programs/p/places/l")
	wantKind(t, err, hexbid.Unavailable)
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func testReopen(t *testing.T, s store.Store, reopen func(*testing.T, store.Store) store.Store) {
	first := mustCommit(t, s, put("advertisers/a", "a"), put("advertisers/gone", "x"))
	mustCommit(t, s, store.Op{Delete: "advertisers/gone", IfVersion: store.AnyVersion})
	judged := judge(hexbid.Hidden, "x")
	mustCommit(t, s, judged)
	mustCommit(t, s, store.Op{Delete: judged.Name(), IfVersion: store.AnyVersion})
	before := mustVerdict(t, s, judged.Name())
	s = reopen(t, s)
	defer s.Close()
	r, err := s.Get(ctx, "advertisers/a")
	if err != nil || r.Meta().Version != first.Version {
		t.Fatalf("after a restart: %+v, %v", r, err)
	}
	if after := mustVerdict(t, s, judged.Name()); after.State != hexbid.Hidden || !reflect.DeepEqual(after, before) {
		t.Errorf("the verdict %+v is %+v after the restart", before, after)
	}
	next := mustCommit(t, s, put("advertisers/gone", "again"))
	if uid := next.Puts[0].Meta().UID; uid <= first.Puts[1].Meta().UID {
		t.Errorf("uid %d was used before the restart", uid)
	}
	if next.Version <= first.Version+1 {
		t.Errorf("version %d was used before the restart", next.Version)
	}
}
