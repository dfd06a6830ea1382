package exchange

import (
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// The undo of the last change leaves every field as it was, and the undo of the undo as the change left it.
func TestAnUndoRestoresAndAnUndoOfItToo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newEditedMarket(t, rapid.Bool().Draw(rt, "manual"))
		defer m.Close()
		for range rapid.IntRange(1, 8).Draw(rt, "edits") {
			before, version := m.content(t), m.store.Version()
			m.edit(rt)
			after := m.content(t)
			if m.store.Version() == version || reflect.DeepEqual(before, after) {
				continue
			}
			last := m.nameOfChange(m.store.Version())
			if _, err := m.Undo(ctx, last, true); err != nil {
				rt.Fatalf("validating: %v", err)
			}
			if got := m.content(t); !reflect.DeepEqual(got, after) {
				rt.Fatal("a validation changes the catalogue")
			}
			undone, err := m.Undo(ctx, last, false)
			if err != nil {
				rt.Fatal(err)
			}
			if got := m.content(t); !reflect.DeepEqual(got, before) {
				rt.Fatalf("undone, it is\n%v\nand was\n%v", got, before)
			}
			if told, err := m.Change(ctx, undone.Name); err != nil || told.Undoes != last || !reflect.DeepEqual(told, undone) {
				rt.Fatalf("the undo is told as %+v, %v\nand answered %+v", told, err, undone)
			}
			if rapid.Bool().Draw(rt, "redo") {
				if _, err := m.Undo(ctx, undone.Name, false); err != nil {
					rt.Fatal(err)
				}
				if got := m.content(t); !reflect.DeepEqual(got, after) {
					rt.Fatalf("redone, it is\n%v\nand was\n%v", got, after)
				}
			}
		}
	})
}

func TestAnUndoLeavesFieldsThatWereChangedSince(t *testing.T) {
	e := open(t, nil)
	fill(t, e, campaign("c"))
	name := campaign("c").Name
	if err := setBid(ctx, e, name, 2_000_000); err != nil {
		t.Fatal(err)
	}
	bid := latest(t, e, name)
	must(e.Update(ctx, name, store.AnyVersion, false, func(present hexbid.Resource) (hexbid.Resource, error) {
		next := *present.(*hexbid.Campaign)
		next.DisplayName = "renamed"
		return &next, nil
	}))
	undone, err := e.Undo(ctx, bid.Name, false)
	if err != nil {
		t.Fatal(err)
	}
	got := must(e.Get(ctx, name)).(*hexbid.Campaign)
	if got.Bid != 1_000_000 || got.DisplayName != "renamed" || undone.Undoes != bid.Name {
		t.Errorf("%+v", got)
	}
	response := mustSearch(t, e, at(hub))
	if len(response.Sponsored) != 0 { // no place is near; the index must have followed all the same
		t.Errorf("%+v", response.Sponsored)
	}
}

// wantNoUndo fails the test unless an undo is refused in words, and changes nothing.
func wantNoUndo(t *testing.T, e *Exchange, change string, kind hexbid.ErrorKind, words ...string) {
	t.Helper()
	before := e.store.Version()
	for _, validateOnly := range []bool{true, false} {
		_, err := e.Undo(ctx, change, validateOnly)
		if err == nil || hexbid.KindOf(err) != kind {
			t.Errorf("the undo: %v", err)
			continue
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q is not in: %v", word, err)
			}
		}
	}
	if e.store.Version() != before {
		t.Error("a refused undo changes the catalogue")
	}
}

