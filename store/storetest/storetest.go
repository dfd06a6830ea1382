// Package storetest tests the conduct that every engine of package store must keep.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// Engine tells the tests how to make and disturb stores of an engine.
type Engine struct {
	// Open makes an empty store whose log of changes has a retention. The test closes the store.
	Open func(t testing.TB, r store.Retention) store.Store
	// Reopen closes a store that Open made and opens the same data again. Nil for an engine that keeps nothing.
	Reopen func(t testing.TB, s store.Store) store.Store
	// OpenAgain opens the data of a store a second time while the store is open. Either it refuses, or both stores
	// together keep the contract. Nil for an engine whose data no second store could open.
	OpenAgain func(t testing.TB, s store.Store) (store.Store, error)
	// Stopping makes an empty store on a disk that stops at the store's k-th write or sync, counted from 1: that one
	// and all later ones fail. Restart closes the store, drops what was not synced, and opens the rest on a disk that
	// works. It reports whether the disk had stopped. Nil for an engine that keeps nothing.
	Stopping func(t testing.TB, k int) (s store.Store, restart func() (again store.Store, stopped bool))
	// Holding makes an empty store whose syncs of commits can be held up. After hold, the next sync closes waits and
	// does not end before release is called. Nil for an engine that does not sync.
	Holding func(t testing.TB) (s store.Store, hold func() (waits <-chan struct{}, release func()))
	// Tamper changes a byte of a version's change in the log. Drop removes the change from the log.
	Tamper, Drop func(t testing.TB, s store.Store, version uint64)
}

// conduct is one part of the contract.
type conduct struct {
	name string
	test func(*testing.T, Engine)
}

// Run tests that an engine keeps the contract.
func Run(t *testing.T, e Engine) {
	for _, part := range [][]conduct{records, groups, lists, feeds, logs, histories, derivations, races, models, syncs,
		restarts} {
		for _, c := range part {
			t.Run(c.name, func(t *testing.T) { c.test(t, e) })
		}
	}
}

// opened makes an empty store, which the test's cleanup closes.
func opened(t *testing.T, e Engine) store.Store {
	return openedKeeping(t, e, store.DefaultRetention)
}

func openedKeeping(t *testing.T, e Engine, r store.Retention) store.Store {
	s := e.Open(t, r)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var ctx = context.Background()

// patience bounds the wait for an event that must happen.
const patience = 2 * time.Minute

// noon is the time at which the tests' groups are requested.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 123, time.UTC)

// put returns a step that puts an advertiser, whatever its present version.
func put(name, displayName string) store.Step {
	return putting(&hexbid.Advertiser{Meta: hexbid.Meta{Name: name}, DisplayName: displayName})
}

// putting returns a step that puts a resource as Declare declares it, whatever its present version.
func putting(r hexbid.Resource) store.Step {
	record := store.Declare(r, 0)
	return store.Step{Put: &record, IfVersion: store.AnyVersion}
}

// create returns a step that puts an advertiser only if there is none.
func create(name string) store.Step {
	step := put(name, name)
	step.IfVersion = 0
	return step
}

func remove(name string) store.Step { return store.Step{Delete: name, IfVersion: store.AnyVersion} }

func program(name string) store.Step {
	return putting(&hexbid.Program{Meta: hexbid.Meta{Name: name}, DisplayName: name})
}

func key(name string) store.Step {
	return putting(&hexbid.Key{Meta: hexbid.Meta{Name: name}, CredentialID: name, SecretHash: [32]byte{1}})
}

func place(name string, state hexbid.ReviewState) store.Step {
	return putting(&hexbid.Place{Meta: hexbid.Meta{Name: name}, Review: state})
}

// campaign returns a step that puts a campaign for a program. The campaign buys around the program's places if radiusM
// is not 0.
func campaign(name, of string, radiusM float64) store.Step {
	return putting(&hexbid.Campaign{Meta: hexbid.Meta{Name: name}, Program: of, Area: hexbid.Area{AroundPlacesM: radiusM}})
}

func group(steps ...store.Step) store.Group {
	return store.Group{Steps: steps, At: noon, Who: "tester", From: "here"}
}

// each returns one group for each step.
func each(steps ...store.Step) []store.Group {
	groups := make([]store.Group, len(steps))
	for i := range steps {
		groups[i] = group(steps[i])
	}
	return groups
}

// commit commits groups that may be refused.
func commit(t testing.TB, s store.Store, groups ...store.Group) []store.Outcome {
	t.Helper()
	outcomes, err := s.Commit(ctx, groups)
	if err != nil {
		t.Fatal(err)
	}
	if len(outcomes) != len(groups) {
		t.Fatalf("%d outcomes of %d groups", len(outcomes), len(groups))
	}
	return outcomes
}

// mustCommit commits one group of steps, which must be accepted.
func mustCommit(t testing.TB, s store.Store, steps ...store.Step) store.Change {
	t.Helper()
	return mustHold(t, s, group(steps...))
}

func mustHold(t testing.TB, s store.Store, g store.Group) store.Change {
	t.Helper()
	o := commit(t, s, g)[0]
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	return o.Change
}

// refused commits a group that must be refused with a kind of error, and returns the error. Judge must return the same
// one.
func refused(t testing.TB, s store.Store, kind hexbid.ErrorKind, g store.Group) error {
	t.Helper()
	judged, err := s.Judge(ctx, []store.Group{g})
	if err != nil {
		t.Fatal(err)
	}
	before := s.Version()
	o := commit(t, s, g)[0]
	wantKind(t, o.Err, kind)
	wantKind(t, judged[0].Err, kind)
	if o.Err != nil && s.Version() != before {
		t.Errorf("a refused group is version %d", s.Version())
	}
	return o.Err
}

func wantKind(t testing.TB, err error, kind hexbid.ErrorKind) {
	t.Helper()
	if err == nil || hexbid.KindOf(err) != kind {
		t.Errorf("error %v: want kind %d", err, kind)
	}
}

// wantField fails the test unless the error names a field.
func wantField(t testing.TB, err error, field string) {
	t.Helper()
	if all, _ := hexbid.ErrorsOf(err); len(all) == 0 || all[0].Field != field {
		t.Errorf("error %v: want field %q", err, field)
	}
}

func mustGet(t testing.TB, s store.Store, name string) store.Record {
	t.Helper()
	r, err := s.Get(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantGone(t testing.TB, s store.Store, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := s.Get(ctx, name); hexbid.KindOf(err) != hexbid.NotFound || err == nil {
			t.Errorf("%s is there: %v", name, err)
		}
	}
}

func counted(t testing.TB, s store.Store, owner string, c store.Counter) int64 {
	t.Helper()
	n, err := s.Counted(ctx, owner, c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// soon returns a context that ends after patience.
func soon(t testing.TB) context.Context {
	ctx, stop := context.WithTimeout(ctx, patience)
	t.Cleanup(stop)
	return ctx
}

// mustNext returns the next change of a feed.
func mustNext(t testing.TB, f *store.Feed) store.Change {
	t.Helper()
	change, err := f.Next(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return change
}

// logged returns the changes in the log after a version.
func logged(t testing.TB, s store.Store, after uint64) (changes []store.Change) {
	t.Helper()
	if err := s.Log(ctx, after, func(c *store.Change) bool { changes = append(changes, *c); return true }); err != nil {
		t.Fatal(err)
	}
	return changes
}

func stopped() context.Context {
	ctx, stop := context.WithCancel(ctx)
	stop()
	return ctx
}

func mustParse(t testing.TB, name string) hexbid.Name {
	t.Helper()
	n, err := hexbid.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }
