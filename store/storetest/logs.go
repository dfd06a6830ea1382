package storetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var logs = []conduct{
	{"the log tells changes as they were committed", testLog},
	{"each record of the log holds the hash of the one before", testHashChain},
	{"a record of the log that was changed or taken out is found", testTampered},
	{"what the log drops by age is a gap, and nothing else goes", testRetentionByAge},
	{"what the log drops by size is a gap", testRetentionBySize},
}

func testLog(t *testing.T, e Engine) {
	s := opened(t, e)
	want := history(t, s)
	if got := logged(t, s, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("logged %+v\nwant %+v", got, want)
	}
	if got := logged(t, s, want[2].Version); !reflect.DeepEqual(got, want[3:]) {
		t.Errorf("after the third: %+v", got)
	}
	if got := logged(t, s, s.Version()); len(got) != 0 {
		t.Errorf("after the last: %+v", got)
	}
	for i := range want {
		if c := &want[i]; !c.At.Equal(noon) || c.Who != "tester" || c.From != "here" {
			t.Errorf("change %d: at %s by %q from %q", i, c.At, c.Who, c.From)
		}
	}
	visited := 0
	if err := s.Log(ctx, 0, func(*store.Change) bool { visited++; return visited < 2 }); err != nil || visited != 2 {
		t.Errorf("a visit that ended after two: %d, %v", visited, err)
	}
	if err := s.Log(stopped(), 0, func(*store.Change) bool { return true }); !isCanceled(err) {
		t.Errorf("a log whose context has ended: %v", err)
	}
	if err := s.Log(ctx, s.Version()+1, func(*store.Change) bool { return true }); !store.IsGap(err) {
		t.Errorf("after a version that there is not yet: %v", err)
	}
	// A visit of the log may commit.
	if err := s.Log(ctx, 0, func(*store.Change) bool {
		mustCommit(t, s,
			put("advertisers/visited", "x"))
		return false
	}); err != nil {
		t.Error(err)
	}
}

func testHashChain(t *testing.T, e Engine) {
	s := opened(t, e)
	history(t, s)
	wantChain(t, logged(t, s, 0))
	if first := logged(t, s, 0)[0]; first.Previous != ([32]byte{}) {
		t.Errorf("before the first: %x", first.Previous)
	}
}

// wantChain checks that each change holds the hash of the one before it.
func wantChain(t testing.TB, changes []store.Change) {
	t.Helper()
	seen := map[[32]byte]bool{{}: true}
	for i := range changes {
		if seen[changes[i].Hash] {
			t.Errorf("the hash of change %d stands twice, or is zero", i)
		}
		seen[changes[i].Hash] = true
		if i > 0 && (changes[i].Previous != changes[i-1].Hash || changes[i].Version <= changes[i-1].Version) {
			t.Errorf("change %d of version %d does not follow version %d", i, changes[i].Version, changes[i-1].Version)
		}
	}
}

func testTampered(t *testing.T, e Engine) {
	for _, harm := range []func(testing.TB, store.Store, uint64){e.Tamper, e.Drop} {
		for at := range 5 {
			s := opened(t, e)
			var changes []store.Change
			for i := range 5 {
				changes = append(changes, mustCommit(t, s, put(fmt.Sprint("advertisers/a", i), "x")))
			}
			harm(t, s, changes[at].Version)
			wantKind(t, s.Log(ctx, 0, func(*store.Change) bool { return true }), hexbid.DataLoss)
		}
	}
}

// hourly commits one more change, an hour after the last, and appends its version to versions.
func hourly(t *testing.T, s store.Store, versions []uint64) []uint64 {
	t.Helper()
	i := len(versions)
	g := group(put(fmt.Sprintf("advertisers/a%d", i%7), fmt.Sprint(i)))
	g.At = noon.Add(time.Duration(i) * time.Hour)
	return append(versions, mustHold(t, s, g).Version)
}

// hourlyUntilGap commits hourly changes until the log has dropped the first.
func hourlyUntilGap(t *testing.T, s store.Store, versions []uint64, each func()) []uint64 {
	t.Helper()
	const mostLag = 5000 // most commits before a log drops changes beyond its retention
	for !store.IsGap(s.Log(ctx, 0, func(*store.Change) bool { return false })) {
		if len(versions) > mostLag {
			t.Fatalf("%d changes are kept", len(versions))
		}
		versions = hourly(t, s, versions)
		each()
	}
	return versions
}

func testRetentionByAge(t *testing.T, e Engine) {
	const hours = 24
	s := openedKeeping(t, e, store.Retention{Age: hours * time.Hour, Bytes: 1 << 30})
	var versions []uint64
	for range hours + 1 {
		versions = hourly(t, s, versions)
	}
	if all := logged(t, s, 0); len(all) != hours+1 {
		t.Fatalf("%d changes of %d hours", len(all), hours)
	}
	feed := s.Watch(versions[hours-1])
	versions = hourlyUntilGap(t, s, versions, func() { mustNext(t, feed) }) // the feed keeps up
	wantChain(t, wantLast(t, s, versions, hours))
	if names := scannedNames(t, s); len(names) != 7 {
		t.Errorf("scanning again finds %v", names)
	}
	wantFromStart(t, e, s, versions, hours+1)
}

// wantLast reads the last n changes, all of which must be in the log.
func wantLast(t *testing.T, s store.Store, versions []uint64, n int) []store.Change {
	t.Helper()
	first := len(versions) - n
	last := logged(t, s, versions[first-1])
	if len(last) != n {
		t.Fatalf("%d changes, want the last %d", len(last), n)
	}
	for i := range last {
		if got := last[i].Puts[0].Resource.(*hexbid.Advertiser).DisplayName; got != fmt.Sprint(first+i) ||
			last[i].Version != versions[first+i] {
			t.Errorf("change %d of version %d puts %s", first+i, last[i].Version, got)
		}
	}
	return last
}

// wantFromStart waits until the log has dropped what it should, and reads it from its start. Then it removes the first
// change that the log still has, and wants DataLoss.
func wantFromStart(t *testing.T, e Engine, s store.Store, versions []uint64, kept int) {
	t.Helper()
	all := func(*store.Change) bool { return true }
	start := versions[len(versions)-kept-1]
	for deadline := time.Now().Add(patience); !store.IsGap(s.Log(ctx, start-1, all)); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log has more than %d of %d changes", kept, len(versions))
		}
	}
	if got := logged(t, s, start); len(got) != kept {
		t.Errorf("%d changes after the start of the log, want %d", len(got), kept)
	}
	e.Drop(t, s, versions[len(versions)-kept])
	wantKind(t, s.Log(ctx, start, all), hexbid.DataLoss)
}

func testRetentionBySize(t *testing.T, e Engine) {
	const bytes = 30_000
	s := openedKeeping(t, e, store.Retention{Age: 1 << 62, Bytes: bytes})
	versions := hourlyUntilGap(t, s, nil, func() {})
	if len(versions) < 50 {
		t.Errorf("%d changes fill %d bytes", len(versions), bytes)
	}
	wantChain(t, wantLast(t, s, versions, 20))
}

func scannedNames(t testing.TB, s store.Store) (names []string) {
	t.Helper()
	if _, err := s.Scan(ctx, func(r store.Record, _ *store.Derived) error {
		names = append(names, r.Meta().Name)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return names
}