func TestAnUndoThatWouldOverwriteIsRefused(t *testing.T) {
	e := open(t, nil)
	fill(t, e, campaign("c"), place("l", hub))
	name := campaign("c").Name
	created := latest(t, e, name)
	if err := setBid(ctx, e, name, 2_000_000); err != nil {
		t.Fatal(err)
	}
	second := latest(t, e, name)
	wantNoUndo(t, e, created.Name, hexbid.Stale, "since it was created", "bid_micros")
	if err := setBid(ctx, e, name, 3_000_000); err != nil {
		t.Fatal(err)
	}
	wantNoUndo(t, e, second.Name, hexbid.Stale, "has changed since", "bid_micros")
	if err := setBid(ctx, e, name, 1_000_000); err != nil {
		t.Fatal(err)
	}
	wantNoUndo(t, e, second.Name, hexbid.Stale, "had before already")
	must(e.Undo(ctx, created.Name, false)) // it is as it was created
	wantNoUndo(t, e, second.Name, hexbid.Stale, "has been deleted since")
	wantNoUndo(t, e, created.Name, hexbid.Stale, "has been deleted since")
	deleted := latest(t, e, name)
	must(e.Create(ctx, campaign("c"), false))
	wantNoUndo(t, e, deleted.Name, hexbid.Stale, "made again since")
	wantNoUndo(t, e, second.Name, hexbid.Stale, "another one by now")
	if err := e.Delete(ctx, name, store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	wantNoUndo(t, e, deleted.Name, hexbid.Stale, "made again since")
	wantNoUndo(t, e, latest(t, e, program).Name, hexbid.InUse, "needed by")
}

func TestAnUndoneDeleteNeedsItsParent(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub), campaign("c"))
	names := []string{campaign("c").Name, place("l", hub).Name, program, "advertisers/a"}
	uids := map[string]hexbid.UID{}
	var deletes []string
	for _, name := range names {
		uids[name] = must(e.Get(ctx, name)).Metadata().UID
		if err := e.Delete(ctx, name, store.AnyVersion, false); err != nil {
			t.Fatal(err)
		}
		deletes = append(deletes, latest(t, e, name).Name)
	}
	wantNoUndo(t, e, deletes[1], hexbid.NotFound, program, "create it first")
	for i := len(deletes) - 1; i >= 0; i-- {
		must(e.Undo(ctx, deletes[i], false))
		if got := must(e.Get(ctx, names[i])).Metadata().UID; got != uids[names[i]] {
			t.Errorf("%s comes back with uid %d, not %d", names[i], got, uids[names[i]])
		}
	}
	if won := mustSearch(t, e, at(hub)).Sponsored; len(won) != 1 || won[0].Campaign != uids[names[0]] {
		t.Errorf("searches find %+v", won)
	}
}

func TestIdentitiesAndVerdictsAloneAreNotUndone(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub))
	must(e.Create(ctx, &hexbid.User{Meta: hexbid.Meta{Name: "users/u"}, Role: hexbid.Operator}, false))
	wantNoUndo(t, e, latest(t, e, "users/u").Name, hexbid.InUse, "nothing revoked comes back")
	if _, _, err := e.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: "users/u/keys/k"}}); err != nil {
		t.Fatal(err)
	}
	if err := e.Delete(ctx, "users/u/keys/k", store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	wantNoUndo(t, e, latest(t, e, "users/u/keys/k").Name, hexbid.InUse, "nothing revoked comes back")
	name := place("l", hub).Name
	must(e.store.Commit(ctx, []store.Group{{Steps: []store.Step{{Judge: name,
		Verdict: &store.Verdict{State: hexbid.Hidden, At: now}}}}}))
	wantNoUndo(t, e, latest(t, e, name).Name, hexbid.InUse, "review the place again")
}

// An undo takes the rights that the same write by hand would take.
func TestAnUndoTakesTheRightsOfItsWrite(t *testing.T) {
	e := open(t, nil)
	own := tenant{id: "a"}
	fill(t, e, place("l", hub), campaign("c"))
	own.uid = must(e.Get(ctx, own.advertiser())).Metadata().UID
	if err := setBid(ctx, e, own.campaign(), 2_000_000); err != nil {
		t.Fatal(err)
	}
	must(e.Review(ctx, own.place(), store.AnyVersion, hexbid.Hidden))
	must(e.Update(ctx, own.advertiser(), store.AnyVersion, false, func(hexbid.Resource) (hexbid.Resource, error) {
		return &hexbid.Advertiser{Meta: hexbid.Meta{Name: own.advertiser()}, DisplayName: "B"}, nil
	}))
	for name, least := range map[string]hexbid.Level{own.campaign(): hexbid.LevelEditor,
		own.advertiser(): hexbid.LevelAdmin, own.place(): hexbid.LevelCount} {
		change := latest(t, e, name).Name
		for level := hexbid.LevelViewer; level < hexbid.LevelCount; level++ {
			_, err := e.Undo(memberOf(own, level), change, true)
			if denied := hexbid.KindOf(err) == hexbid.Denied && err != nil; denied == (level >= least) {
				t.Errorf("of %s by the %s: %v", name, level, err)
			}
		}
	}
}

