package storetest

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var restarts = []conduct{
	{"everything survives a restart", testReopen},
	{"a second store on the same data is refused, or keeps the contract with the first", testOpenAgain},
	{"a store that stops in mid-write has each group whole or not at all", testStops},
}

func testReopen(t *testing.T, e Engine) {
	if e.Reopen == nil {
		t.Skip("the engine keeps nothing")
	}
	s := e.Open(t, store.DefaultRetention)
	defer func() { _ = s.Close() }()
	want := history(t, s)
	mustCommit(t, s, judged(hexbid.Hidden, "x"), withDerived("advertisers/d", "derived"),
		counting("advertisers/e", store.Count{Owner: "x", Counter: store.Places, By: 5}))
	last := mustCommit(t, s, campaign("advertisers/a/campaigns/c", "advertisers/a/programs/p", 100))
	before := everythingIn(t, s)
	s = e.Reopen(t, s)
	if after := everythingIn(t, s); !reflect.DeepEqual(after, before) {
		t.Errorf("after the restart there is\n%+v\nbefore it there was\n%+v", after, before)
	}
	if s.Version() < last.Version {
		t.Errorf("version %d after %d", s.Version(), last.Version)
	}
	feed := s.Watch(want[1].Version)
	for _, c := range want[2:] {
		if got := mustNext(t, feed); !reflect.DeepEqual(got, c) {
			t.Errorf("the feed goes on with\n%+v, want\n%+v", got, c)
		}
	}
	refused(t, s, hexbid.InUse, group(remove("advertisers/a/programs/p")))
	next := mustCommit(t, s, put("advertisers/gone", "again"))
	if uid := next.Puts[0].Meta().UID; uid <= last.Puts[0].Meta().UID || next.Version <= last.Version ||
		next.Previous != last.Hash {
		t.Errorf("uid %d and version %d after %d and %d", uid, next.Version, last.Puts[0].Meta().UID, last.Version)
	}
	wantChain(t, logged(t, s, 0))
}

// everything is all that a store shows of the names in history.
type everything struct {
	Records  map[string]store.Record
	Derived  map[string]string
	Verdict  store.Verdict
	Counters map[store.CounterKey]int64
	Log      []store.Change
}

