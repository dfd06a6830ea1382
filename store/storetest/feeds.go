package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var feeds = []conduct{
	{"a feed and a scan miss nothing", testFeed},
	{"a scan shows kinds in order, of one version", testScan},
	{"a feed starts after any version", testWatchAfter},
	{"a feed that was stalled resumes exactly from the log", testStalledFeed},
	{"a stalled feed holds no memory", testStalledFeedMemory},
	{"a feed that waits gets what comes", testWaitingFeed},
	{"a feed ahead of the store has a gap", testFeedAhead},
}

func testFeed(t *testing.T, e Engine) {
	s := opened(t, e)
	mustCommit(t, s, put("advertisers/before", "x"))
	feed := s.Watch(s.Version())
	mustCommit(t, s, put("advertisers/between", "x"))
	state := map[string]bool{}
	scanned, err := s.Scan(ctx, func(r store.Record, _ *store.Derived) error { state[r.Meta().Name] = true; return nil })
	if err != nil || scanned != s.Version() {
		t.Fatalf("scanned version %d: %v", scanned, err)
	}
	fromScan := s.Watch(scanned)
	last := mustCommit(t, s, put("advertisers/after", "x"), remove("advertisers/before"))
	if change := mustNext(t, fromScan); !reflect.DeepEqual(change, last) {
		t.Errorf("after the scan: %+v, want %+v", change, last)
	}
	for version := uint64(0); version < last.Version; {
		change := mustNext(t, feed)
		if change.Version <= version {
			t.Fatalf("version %d after %d", change.Version, version)
		}
		version = change.Version
		if version > scanned {
			follow(state, &change)
		}
	}
	if want := map[string]bool{"advertisers/between": true, "advertisers/after": true}; !reflect.DeepEqual(state, want) {
		t.Errorf("feed and scan give %v, want %v", state, want)
	}
	for _, f := range []*store.Feed{feed, fromScan} {
		if _, more := f.Waiting(); more {
			t.Error("one change too many")
		}
		if _, err := f.Next(stopped()); !isCanceled(err) {
			t.Errorf("waiting after a stop: %v", err)
		}
	}
}

func follow(state map[string]bool, c *store.Change) {
	for i := range c.Deletes {
		delete(state, c.Deletes[i].Meta().Name)
	}
	for i := range c.Puts {
		state[c.Puts[i].Meta().Name] = true
	}
}

func testScan(t *testing.T, e Engine) {
	s := opened(t, e)
	all := putAll(fullRecords())
	mustCommit(t, s, append(all, put("advertisers/b", "b"), program("advertisers/b/programs/p"))...)
	type scanned struct {
		kind hexbid.ResourceKind
		name string
	}
	var found []scanned
	version, err := s.Scan(ctx, func(r store.Record, _ *store.Derived) error {
		found = append(found, scanned{store.KindOf(r.Resource), r.Meta().Name})
		if r.Meta().Name == "advertisers/a" { // a commit during the scan belongs to another version
			mustCommit(t, s, put("advertisers/c", "c"), remove("advertisers/b/programs/p"))
		}
		return nil
	})
	want := []scanned{{hexbid.KindAdvertiser, "advertisers/a"}, {hexbid.KindAdvertiser, "advertisers/b"},
		{hexbid.KindProgram, "advertisers/a/programs/p"},
		{hexbid.KindProgram, "advertisers/b/programs/p"}, {hexbid.KindPlace, "advertisers/a/programs/p/places/l"},
		{hexbid.KindCampaign, "advertisers/a/campaigns/c"}, {hexbid.KindUser, "users/a"},
		{hexbid.KindClient, "clients/a"}, {hexbid.KindKey, "clients/a/keys/k"}, {hexbid.KindKey, "users/a/keys/k"},
		{hexbid.KindMarket, "market"}}
	if err != nil || !reflect.DeepEqual(found, want) {
		t.Errorf("scanned %v, %v", found, err)
	}
	if version >= s.Version() {
		t.Errorf("scanned version %d, the change during the scan was %d", version, s.Version())
	}
	failure := errors.New("enough")
	if _, err := s.Scan(ctx, func(store.Record, *store.Derived) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("a scan that was ended: %v", err)
	}
}

// history commits changes of every sort, a few to a commit, and returns those that were accepted.
func history(t *testing.T, s store.Store) (changes []store.Change) {
	t.Helper()
	keep := func(groups ...store.Group) {
		for _, o := range commit(t, s, groups...) {
			if o.Err == nil {
				changes = append(changes, o.Change)
			}
		}
	}
	keep(group(putAll(fullRecords())...))
	keep(each(put("advertisers/a", "one"), put("advertisers/a", "two"), remove("advertisers/none"),
		put("advertisers/b", "three"))...)
	keep(group(judged(hexbid.Hidden, "hidden")), group(remove(placeName), remove("advertisers/a/campaigns/c")))
	keep(group(remove("advertisers/b"), put("advertisers/b", "another")), group(judged(hexbid.Approved, "again")))
	keep(group(store.Step{Judge: placeName, Verdict: judged(hexbid.InReview, "").Verdict}))
	keep(group(put("advertisers/c", "c"), remove("advertisers/c")), group(), group(remove("advertisers/b")))
	keep(group(put("advertisers/a", "three"), put("advertisers/a", "four")), group(put("advertisers/d", "d")))
	// The log keeps the order of the names, whatever happens to each.
	other := place(placeName+"2", hexbid.Hidden)
	other.Verdict = &store.Verdict{State: hexbid.Hidden, At: noon}
	keep(group(put("advertisers/c", "c"), store.Step{Judge: placeName, Verdict: other.Verdict}, other,
		remove("advertisers/d"),
		put("advertisers/e", "e"), put("advertisers/d", "again")))
	return changes
}

func testWatchAfter(t *testing.T, e Engine) {
	s := opened(t, e)
	want := history(t, s)
	for from := range len(want) + 1 {
		var after uint64
		if from > 0 {
			after = want[from-1].Version
		}
		feed := s.Watch(after)
		for i := from; i < len(want); i++ {
			if got := mustNext(t, feed); !reflect.DeepEqual(got, want[i]) {
				t.Fatalf("change %d after version %d:\n%+v, want\n%+v", i, after, got, want[i])
			}
		}
		if c, more := feed.Waiting(); more {
			t.Errorf("one change too many: %+v", c)
		}
	}
}

// stallingCommits are more commits than any engine's tape holds the changes of.
const stallingCommits, groupsAStallingCommit = 12, 500

// stall commits many changes of the advertisers i0 to i9, and returns the version of the last.
func stall(t *testing.T, s store.Store) uint64 {
	t.Helper()
	for i := range stallingCommits {
		groups := make([]store.Group, groupsAStallingCommit)
		for j := range groups {
			groups[j] = group(put(fmt.Sprintf("advertisers/i%d", j%10), fmt.Sprint(i, "-", j)))
		}
		for _, o := range commit(t, s, groups...) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
	}
	return s.Version()
}

func testStalledFeed(t *testing.T, e Engine) {
	s := opened(t, e)
	fromStart, half := s.Watch(0), s.Watch(0)
	want := history(t, s)
	for i := range want[:len(want)/2] {
		if got := mustNext(t, half); !reflect.DeepEqual(got, want[i]) {
			t.Fatalf("change %d: %+v, want %+v", i, got, want[i])
		}
	}
	last := stall(t, s)
	for i := range want {
		if got := mustNext(t, fromStart); !reflect.DeepEqual(got, want[i]) {
			t.Fatalf("change %d from the log:\n%+v, want\n%+v", i, got, want[i])
		}
		if i >= len(want)/2 {
			if got := mustNext(t, half); !reflect.DeepEqual(got, want[i]) {
				t.Fatalf("change %d from the log:\n%+v, want\n%+v", i, got, want[i])
			}
		}
	}
	wantStalled(t, fromStart, last)
	// The feed continues with the changes that follow.
	next := mustCommit(t, s, put("advertisers/a", "next"))
	if got := mustNext(t, fromStart); !reflect.DeepEqual(got, next) {
		t.Errorf("%+v, want %+v", got, next)
	}
}

// wantStalled reads from a feed the changes that stall committed: each once, in order, exact.
func wantStalled(t *testing.T, f *store.Feed, last uint64) {
	t.Helper()
	for i := range stallingCommits {
		for j := range groupsAStallingCommit {
			c := mustNext(t, f)
			if len(c.Puts) != 1 || c.Puts[0].Meta().Version != c.Version {
				t.Fatalf("change %d-%d: %+v", i, j, c)
			}
			got := c.Puts[0].Resource.(*hexbid.Advertiser)
			if want := fmt.Sprintf("advertisers/i%d", j%10); got.Name != want || got.DisplayName != fmt.Sprint(i, "-", j) {
				t.Fatalf("change %d-%d is of %s, %q", i, j, got.Name, got.DisplayName)
			}
			if before := c.Puts[0].Before.Resource; (before == nil) != (i == 0 && j < 10) {
				t.Fatalf("before change %d-%d: %+v", i, j, before)
			}
			if i == stallingCommits-1 && j == groupsAStallingCommit-1 && c.Version != last {
				t.Errorf("the last version is %d, want %d", c.Version, last)
			}
		}
	}
}

// testStalledFeedMemory tests that a change which no tape and no log holds any more is freed, although feeds stand
// before it.
func testStalledFeedMemory(t *testing.T, e Engine) {
	s := openedKeeping(t, e, store.Retention{Age: 1000 * time.Hour, Bytes: 64 << 10})
	before, at := s.Watch(0), s.Watch(0)
	held := func() weak.Pointer[hexbid.Advertiser] {
		change := mustCommit(t, s, put("advertisers/a", "held"))
		return weak.Make(change.Puts[0].Resource.(*hexbid.Advertiser))
	}()
	mustNext(t, at)
	mustCommit(t, s, put("advertisers/a", "another"))
	mustCommit(t, s, put("advertisers/a", "a third")) // nor is it the last one's before-image
	stall(t, s)
	for deadline := time.Now().Add(patience); held.Value() != nil; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("a change that is beyond the retention is held in memory")
		}
	}
	for _, f := range []*store.Feed{before, at} {
		if _, err := f.Next(soon(t)); !store.IsGap(err) {
			t.Errorf("a feed beyond the retention: %v", err)
		}
	}
}

func testWaitingFeed(t *testing.T, e Engine) {
	s := opened(t, e)
	const followers = 4
	got := make(chan store.Change, followers)
	for range followers {
		go func() {
			change, err := s.Watch(0).Next(soon(t))
			if err != nil {
				t.Error(err)
			}
			got <- change
		}()
	}
	want := mustCommit(t, s, put("advertisers/a", "a"))
	for range followers {
		if change := <-got; !reflect.DeepEqual(change, want) {
			t.Errorf("got %+v, want %+v", change, want)
		}
	}
}

func testFeedAhead(t *testing.T, e Engine) {
	s := opened(t, e)
	change := mustCommit(t, s, put("advertisers/a", "a"))
	feed := s.Watch(change.Version + 1)
	if _, there := feed.Waiting(); there {
		t.Error("there is a change")
	}
	bounded, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if _, err := feed.Next(bounded); !store.IsGap(err) {
		t.Errorf("a version that the store has not come to: %v", err)
	}
}