// Of many who undo a change at once, one does.
func TestManyUndosAtOnceUndoOnce(t *testing.T) {
	e := open(t, nil)
	fill(t, e, campaign("c"))
	if err := setBid(ctx, e, campaign("c").Name, 2_000_000); err != nil {
		t.Fatal(err)
	}
	change := latest(t, e, campaign("c").Name).Name
	before := e.store.Version()
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() { _, errs[i] = e.Undo(ctx, change, false) })
	}
	group.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if hexbid.KindOf(err) != hexbid.Stale {
			t.Error(err)
		}
	}
	if done != 1 || e.store.Version() != before+1 {
		t.Errorf("%d of %d undid it: %v", done, len(errs), errs)
	}
}

// An undo that others cross restores its fields in what they wrote, or is refused.
func TestAnUndoThatOthersCrossLosesNothing(t *testing.T) {
	e, c := crossing(t)
	name := campaign("c").Name
	if err := setBid(ctx, e, name, 2_000_000); err != nil {
		t.Fatal(err)
	}
	change := latest(t, e, name).Name
	c.cross(times(2, func() {
		must(e.Update(ctx, name, store.AnyVersion, false, func(present hexbid.Resource) (hexbid.Resource, error) {
			next := *present.(*hexbid.Campaign)
			next.DailyBudget++
			return &next, nil
		}))
	}))
	must(e.Undo(ctx, change, false))
	c.cross(nil)
	if got := must(e.Get(ctx, name)).(*hexbid.Campaign); got.Bid != 1_000_000 || got.DailyBudget < 10_000_001 {
		t.Errorf("%+v", got)
	}
	if err := setBid(ctx, e, name, 2_000_000); err != nil {
		t.Fatal(err)
	}
	change = latest(t, e, name).Name
	c.cross(times(1, func() { _ = setBid(ctx, e, name, 5_000_000) }))
	if _, err := e.Undo(ctx, change, false); hexbid.KindOf(err) != hexbid.Stale {
		t.Errorf("an undo of a bid that another has changed meanwhile: %v", err)
	}
	if got := must(e.Get(ctx, name)).(*hexbid.Campaign); got.Bid != 5_000_000 {
		t.Errorf("the bid is %d", got.Bid)
	}
}

// What operators alone may set, operators alone restore.
func TestAQuotaIsNotRestoredByMembers(t *testing.T) {
	e := open(t, nil)
	own := tenant{id: "a"}
	fill(t, e)
	own.uid = must(e.Get(ctx, own.advertiser())).Metadata().UID
	for _, quota := range []int64{0, 10} {
		must(e.Update(operatorOf("users/op"), own.advertiser(), store.AnyVersion, false,
			func(hexbid.Resource) (hexbid.Resource, error) {
				return &hexbid.Advertiser{Meta: hexbid.Meta{Name: own.advertiser()}, DisplayName: "A",
					Quota: hexbid.Holdings{Campaigns: quota}}, nil
			}))
	}
	change := latest(t, e, own.advertiser()).Name
	if _, err := e.Undo(memberOf(own, hexbid.LevelAdmin), change, false); hexbid.KindOf(err) != hexbid.Denied {
		t.Errorf("by a member: %v", err)
	}
	must(e.Undo(operatorOf("users/op"), change, false))
	if got := must(e.Get(ctx, own.advertiser())).(*hexbid.Advertiser); got.Quota.Campaigns != 0 {
		t.Errorf("%+v", got.Quota)
	}
}

// The market is a resource like others in its history. Its first state stays.
func TestTheMarketsUpdatesAreUndone(t *testing.T) {
	s := store.NewMemory()
	first := &hexbid.Market{Increment: 1}
	if _, err := FirstMarket(ctx, s, first, now); err != nil {
		t.Fatal(err)
	}
	e := openOn(t, s, 1000)
	must(e.Update(ctx, hexbid.MarketName, store.AnyVersion, false, func(present hexbid.Resource) (hexbid.Resource, error) {
		next := *present.(*hexbid.Market)
		next.Increment = 50_000
		return &next, nil
	}))
	all := changesFor(t, ctx, e, ChangeQuery{Kind: "market"})
	if len(all) != 2 {
		t.Fatalf("%d changes", len(all))
	}
	must(e.Undo(ctx, all[0].Name, false))
	if in := must(e.MarketInForce(ctx)); in.Market.Increment != 1 {
		t.Errorf("in force is %+v", in.Market)
	}
	wantNoUndo(t, e, all[1].Name, hexbid.InUse, "first market")
	if own := changesFor(t, memberOf(tenant{id: "a", uid: 1}, hexbid.LevelAdmin), e, ChangeQuery{}); len(own) > 0 {
		t.Errorf("a member sees %+v", own)
	}
}
