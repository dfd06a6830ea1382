package storetest

import (
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var syncs = []conduct{
	{"nothing that is not synced is seen", testUnsynced},
	{"commits are judged by what is being synced, and answered after it", testWhileSyncing},
	{"two commits that share a sync are not one commit", testShareSync},
}

// shown is all that a store shows of what testUnsynced commits.
type shown struct {
	everything
	Listed  []string
	Version uint64
	Waiting bool // for a feed
	ByUID   bool
}

func shownBy(t *testing.T, s store.Store, feed *store.Feed, uid hexbid.UID) shown {
	t.Helper()
	_, waiting := feed.Waiting()
	_, err := s.ByUID(ctx, uid)
	return shown{everythingIn(t, s), mustList(t, s, store.ListQuery{Kind: hexbid.KindAdvertiser}, 10), s.Version(),
		waiting, err == nil}
}

func testUnsynced(t *testing.T, e Engine) {
	if e.Holding == nil {
		t.Skip("the engine does not sync")
	}
	s, hold := e.Holding(t)
	defer func() { _ = s.Close() }()
	last := mustCommit(t, s, append(parents(), judged(hexbid.Hidden, "x"), withDerived("advertisers/d", "one"),
		put("advertisers/gone", "x"))...)
	feed := s.Watch(s.Version())
	next := last.Puts[len(last.Puts)-1].Meta().UID + 1
	before := shownBy(t, s, feed, next)
	waits, release := hold()
	var work sync.WaitGroup
	work.Go(func() {
		if o := try(t, s, group(create("advertisers/b"), put("advertisers/a", "changed"), judged(hexbid.Approved, "y"),
			withDerived("advertisers/d", "two"),
			remove("advertisers/gone"), counting("advertisers/e",
				store.Count{Owner: "x", Counter: store.Places, By: 5}))); o.Err != nil {
			t.Error(o.Err)
		}
	})
	mustCome(t, waits)
	if now := shownBy(t, s, feed, next); !reflect.DeepEqual(now, before) {
		t.Errorf("while a commit is synced there is\n%+v\nbefore it there was\n%+v", now, before)
	}
	if r := mustGet(t, s, "advertisers/a"); r.Resource.(*hexbid.Advertiser).DisplayName != "a" {
		t.Errorf("a record that is not synced: %+v", r.Resource)
	}
	wantGone(t, s, "advertisers/b")
	if outcomes, err := s.Judge(ctx, each(create("advertisers/b"), create("advertisers/gone"))); err != nil ||
		outcomes[0].Err != nil || outcomes[1].Err == nil {
		t.Errorf("judged by what is not synced: %+v, %v", outcomes, err)
	}
	release()
	work.Wait()
	if now := shownBy(t, s, s.Watch(before.Version), next); !now.Waiting || !now.ByUID || now.Version <= before.Version ||
		len(now.Listed) != len(before.Listed)+1 ||
		now.Counters[store.CounterKey{Owner: "x", Counter: store.Places}] != 5 || now.Verdict.State != hexbid.Approved ||
		now.Derived["advertisers/d"] != "two" {
		t.Errorf("after the sync there is %+v", now)
	}
}

// testShareSync lets several commits demand that a record was written in their own commit, although another commit
// beside them wrote it. All of them usually share one sync, because an earlier commit is held up.
func testShareSync(t *testing.T, e Engine) {
	if e.Holding == nil {
		t.Skip("the engine does not sync")
	}
	s, hold := e.Holding(t)
	defer func() { _ = s.Close() }()
	for i := range 20 {
		name := fmt.Sprint("advertisers/a", i)
		again := put(name, "of another commit")
		again.IfVersion = store.InThisCommit
		waits, release := hold()
		var work sync.WaitGroup
		work.Go(func() { try(t, s, group(put("advertisers/first", "x"))) })
		mustCome(t, waits)
		work.Go(func() { try(t, s, group(create(name))) })
		yield()
		for range 3 {
			work.Go(func() {
				if o := try(t, s, group(again)); hexbid.KindOf(o.Err) != hexbid.Stale && hexbid.KindOf(o.Err) != hexbid.NotFound {
					t.Errorf("what another commit wrote is taken for that of this one: %v", o.Err)
				}
			})
		}
		yield()
		release()
		work.Wait()
	}
}

// yield gives other goroutines the chance to queue their commits, and answers that come too early the chance to arrive.
func yield() {
	for range 10_000 {
		runtime.Gosched()
	}
}

// mustCome waits until the next sync begins.
func mustCome(t *testing.T, waits <-chan struct{}) {
	t.Helper()
	select {
	case <-waits:
	case <-time.After(patience):
		t.Fatal("a commit was made without a sync")
	}
}

func testWhileSyncing(t *testing.T, e Engine) {
	if e.Holding == nil {
		t.Skip("the engine does not sync")
	}
	s, hold := e.Holding(t)
	defer func() { _ = s.Close() }()
	mustCommit(t, s, put("advertisers/a", "a"), put("advertisers/b", "b"))
	waits, release := hold()
	var released atomic.Bool
	var work sync.WaitGroup
	commits := func(kind hexbid.ErrorKind, g store.Group) {
		work.Go(func() {
			o := try(t, s, g)
			if !released.Load() {
				t.Errorf("a commit was answered with %v while what it was judged by was not synced", o.Err)
			}
			if (o.Err == nil) != (kind == 0) || o.Err != nil && hexbid.KindOf(o.Err) != kind {
				t.Errorf("outcome %v, want kind %d", o.Err, kind)
			}
		})
	}
	first := group(program("advertisers/a/programs/p"), remove("advertisers/b"),
		counting("advertisers/c", store.Count{Owner: "x", Counter: store.Places, By: 5}))
	commits(0, first)
	mustCome(t, waits)
	again := program("advertisers/a/programs/p")
	again.IfVersion = 0
	commits(hexbid.AlreadyExists, group(again))
	commits(hexbid.InUse, group(remove("advertisers/a")))
	commits(hexbid.NotFound, group(program("advertisers/b/programs/p")))
	commits(0, group(place(placeName, hexbid.Approved)))
	limited := group(put("advertisers/d", "d"))
	limited.Steps[0].Put.Counts = []store.Count{{Owner: "x", Counter: store.Places, By: 1}}
	limited.Limits = []store.Limit{{Owner: "x", Counter: store.Places, AtMost: 5}}
	commits(hexbid.Exhausted, limited)
	yield()
	released.Store(true)
	release()
	work.Wait()
	wantNothingDangles(t, s)
	wantChain(t, logged(t, s, 0))
}