func everythingIn(t testing.TB, s store.Store) everything {
	t.Helper()
	all := everything{Records: map[string]store.Record{}, Derived: derivedNow(t, s), Verdict: mustVerdict(t, s, placeName),
		Counters: map[store.CounterKey]int64{}, Log: logged(t, s, 0)}
	if _, err := s.Scan(ctx, func(r store.Record,
		_ *store.Derived) error {
		all.Records[r.Meta().Name] = r
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, owner := range []string{"advertisers/a", "advertisers/a/programs/p", "x"} {
		for c := store.Entries; c <= store.Buyers; c++ {
			all.Counters[store.CounterKey{Owner: owner, Counter: c}] = counted(t, s, owner, c)
		}
	}
	return all
}

func testOpenAgain(t *testing.T, e Engine) {
	if e.OpenAgain == nil {
		t.Skip("the engine has no place that two could open")
	}
	first := opened(t, e)
	mustCommit(t, first, put("advertisers/a", "a"))
	second, err := e.OpenAgain(t, first)
	if err != nil {
		wantKind(t, err, hexbid.Unavailable)
		mustCommit(t, first, put("advertisers/a", "the first goes on"))
		return
	}
	defer func() { _ = second.Close() }()
	var uids sync.Map
	run(8, func(w int) {
		s := []store.Store{first, second}[w%2]
		for i := range 20 {
			o := try(t, s, group(create(fmt.Sprintf("advertisers/w%d-%d", w/2, i))))
			if o.Err != nil {
				continue // the other store's writer was first
			}
			if _, twice := uids.LoadOrStore(o.Change.Puts[0].Meta().UID, true); twice {
				t.Errorf("uid %d was given out twice", o.Change.Puts[0].Meta().UID)
			}
		}
	})
	if !reflect.DeepEqual(logged(t, first, 0), logged(t, second, 0)) || len(logged(t, first, 0)) != 1+4*20 {
		t.Errorf("the first has %d changes, the second %d", len(logged(t, first, 0)), len(logged(t, second, 0)))
	}
	wantChain(t, logged(t, second, 0))
}

// testStops stops the disk at each of a store's writes and syncs in turn.
func testStops(t *testing.T, e Engine) {
	if e.Stopping == nil {
		t.Skip("the engine keeps nothing")
	}
	reached := 0
	for k := 1; ; k += 1 + k/60 { // early ones one by one
		s, restart := e.Stopping(t, k)
		w := &stoppedWork{store: s}
		w.do(t)
		again, stopped := restart()
		w.check(t, again)
		if err := again.Close(); err != nil {
			t.Errorf("stopped at operation %d: %v", k, err)
		}
		if t.Failed() {
			t.Fatalf("stopped at operation %d", k)
		}
		if !stopped {
			break
		}
		if reached++; reached > 2000 {
			t.Fatal("the work does not end")
		}
	}
	if reached < 10 {
		t.Errorf("the work takes %d writes and syncs", reached)
	}
}

// stoppedWork records what writers and readers do with a store while its disk stops.
type stoppedWork struct {
	store        store.Store
	acknowledged sync.Map // version by first name of a group
	seen         sync.Map // version by name, of all that readers saw
}

const (
	stoppedWriters = 3
	stoppedCommits = 4
	groupsACommit  = 2
)

// pair returns the two names of a group. The second refers to the first.
func pair(writer, commit, group int) (advertiser, program string) {
	advertiser = fmt.Sprintf("advertisers/w%d-%d-%d", writer, commit, group)
	return advertiser, advertiser + "/programs/p"
}

func (w *stoppedWork) do(t *testing.T) {
	var ended atomic.Bool
	var readers sync.WaitGroup
	readers.Go(func() { w.read(&ended) })
	readers.Go(func() { w.follow(t, &ended) })
	run(stoppedWriters, func(writer int) {
		for i := range stoppedCommits {
			groups := make([]store.Group, groupsACommit)
			for j := range groups {
				advertiser, of := pair(writer, i, j)
				groups[j] = group(put(advertiser, "x"), program(of), put("advertisers/all", fmt.Sprint(writer, i, j)))
				groups[j].Steps[0].Put.Counts = []store.Count{{Owner: "pairs", Counter: store.Places, By: 1}}
			}
			outcomes, err := w.store.Commit(ctx, groups)
			for j := range outcomes {
				if err == nil && outcomes[j].Err == nil {
					advertiser, _ := pair(writer, i, j)
					w.acknowledged.Store(advertiser, outcomes[j].Change.Version)
				}
			}
		}
	})
	ended.Store(true)
	readers.Wait()
}

// read records what Get, List, Scan and Counted show, until the writers have ended.
func (w *stoppedWork) read(ended *atomic.Bool) {
	note := func(r store.Record) bool {
		if r.Resource != nil && r.Meta().Name != "advertisers/all" {
			w.seen.Store(r.Meta().Name, r.Meta().Version)
		}
		return true
	}
	for last := false; !last; {
		last = ended.Load() // read once more after the writers have ended
		_, _ = w.store.Scan(ctx, func(r store.Record, _ *store.Derived) error { note(r); return nil })
		_, _ = w.store.List(ctx, store.ListQuery{Kind: hexbid.KindProgram}, note)
		for writer := range stoppedWriters {
			for i := range stoppedCommits {
				advertiser, _ := pair(writer, i, 0)
				if r, err := w.store.Get(ctx, advertiser); err == nil {
					note(r)
				}
			}
		}
		if n, err := w.store.Counted(ctx, "pairs", store.Places); err == nil {
			w.seen.Store("pairs", uint64(n))
		}
	}
}

// follow records what a feed shows, until the writers have ended.
func (w *stoppedWork) follow(t *testing.T, ended *atomic.Bool) {
	feed := w.store.Watch(0)
	for last := false; !last; {
		last = ended.Load()
		for {
			change, there := feed.Waiting()
			if !there {
				break
			}
			for i := range change.Puts {
				if m := change.Puts[i].Meta(); m.Name != "advertisers/all" {
					w.seen.Store(m.Name, m.Version)
				}
			}
			if change.Version > w.store.Version() {
				t.Errorf("a feed shows version %d of %d", change.Version, w.store.Version())
			}
		}
	}
}

// check compares the restarted store with the record.
func (w *stoppedWork) check(t *testing.T, s store.Store) {
	t.Helper()
	there := map[string]uint64{}
	if _, err := s.Scan(ctx, func(r store.Record, _ *store.Derived) error {
		there[r.Meta().Name] = r.Meta().Version
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	pairs := wholePairs(t, there)
	w.acknowledged.Range(func(name, version any) bool {
		if there[name.(string)] != version.(uint64) {
			t.Errorf("%v was acknowledged as version %d, and is version %d", name, version, there[name.(string)])
		}
		return true
	})
	w.seen.Range(func(name, version any) bool {
		if name == "pairs" && version.(uint64) > pairs {
			t.Errorf("%d pairs were counted, %d are there", version, pairs)
		}
		if name != "pairs" && there[name.(string)] != version.(uint64) {
			t.Errorf("version %d of %v was seen, and is version %d", version, name, there[name.(string)])
		}
		return true
	})
	if n := counted(t, s, "pairs", store.Places); uint64(n) != pairs {
		t.Errorf("%d pairs are counted, %d are there", n, pairs)
	}
	changes := logged(t, s, 0)
	wantChain(t, changes)
	if uint64(len(changes)) != pairs {
		t.Errorf("%d changes are logged, %d pairs are there", len(changes), pairs)
	}
	wantNothingDangles(t, s)
	mustCommit(t, s, put("advertisers/after", "x")) // the store still accepts commits
}

// wholePairs counts the pairs that are there. Half a pair is an error.
func wholePairs(t *testing.T, there map[string]uint64) (pairs uint64) {
	t.Helper()
	for writer := range stoppedWriters {
		for i := range stoppedCommits {
			for j := range groupsACommit {
				advertiser, of := pair(writer, i, j)
				if there[advertiser] != there[of] {
					t.Errorf("half a group: %s has version %d, %s %d", advertiser, there[advertiser], of, there[of])
				}
				if there[advertiser] != 0 {
					pairs++
				}
			}
		}
	}
	return pairs
}
